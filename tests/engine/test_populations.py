"""Would more rows help, and are the parts alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cohort.read import read
from osler.engine.populations import more_data, plain_values, shifts
from osler.engine.prepare import prepare
from osler.engine.study import Study
from tests.engine.conftest import clinic

STUDY = Study(target=("died",), unit=("patient_id",), model=("logistic",), folds=3, repeats=1)


def prepared_clinic(n: int = 300, **changes):
    """The made-up clinic, prepared."""
    return prepare(STUDY.with_(**changes), read(clinic(n), unit="patient_id", target="died"))


def test_the_curve_counts_units_and_rises_on_a_planted_signal():
    prepared = prepared_clinic(600)
    curve = more_data(prepared)
    units = len(np.unique(prepared.groups))
    assert curve["metric"] == "auroc"
    assert curve["model"] == "logistic"
    assert curve["units"] == sorted(curve["units"])
    assert curve["units"][-1] == units - units // 5
    assert np.shape(curve["scores"]) == (3, 5)
    assert curve["mean"][-1] > curve["mean"][0] - 0.02
    assert curve["mean"][-1] > 0.7
    assert curve["sentence"].startswith("More data would")


def test_the_curve_repeats_itself():
    assert more_data(prepared_clinic()) == more_data(prepared_clinic())


def test_the_curve_leaves_the_hold_out_alone():
    prepared = prepared_clinic(holdout="0.3")
    held = prepared.splits[-1].test
    assert more_data(prepared)["units"][-1] < len(np.unique(prepared.groups[prepared.development]))
    assert not set(prepared.groups[held]) & set(prepared.groups[prepared.development])


@pytest.mark.parametrize("model", ["tree", "boosting"])
def test_no_curve_without_a_cheap_model(model: str):
    assert more_data(prepared_clinic(model=(model,))) == {}


def test_no_curve_for_a_handful_of_units():
    assert more_data(prepared_clinic(45)) == {}


def test_a_share_kept_aside_does_not_drift():
    found = shifts(prepared_clinic(600, holdout="0.3"))
    assert set(found) == {"holdout"}
    assert {c["verdict"] for c in found["holdout"]["columns"].values()} <= {"stable", "moderate"}
    assert found["holdout"]["domain_auroc"]["low"] < 0.55


def test_a_later_part_that_moved_is_seen():
    frame = clinic(400).with_columns(pl.Series("year", np.repeat([2020, 2024], 200)))
    frame = frame.with_columns(
        pl.when(pl.col("year") == 2024).then(pl.col("age") + 20).otherwise(pl.col("age")).alias("age")
    )
    frame = frame.with_columns(pl.format("{}-{}", "patient_id", "year").alias("patient_id"))
    study = STUDY.with_(holdout="year>=2024", ignore=("year",))
    found = shifts(prepare(study, read(frame, unit="patient_id", target="died")))
    assert found["holdout"]["columns"]["age"]["verdict"] == "large"
    assert found["holdout"]["domain_auroc"]["low"] > 0.7


def test_every_site_is_compared_with_the_others():
    found = shifts(prepared_clinic(site="ward"))
    assert set(found) == {"site=east", "site=north", "site=south"}
    assert shifts(prepared_clinic()) == {}


def test_only_plain_columns_are_compared():
    frame = clinic(60).with_columns(
        pl.Series("note", [f"patient {i} felt {'well' * (i % 3)} today, again" for i in range(60)])
    )
    cohort = read(frame, unit="patient_id", target="died", columns={"note": "text"})
    assert [c.name for c in plain_values(cohort).columns] == ["age", "creatinine", "ward"]


def test_curves_json_holds_both(run):
    curves = run.json("curves.json")
    assert curves["learning_curve"]["metric"] == "auroc"
    assert curves["drift"] == {}


def test_a_refusal_names_units_by_pseudonym_only(tmp_path: Path):
    from osler.errors import ViolationError

    frame = clinic().with_columns(pl.Series("part", np.where(np.arange(180) % 2 == 0, "train", "test")))
    with pytest.raises(ViolationError) as caught:
        prepare(STUDY.with_(holdout="part=test", ignore=("part",)), read(frame, unit="patient_id", target="died"))
    assert "P0" not in caught.value.message


def test_the_column_that_holds_rows_out_is_no_predictor():
    """Whoever is asked about later has no such column; named as an input it stays one, and a number with >= is a predictor as before."""
    frame = clinic()
    later = frame["patient_id"].str.tail(1).is_in(["0", "5"])
    frame = frame.with_columns(pl.when(later).then(pl.lit("test")).otherwise(pl.lit("train")).alias("part"))

    def inputs(**options: object) -> set[str]:
        prepared = prepare(STUDY.with_(**options), read(frame, unit="patient_id", target="died"))
        assert prepared.splits[-1].part == "holdout"
        return {c.name for c in prepared.cohort.role("input")}

    assert "part" not in inputs(holdout="part=test")
    assert "part" in inputs(holdout="part=test", input=("part", "age"))
    assert "age" in inputs(holdout="age>=60")
