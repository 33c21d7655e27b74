"""Archives that answer with lies, garbage, paths and floods; and that nothing of a patient is ever printed or logged."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from osler.adapters.imaging import dicom_fetch, dicom_query, dicom_web, multipart
from osler.adapters.imaging.dicom_folder import SeriesFolder
from osler.adapters.imaging.dicom_net import Listener, Node, Peer, echo
from osler.adapters.imaging.dicom_query import Question
from osler.cli import main
from osler.errors import LimitError, ReadError
from tests.adapters.imaging import archives
from tests.instruments.dicom_people import ROOT, found_in, packed, person, pydicom

pynetdicom = pytest.importorskip("pynetdicom")
HOSTILE = ["../../escaped", "/etc/passwd", "\x1b[2J\x1b]0;owned\x07", "a\0b", "..", "1.2.3/../../x", "x" * 5000, "1.2.3\n4", "=cmd|' /C calc'!A0"]


@contextmanager
def speaking(answer: bytes) -> Iterator[int]:
    """A port where every connection gets these bytes, whatever it asks, and is then closed."""

    def serve(door: socket.socket) -> None:
        while True:
            try:
                one = door.accept()[0]
            except OSError:
                return
            with one:
                one.settimeout(5)
                try:
                    one.recv(1 << 16)
                    one.sendall(answer)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=serve, args=(door,), daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)


def http(body: bytes, kind: str = "application/dicom+json", status: str = "200 OK", more: str = "") -> bytes:
    """An answer of HTTP/1.1."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def web(port: int) -> dicom_web.Web:
    return dicom_web.web_of(f"http://127.0.0.1:{port}/dicom-web", None, None)


@pytest.mark.parametrize("answer", [
    b"", b"\0" * 5000, b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n", b"HTTP/1.1 200 " + b"x" * 70_000,
    http(b"{}"), http(b"<html>Kwiatkowski</html>"), http(b"[" * 100_000), http(b'"x"'), http(b"\xff\xfe"), http(b"", status="302 Found", more="Location: http://127.0.0.1:1/\r\n"),
    http(b"Kwiatkowski", status="500 Kwiatkowski"), http(b"1" * 5000),
])  # fmt: skip
def test_answers_that_are_none(answer: bytes):
    with speaking(answer) as port, pytest.raises(ReadError) as refused:
        dicom_web.find(web(port), Question())
    assert found_in(refused.value.message.encode()) == [] and "\n" not in refused.value.message


def element(value: object, vr: str = "LO") -> dict[str, object]:
    return {"vr": vr, "Value": [value]}


def test_rows_of_every_shape_are_text_that_steers_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shapes: list[object] = [*HOSTILE, None, {}, [[]], {"Alphabetic": HOSTILE[2]}, {"Alphabetic": 5}, 1e400, True, {"Value": 1}]
    rows: list[object] = [{"0020000D": element(f"1.2.{i}"), "00100010": element(shape, "PN"), "00081030": element(shape)} for i, shape in enumerate(shapes)]
    rows += [None, 5, [], {"0020000D": 7}, {"0020000D": {"Value": "x"}}, {"00100010": element("nobody")}]
    with speaking(http(json.dumps(rows).encode())) as port:
        found = dicom_web.find(web(port), Question())
        assert len(found) == len(shapes) and all(cell.isprintable() and len(cell) <= 1024 for row in found for cell in row.values())
        out = tmp_path / "found.csv"
        assert main(["pacs", "query", f"http://127.0.0.1:{port}/dicom-web", "--out", str(out)]) == 0
        assert main(["pacs", "query", f"http://127.0.0.1:{port}/dicom-web"]) == 0
    assert "\x1b" not in capsys.readouterr().out and ",=cmd" not in out.read_text()


