"""Profiles line by line, the three files, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from osler.cli import main
from osler.engine.discovery.molecules import asked
from osler.engine.discovery.panel import open_panel
from osler.engine.discovery.profile import profile, write
from osler.engine.discovery.reference import Reference, of_panel
from osler.errors import OptionError
from tests.engine.discovery.panels import SMILES, panel

pytest.importorskip("rdkit")
NEW = "CCCc1ccc(CCNS(N)(=O)=O)cc1"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    path = tmp_path_factory.mktemp("drugs") / "drugs.smi"
    path.write_text("".join(f"{s}\n" for s in SMILES[::2]))
    return of_panel(panel() / "size", open_panel(panel())[0], str(path))


def test_every_line_has_everything(reference: Reference):
    members, _ = open_panel(panel())
    first, second = profile([asked(NEW)[0][0], asked(SMILES[5])[0][0]], members, reference)
    assert [line["label"] for line in first.lines] == ["acid", "sulfur", "chlorine", "size"]
    assert {line["kind"] for line in first.lines[:3]} == {"probability"}
    number = first.lines[3]
    assert number["low"] < number["value"] < number["high"]
    for line in first.lines:
        assert line["n"] == 64
        assert line["certificate"] == "clean"
        assert 0 <= line["percentile"] <= 100
        assert not line["in_training"]
        assert line["out_of_fold"] is None
    assert all(line["in_training"] and line["out_of_fold"] is not None for line in second.lines)
    assert first.lines[1]["endpoint"] == "halves: sulfur"
    assert {n["name"]: n["percentile"] for n in first.plain}["weight"] is not None


def test_what_is_far_away_is_out_of_domain(reference: Reference):
    members, _ = open_panel(panel())
    far = profile(asked("[Na+].[Cl-]")[0] + asked("C1CC2CCC1CC2")[0], members, reference)
    assert not any(line["in_domain"] for line in far[0].lines)
    near = profile(asked(SMILES[4])[0], members, reference)
    assert all(line["in_domain"] for line in near[0].lines)


def test_without_a_reference_there_are_no_percentiles():
    members, _ = open_panel(panel())
    found = profile(asked(NEW)[0], members, Reference("", 0, {}))[0]
    assert {line["percentile"] for line in found.lines} == {None}
    assert {n["percentile"] for n in found.plain} == {None}


def test_the_files_say_the_same(tmp_path: Path, reference: Reference):
    members, _ = open_panel(panel())
    found = profile(asked(NEW)[0], members, reference)
    write(found, tmp_path / "out", reference, [(7, "x", "syntax error")])
    text = json.loads((tmp_path / "out" / "admet.json").read_text())
    assert text["molecules"][0]["lines"] == json.loads(json.dumps(found[0].lines))
    assert text["not_read"] == [{"place": 7, "name": "x", "reason": "syntax error"}]
    assert text["reference"] == {"what": "the molecules of drugs.smi", "n": 32}
    table = pl.read_csv(tmp_path / "out" / "admet.csv")
    assert table["label"].to_list() == ["acid", "sulfur", "chlorine", "size"]
    assert "<script" not in (tmp_path / "out" / "admet.html").read_text()
    write(found, tmp_path / "out", reference)  # an earlier profile is replaced
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "kept.txt").touch()
    with pytest.raises(OptionError, match="something else"):
        write(found, tmp_path / "else", reference)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "some.smi"
    path.write_text(f"{NEW} first\nC1CC broken\n=cmd second\n")
    drugs = tmp_path / "drugs.smi"
    drugs.write_text("CCO\nCCN\nCCCC\n")
    code = main(
        [
            "admet",
            str(path),
            SMILES[0],
            "--runs",
            str(panel()),
            "--reference",
            str(drugs),
            "--out",
            str(tmp_path / "out"),
        ]
    )
    out = capsys.readouterr().out
    assert code == 0
    assert "not read: broken" in out
    assert "in its table; left out" in out
    assert "among 3 the molecules of drugs.smi" in out
    assert len(json.loads((tmp_path / "out" / "admet.json").read_text())["molecules"]) == 2
    assert main(["admet", "C1CC", "--runs", str(panel())]) == 2
    assert main(["admet", NEW, "--runs", str(tmp_path / "nothing")]) == 2
    assert "osler admet train" in capsys.readouterr().err
