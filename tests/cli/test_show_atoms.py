"""Molecules on the terminal: the command `osler explain` with a row, a drawing, measured molecules and pairs."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("rdkit")

from osler.cli import main
from osler.engine.explain import explain, explain_rows
from osler.engine.predict import rows_cohort
from osler.errors import OptionError
from tests.engine.test_neighbours_and_pairs import series
from tests.molecule_predictors import SMILES, VALUES, small


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor of molecules alone, one with a number beside, and tables."""
    home = tmp_path_factory.mktemp("molecules")
    small("boosting:rounds=20")[0].save(home / "alone")
    small("boosting:rounds=20", beside=True)[0].save(home / "beside")
    pl.DataFrame({"smiles": SMILES, "y": VALUES}).write_csv(home / "table.csv")
    smiles, values = series()
    pl.DataFrame({"smiles": smiles, "y": values}).write_csv(home / "series.csv")
    pl.DataFrame({"smiles": ["CCO", "not one"], "dose": [0.1, 0.2]}).write_csv(home / "odd.csv")
    return home


def test_a_row_shows_its_atoms_and_writes_a_drawing(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    picture, why = tmp_path / "why.svg", tmp_path / "why.csv"
    assert main(["explain", str(folder / "alone"), str(folder / "table.csv"), "--row", "8", "--svg", str(picture), "--out", str(why)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "smiles: CC(=O)O" in said and "O4" in said and "on the scale mean" in said and "do NOT add up" not in said
    svg = picture.read_text(encoding="utf-8")
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"') and "prefers-color-scheme:dark" in svg and "<desc" in svg
    row = pl.read_csv(why).row(0, named=True)
    assert row["why_smiles:smiles"] == "CC(=O)O" and row["why_way:smiles"] == "shapley"
    values = [float(part.split(":")[1]) for part in row["why_atoms:smiles"].split()]
    bonds = dict(part.split(":") for part in row["why_bonds:smiles"].split())
    assert len(values) == 4 and set(bonds) == {"1-2", "2-3", "2-4"}
    total = row["why_base"] + row["why_rest:smiles"] + sum(values) + sum(map(float, bonds.values()))
    assert total == pytest.approx(row["why_prediction"], abs=1e-4)


def test_nearest_measured_molecules_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]):
    table = str(folder / "table.csv")
    assert main(["explain", str(folder / "alone"), table, "--row", "1", "--measured", table]) == 0
    said = capsys.readouterr().out
    assert "nearest measured molecules: y" in said and "1.00" in said and "the same molecule" in said


def test_a_way_can_be_chosen_and_left_out(folder: Path, capsys: pytest.CaptureFixture[str]):
    table = str(folder / "table.csv")
    assert main(["explain", str(folder / "alone"), table, "--row", "1", "--atoms", "masking"]) == 0
    assert "over random orders" in capsys.readouterr().out
    assert main(["explain", str(folder / "alone"), table, "--row", "1", "--atoms", "gradients"]) == 2
    assert "way must be one that the model boosting has" in capsys.readouterr().err


def test_all_rows_say_numbers_and_no_molecule(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    few = tmp_path / "few.csv"
    pl.DataFrame({"smiles": SMILES[:3]}).write_csv(few)
    assert main(["explain", str(folder / "alone"), str(few)]) == 0
    said = capsys.readouterr().out
    assert "3 rows explained, 3 add up" in said and "CCO" not in said


def test_pairs_of_a_table(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    out = tmp_path / "pairs.csv"
    assert main(["explain", str(folder / "alone"), str(folder / "series.csv"), "--pairs", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "Cl[*:1]" in said and "+3.00" in said and "matched pairs among 15 molecules" in said
    frame = pl.read_csv(out)
    assert {"before", "after", "n", "mean", "low", "high", "predicted"} <= set(frame.columns) and len(frame) >= 3


def test_a_table_without_pairs_says_so(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    few = tmp_path / "few.csv"
    pl.DataFrame({"smiles": ["c1ccccc1", "CCN", "CCCN"], "y": [1.0, 2.0, 3.0]}).write_csv(few)
    assert main(["explain", str(folder / "alone"), str(few), "--pairs", "--out", str(tmp_path / "none.csv")]) == 1
    assert "0 exchanges" in capsys.readouterr().out and not (tmp_path / "none.csv").exists()


@pytest.mark.parametrize(("flags", "says"), [
    (["--svg", "x.svg"], "--svg and --measured must come with --row"),
    (["--pairs", "--row", "1"], "--pairs must come without --row"),
    (["--row", "2", "--svg", "x.svg"], "row must have a molecule that can be read"),
])  # fmt: skip
def test_flags_that_do_not_go_together(folder: Path, capsys: pytest.CaptureFixture[str], flags: list[str], says: str):
    assert main(["explain", str(folder / "alone"), str(folder / "odd.csv"), *flags]) == 2
    assert says in capsys.readouterr().err


def test_the_verb_gives_columns_of_atoms_where_a_row_is_named_or_molecules_are_all():
    alone, cohort = small("boosting:rounds=20")
    some = explain(alone, cohort, rows=[2, 9])
    assert some.table["why_way:smiles"].to_list() == ["shapley"] * 2 and some.table["why_adds_up"].all()
    gain = some.table["why_prediction"] - some.table["why_base"]
    assert some.table["why:smiles"].to_list() == pytest.approx(gain.to_list())
    assert "why_atoms:smiles" not in explain(alone, cohort, rows=[2], atoms="none").table.columns


def test_service_rows_hold_atoms():
    predictor, _ = small("boosting:rounds=20", binary=True)
    rows = rows_cohort(predictor, [{"smiles": "CCO"}, {"smiles": None}])
    first, second = explain_rows(predictor, rows)
    told = first["parts"]["smiles"]
    assert told["smiles"] == "CCO" and first["prediction"] == told["prediction"] and first["adds_up"]
    assert first["attributions"]["smiles"] == pytest.approx(first["prediction"] - first["base"])
    assert second["parts"] == {}
    assert json.loads(json.dumps([first, second], allow_nan=False)) == [first, second]
    with pytest.raises(OptionError, match="at most 10 molecules must be explained at once, these are 11"):
        explain_rows(predictor, rows_cohort(predictor, [{"smiles": "CCO"}] * 11))
