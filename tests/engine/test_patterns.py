"""Cells that a new site leaves out: which patterns are common, and that their rows get a model fitted without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler import models
from osler.cohort.cohort import Cohort
from osler.cohort.read import read
from osler.engine.batches import encode
from osler.engine.external import evaluate
from osler.engine.fit import fit
from osler.engine.patterns import Pattern, answer_by_pattern, common_patterns, often_left_out, without
from osler.engine.prepare import Prepared, prepare
from osler.engine.study import Study
from osler.engine.train import fit_rows
from osler.tasks.base import Prediction


def twins(n: int, seed: int, lost: float = 0.0) -> pl.DataFrame:
    """The outcome follows `marker`; `proxy` is close to it, so it matters only where `marker` is left out."""
    rng = np.random.default_rng(seed)
    marker = rng.normal(50, 10, n)
    proxy = marker + rng.normal(0, 4, n)
    ill = rng.random(n) < 1 / (1 + np.exp(-(marker - 50) / 4))
    marker = np.where(rng.random(n) < lost, np.nan, marker)
    columns = {"marker": pl.Series(marker).fill_nan(None), "proxy": proxy, "height": rng.normal(170, 9, n)}
    return pl.DataFrame({**columns, "ill": np.where(ill, "yes", "no")})


def cohort_of(frame: pl.DataFrame, folder: Path) -> Cohort:
    """A frame read as a table."""
    frame.write_csv(folder / "t.csv")
    return read(folder / "t.csv", target="ill")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Development rows in which nothing is missing, and a straight line to fit."""
    path = tmp_path_factory.mktemp("twins") / "dev.csv"
    twins(400, 1).write_csv(path)
    return prepare(Study(source=str(path), target=("ill",), model=("logistic",), folds=3, repeats=1))


def test_only_what_is_lost_more_often_than_at_home_counts():
    shares = {
        "a": {"development": 0.05, "external": 0.16}, "b": {"development": 0.30, "external": 0.35},
        "c": {"development": None, "external": 0.5}, "d": {"development": 0.5, "external": 0.1},
    }  # fmt: skip
    assert often_left_out(shares, ["a", "b", "c", "d"]) == ["a", "c"]
    assert often_left_out(shares, ["b"]) == []


def test_common_patterns_are_counted_by_hand(tmp_path: Path):
    frame = twins(100, 2).with_columns(
        pl.when(pl.int_range(100) < 40).then(None).otherwise("marker").alias("marker"),
        pl.when(pl.int_range(100).is_between(30, 39) | (pl.int_range(100) > 96))
        .then(None)
        .otherwise("height")
        .alias("height"),
    )
    found = common_patterns(cohort_of(frame, tmp_path), ["marker", "height"])
    by_lost = {p.lost: p.rows.tolist() for p in found}
    assert by_lost == {("marker",): list(range(30)), ("marker", "height"): list(range(30, 40))}, (
        "3 rows of 100 are rare"
    )


def test_a_full_table_has_no_pattern(tmp_path: Path):
    cohort = cohort_of(twins(60, 3), tmp_path)
    assert common_patterns(cohort, ["marker", "proxy"]) == []
    assert common_patterns(cohort, []) == []


def test_a_predictor_left_out_leaves_rows_and_splits_alone(prepared: Prepared):
    part = without(prepared, ["marker"])
    assert [c.name for c in part.cohort.role("input")] == ["proxy", "height"]
    assert part.splits == prepared.splits
    assert len(part.cohort) == len(prepared.cohort)
    assert [c.name for c in prepared.cohort.role("input")] == ["marker", "proxy", "height"], "the first is untouched"


