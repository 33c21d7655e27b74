"""Nearest measured molecules and matched pairs of a table, against RDKit's own similarity and pairs known by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from osler.cohort.cohort import Cohort
from osler.engine.explain import table_of
from osler.engine.neighbours import measured, neighbours
from osler.engine.pairs import matched_pairs
from osler.errors import ColumnError, OptionError
from tests.molecule_predictors import SMILES, VALUES, cohort_of, small

#: Five benzenes with H, F and Cl in two places each; Cl adds 2 to what F has, F adds 1 to H.
RINGS = ("c1ccc({})cc1CCO", "c1ccc({})cc1CCN", "c1cc({})ccc1CCS", "c1cc({})ccc1C(=O)NC", "c1cc({})cnc1CCCO")


def series() -> tuple[list[str], list[float]]:
    """SMILES and values of the five series."""
    smiles, values = [], []
    for i, ring in enumerate(RINGS):
        for part, adds in (("[H]", 0.0), ("F", 1.0), ("Cl", 3.0)):
            smiles.append(Chem.CanonSmiles(ring.format(part)))
            values.append(10.0 * i + adds)
    return smiles, values


def test_similarity_is_rdkits_and_the_own_molecule_is_named():
    predictor, cohort = small("linear")
    rows = table_of(predictor, cohort_of(["OCCCCC", None, "Cc1ccccc1O"]))
    found = neighbours(predictor, rows, measured(predictor, cohort), most=3)
    assert [len(f) for f in found] == [3, 0, 3]
    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint
    mine = make(Chem.MolFromSmiles("OCCCCC"))
    expected = sorted((DataStructs.TanimotoSimilarity(mine, make(Chem.MolFromSmiles(s))) for s in SMILES), reverse=True)
    np.testing.assert_allclose([n["similarity"] for n in found[0]], expected[:3])
    for one in found[0]:
        assert one["measured"] == VALUES[one["row"] - 1] and not one["same"]
        assert Chem.CanonSmiles(SMILES[one["row"] - 1]) == one["smiles"]
    own = neighbours(predictor, cohort.take(np.array([4])), measured(predictor, cohort), most=1)[0][0]
    assert own["same"] and own["similarity"] == 1.0 and own["row"] == 5


def test_what_the_model_says_stands_beside_what_was_measured():
    predictor, cohort = small("boosting:rounds=5", binary=True)
    known = measured(predictor, cohort)
    assert set(known.values) == {0.0, 1.0}
    np.testing.assert_allclose(known.said, predictor.raw(cohort).value[:, 1])


def test_rows_without_a_value_or_a_molecule_are_not_measured():
    predictor, _ = small("linear")
    table = cohort_of(["CCO", None, "CCN", "CCC"], [1.0, 2.0, None, 4.0])
    known = measured(predictor, table)
    assert known.smiles == ("CCO", "CCC") and known.values.tolist() == [1.0, 4.0]
    assert measured(predictor, table, most=1).smiles == ("CCO",)


def test_a_table_without_the_target_and_other_tasks_are_refused():
    predictor, cohort = small("linear")
    with pytest.raises(ColumnError, match="column 'y' must be there, it is what was measured"):
        measured(predictor, cohort_of(["CCO"]))
    from dataclasses import replace

    with pytest.raises(OptionError, match="must have a number or two classes to be compared, the task is multilabel"):
        measured(replace(predictor, task="multilabel"), cohort)
    with pytest.raises(OptionError, match="must hold measured molecules to find pairs"):
        matched_pairs(predictor, Cohort(cohort.table.with_columns(pl.lit(None).cast(pl.Float64).alias("y")), cohort.columns))


def test_planted_exchanges_are_found_with_their_size():
    predictor, _ = small("linear")
    found = matched_pairs(predictor, cohort_of(*series()))
    told = {(c.before, c.after): c for c in found.changes}
    fluorine, chlorine, both = (
        told["[H][*:1]", "F[*:1]"], told["F[*:1]", "Cl[*:1]"], told["[H][*:1]", "Cl[*:1]"],
    )  # fmt: skip
    assert [c.n for c in (fluorine, chlorine, both)] == [5, 5, 5]
    for change, size in ((fluorine, 1.0), (chlorine, 2.0), (both, 3.0)):
        assert (change.mean, change.low, change.high) == pytest.approx((size, size, size))
    lows = [c.low for c in found.changes]
    assert lows == sorted(lows, reverse=True)


def test_rows_of_one_molecule_count_as_one_with_their_mean():
    predictor, _ = small("linear")
    smiles, values = series()
    found = matched_pairs(predictor, cohort_of([*smiles, smiles[0]], [*values, 2.0]), middles=False)
    change = next(c for c in found.changes if (c.before, c.after) == ("[H][*:1]", "F[*:1]"))
    assert change.n == 5 and change.mean == pytest.approx((4 * 1.0 + 0.0) / 5)  # the first ring's H is now 1 on average


def test_what_is_told_holds_the_models_own_change():
    predictor, _ = small("linear")
    table = cohort_of(*series())
    found = matched_pairs(predictor, table)
    told = found.to_json(2)
    assert told["molecules"] == 15 and len(told["changes"]) == 2 and told["exchanges"] == len(found.changes) >= 3
    first = found.changes[0]
    said = predictor.raw(table_of(predictor, table)).value[:, 0]
    assert told["changes"][0]["predicted"] == pytest.approx(np.mean([said[p.second] - said[p.first] for p in first.pairs]))
    assert told["pairs"] == len(found.pairs) and told["rare"] == found.rare
