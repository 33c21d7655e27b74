"""Splits of tables of pairs: what is kept out of training, what is left out, and what the certificate says of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from osler.cohort.certificate import certify
from osler.cohort.cohort import Cohort
from osler.cohort.grouping import groups_of, things_of
from osler.cohort.partners import FOLDS, cold_splits, columns_of, unit_of
from osler.cohort.proof_checks import FittedState
from osler.cohort.read import read
from osler.cohort.record import rows_hash, split_table, splits_of
from osler.cohort.split import Split
from osler.modalities.residues import RESIDUES

KEY = b"k" * 32


def table(n: int = 200, seed: int = 0) -> pl.DataFrame:
    """Random pairs of 15 peptides and 12 proteins."""
    rng = np.random.default_rng(seed)
    short, long = (["".join(rng.choice(list(RESIDUES), k)) for _ in range(m)] for m, k in ((15, 25), (12, 60)))
    pairs = [(short[a], long[b]) for a, b in zip(rng.integers(0, 15, n), rng.integers(0, 12, n))]
    return pl.DataFrame(pairs, schema=["ligand", "protein"], orient="row").with_columns(y=pl.Series(rng.normal(size=n)))


def cohort(frame: pl.DataFrame | None = None) -> Cohort:
    """The table with both columns as proteins."""
    return read(table() if frame is None else frame, columns={"ligand": "protein", "protein": "protein"}, target="y")


def made(c: Cohort, groups: np.ndarray | None = None, strata: np.ndarray | None = None, classes: bool = False) -> list[Split]:
    """The cold splits of a cohort."""
    groups = groups_of(c) if groups is None else groups
    strata = np.zeros(len(c), dtype=np.int64) if strata is None else strata
    return cold_splits(things_of(c), groups, strata, np.random.default_rng(0), classes=classes)


def test_things_are_the_two_columns_of_a_table_of_pairs() -> None:
    c = cohort()
    found = things_of(c)
    assert list(found) == ["ligand", "protein"]
    assert [len(np.unique(code)) for code in found.values()] == [15, 12]
    same = c.table["ligand"].to_numpy() == c.table["ligand"][0]
    np.testing.assert_array_equal(found["ligand"] == found["ligand"][0], same)
    assert things_of(c.select(["ligand", "y"])) == {}
    gone = table().with_columns(ligand=pl.when(pl.int_range(pl.len()) < 3).then(None).otherwise(pl.col("ligand")))
    assert (things_of(cohort(gone))["ligand"][:3] == -1).all()


def test_every_part_keeps_its_things_out_of_training() -> None:
    c = cohort()
    ligand, protein = things_of(c).values()
    splits = made(c)
    assert [s.part for s in splits] == ["cold=ligand"] * 3 + ["cold=protein"] * 3 + ["cold=ligand+protein"] * 3
    assert [s.fold for s in splits] == [0, 1, 2] * 3
    for s in splits:
        assert not np.intersect1d(s.train, s.test).size
        for name, code in (("ligand", ligand), ("protein", protein)):
            shared = np.intersect1d(code[s.train], code[s.test])
            assert (shared.size == 0) == (name in s.part.removeprefix("cold=").split("+")), (s.part, name)
    for part in ("cold=ligand", "cold=protein"):
        tested = np.concatenate([s.test for s in splits if s.part == part])
        assert sorted(tested) == list(range(200)), "every pair is tested once"
        assert all(len(s.train) + len(s.test) == 200 for s in splits if s.part == part)


def test_the_folds_are_the_same_every_time_and_balanced() -> None:
    c = cohort()
    for one, other in zip(made(c), made(c), strict=True):
        np.testing.assert_array_equal(one.train, other.train)
    sizes = [len(s.test) for s in made(c) if s.part == "cold=ligand"]
    assert max(sizes) - min(sizes) < 40


def test_pairs_with_a_missing_thing_are_in_neither_side() -> None:
    gone = table().with_columns(ligand=pl.when(pl.int_range(pl.len()) < 30).then(None).otherwise(pl.col("ligand")))
    for s in made(cohort(gone)):
        assert min(s.train.min(), s.test.min()) >= 30


def test_a_unit_that_is_one_of_the_things_leaves_its_own_part_only() -> None:
    c = cohort()
    ligand = things_of(c)["ligand"]
    splits = made(c, groups=ligand)
    assert {s.part for s in splits} == {"cold=ligand", "cold=ligand+protein"}
    for s in splits:
        assert not np.intersect1d(ligand[s.train], ligand[s.test]).size


def test_units_of_several_things_are_kept_out_whole() -> None:
    c = cohort()
    scaffold = things_of(c)["ligand"] // 2
    for s in (s for s in made(c, groups=scaffold) if s.part == "cold=ligand"):
        assert not np.intersect1d(scaffold[s.train], scaffold[s.test]).size


def test_too_few_things_or_classes_leave_a_part_out() -> None:
    few = table().with_columns(protein=pl.lit(table()["protein"][0])).with_columns(
        protein=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("protein")).otherwise(pl.lit(table()["protein"][1]))
    )
    assert {s.part for s in made(cohort(few))} == {"cold=ligand"}, f"two proteins are fewer than {FOLDS} folds"
    c = cohort()
    rare = (things_of(c)["ligand"] == 0).astype(np.int64)
    assert {s.part for s in made(c, strata=rare, classes=True)} == {"cold=protein"}
    assert len(made(c, strata=rare)) == 9


def test_columns_and_unit_of_a_part() -> None:
    things = {"a": np.array([0, 0, 1, 2]), "b": np.array([0, 1, 0, 0])}
    groups = np.arange(4)
    names = ["a", "b"]
    assert [columns_of(p, names) for p in ("cv", "cold=a", "cold=b", "cold=a+b", "cold=c", "holdout")] == [
        [], ["a"], ["b"], ["a", "b"], [], [],
    ]  # fmt: skip
    assert unit_of("cv", things, groups) is groups
    assert unit_of("cold=a", things, groups) is things["a"]
    assert unit_of("cold=a+b", things, groups) is things["b"], "two proteins are fewer than three molecules"
    assert unit_of("cv", {}, groups) is groups


def certified(c: Cohort, splits: list[Split]):
    """A certificate of splits with honest states."""
    states = [FittedState("model:x", s.key, rows_hash(c.rows[s.train], KEY), len(s.train)) for s in splits]
    return certify(c, splits, states, KEY)


def test_the_certificate_says_what_every_part_shares() -> None:
    c = cohort()
    check = certified(c, made(c)).check("new things")
    assert check.verdict == "clean"
    assert "cold=ligand: 0 % ligand, 100 % protein" in check.detail
    assert "cold=protein: 100 % ligand, 0 % protein" in check.detail
    assert check.detail.endswith("cold=ligand+protein: 0 % ligand, 0 % protein")


@pytest.mark.parametrize("part", ["cold=ligand", "cold=protein", "cold=ligand+protein"])
def test_a_thing_on_both_sides_is_a_violation(part: str) -> None:
    c = cohort()
    splits = made(c)
    at = next(i for i, s in enumerate(splits) if s.part == part)
    moved = splits[at].test[:2]
    splits[at] = replace(splits[at], train=np.sort(np.append(splits[at].train, moved)), test=splits[at].test[2:])
    check = certified(c, splits).check("new things")
    assert check.verdict == "violated"
    assert check.n >= 1


def test_the_split_table_proves_it_without_the_table() -> None:
    c = cohort()
    kept = split_table(c, made(c), KEY)
    assert [n for n in kept.columns if n.startswith("thing:")] == ["thing:ligand", "thing:protein"]
    assert kept["thing:ligand"].n_unique() == 15
    text = json.dumps(kept.to_dict(as_series=False), default=str)
    assert c.table["ligand"][0] not in text and c.table["protein"][0] not in text
    again = splits_of(kept, {})
    for one, other in zip(made(c), sorted(again, key=lambda s: [s.part for s in made(c)].index(s.part)), strict=True):
        assert one.key == other.key
        np.testing.assert_array_equal(one.test, other.test)


def test_a_table_without_pairs_has_no_such_check() -> None:
    c = cohort().select(["protein", "y"])
    split = Split("cv", 0, 0, np.arange(100), np.arange(100, 200), "unit")
    assert "new things" not in {check.name for check in certified(c, [split]).checks}
