"""STOW-RS into the inbox: from our own client, from Orthanc, and from strangers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from osler.adapters.imaging import dicom_web
from osler.adapters.imaging.dicom_inbox import Inbox
from osler.adapters.imaging.dicom_net import DONE, NO_ROOM, OTHER, Peer, send
from osler.errors import InputError, ReadError
from osler.service import dicom_stow
from osler.service.dicom_node import server_side
from osler.service.dicom_stow import StowListener
from osler.service.tokens import digest
from tests.adapters.imaging import archives
from tests.instruments.dicom_people import ROOT, packed, person, pydicom

pytest.importorskip("pynetdicom")


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox", 40_000)


@pytest.fixture
def listener(inbox: Inbox) -> Iterator[StowListener]:
    one = StowListener(("127.0.0.1", 0), digest("a made-up word"), inbox)
    yield one
    one.stop()


@pytest.fixture
def web(listener: StowListener) -> dicom_web.Web:
    return dicom_web.Web("127.0.0.1", listener.port, "/dicom-web", None, "Bearer a made-up word")


def asked(port: int, body: bytes, **headers: str) -> tuple[int, bytes]:
    """Status and body of a POST."""
    given = {"Authorization": "Bearer a made-up word", "Content-Type": "multipart/related; boundary=x"} | {k.replace("_", "-"): v for k, v in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{given.pop('Path', '/studies')}", body, given)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_objects_are_kept_once_and_each_has_its_answer(web: dicom_web.Web, inbox: Inbox, tmp_path: Path):
    files = sorted(archives.study(tmp_path / "in", 1, 4).iterdir())
    assert [s for _, s in dicom_web.send(web, files)] == [DONE] * 4
    assert [s for _, s in dicom_web.send(web, files)] == [DONE] * 4
    assert inbox.path(f"{ROOT}.1.0.2").read_bytes() == files[2].read_bytes()
    assert len(list((tmp_path / "inbox").glob("*/*.dcm"))) == 4
    ds = pydicom.dcmread(files[0])
    ds.KVP = "80"
    ds.save_as(files[0])
    assert [s for _, s in dicom_web.send(web, files[:1])] == [OTHER]
    (tmp_path / "big.dcm").write_bytes(packed(person("9", PixelData=bytes(2 * 16 * 16 * 80), NumberOfFrames=80)))
    assert [s for _, s in dicom_web.send(web, [tmp_path / "big.dcm"])] == [NO_ROOM]


def test_several_objects_of_one_request(listener: StowListener):
    data = packed(person("1"))
    body = b"--x\r\n\r\n" + data + b"\r\n--x\r\nContent-Type: a\r\n\r\nno DICOM\r\n--x--"
    status, answer = asked(listener.port, body)
    told = json.loads(answer)
    assert status == 202 and told["00081199"]["Value"][0]["00081155"]["Value"] == [f"{ROOT}.3.1"]
    assert told["00081198"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]


@pytest.mark.parametrize(("headers", "body", "status"), [
    ({"Authorization": "Bearer wrong"}, b"", 401), ({"Authorization": ""}, b"", 401), ({"Path": "/../studies"}, b"", 404), ({"Path": "/"}, b"", 404),
    ({"Content_Type": "text/plain"}, b"x", 400), ({}, b"no parts", 400), ({}, b"--x\r\n\r\nno end", 400), ({}, b"--x--", 409),
    ({}, b"--x\r\nContent-Disposition: form-data; filename=../../../tmp/x\r\n\r\nno DICOM\r\n--x--", 409),
])  # fmt: skip
def test_what_is_refused(listener: StowListener, tmp_path: Path, headers: dict[str, str], body: bytes, status: int):
    assert asked(listener.port, body, **headers)[0] == status
    assert list((tmp_path / "inbox").iterdir()) == [] and [p.name for p in tmp_path.iterdir()] == ["inbox"]


def spoken(port: int, text: bytes) -> bytes:
    """What comes back over a raw connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        one.sendall(text)
        one.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: one.recv(1 << 16), b""))


