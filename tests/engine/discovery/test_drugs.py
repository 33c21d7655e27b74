"""Drugs: likeness against scikit-learn's and RDKit's, chemical classes, limits."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler.engine.discovery import drugs as module
from osler.engine.discovery.drugs import drugs_of
from osler.engine.discovery.repurpose import RepurposeOptions, judge, likeness, rank
from osler.errors import ReadError

pytest.importorskip("rdkit")


def _frame(pairs: list[tuple[str, str]], *names: str) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={n: pl.String for n in names}, orient="row")


DRAWN = {"benzoic": "OC(=O)c1ccccc1", "salicylic": "OC(=O)c1ccccc1O", "ethanol": "CCO", "broken": "C1CC"}
USES = _frame([("benzoic", "i"), ("ethanol", "j")], "drug", "indication")


def test_structures_are_as_alike_as_rdkit_says():
    from rdkit import Chem
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
    from rdkit.DataStructs import TanimotoSimilarity

    found = drugs_of(USES, {}, DRAWN, {})
    make = GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint
    a, b = found.ids.index("benzoic"), found.ids.index("salicylic")
    expected = TanimotoSimilarity(*(make(Chem.MolFromSmiles(DRAWN[n])) for n in ("benzoic", "salicylic")))
    assert found.similarity["structure"][a, b] == pytest.approx(expected)
    assert (found.similarity["structure"] == found.similarity["structure"].T).all()


def test_a_drug_that_cannot_be_drawn_is_like_none():
    found = drugs_of(USES, {}, DRAWN, {})
    at = found.ids.index("broken")
    assert found.smiles[at] is None
    assert (found.similarity["structure"][at] == 0).all()


def test_features_are_as_alike_as_sklearn_says(rng: np.random.Generator):
    from sklearn.metrics.pairwise import cosine_similarity

    present = rng.random((30, 12)) < 0.3
    present[:, 0] = True  # a feature that all have says nothing
    pairs = [(f"d{i:02}", f"f{j:02}") for i, j in zip(*np.nonzero(present))]
    found = drugs_of(_frame([("d00", "i")], "drug", "indication"), {"x": _frame(pairs, "drug", "feature")}, {}, {})
    rare = np.log(31 / (present.sum(axis=0) + 1))
    expected = cosine_similarity(present * rare)
    np.fill_diagonal(expected, 0)
    assert found.similarity["x"] == pytest.approx(expected, abs=1e-6)
    assert found.annotations.tolist() == present.sum(axis=1).tolist()


def test_the_same_feature_twice_counts_once():
    once = _frame([("a", "x"), ("b", "x"), ("c", "y")], "drug", "feature")
    twice = pl.concat([once, once])
    uses = _frame([("a", "i")], "drug", "indication")
    first, second = (drugs_of(uses, {"x": t}, {}, {}) for t in (once, twice))
    assert np.array_equal(first.similarity["x"], second.similarity["x"])
    assert np.array_equal(first.annotations, second.annotations)


def test_chemical_classes_join_and_scaffolds_stand_in():
    classes = _frame([("a", "statin"), ("b", "statin"), ("b", "amide"), ("c", "amide")], "drug", "class")
    drawn = {"d": "c1ccccc1CC", "e": "c1ccccc1CCC", "a": "c1ccccc1C", "b": "CCC"}
    uses = _frame([("f", "i"), ("c", "i")], "drug", "indication")
    found = drugs_of(uses, {}, drawn, {}, classes)
    group = dict(zip(found.ids, found.classes.tolist()))
    assert group["a"] == group["b"] == group["c"]  # through b, in both classes
    assert group["d"] == group["e"] != group["a"]  # a has a class, so its scaffold does not count
    assert len({group["f"], group["a"], group["d"]}) == 3


def test_too_many_drugs_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST", 3)
    with pytest.raises(ReadError, match="they are 4"):
        drugs_of(USES, {}, DRAWN, {})


def test_no_drug_in_use_gives_no_likeness():
    found = drugs_of(USES, {}, DRAWN, {})
    assert (likeness(found, np.zeros_like(found.used), ("structure",)) == 0).all()


def test_likeness_takes_at_most_three_neighbours():
    pairs = [(f"d{i}", "x") for i in range(6)] + [("e0", "y")]
    uses = _frame([(f"d{i}", "i") for i in range(1, 6)], "drug", "indication")
    found = drugs_of(uses, {"x": _frame(pairs, "drug", "feature")}, {}, {})
    numbers = likeness(found, found.used, ("x",))[:, 0]
    assert numbers[found.ids.index("d0")].tolist() == pytest.approx([1.0, 1.0])
    assert numbers[found.ids.index("e0")].tolist() == [0.0, 0.0]


def test_rankings_do_not_depend_on_the_order_of_lines():
    pairs = [(f"d{i}", f"f{i % 3}") for i in range(12)]
    uses = [(f"d{i}", f"i{i % 3}") for i in range(0, 12, 2)]
    found = []
    for step in (1, -1):
        made = drugs_of(
            _frame(uses[::step], "drug", "indication"), {"x": _frame(pairs[::step], "drug", "feature")}, {}, {}
        )
        found.append([(r["drug"], round(r["score"], 6)) for r in rank("i1", made, RepurposeOptions(top=12))])
    assert found[0] == found[1]


def test_judging_twice_gives_the_same_bytes():
    pairs = [(f"d{i}", f"f{i % 5}") for i in range(40)]
    uses = [(f"d{i}", f"i{i % 5}") for i in range(0, 40, 2)]
    made = drugs_of(_frame(uses, "drug", "indication"), {"x": _frame(pairs, "drug", "feature")}, {}, {})
    first, second = (judge(made, RepurposeOptions(seed=9)) for _ in range(2))
    assert first.scores == second.scores
    assert first.certificate == second.certificate
    assert set(first.scores["all sources"]) == {"auroc", "hits_10", "hits_50"}
    for scores in first.scores.values():
        assert scores["hits_10"]["value"] <= scores["hits_50"]["value"]
        assert all(m["low"] <= m["value"] <= m["high"] for m in scores.values())
