"""The listener and the senders against pynetdicom on this machine: titles, quota, repeats, kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from osler.adapters.imaging import dicom_net
from osler.adapters.imaging.dicom_inbox import Inbox
from osler.adapters.imaging.dicom_net import DONE, NO_ROOM, OTHER, Listener, Node, Peer, echo, send
from osler.errors import InputError, ReadError
from tests.instruments.dicom_people import ROOT, found_in, packed, person, pydicom

pytest.importorskip("pynetdicom")


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox", 1 << 30)


@pytest.fixture
def peer(inbox: Inbox) -> Any:
    listener = Listener(Node("OSLER", ("SCANNER",), port=0), inbox)
    yield Peer("127.0.0.1", listener.port, "OSLER", "SCANNER")
    listener.stop()


def files(folder: Path, count: int) -> list[Path]:
    """DICOM files of one person."""
    folder.mkdir(exist_ok=True)
    made = [folder / f"{i}.dcm" for i in range(count)]
    for i, path in enumerate(made):
        path.write_bytes(packed(person(str(i))))
    return made


def kept(folder: Path) -> list[str]:
    """UIDs of the objects in an inbox."""
    return sorted(str(pydicom.dcmread(p).SOPInstanceUID) for p in folder.rglob("*.dcm"))


def test_an_inbox_keeps_once_and_says_no_when_full(tmp_path: Path):
    inbox = Inbox(tmp_path / "i", 100)
    assert [inbox.keep("1.2", b"a" * 60), inbox.keep("1.2", b"a" * 60), inbox.keep("1.2", b"b"), inbox.keep("1.3", b"c" * 60)] == [
        DONE, DONE, OTHER, NO_ROOM,
    ]  # fmt: skip
    again = Inbox(tmp_path / "i", 100)
    assert again.keep("1.3", b"c" * 60) == NO_ROOM and again.keep("1.4", b"d" * 40) == DONE
    assert inbox.path("1.2").read_bytes() == b"a" * 60


@pytest.mark.parametrize("uid", ["../../x", "/etc/passwd", "", "a\0b", "x" * 5000, "\udc80"])
def test_hostile_uids_stay_in_the_inbox(tmp_path: Path, uid: str):
    inbox = Inbox(tmp_path / "i", 100)
    assert inbox.keep(uid, b"x") == DONE
    assert inbox.path(uid).resolve().is_relative_to((tmp_path / "i").resolve())
    assert [p.name for p in tmp_path.iterdir()] == ["i"]


def test_what_a_kill_left_behind_is_swept(tmp_path: Path):
    Inbox(tmp_path, 10).keep("1", b"x")
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / ".partial-1").write_bytes(b"half")
    Inbox(tmp_path, 10)
    assert not list(tmp_path.rglob(".partial-*")) and len(list(tmp_path.rglob("*.dcm"))) == 1


def test_echo_and_store(tmp_path: Path, inbox: Inbox, peer: Peer):
    echo(peer)
    sent = files(tmp_path / "in", 5)
    (tmp_path / "in" / "no.dcm").write_bytes(b"text")
    assert [s for _, s in send(peer, [*sent, tmp_path / "in" / "no.dcm"])] == [DONE] * 5 + [None]
    assert kept(tmp_path / "inbox") == [f"{ROOT}.3.{i}" for i in range(5)]
    stored = pydicom.dcmread(inbox.path(f"{ROOT}.3.2"))
    assert stored == pydicom.dcmread(sent[2]) and stored.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert [s for _, s in send(peer, sent)] == [DONE] * 5 and len(kept(tmp_path / "inbox")) == 5
    sent[0].write_bytes(packed(person("0", KVP="80")))
    assert [s for _, s in send(peer, sent[:1])] == [OTHER]


@pytest.mark.parametrize(("called", "calling"), [("OSLER", "STRANGER"), ("OTHER", "SCANNER")])
def test_strangers_are_turned_away_without_being_named(peer: Peer, called: str, calling: str):
    with pytest.raises(ReadError, match="check both titles") as refused:
        echo(Peer(peer.host, peer.port, called, calling))
    assert calling not in refused.value.message and found_in(refused.value.message.encode()) == []


def test_an_answer_is_not_taken_by_the_loop_of_the_association(tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch):
    """The loop that watches an association sleeps where it once was overtaken: between being let through and looking for requests."""
    through = dicom_net._Checkpoint.wait

    def slow(self: Any) -> None:
        through(self)
        time.sleep(0.1)

    monkeypatch.setattr(dicom_net._Checkpoint, "wait", slow)
    began = time.monotonic()
    assert [s for _, s in send(peer, files(tmp_path / "in", 8))] == [DONE] * 8
    assert time.monotonic() - began < 10


def test_nobody_there_and_nobody_allowed(inbox: Inbox, peer: Peer):
    with pytest.raises(ReadError, match="cannot be reached"):
        echo(Peer("127.0.0.1", 1, "X"))
    with pytest.raises(InputError, match="--allow"):
        Listener(Node("OSLER", ()), inbox)
    with pytest.raises(InputError, match="must be free"):
        Listener(Node("OSLER", ("A",), port=peer.port), inbox)


def test_a_full_disk_is_an_answer(tmp_path: Path):
    listener = Listener(Node("OSLER", ("SCANNER",), port=0), Inbox(tmp_path / "inbox", 5000))
    found = [s for _, s in send(Peer("127.0.0.1", listener.port, "OSLER", "SCANNER"), files(tmp_path / "in", 5))]
    listener.stop()
    assert found[0] == DONE and found[-1] == NO_ROOM and len(kept(tmp_path / "inbox")) == found.count(DONE)


CHILD = """
import sys, time
from pathlib import Path
from osler.adapters.imaging.dicom_inbox import Inbox
from osler.adapters.imaging.dicom_net import Listener, Node
print(Listener(Node("OSLER", ("SCANNER",), port=0), Inbox(Path(sys.argv[1]), 1 << 30)).port, flush=True)
time.sleep(120)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_a_kill_loses_nothing_that_was_acknowledged_and_doubles_nothing(tmp_path: Path):
    todo, done = files(tmp_path / "in", 60), set()
    for round_ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "inbox")], stdout=subprocess.PIPE, text=True
        )
        port = int(child.stdout.readline())
        try:
            for path, status in send(Peer("127.0.0.1", port, "OSLER", "SCANNER"), [p for p in todo if p not in done]):
                if status == DONE:
                    done.add(path)
                if round_ < 2 and len(done) == 20 * (round_ + 1):
                    child.send_signal(signal.SIGKILL)
                    time.sleep(0.05)
                    break
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        assert {f"{ROOT}.3.{p.stem}" for p in done} <= set(kept(tmp_path / "inbox"))
        if len(done) == len(todo):
            break
    assert kept(tmp_path / "inbox") == sorted(f"{ROOT}.3.{i}" for i in range(60))