def test_floods_are_cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(dicom_web, "MAX_JSON", 10_000)
    with speaking(http(b"[" + b" " * 20_000 + b"]")) as port, pytest.raises(LimitError, match="MiB"):
        dicom_web.find(web(port), Question())
    page = json.dumps([{"0020000D": element(f"1.{i}")} for i in range(60)]).encode()
    monkeypatch.setattr(dicom_web, "PAGE", 60)
    with speaking(http(page)) as port:  # the same page for ever
        assert len(dicom_web.find(web(port), Question())) == 60
    with speaking(http(page)) as port, pytest.raises(LimitError, match="at most 59"):
        dicom_web.find(web(port), Question(most=59))
    monkeypatch.setattr(dicom_web, "MAX_OBJECT", 1000)
    body = b"--x\r\n\r\n" + packed(person("1")) + b"\r\n--x--"
    with speaking(http(body, "multipart/related; boundary=x")) as port, pytest.raises(LimitError, match="at most 1,000 bytes"):
        dicom_web._kept(web(port), "/studies/1/series/2", SeriesFolder(tmp_path / "out", 1 << 30))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_parts_and_uids_with_paths_stay_in_the_folder(tmp_path: Path, name: str):
    ds = person("1")
    with pydicom.config.disable_value_validation():
        ds.SeriesInstanceUID = ds.SOPInstanceUID = name
        ds.file_meta.MediaStorageSOPInstanceUID = name
        data = packed(ds)
    disposition = name.encode("utf-8").replace(b"\r\n", b"")
    body = b"--x\r\nContent-Disposition: attachment; filename=" + disposition + b"\r\nContent-Location: " + disposition + b"\r\n\r\n" + data + b"\r\n--x--"
    folder = SeriesFolder(tmp_path / "in" / "out", 1 << 30)
    folder.expect([{"SeriesInstanceUID": name, "SOPInstanceUID": name}])
    with speaking(http(body, "multipart/related; boundary=x")) as port, suppress(ReadError, LimitError):
        dicom_web._kept(web(port), f"/studies/{dicom_web._quoted(name)}", folder)
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert all(p.resolve().is_relative_to(tmp_path / "in" / "out") and p.parent.parent == tmp_path / "in" / "out" for p in written)
    assert [p.name for p in tmp_path.iterdir()] == ["in"] and [p.name for p in (tmp_path / "in").iterdir()] == ["out"]


@pytest.mark.parametrize("uid", HOSTILE)
def test_uids_of_rows_are_one_step_of_a_path(uid: str):
    quoted = dicom_web._quoted(uid)
    assert "/" not in quoted and ".." not in quoted and quoted.isascii() and quoted.isprintable() and " " not in quoted


@contextmanager
def node(handlers: list[tuple[object, Callable[..., object]]], port_seen: list[int] | None = None) -> Iterator[Peer]:
    """An archive of pynetdicom that answers as the handlers do."""
    entity = pynetdicom.AE(ae_title="EVIL")
    for model in (dicom_query.FIND, dicom_fetch.GET, dicom_fetch.MOVE):
        entity.add_supported_context(model)
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.2", scu_role=True, scp_role=True)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Peer("127.0.0.1", server.server_address[1], "EVIL")
    finally:
        server.shutdown()


def test_a_node_that_answers_a_question_for_ever(tmp_path: Path):
    def endless(event: object) -> Iterator[tuple[int, object]]:
        while True:
            answer = pydicom.Dataset()
            answer.QueryRetrieveLevel, answer.PatientName = "STUDY", "Kwiatkowski^Wilhelmina"
            answer.StudyInstanceUID, answer.StudyDescription = "1.2.3", HOSTILE[2]
            yield 0xFF00, answer

    with node([(pynetdicom.evt.EVT_C_FIND, endless)]) as peer, pytest.raises(LimitError, match="at most 20") as refused:
        dicom_query.find(peer, Question(most=20))
    assert found_in(refused.value.message.encode()) == []


def test_a_node_that_refuses_and_one_that_fails():
    def refuses(event: object) -> Iterator[tuple[int, object]]:
        yield 0xA900, None

    with node([(pynetdicom.evt.EVT_C_FIND, refuses)]) as peer, pytest.raises(ReadError, match="refused or fell silent"):
        dicom_query.find(peer, Question())


