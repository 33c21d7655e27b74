"""`osler pacs` as a user runs it, on this machine, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from osler.adapters.imaging.dicom_net import Node
from osler.cli import main
from osler.errors import InputError, OptionError
from osler.service import dicom_node
from tests.adapters.imaging import archives
from tests.instruments.dicom_people import person, write

pytest.importorskip("pynetdicom")


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_listen_echo_send_and_stop(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write(tmp_path / "in", person("1"), person("2"))
    command = [
        sys.executable,
        "-m",
        "osler",
        "pacs",
        "listen",
        str(tmp_path / "inbox"),
        "--allow",
        "SCANNER",
        "--port",
        "0",
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        node = child.stdout.readline().strip().removeprefix("listening on ")
        titles = ["--called", "OSLER", "--title", "SCANNER"]
        assert main(["pacs", "echo", node, *titles]) == 0
        assert main(["pacs", "send", node, str(tmp_path / "in"), *titles]) == 0
        assert "2 sent" in capsys.readouterr().out
        assert main(["pacs", "listen", str(tmp_path / "inbox"), "--allow", "A", "--port", "0"]) == 2
        assert "one listener" in capsys.readouterr().err
        (tmp_path / "in" / "notes.txt").write_text("no DICOM")
        assert main(["pacs", "send", node, str(tmp_path / "in"), *titles]) == 1
        assert main(["pacs", "echo", node, "--called", "OSLER", "--title", "STRANGER"]) == 2
        if archives.dcmtk("storescu"):
            host, port = node.split(":")
            sent = subprocess.run(
                [archives.dcmtk("storescu"), "-aet", "SCANNER", "-aec", "OSLER", host, port, *map(str, (tmp_path / "in").glob("*.dcm"))]
            )
            assert sent.returncode == 0
    finally:
        child.send_signal(signal.SIGTERM)
        said = child.communicate(timeout=20)
    assert child.returncode == 0 and said[1] == ""
    assert len(list((tmp_path / "inbox").rglob("*.dcm"))) == 2


def test_an_open_address_without_tls_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"127\.0\.0\.1 unless TLS") as refused:
        dicom_node.listen(tmp_path, Node("OSLER", ("A",), "0.0.0.0", 0), 1, (None, None), print, threading.Event())
    assert refused.value.code == "address"
    assert main(["pacs", "listen", str(tmp_path), "--host", "0.0.0.0", "--allow", "A"]) == 2
    assert main(["pacs", "listen", str(tmp_path)]) == 2  # nobody is allowed


@pytest.mark.parametrize("address", ["", "host", "host:", ":104", "host:0", "host:99999", "host:x"])
def test_addresses_that_are_none(address: str):
    with pytest.raises(OptionError, match="HOST:PORT"):
        dicom_node.peer_of(address, "A", "B")


@pytest.mark.parametrize("title", ["", " ", "x" * 17, "Ä", "a\\b", "a\nb"])
def test_titles_that_are_none(title: str):
    with pytest.raises(OptionError, match="16 ASCII"):
        dicom_node.check_title(title)


def test_an_address_and_titles_that_are_some():
    peer = dicom_node.peer_of("[::1]:104", "ORTHANC", "OSLER")
    assert (peer.host, peer.port, peer.title, peer.own) == ("::1", 104, "ORTHANC", "OSLER")
    assert dicom_node.peer_of("PACS@host:104", "ANY-SCP", "OSLER").title == "PACS"
    assert dicom_node.client_side(None) is None


def test_actions_and_folders_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["pacs", "sned", "127.0.0.1:1"]) == 2 and "Did you mean 'send'" in capsys.readouterr().err
    assert main(["pacs", "send", "127.0.0.1:1"]) == 2
    assert main(["pacs", "send", "127.0.0.1:1", str(tmp_path / "none")]) == 2
