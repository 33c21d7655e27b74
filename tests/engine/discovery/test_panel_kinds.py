"""Panels with runs of other kinds: several classes, hidden curves, runs that read more than a molecule, violated
certificates; the commands.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cli import main
from osler.engine.discovery.molecules import asked
from osler.engine.discovery.panel import open_panel
from osler.engine.discovery.profile import profile
from osler.engine.discovery.reference import FILE, Reference, molecules
from osler.engine.fit import fit
from osler.errors import ReadError
from tests.engine.discovery.families import FAMILIES
from tests.engine.discovery.panels import SMILES, panel, tables

pytest.importorskip("rdkit")
NEW = "CCCc1ccc(CCNS(N)(=O)=O)cc1"
QUICK = {
    "model": ("boosting:rounds=5",),
    "explain": False,
    "workers": 1,
    "silent": True,
    "unit": ("scaffold",),
    "input": ("smiles",),
}


def _table(path: Path, **columns: list) -> Path:
    pl.DataFrame({"smiles": SMILES, **columns}).write_csv(path)
    return path


def test_every_class_of_several_is_a_line(tmp_path: Path):
    family = [name for name, members in FAMILIES.items() for _ in members]
    fit(_table(tmp_path / "f.csv", family=family), tmp_path / "runs" / "family", target=("family",), **QUICK)
    members, _ = open_panel(tmp_path / "runs")
    lines = profile(asked(NEW)[0], members, Reference("", 0, {}))[0].lines
    assert [line["label"] for line in lines] == [f"family = {name}" for name in sorted(FAMILIES)]
    assert sum(line["value"] for line in lines) == pytest.approx(1.0)
    assert all(line["group"] == "other" and line["kind"] == "probability" for line in lines)
    assert all(line["low"] is not None for line in lines)


def test_runs_that_read_more_are_left_out_with_their_reason(tmp_path: Path):
    shutil.copytree(panel() / "acid", tmp_path / "runs" / "acid")
    dose = [float(i % 5) for i in range(len(SMILES))]
    path = _table(tmp_path / "t.csv", dose=dose, size=[float(len(s)) + i % 5 for i, s in enumerate(SMILES)])
    fit(path, tmp_path / "runs" / "two", target=("size",), **{**QUICK, "input": ("smiles", "dose")})
    members, left = open_panel(tmp_path / "runs")
    assert [m.name for m in members] == ["acid"]
    assert "one column of molecules" in left["two"]


def test_probabilities_without_a_curve_have_no_limits(tmp_path: Path):
    shutil.copytree(panel() / "acid", tmp_path / "acid")
    (tmp_path / "acid" / "curves.json").write_text("{}")
    members, _ = open_panel(tmp_path)
    answer = members[0].answer(asked(NEW)[0])[0][0]
    assert np.isnan(answer.low).all()
    assert np.isfinite(answer.value).all()
    line = profile(asked(NEW)[0], members, Reference("", 0, {}))[0].lines[0]
    assert (line["low"], line["high"]) == (None, None)


def test_a_band_is_read_off_the_runs_curve():
    member = open_panel(panel())[0][0]
    curve = member.run.json("curves.json")["parts"]["cv"]["calibration"]["curve"]
    answer = member.answer([asked(s)[0][0] for s in SMILES[::11]])[0][0]
    for value, low, high in zip(answer.value, answer.low, answer.high):
        at = [float(np.interp(value, curve["predicted"], curve[end])) for end in ("low", "high")]
        assert low == pytest.approx(min(at[0], value))
        assert high == pytest.approx(max(at[1], value))


def test_a_violated_certificate_is_said_and_ends_with_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(panel() / "size", tmp_path / "runs" / "size")
    path = tmp_path / "runs" / "size" / "certificate.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "verdict": "violated"}))
    drugs = tmp_path / "drugs.smi"
    drugs.write_text("CCO\nCCN\n")
    assert main(["admet", NEW, "--runs", str(tmp_path / "runs"), "--reference", str(drugs)]) == 1
    assert "violated" in capsys.readouterr().out


def test_the_command_trains_and_profiles(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OSLER_DATA_MIRROR", raising=False)
    texts = tables(tmp_path)
    runs = tmp_path / "runs"
    command = [
        "admet",
        "train",
        *texts[:2],
        "--runs",
        str(runs),
        "--model",
        "boosting:rounds=4",
        "--workers",
        "1",
        "--quiet",
    ]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "size: MAE" in out
    assert "acid: AUROC" in out
    assert out.count("certificate clean") == 2
    assert main(command) == 0
    assert capsys.readouterr().out.count("kept") == 2
    assert main(["admet", NEW, "--runs", str(runs), "--out", str(tmp_path / "out")]) == 0
    assert "inside" in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["admet.csv", "admet.html", "admet.json"]
    assert main(["admet", "train", "nothing", "--runs", str(runs)]) == 2
    assert "endpoint, a file or FILE:TARGET" in capsys.readouterr().err


def test_a_damaged_reference_is_made_again(tmp_path: Path):
    from osler.engine.discovery.reference import of_panel

    shutil.copytree(panel() / "size", tmp_path / "runs" / "size")
    drugs = tmp_path / "drugs.smi"
    drugs.write_text("CCO\nCCN\nCCCCO\n")
    members, _ = open_panel(tmp_path / "runs")
    first = of_panel(tmp_path / "runs", members, str(drugs))
    for text in ("{", "[]", '{"mark": 1}'):
        (tmp_path / "runs" / FILE).write_text(text)
        again = of_panel(tmp_path / "runs", members, str(drugs))
        assert again.quantiles["size", "size"] == pytest.approx(first.quantiles["size", "size"])
    with pytest.raises(ReadError):
        molecules(str(tmp_path / "absent.smi"))


def test_approved_drugs_of_the_catalogue(mirror: Path):
    found, what = molecules()
    assert what == "approved drugs (ClinTox)"
    assert 1300 < len(found) < 1400
    assert len({q.smiles for q in found}) == len(found)


def test_a_reference_without_a_catalogue_is_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("OSLER_DATA_MIRROR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert molecules() == ([], "")
