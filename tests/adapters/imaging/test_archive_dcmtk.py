"""DCMTK as the other side: its archive dcmqrscp is asked and fetched from, its senders speak TLS to our listener, and ours to its storescp."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from osler.adapters.imaging import dicom_fetch, dicom_query
from osler.adapters.imaging.dicom_folder import SeriesFolder
from osler.adapters.imaging.dicom_inbox import Inbox
from osler.adapters.imaging.dicom_net import DONE, Listener, Node, Peer, echo, send
from osler.adapters.imaging.dicom_query import Question
from osler.cli import main
from osler.errors import ReadError
from osler.service.dicom_node import client_side, server_side
from tests.adapters.imaging import archives
from tests.adapters.imaging.test_archive_nodes import uids
from tests.instruments.dicom_people import ROOT

pytest.importorskip("pynetdicom")
TOOLS = ("dcmqrscp", "storescu", "echoscu", "findscu", "storescp")
pytestmark = pytest.mark.skipif(any(archives.dcmtk(t) is None for t in TOOLS), reason="DCMTK is not installed (Debian: dcmtk)")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Peer, int]]:
    """dcmqrscp with two studies of two series of three objects, and the port that it moves series to."""
    folder = tmp_path_factory.mktemp("dcmqrscp")
    (folder / "held").mkdir()
    with archives.own_network():
        port, moves = archives.free_port(), archives.free_port()
        (folder / "config").write_text(
            f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\nHostTable BEGIN\nosler = (OSLER, 127.0.0.1, {moves})\nHostTable END\n"
            f"VendorTable BEGIN\nVendorTable END\nAETable BEGIN\nARCHIVE {folder / 'held'} RW (200, 1024mb) ANY\nAETable END\n"
        )
        with archives.running([archives.dcmtk("dcmqrscp"), "-c", str(folder / "config")], port, folder / "log"):
            peer = Peer("127.0.0.1", port, "ARCHIVE")
            for patient in ("1", "2"):
                archives.study(folder / "in", patient=patient)
            assert [s for _, s in send(peer, sorted((folder / "in").iterdir()))] == [DONE] * 12
            yield peer, moves


def test_it_is_asked_level_by_level(archive: tuple[Peer, int]):
    peer, _ = archive
    assert sorted(r["StudyInstanceUID"] for r in dicom_query.find(peer, Question())) == [f"{ROOT}.1", f"{ROOT}.2"]
    series = dicom_query.find(peer, Question("series", {"PatientID": "MRN2"}))
    assert sorted((r["SeriesInstanceUID"], r["PatientID"]) for r in series) == [(f"{ROOT}.2.0", "MRN2"), (f"{ROOT}.2.1", "MRN2")]
    assert len(dicom_query.find(peer, Question("instance"))) == 12
    assert dicom_query.find(peer, Question("study", {"PatientID": "NOBODY"})) == []


def test_its_own_findscu_gets_as_many_answers(archive: tuple[Peer, int]):
    peer, _ = archive
    keys = ["-k", "QueryRetrieveLevel=SERIES", "-k", f"StudyInstanceUID={ROOT}.1", "-k", "SeriesInstanceUID"]
    done = subprocess.run([archives.dcmtk("findscu"), "-S", "-aec", "ARCHIVE", *keys, peer.host, str(peer.port)], capture_output=True, text=True, timeout=30)
    theirs = {line.split("[")[1].split("]")[0].strip("\0 ") for line in (done.stdout + done.stderr).splitlines() if "(0020,000e) UI [" in line}
    ours = {r["SeriesInstanceUID"] for r in dicom_query.find(peer, Question("series", study=f"{ROOT}.1"))}
    assert ours == theirs - {""} == {f"{ROOT}.1.0", f"{ROOT}.1.1"}


def test_series_come_by_get_and_by_move(archive: tuple[Peer, int], tmp_path: Path):
    peer, moves = archive
    rows = dicom_query.find(peer, Question("series", {"PatientID": "MRN1"}))
    assert [(d.listed, d.new, d.missing) for d in dicom_fetch.get(peer, rows, SeriesFolder(tmp_path / "a", 1 << 30))] == [(3, 3, 0)] * 2
    node = Node("OSLER", ("ARCHIVE",), port=moves)
    done = list(dicom_fetch.move(peer, rows, SeriesFolder(tmp_path / "b", 1 << 30), node))
    assert [(d.listed, d.new, d.missing) for d in done] == [(3, 3, 0)] * 2
    assert uids(tmp_path / "a") == uids(tmp_path / "b") == [f"{ROOT}.1.{s}.{o}" for s in range(2) for o in range(3)]
    next((tmp_path / "a").rglob("*.dcm")).unlink()
    assert sum(d.new for d in dicom_fetch.get(peer, rows, SeriesFolder(tmp_path / "a", 1 << 30))) == 1


def test_its_senders_reach_our_listener_by_tls_only(tmp_path: Path):
    cert, key = archives.certificate(tmp_path)
    files = [str(p) for p in sorted(archives.study(tmp_path / "in", 1, 3).iterdir())]
    inbox = Inbox(tmp_path / "inbox", 1 << 30)
    listener = Listener(Node("OSLER", ("SCANNER",), port=0), inbox, server_side((cert, key)))
    titles, where = ["-aet", "SCANNER", "-aec", "OSLER"], ["127.0.0.1", str(listener.port)]
    trust = ["+tla", "+cf", str(cert)]
    try:
        assert subprocess.run([archives.dcmtk("echoscu"), *trust, *titles, *where], timeout=30).returncode == 0
        assert subprocess.run([archives.dcmtk("storescu"), *trust, *titles, *where, *files], timeout=30).returncode == 0
        assert subprocess.run([archives.dcmtk("echoscu"), *trust, "-aet", "STRANGER", "-aec", "OSLER", *where], capture_output=True, timeout=30).returncode != 0
        assert subprocess.run([archives.dcmtk("echoscu"), "-to", "3", "-ta", "3", "-td", "3", *titles, *where], capture_output=True, timeout=60).returncode != 0
        echo(Peer("localhost", listener.port, "OSLER", "SCANNER"), client_side(cert))
        other, _ = archives.certificate(tmp_path / "in")
        with pytest.raises(ReadError, match="cannot be reached"):
            echo(Peer("localhost", listener.port, "OSLER", "SCANNER"), client_side(other))
    finally:
        listener.stop()
    assert len(list((tmp_path / "inbox").glob("*/*.dcm"))) == 3
    assert server_side((cert, key)).minimum_version == ssl.TLSVersion.TLSv1_2


def test_we_send_to_its_storescp_by_tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    cert, key = archives.certificate(tmp_path)
    archives.study(tmp_path / "in", 1, 3)
    (tmp_path / "out").mkdir()
    with archives.own_network():
        port = archives.free_port()
        command = [archives.dcmtk("storescp"), "+tls", str(key), str(cert), "-ic", "-od", str(tmp_path / "out"), "-aet", "STORE", str(port)]
        with archives.running(command, port, tmp_path / "log"):
            node = f"STORE@localhost:{port}"
            assert main(["pacs", "echo", node, "--authority", str(cert)]) == 0
            assert main(["pacs", "send", node, str(tmp_path / "in"), "--authority", str(cert)]) == 0
            assert main(["pacs", "echo", node]) == 2
    assert "3 sent" in capsys.readouterr().out and len(list((tmp_path / "out").iterdir())) == 3
