"""Molecules of a report: chosen by hand-made numbers, and a fit of a series with planted exchanges, all the way to the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

from osler.engine.examples import are_molecules, mistakes, typical
from osler.engine.fit import fit
from osler.engine.neighbours import measured
from osler.engine.prepare import prepare
from osler.engine.run import Run
from osler.engine.study import Study
from osler.errors import OptionError
from tests.molecule_predictors import cohort_of, small

RINGS = ("c1ccc({})cc1CCO", "c1ccc({})cc1CCN", "c1cc({})ccc1CCS", "c1cc({})ccc1C(=O)NC", "c1cc({})cnc1CCCO", "c1cc({})oc1CC")
PARTS = {"[H]": 0.0, "F": 0.5, "Cl": 1.0, "C": 0.7, "OC": 0.2, "C(=O)O": -3.0, "N": -1.0, "C#N": -0.5}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A fit of six rings with eight parts each; an acid takes 3 away."""
    home = tmp_path_factory.mktemp("series")
    rows = [(Chem.CanonSmiles(r.format(p)), 0.3 * i + v) for i, r in enumerate(RINGS) for p, v in PARTS.items()]
    pl.DataFrame(rows, schema=["smiles", "logD"], orient="row").write_csv(home / "series.csv")
    return fit(home / "series.csv", home / "run", target=("logD",), column=("smiles=molecule",), model=("boosting:rounds=30",),
               folds=3, boot=50, examples=3, workers=1, silent=True)  # fmt: skip


def test_a_fit_of_molecules_keeps_examples(run: Run):
    held = run.json("explanation.json")["molecules"]
    assert len(held["mistakes"]) == 3 and len(held["typical"]) == 3 and len(held["cliffs"]) == 1
    frame = pl.read_csv(run.folder.parent / "series.csv")
    said = run.predictions.filter((pl.col("model") == run.chosen) & (pl.col("part") == "cv") & (pl.col("repeat") == 0))
    off = {r: abs(v - frame["logD"][r - 1]) for r, v in said.select("row", "value").iter_rows()}
    assert held["mistakes"][0]["row"] == max(off, key=off.get)
    for one in held["mistakes"]:
        assert abs(one["predicted"] - one["measured"]) == pytest.approx(off[one["row"]], abs=1e-6)
        assert 0 < one["near"]["similarity"] < 1 and one["near"]["smiles"] != one["told"]["smiles"]
        assert one["told"]["adds_up"] and Chem.CanonSmiles(frame["smiles"][one["row"] - 1]) == one["told"]["smiles"]


def test_cliffs_and_exchanges_are_those_that_were_planted(run: Run):
    held = run.json("explanation.json")["molecules"]
    cliff = held["cliffs"][0]
    assert "C(=O)O" in cliff["before"].replace("O=C(O)", "C(=O)O") and cliff["change"] == pytest.approx(4.0)
    told = {(c["before"], c["after"]): c for c in held["pairs"]["changes"]}
    assert told["O=C(O)[*:1]", "Cl[*:1]"]["mean"] == pytest.approx(4.0)
    assert all(c["n"] >= 3 for c in told.values())


def test_the_report_draws_them_and_the_predictor_keeps_none(run: Run):
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Worst mistakes" in page and "Activity cliffs" in page and "What one exchange does" in page
    assert (run.folder / "figures" / "molecule-mistakes-1.svg").is_file()
    kept = (run.folder / "predictor" / "predictor.json").read_text(encoding="utf-8")
    rows = pl.read_csv(run.folder.parent / "series.csv")["smiles"].to_list()
    assert not [smiles for smiles in rows if f'"{smiles}"' in kept and len(smiles) > 3]


def test_nothing_is_kept_where_rows_may_be_people_or_none_are_wanted(run: Run):
    source = run.folder.parent / "series.csv"
    base = Study(target=("logD",), column=("smiles=molecule",), model=("linear",), source=str(source))
    frame = pl.read_csv(source)
    beside, people = source.with_name("beside.csv"), source.with_name("people.csv")
    frame.with_columns(pl.Series("age", np.linspace(20, 80, len(frame)))).write_csv(beside)
    frame.with_columns(pl.Series("patient", [f"p{i % 20}" for i in range(len(frame))])).write_csv(people)
    assert are_molecules(prepare(base, source))
    assert are_molecules(prepare(base.with_(unit=("scaffold",)), source))
    assert not are_molecules(prepare(base.with_(source=str(beside)), beside))
    assert not are_molecules(prepare(base.with_(source=str(people), unit=("patient",)), people))
    with pytest.raises(OptionError, match="examples must be at least 0, was -1"):
        prepare(base.with_(examples=-1), source)


def test_mistakes_are_the_farthest_and_no_molecule_twice():
    predictor, _ = small("linear")
    known = measured(predictor, cohort_of(["CCO", "OCC", "CCN", "CCC"], [0.0, 0.0, 1.0, 2.0]))
    assert mistakes(known, np.array([5.0, 4.0, 4.0, 2.1]), 3) == [0, 2, 3]
    assert mistakes(known, np.array([np.nan, np.nan, 4.0, np.nan]), 3) == [2]


def test_typical_molecules_stand_for_their_neighbours():
    predictor, _ = small("linear")
    family = ["CCCCCCO", "CCCCCCCO", "CCCCCCCCO"]
    known = measured(predictor, cohort_of(["c1ccc2ccccc2c1", *family, "Cc1ccc2ccccc2c1"], [0.0] * 5))
    found = typical(known, 2)
    assert found[0] in (1, 2, 3) and found[1] in (0, 4)
    assert len(typical(replace(known), 9)) <= 5