def test_requests_of_strangers_by_hand(listener: StowListener, inbox: Inbox):
    start = b"POST /studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a made-up word\r\nContent-Type: multipart/related; boundary=x\r\n"
    data = b"--x\r\n\r\n" + packed(person("1")) + b"\r\n--x--"
    chunked = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(data[i : i + 700]), data[i : i + 700]) for i in range(0, len(data), 700)) + b"0\r\n\r\n"
    for more, body, status in (
        (b"", b"", b"411"), (b"Content-Length: -5\r\n", b"", b"411"), (b"Content-Length: 99999999999999\r\n", b"--x", b"400"),
        (b"Transfer-Encoding: chunked\r\n", b"zz\r\n", b"400"), (b"Transfer-Encoding: chunked\r\n", chunked[:-400], b"400"),
        (b"Transfer-Encoding: chunked\r\n", chunked, b"200"),
    ):  # fmt: skip
        assert spoken(listener.port, start + more + b"\r\n" + body).split(b" ")[1] == status
    assert spoken(listener.port, b"GET /studies HTTP/1.1\r\n\r\n").split(b" ")[1] == b"501"
    assert inbox.path(f"{ROOT}.3.1").is_file()


def test_guessing_and_crowding_are_slowed_down(listener: StowListener, monkeypatch: pytest.MonkeyPatch):
    assert {asked(listener.port, b"", Authorization=f"Bearer {i}")[0] for i in range(12)} == {401}
    assert asked(listener.port, b"")[0] == 401  # the right token, but too many wrong ones came from here
    monkeypatch.setattr(dicom_stow, "AT_ONCE", 1)
    one = StowListener(("127.0.0.1", 0), digest("t"), Inbox.__new__(Inbox))
    with socket.create_connection(("127.0.0.1", one.port), timeout=5), socket.create_connection(("127.0.0.1", one.port), timeout=5) as second:
        second.sendall(b"POST /studies HTTP/1.1\r\n\r\n")
        assert answered(second) == b""
    one.stop()


def answered(one: socket.socket) -> bytes:
    """What a connection gives until it is closed."""
    try:
        return one.recv(100)
    except ConnectionResetError:
        return b""


def test_over_tls_and_on_a_port_that_is_taken(inbox: Inbox, listener: StowListener, tmp_path: Path):
    cert, key = archives.certificate(tmp_path)
    one = StowListener(("127.0.0.1", 0), digest("t"), inbox, server_side((cert, key)))
    (tmp_path / "token").write_text("t")
    files = sorted(archives.study(tmp_path / "in", 1, 2).iterdir())
    web = dicom_web.web_of(f"https://localhost:{one.port}", cert, tmp_path / "token")
    assert [s for _, s in dicom_web.send(web, files)] == [DONE, DONE]
    plain = replace(web, tls=None)
    with pytest.raises(ReadError, match="must answer"):
        list(dicom_web.send(plain, files))
    with pytest.raises(InputError, match="must be free"):
        StowListener(("127.0.0.1", listener.port), b"", inbox)
    one.stop()


def test_orthanc_sends_to_the_command(tmp_path: Path):
    """C-STORE into Orthanc, and from there by its own STOW client into `osler pacs listen`."""
    (tmp_path / "token").write_text(f"sha256:{digest('a made-up word').hex()}\n")
    os.chmod(tmp_path / "token", 0o600)
    with archives.own_network():
        port = archives.free_port()
        servers = {"osler": {"Url": f"http://127.0.0.1:{port}/dicom-web/", "HttpHeaders": {"Authorization": "Bearer a made-up word"}}}
        settings = {"DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": servers}}
        command = [sys.executable, "-m", "osler", "pacs", "listen", str(tmp_path / "inbox"), "--allow", "A", "--port", "0"]
        with archives.orthanc(tmp_path / "orthanc", **settings) as one:
            files = sorted(archives.study(tmp_path / "in", 2, 3).iterdir())
            assert [s for _, s in send(Peer("127.0.0.1", one.dicom, "ORTHANC"), files)] == [DONE] * 6
            more = ["--web-port", str(port), "--token-file", str(tmp_path / "token")]
            child = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                assert child.stdout.readline().startswith("listening on")
                assert child.stdout.readline() == f"STOW-RS at http://127.0.0.1:{port}\n"
                body = json.dumps({"Resources": one.get("/studies"), "Synchronous": True}).encode()
                request = urllib.request.Request(f"http://127.0.0.1:{one.web}/dicom-web/servers/osler/stow", body)
                with urllib.request.urlopen(request, timeout=30) as answer:
                    assert answer.status == 200
            finally:
                child.send_signal(signal.SIGTERM)
                assert child.communicate(timeout=20)[1] == ""
    held = sorted(str(pydicom.dcmread(p).SOPInstanceUID) for p in (tmp_path / "inbox").glob("*/*.dcm"))
    assert held == [f"{ROOT}.1.{s}.{o}" for s in range(2) for o in range(3)]
    assert threading.active_count() < 50