def test_a_node_that_sends_what_nobody_asked_for(tmp_path: Path):
    def listed(event: object) -> Iterator[tuple[int, object]]:
        for i in (1, 2):
            answer = pydicom.Dataset()
            answer.StudyInstanceUID, answer.SeriesInstanceUID, answer.SOPInstanceUID = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3.{i}"
            answer.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
            yield 0xFF00, answer

    def sends(event: object) -> Iterator[object]:
        others = [person("1"), person("5"), person("2", SeriesInstanceUID=f"{ROOT}.9")]
        yield len(others)
        for one in others:
            yield 0xFF00, one

    with node([(pynetdicom.evt.EVT_C_FIND, listed), (pynetdicom.evt.EVT_C_GET, sends)]) as peer:
        row = {"StudyInstanceUID": f"{ROOT}.1", "SeriesInstanceUID": f"{ROOT}.2"}
        (done,) = dicom_fetch.get(peer, [row], SeriesFolder(tmp_path, 1 << 30))
    assert (done.listed, done.new, done.missing) == (2, 1, 1)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.dcm")] == [f"{ROOT}.2/{ROOT}.3.1.dcm"]


@pytest.mark.parametrize("answer", [b"", b"\0" * 100, b"\x02\0\xff\xff\xff\xff" + b"x" * 500, b"HTTP/1.1 400\r\n\r\n", b"\x02\0\0\0\0\x06\0\x01\0\0ab"])
def test_a_port_that_speaks_something_else(answer: bytes):
    with speaking(answer) as port, pytest.raises(ReadError, match="accept an association"):
        echo(Peer("127.0.0.1", port, "X"))


def test_a_listener_outlives_what_strangers_send(tmp_path: Path):
    folder = SeriesFolder(tmp_path, 1)
    listener = Listener(Node("OSLER", ("SCANNER",), port=0), folder)
    try:
        for text in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x01\0\xff\xff\xff\xff", b"\x01\0\0\0\0\x44" + b"\xff" * 68, b"\x04\0\0\0\0\x04abcd"):
            with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as one:
                one.sendall(text)
        echo(Peer("127.0.0.1", listener.port, "OSLER", "SCANNER"))
    finally:
        listener.stop()
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_a_patient_is_printed_or_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture):
    """Every way of talking to an archive, with values in all attributes, at the most talkative level of every log."""
    pytest.importorskip("highdicom")
    caplog.set_level(logging.DEBUG)
    with archives.own_network(), archives.orthanc(tmp_path / "run") as one:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "x.dcm").write_bytes(packed(person("1")))
        where = ["--where", "PatientID=MRN4711008", "--where", "PatientName=Kwiatkowski*"]
        for address in (one.node, one.root):
            assert main(["pacs", "send", address, str(tmp_path / "in"), "--debug"]) == 0
            assert main(["pacs", "query", address, *where, "--out", str(tmp_path / "found.csv"), "--debug"]) == 0
            assert main(["pacs", "fetch", address, str(tmp_path / address[:5].strip(":/")), *where, "--debug"]) == 0
            assert main(["pacs", "query", address, "--where", "PatientName=Thistlewood", "--where", "Kwiatkowski=1", "--debug"]) == 2
        moved = ["--by", "move", "--port", str(one.moves)]
        assert main(["pacs", "fetch", one.node, str(tmp_path / "moved"), *where, *moved, "--debug"]) == 0
        picture = next((tmp_path / "moved").rglob("*.dcm"))
        assert main(["pacs", "results", str(picture), "--finding", "pneumonia=0.5", "--to", one.node, "--debug"]) == 0
        assert main(["pacs", "send", f"WRONG@127.0.0.1:{one.dicom}", str(tmp_path / "in"), "--debug"]) == 2
    assert "MRN4711008" in (tmp_path / "found.csv").read_text()
    said = capfd.readouterr()
    logged = "\n".join(f"{record.name}: {record.getMessage()}" for record in caplog.records)
    assert found_in((said.out + said.err + logged).encode("utf-8", "replace")) == []


def test_the_limits_are_what_the_page_says():
    assert (dicom_web.MAX_JSON, Question().most, multipart.MAX_PARTS) == (64 << 20, 10_000, 100_000)
