"""The measures on real patients: a plain logistic model from Cleveland, judged at home and at three other
hospitals.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler.cohort import Cohort, Column
from osler.evaluation import calibration, metrics
from osler.evaluation.drift import drift
from osler.evaluation.foreign import evaluate_predictions

INPUTS = ("age", "sex", "cp", "thalach", "exang", "oldpeak")


def heart(mirror, place: str) -> pl.DataFrame:
    """One hospital's table with a 0/1 outcome and the six inputs that most hospitals measured."""
    frame = pl.read_csv(
        mirror / "clinical" / f"heart_{place}.csv.gz", infer_schema_length=None, null_values=["?"]
    )
    name = next(c for c in ("num", "target", "goal") if c in frame.columns)
    numbers = [pl.col(c).cast(pl.Float64, strict=False) for c in INPUTS]
    return frame.select(*numbers, (pl.col(name).cast(pl.Float64) > 0).cast(pl.Int64).alias("outcome"))


def encoded(frame: pl.DataFrame) -> np.ndarray:
    """Inputs as numbers: chest pain 4 or not, gaps at the median of Cleveland (fixed numbers)."""
    filled = frame.with_columns(pl.col("thalach").fill_null(153), pl.col("oldpeak").fill_null(0.8))
    filled = filled.with_columns(
        pl.col("exang").fill_null(0), (pl.col("cp") == 4).cast(pl.Float64).alias("cp")
    )
    x = filled.select(INPUTS).fill_null(0).to_numpy().astype(float)
    return (x - [54, 0.7, 0.5, 150, 0.3, 1.0]) / [9, 0.5, 0.5, 23, 0.5, 1.2]


def logistic(x: np.ndarray, y: np.ndarray):
    """A fitted scikit-learn model."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0).fit(x, y)


@pytest.fixture(scope="module")
def home(mirror):
    """Cleveland's outcome and out-of-fold probabilities, and the model of all its patients."""
    frame = heart(mirror, "cleveland")
    x, y = encoded(frame), frame["outcome"].to_numpy()
    fold, p = np.random.default_rng(0).permutation(len(y)) % 10, np.zeros(len(y))
    for k in range(10):
        p[fold == k] = logistic(x[fold != k], y[fold != k]).predict_proba(x[fold == k])[:, 1]
    return frame, y, p, logistic(x, y)


def test_at_home_the_model_orders_and_is_calibrated(home):
    frame, _, p, _ = home
    found = evaluate_predictions(frame.select("outcome", "sex").with_columns(prob=p), n_boot=300)
    scores = found["scores"]["parts"]["holdout"]["prob"]
    assert 0.8 < scores["auroc"]["low"] < scores["auroc"]["value"] < 0.92  # six of the thirteen predictors
    assert scores["calibration_slope"]["low"] < 1 < scores["calibration_slope"]["high"]
    assert scores["observed_expected"]["low"] < 1 < scores["observed_expected"]["high"]
    assert found["decision_curve"]["models"]["prob"]["useful"]
    assert {e["group"] for e in found["subgroups"]["sex"]["prob"]} == {"0", "1"}


def test_elsewhere_events_are_more_than_expected_until_recalibrated(home, mirror):
    model = home[3]
    frame = heart(mirror, "switzerland")
    assert frame["outcome"].mean() > 0.9  # nearly all had disease; in Cleveland 46 %
    y, p = frame["outcome"].to_numpy(), model.predict_proba(encoded(frame))[:, 1]
    assert metrics.observed_expected(y, p) > 1.15
    half = np.random.default_rng(0).permutation(len(y)) % 2 == 0
    better = calibration.recalibrate(y[half], p[half], "intercept")(p[~half])
    assert 0.8 < metrics.observed_expected(y[~half], better) < 1.25
    assert metrics.auroc(y[~half], better) == pytest.approx(metrics.auroc(y[~half], p[~half]))


def test_another_hospital_is_another_population_and_half_of_the_same_is_not(home, mirror):
    def cohort(frame: pl.DataFrame) -> Cohort:
        return Cohort(frame.select(INPUTS), tuple(Column(c, "number") for c in INPUTS))

    rng = np.random.default_rng(0)
    cleveland, va = heart(mirror, "cleveland"), heart(mirror, "va")
    moved = drift(cohort(cleveland), cohort(va), rng)
    assert moved["domain_auroc"]["low"] > 0.8
    assert moved["columns"]["sex"]["verdict"] != "stable"
    half = rng.permutation(len(cleveland)) % 2 == 0
    same = drift(cohort(cleveland.filter(pl.Series(half))), cohort(cleveland.filter(pl.Series(~half))), rng)
    assert same["domain_auroc"]["low"] < 0.55
