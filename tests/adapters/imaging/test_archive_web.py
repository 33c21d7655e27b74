"""Asking, fetching and sending by DICOMweb, against Orthanc; with and without TLS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from osler.adapters.imaging import dicom_query, dicom_web
from osler.adapters.imaging.dicom_folder import SeriesFolder
from osler.adapters.imaging.dicom_net import DONE, Peer
from osler.adapters.imaging.dicom_query import Question
from osler.cli import main
from osler.errors import LimitError, OptionError, ReadError
from tests.adapters.imaging import archives
from tests.adapters.imaging.test_archive_nodes import uids
from tests.instruments.dicom_people import ROOT

pytest.importorskip("pynetdicom")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[archives.Orthanc]:
    """An archive into which two studies of two series of three objects were put by STOW-RS."""
    folder = tmp_path_factory.mktemp("orthanc")
    with archives.own_network(), archives.orthanc(folder / "run") as one:
        for patient in ("1", "2"):
            archives.study(folder / "in", patient=patient)
        (folder / "in" / "notes.txt").write_text("no DICOM")
        web = dicom_web.web_of(one.root, None, None)
        statuses = [status for _, status in dicom_web.send(web, sorted((folder / "in").iterdir()))]
        assert statuses == [DONE] * 12 + [None] and one.count() == 12
        yield one


@pytest.fixture
def web(orthanc: archives.Orthanc) -> dicom_web.Web:
    return dicom_web.web_of(orthanc.root, None, None)


@pytest.mark.parametrize("asked", [
    Question(), Question("study", {"PatientID": "MRN2"}), Question("study", {"PatientID": "NOBODY"}), Question("study", study=f"{ROOT}.1"),
    Question("series", {"PatientID": "MRN1"}), Question("series", {"SeriesDescription": "part?1"}, f"{ROOT}.1"),
    Question("series", {}, f"{ROOT}.1", f"{ROOT}.1.0"), Question("instance", {"PatientID": "MRN1", "SeriesNumber": "1"}),
    Question("instance", {}, f"{ROOT}.2", f"{ROOT}.2.1"),
])  # fmt: skip
def test_both_ways_of_asking_give_the_same_rows(orthanc: archives.Orthanc, web: dicom_web.Web, asked: Question):
    def kept(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
        return sorted(tuple(row[c] for c in asked.columns if "NumberOf" not in c) for row in rows)

    found = dicom_web.find(web, asked)
    assert kept(found) == kept(dicom_query.find(Peer("127.0.0.1", orthanc.dicom, "ORTHANC"), asked))
    assert bool(found) == ("NOBODY" not in asked.where.values())


def test_pages_are_put_together(web: dicom_web.Web, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dicom_web, "PAGE", 2)
    asked = Question("instance", {}, f"{ROOT}.1", f"{ROOT}.1.0")
    assert sorted(r["SOPInstanceUID"] for r in dicom_web.find(web, asked)) == [f"{ROOT}.1.0.{i}" for i in range(3)]
    with pytest.raises(LimitError, match="at most 1 answers"):
        dicom_web.find(web, Question(most=1))


def test_series_come_once_and_go_on_where_they_stopped(web: dicom_web.Web, tmp_path: Path):
    rows = dicom_web.find(web, Question("series", {"PatientID": "MRN1"}))
    done = list(dicom_web.fetch(web, rows, SeriesFolder(tmp_path, 1 << 30)))
    assert [(d.listed, d.new, d.missing) for d in done] == [(3, 3, 0)] * 2
    (tmp_path / f"{ROOT}.1.0" / f"{ROOT}.1.0.2.dcm").unlink()
    again = list(dicom_web.fetch(web, rows, SeriesFolder(tmp_path, 1 << 30)))
    assert sorted((d.series, d.new) for d in again) == [(f"{ROOT}.1.0", 1), (f"{ROOT}.1.1", 0)]
    assert uids(tmp_path) == [f"{ROOT}.1.{s}.{o}" for s in range(2) for o in range(3)]


def test_the_same_object_sent_twice_is_one(orthanc: archives.Orthanc, web: dicom_web.Web, tmp_path: Path):
    files = sorted(archives.study(tmp_path, 1, 2).iterdir())
    assert [status for _, status in dicom_web.send(web, files)] == [DONE, DONE] and orthanc.count() == 12


def test_the_command_speaks_to_the_address_that_it_gets(
    orthanc: archives.Orthanc, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["pacs", "query", orthanc.root, "--level", "series", "--where", "PatientID=MRN2"]) == 0
    assert "2 rows" in capsys.readouterr().out
    assert main(["pacs", "fetch", orthanc.root, str(tmp_path / "a"), "--where", "PatientID=MRN2"]) == 0
    assert len(uids(tmp_path / "a")) == 6
    assert main(["pacs", "send", orthanc.root, str(tmp_path / "a")]) == 0
    assert "6 sent" in capsys.readouterr().out
    assert main(["pacs", "query", orthanc.root.replace("dicom-web", "nowhere")]) == 2
    assert "status 404" in capsys.readouterr().err


@pytest.mark.parametrize(("address", "why"), [
    ("https://u:secret@host/x", "password"), ("http://pacs.example/dicom-web", "https"), ("ftp://host/x", "TITLE@HOST:PORT"),
    ("https://", "TITLE@HOST:PORT"), ("https://host:99999/x", "TITLE@HOST:PORT"), ("https://host/x?y=1", "TITLE@HOST:PORT"), ("https://[::1", "TITLE"),
])  # fmt: skip
def test_addresses_that_are_refused(address: str, why: str):
    with pytest.raises(OptionError, match=why) as refused:
        dicom_web.web_of(address, None, None)
    assert "secret" not in refused.value.message


def test_credentials_come_from_a_file(tmp_path: Path):
    (tmp_path / "a").write_text("user:pass\n")
    (tmp_path / "b").write_text("token")
    assert dicom_web.web_of("http://localhost/x", None, tmp_path / "a").authorization == "Basic dXNlcjpwYXNz"
    web = dicom_web.web_of("http://localhost/x", None, tmp_path / "b")
    assert web.authorization == "Bearer token" and "token" not in repr(web)
    (tmp_path / "c").write_text("a\nb")
    for name in ("c", "none"):
        with pytest.raises(OptionError, match="--credentials"):
            dicom_web.web_of("http://localhost/x", None, tmp_path / name)


def test_everything_over_tls_and_nothing_for_whom_nobody_vouches(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    cert, key = archives.certificate(tmp_path)
    (tmp_path / "credentials").write_text("reader:a made-up word")
    secure = {
        "DicomTlsEnabled": True, "DicomTlsCertificate": str(cert), "DicomTlsPrivateKey": str(key), "DicomTlsTrustedCertificates": str(cert),
        "DicomTlsRemoteCertificateRequired": False, "AuthenticationEnabled": True, "RegisteredUsers": {"reader": "a made-up word"},
    }  # fmt: skip
    files, trust = archives.study(tmp_path / "in", 1, 2), ["--authority", str(cert)]
    known = [*trust, "--credentials", str(tmp_path / "credentials")]
    with archives.own_network(), archives.orthanc(tmp_path / "run", **secure) as one:
        node = one.node.replace("127.0.0.1", "localhost")
        assert main(["pacs", "send", node, str(files), *trust]) == 0
        assert main(["pacs", "query", node, *trust]) == 0
        assert main(["pacs", "fetch", node, str(tmp_path / "a"), "--study", f"{ROOT}.1", *trust]) == 0
        own = ["--by", "move", "--host", "0.0.0.0", "--port", str(one.moves)]
        assert main(["pacs", "fetch", node, str(tmp_path / "m"), "--study", f"{ROOT}.1", *trust, *own]) == 2  # an open port without TLS
        assert main(["pacs", "fetch", node, str(tmp_path / "m"), "--study", f"{ROOT}.1", *trust, *own, "--cert", str(cert), "--key", str(key)]) == 0
        assert uids(tmp_path / "m") == [f"{ROOT}.1.0.0", f"{ROOT}.1.0.1"]
        assert main(["pacs", "echo", node]) == 2  # without TLS
        with archives.behind_tls(one.web, cert, key) as port:
            root = f"https://localhost:{port}/dicom-web"
            assert main(["pacs", "query", root, *known]) == 0
            assert main(["pacs", "fetch", root, str(tmp_path / "b"), "--study", f"{ROOT}.1", *known]) == 0
            assert main(["pacs", "send", root, str(tmp_path / "b"), *known]) == 0
            assert uids(tmp_path / "a") == uids(tmp_path / "b") == [f"{ROOT}.1.0.0", f"{ROOT}.1.0.1"]
            capsys.readouterr()
            assert main(["pacs", "query", root, *trust]) == 2 and "--credentials" in capsys.readouterr().err
            assert main(["pacs", "query", root]) == 2 and "--authority" in capsys.readouterr().err
            other = archives.certificate(tmp_path / "in")[0]
            with pytest.raises(ReadError, match="certificate"):
                dicom_web.find(dicom_web.web_of(root, other, None), Question())
        assert main(["pacs", "echo", node, "--authority", str(other)]) == 2
