"""External validation: parts kept apart, shared and empty predictors named, overlap and drift told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.engine.external import evaluate
from osler.engine.fit import fit
from osler.errors import ColumnError, InputError, TargetError
from tests.engine.conftest import clinic

PARTS = {"holdout", "holdout_recalibrated", "holdout_untouched_rest"}


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another clinic where people are older and creatinine is measured in one row of fifty."""
    frame = clinic(300, seed=21).with_columns(
        pl.concat_str(pl.lit("Z"), "patient_id").alias("patient_id"), pl.col("age") + 8.03,
        pl.when(pl.int_range(300) % 50 == 0).then("creatinine").otherwise(None).alias("creatinine"),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("elsewhere") / "other.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def found(run, elsewhere: Path, tmp_path_factory: pytest.TempPathFactory):
    """What external validation of the shared run says there, and its folder."""
    out = tmp_path_factory.mktemp("external")
    return evaluate(run, elsewhere, out), out


def test_parts_are_kept_apart(found):
    parts = found[0].scores["parts"]
    assert set(parts) > PARTS
    n = {part: next(iter(models.values()))["auroc"]["n"] for part, models in parts.items()}
    assert n["holdout"] == 300
    assert n["holdout_recalibrated"] == n["holdout_untouched_rest"] == 300 - found[0].facts["recalibration_rows"]


def test_recalibration_keeps_the_order_and_mends_the_level(found):
    parts = found[0].scores["parts"]
    one = {part: next(iter(models.values())) for part, models in parts.items()}
    assert one["holdout_recalibrated"]["auroc"]["value"] == pytest.approx(
        one["holdout_untouched_rest"]["auroc"]["value"], abs=1e-9
    )
    assert 0.8 < one["holdout_recalibrated"]["observed_expected"]["value"] < 1.25


def test_a_nearly_empty_predictor_is_named_and_refitted_without(found):
    facts = found[0].facts
    assert facts["nearly_empty"] == ["creatinine"]
    assert facts["shared"] == ["age", "ward"]
    assert facts["refit"].endswith("with age, ward")
    assert "creatinine (98% missing)" in facts["message"]
    assert {"holdout_refit", "holdout_refit_recalibrated"} < set(found[0].scores["parts"])


def test_drift_from_development_is_measured(found):
    drift = found[0].facts["drift"]
    assert drift["columns"]["age"]["verdict"] == "large"
    assert drift["columns"]["ward"]["verdict"] == "stable"
    assert drift["columns"]["creatinine"]["missing_after"] == pytest.approx(0.98, abs=0.01)
    assert drift["domain_auroc"]["low"] > 0.6


def test_strangers_share_nothing_with_the_run(found):
    verdicts = {c["name"]: c["verdict"] for c in found[0].facts["overlap"]}
    assert verdicts == {"units shared with the run": "clean", "rows shared with the run": "clean"}


def test_rows_the_run_has_seen_are_told(run, clinic_csv: Path):
    facts = evaluate(run, clinic_csv, refit=False).facts
    checks = {c["name"]: c for c in facts["overlap"]}
    assert checks["units shared with the run"]["verdict"] == "violated"
    assert checks["units shared with the run"]["n"] == clinic()["patient_id"].n_unique()
    assert checks["rows shared with the run"]["n"] > 170


def test_files_are_json_and_hold_the_curves(found):
    scores = json.loads((found[1] / "scores.json").read_text())
    facts = json.loads((found[1] / "external.json").read_text())
    assert scores == json.loads(json.dumps(found[0].scores))
    assert {"calibration", "decision_curve", "roc"} <= set(facts["curves"]["parts"]["holdout"])


def test_the_development_table_may_have_moved(clinic_csv: Path, elsewhere: Path, tmp_path: Path):
    table = tmp_path / "c.csv"
    table.write_bytes(clinic_csv.read_bytes())
    run = fit(
        table, tmp_path / "run", target="died", unit="patient_id", model=("logistic",), folds=3, repeats=1, boot=200,
        explain=False, workers=1, silent=True,
    )  # fmt: skip
    table.write_text("patient_id,age\n1,2\n")
    facts = evaluate(run, elsewhere).facts
    assert "no longer where" in facts["refit"]
    assert "no longer where" in facts["drift"]["message"]


def test_a_table_without_the_target_is_refused(run, elsewhere: Path, tmp_path: Path):
    pl.read_csv(elsewhere).drop("died").write_csv(tmp_path / "none.csv")
    with pytest.raises(ColumnError, match="died"):
        evaluate(run, tmp_path / "none.csv")


def test_a_table_with_an_empty_target_is_refused(run, elsewhere: Path, tmp_path: Path):
    pl.read_csv(elsewhere).with_columns(pl.lit(None, dtype=pl.String).alias("died")).write_csv(tmp_path / "none.csv")
    with pytest.raises((TargetError, InputError)):
        evaluate(run, tmp_path / "none.csv")


@pytest.fixture(scope="module")
def cleveland(mirror: Path, tmp_path_factory: pytest.TempPathFactory):
    """A logistic model of Cleveland's hearts."""
    folder = tmp_path_factory.mktemp("cleveland")
    source = mirror / "clinical" / "heart_cleveland.csv.gz"
    return fit(
        source,
        folder / "run",
        target="num",
        positive=">0",
        model=("logistic",),
        repeats=1,
        boot=200,
        explain=False,
        workers=1,
        silent=True,
    )


@pytest.mark.parametrize(
    ("place", "empty"), [("hungarian", ["slope", "ca", "thal"]), ("switzerland", ["ca"]), ("va", ["ca"])]
)
def test_cleveland_elsewhere(cleveland, mirror: Path, place: str, empty: list[str]):
    """Predictors that a hospital hardly measures are named; a recalibrated model expects about as many as are seen."""
    found = evaluate(cleveland, mirror / "clinical" / f"heart_{place}.csv.gz")
    share = found.facts["missing_share"]
    assert set(found.facts["nearly_empty"]) == {n for n in share if share[n]["external"] >= 0.95}
    assert all(share[n]["external"] > 0.6 for n in empty)
    assert found.facts["missing_share"]["ca"]["development"] < 0.05
    one = {part: next(iter(models.values())) for part, models in found.scores["parts"].items()}
    assert "holdout" in one
    if "holdout_recalibrated" in one:
        assert 0.8 < one["holdout_recalibrated"]["observed_expected"]["value"] < 1.25
    assert np.isfinite(one["holdout"]["auroc"]["value"])
