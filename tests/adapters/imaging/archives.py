"""A real Orthanc and a real dcmqrscp on a network that only the test sees, and made-up studies to put into them."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.instruments.dicom_people import ROOT, packed, person

ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
WEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_NEWNET = 0x40000000


def dcmtk(name: str) -> str | None:
    """A program of DCMTK, and not the one of the same name that pynetdicom brings into its environment."""
    return shutil.which(name, path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """This thread, and what it starts, in a network namespace with a loopback of its own; the old one afterwards.

    Skips the test, with the reason, where the system does not allow it.
    """
    tool = shutil.which("ip")
    if not hasattr(os, "geteuid") or not Path("/proc/self/ns/net").exists() or tool is None:
        pytest.skip("network namespaces and ip(8) are needed to run an archive apart from the network")
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_NEWNET) != 0:
            pytest.skip(f"this user may not make a network namespace ({os.strerror(ctypes.get_errno())})")
        try:
            subprocess.run([tool, "link", "set", "lo", "up"], check=True, timeout=10)
            yield
        finally:
            assert libc.setns(before, _NEWNET) == 0, "the test's thread must get its network back"
    finally:
        os.close(before)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path, **more: Any) -> Iterator[subprocess.Popen]:
    """A server process from when its port answers (at most 20 s) until the end of the block; it and what it started are always killed."""
    with log.open("wb") as said:
        child = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True, **more)
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{Path(command[0]).name} does not listen: {log.read_bytes()[-800:]!r}")
            time.sleep(0.05)
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(20)


@dataclass
class Orthanc:
    """A running Orthanc.

    Attributes:
        dicom, web: its ports.
        moves: port of the node "OSLER" that it may move series to.
    """

    dicom: int
    web: int
    moves: int

    @property
    def node(self) -> str:
        """Its address for DICOM."""
        return f"ORTHANC@127.0.0.1:{self.dicom}"

    @property
    def root(self) -> str:
        """Its address for DICOMweb."""
        return f"http://127.0.0.1:{self.web}/dicom-web"

    def get(self, path: str) -> Any:
        """An answer of its REST interface, which is how a test looks into it from another side."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}{path}", timeout=20) as answer:
            return json.loads(answer.read())

    def count(self) -> int:
        """Objects that it holds."""
        return self.get("/statistics")["CountInstances"]


@contextlib.contextmanager
def orthanc(folder: Path, **settings: Any) -> Iterator[Orthanc]:
    """Orthanc with DICOMweb in a network of its own, whose loopback the test shares."""
    if ORTHANC is None or not WEB.is_file():
        pytest.skip("Orthanc with DICOMweb is not installed (Debian: orthanc, orthanc-dicomweb)")
    folder.mkdir(parents=True, exist_ok=True)
    one = Orthanc(free_port(), free_port(), free_port())
    config = {
        "Name": "TEST", "StorageDirectory": str(folder / "held"), "IndexDirectory": str(folder / "held"), "DicomAet": "ORTHANC",
        "DicomPort": one.dicom, "HttpPort": one.web, "DicomCheckCalledAet": True, "OverwriteInstances": False, "SynchronousCMove": True,
        "DicomModalities": {"osler": {"AET": "OSLER", "Host": "127.0.0.1", "Port": one.moves, "UseDicomTls": bool(settings.get("DicomTlsEnabled"))}},
        "Plugins": [str(WEB)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "StableAge": 1, **settings,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    with running([ORTHANC, str(folder / "config.json")], one.web, folder / "log"):
        yield one


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-made certificate for localhost and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
               "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return cert, key


@contextlib.contextmanager
def behind_tls(port: int, cert: Path, key: Path) -> Iterator[int]:
    """A port where TLS is spoken and whose connections are handed on to another port, as a reverse proxy does it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve(raw: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            context.wrap_socket(raw, server_side=True) as outer,
            socket.create_connection(("127.0.0.1", port), timeout=20) as inner,
        ):
            back = threading.Thread(target=pump, args=(inner, outer), daemon=True)
            back.start()
            pump(outer, inner)
            back.join(20)

    def accept(door: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=accept, args=(door,), daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)


def study(folder: Path, series: int = 2, objects: int = 3, patient: str = "1") -> Path:
    """CT slices of one made-up study: `series` series of `objects` objects."""
    folder.mkdir(parents=True, exist_ok=True)
    for s in range(series):
        for o in range(objects):
            ds = person(str(o + 1))
            ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{ROOT}.{patient}", f"{ROOT}.{patient}.{s}"
            ds.SOPInstanceUID, ds.SeriesNumber, ds.SeriesDescription = f"{ROOT}.{patient}.{s}.{o}", str(s), f"part {s}"
            ds.PatientID = f"MRN{patient}"
            ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 2.5 * o], [1, 0, 0, 0, 1, 0]
            ds.PixelSpacing, ds.SliceThickness, ds.RescaleSlope, ds.RescaleIntercept = [0.5, 0.7], "2.5", "1", "-1024"
            ds.PixelData = bytes([s, o]) * 256
            (folder / f"{patient}_{s}_{o}.dcm").write_bytes(packed(ds))
    return folder


def series_of(folder: Path, values: np.ndarray, spacing: tuple[float, float, float], patient: str) -> Path:
    """A volume (z, y, x) of numbers from 0 to 65535 as slices of a study of its own; its axes are the patient's."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, plane in enumerate(values):
        ds = person(str(k + 1))
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{ROOT}.7.{patient}", f"{ROOT}.7.{patient}.1"
        ds.SOPInstanceUID, ds.PatientID, ds.FrameOfReferenceUID = f"{ROOT}.7.{patient}.1.{k}", f"MRN{patient}", f"{ROOT}.7.{patient}.2"
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, spacing[0] * k], [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness, ds.RescaleSlope, ds.RescaleIntercept = list(spacing[1:]), str(spacing[0]), "1", "0"
        ds.Rows, ds.Columns = plane.shape
        ds.PixelData = np.rint(plane).astype("<u2").tobytes()
        (folder / f"{patient}_{k}.dcm").write_bytes(packed(ds))
    return folder
