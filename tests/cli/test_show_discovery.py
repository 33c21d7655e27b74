"""What the commands of discovery print: every line, cells that are no markup, files that a spreadsheet cannot be
tricked with.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from osler.cli import main
from osler.cli.show_discovery import grid, show_drugs, show_judged, show_refused, show_targets, within, write_rows
from osler.engine.discovery.repurpose import Judged


def _target(**changes: Any) -> dict[str, Any]:
    row = {
        "place": 3,
        "name": "",
        "smiles": "CCO",
        "rank": 1,
        "target": "Entrez 25",
        "already_known": False,
        "score": 0.5,
        "similarity": 0.4567,
        "nearest_ligand": "",
        "nearest_smiles": "CCN" * 20,
        "ligands": 1234,
        "p_value": 0.01,
        "q_value": 0.0213,
    }
    return {**row, **changes}


class _Many(tuple):
    """A stand-in for known ligands of which only the counts are printed."""

    targets = ("a",) * 1052


def test_a_metric_with_its_limits():
    assert within({"value": 0.51623, "low": 0.4, "high": 0.6}) == "0.516 (0.400 to 0.600)"


def test_cells_are_no_markup(capsys: pytest.CaptureFixture[str]):
    grid(("name", "n"), [("[red]x[/red]", "1")], ("n",))
    assert "[red]x[/red]" in capsys.readouterr().out


def test_targets_line_by_line(capsys: pytest.CaptureFixture[str]):
    show_targets([_target(), _target(rank=2, name="imatinib", already_known=True)], _Many(range(566)))
    out = capsys.readouterr().out
    first, second = out.splitlines()[1:3]
    assert first.split()[:3] == ["3", "1", "Entrez"]
    assert "0.46" in first
    assert "1,234" in first
    assert "2.1e-02" in first
    assert "imatinib" in second
    assert "already known" in second
    assert "right when so similar" not in out
    assert "1,052 targets with 566 known ligands" in out


def test_how_often_such_targets_are_right(capsys: pytest.CaptureFixture[str]):
    rows = [
        _target(right=0.62, right_low=0.56, right_high=0.67),
        _target(rank=2, right=None, right_low=None, right_high=None),
    ]
    show_targets(rows, _Many(range(3)))
    out = capsys.readouterr().out
    assert "right when so similar" in out
    assert "62% (56% to 67%)" in out


def test_only_a_few_refusals_are_shown(capsys: pytest.CaptureFixture[str]):
    show_refused([(i, "" if i % 2 else f"n{i}", "syntax error") for i in range(8)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "not read: n0 (syntax error)"
    assert lines[1] == "not read: entry 1 (syntax error)"
    assert lines[-1] == "not read: 3 more"
    show_refused([])
    assert capsys.readouterr().out == ""


def test_drugs_line_by_line(capsys: pytest.CaptureFixture[str]):
    drugs = SimpleNamespace(similarity={"targets": None, "structure": None})
    drugs = type("Few", (tuple,), {"similarity": drugs.similarity})(range(1317))
    row = {
        "rank": 1,
        "drug": "DB1",
        "name": "Betamethasone",
        "already_used": True,
        "score": 0.7281,
        "targets": 1.0,
        "targets_like": "Triamcinolone",
        "structure": 0.0,
        "structure_like": "",
    }
    show_drugs([row], drugs)
    out = capsys.readouterr().out
    assert "Betamethasone" in out
    assert "already used" in out
    assert "1.00 Triamcinolone" in out
    assert "0.728" in out
    assert "out of 1,317 drugs" in out
    assert "no advice on treatment" in out


def test_judged_rankings(capsys: pytest.CaptureFixture[str]):
    entry = {"value": 0.811, "low": 0.756, "high": 0.857, "n": 44}
    facts = {
        "drugs": 1317,
        "drawn": 699,
        "uses": 646,
        "judged": 44,
        "indications": 66,
        "left_out": "drugs",
        "groups": 1310,
    }
    show_judged(Judged({"all sources": {"auroc": entry, "hits_10": entry}}, {"verdict": "clean"}, facts))
    out = capsys.readouterr().out
    assert "0.811 (0.756 to 0.857)" in out
    assert "44 of 66 indications" in out
    assert "certificate: clean" in out


def test_files_hold_no_formulas(tmp_path: Path):
    write_rows([{"name": "=HYPERLINK(1)", "n": 1}, {"name": "plain", "n": None}], tmp_path / "rows.csv")
    held = pl.read_csv(tmp_path / "rows.csv")["name"].to_list()
    assert not held[0].startswith("=")
    assert held[1] == "plain"


@pytest.mark.parametrize(
    "command",
    [
        ["targets", "CCO", "--method", "best"],
        ["targets", "CCO", "--top", "0"],
        ["targets", "CCO", "--known", "absent.csv"],
        ["targets", "train", "--out", "x"],
        ["repurpose", "gout", "--leave", "all"],
        ["repurpose", "gout", "--known", "absent.csv"],
        ["admet", "CCO", "--runs", "absent"],
        ["admet", "train", "x:y"],
    ],
)
def test_mistakes_end_with_two_and_one_sentence(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    err = capsys.readouterr().err.strip()
    assert err.startswith("osler: ")
    assert len(err.splitlines()) == 1