def test_rows_of_a_pattern_get_the_model_without_and_others_keep_theirs(prepared: Prepared, tmp_path: Path):
    cohort = cohort_of(twins(80, 4, lost=0.5), tmp_path)
    others = Prediction(np.full((80, 2), 0.5))
    (pattern,) = common_patterns(cohort, ["marker"])
    answer = answer_by_pattern(prepared, cohort, [pattern], others)
    part = without(prepared, ["marker"])
    fitted = fit_rows(part, part.splits[-1].train, "refit/0")
    spec, params = fitted.params["logistic"]
    alone = models.get(spec).predict(params, encode(cohort, fitted.states)).value
    np.testing.assert_allclose(answer.value[pattern.rows], alone[pattern.rows])
    rest = np.setdiff1d(np.arange(80), pattern.rows)
    assert (answer.value[rest] == 0.5).all()
    assert (others.value == 0.5).all(), "what was given is not written to"


def test_a_pattern_that_leaves_nothing_keeps_the_other_answer(prepared: Prepared, tmp_path: Path):
    cohort = cohort_of(twins(40, 5), tmp_path)
    others = Prediction(np.tile([0.3, 0.7], (40, 1)))
    everything = Pattern(("marker", "proxy", "height"), np.arange(40))
    assert (answer_by_pattern(prepared, cohort, [everything], others).value == others.value).all()


def test_external_validation_gains_where_a_proxy_must_stand_in(tmp_path: Path):
    """The marker is lost in 6 of 10 rows elsewhere: filling it leaves the proxy the small weight it had beside it."""
    twins(400, 6).write_csv(tmp_path / "home.csv")
    twins(500, 7, lost=0.6).write_csv(tmp_path / "away.csv")
    run = fit(
        tmp_path / "home.csv", tmp_path / "run", target="ill", model=("logistic",), folds=3, repeats=1, boot=200,
        explain=False, workers=1, silent=True,
    )  # fmt: skip
    found = evaluate(run, tmp_path / "away.csv")
    one = {part: next(iter(by_model.values())) for part, by_model in found.scores["parts"].items()}
    assert found.facts["refit"].startswith("not needed")
    assert found.facts["refit_patterns"] == [{"lost": ["marker"], "rows": found.facts["refit_patterns"][0]["rows"]}]
    assert 250 < found.facts["refit_patterns"][0]["rows"] < 350
    assert one["holdout_refit_patterns"]["auroc"]["n"] == 500
    assert one["holdout_refit_patterns"]["auroc"]["value"] > one["holdout"]["auroc"]["value"] + 0.01
    assert one["holdout_refit_patterns"]["brier"]["value"] < one["holdout"]["brier"]["value"]
    assert "holdout_refit_patterns_recalibrated" in one


def test_nothing_is_done_by_pattern_where_nothing_is_left_out(run, clinic_csv: Path):
    found = evaluate(run, clinic_csv)
    assert "refit_patterns" not in found.facts
    assert not [part for part in found.scores["parts"] if "patterns" in part]


def test_survival_curves_by_pattern_stay_on_the_grid_of_the_others(tmp_path: Path):
    """Curves of rows of a pattern come from another model, and are read off at the times of the first."""
    frame = twins(200, 8)
    years = 10 * np.exp(-(frame["marker"].to_numpy() - 50) / 15) * np.random.default_rng(8).exponential(1.0, 200)
    frame = frame.with_columns(pl.Series("years", years.round(3) + 0.001))
    frame.write_csv(tmp_path / "dev.csv")
    study = Study(source=str(tmp_path / "dev.csv"), duration="years", event="ill", model=("cox",), folds=3, repeats=1)
    prepared = prepare(study)
    times = np.array([0.5, 2.0, 7.0])
    others = Prediction(np.tile([0.9, 0.8, 0.7], (200, 1)), times)
    rows = np.arange(0, 200, 2)
    answer = answer_by_pattern(prepared, prepared.cohort, [Pattern(("marker",), rows)], others)
    assert answer.times is times
    assert (np.diff(answer.value, axis=1) <= 0).all()
    assert (answer.value[1::2] == others.value[1::2]).all()
    assert len(np.unique(answer.value[rows, 1])) > 50, "each row has a curve of its own"
