"""Scans beside a table: what is fitted by default, what stands beside it, and which of them is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.engine.assess import Pooled, choose
from osler.engine.fit import fit
from osler.engine.groups import for_scans_alone, is_mixed, is_single, kept, with_singles
from osler.engine.predict import predict
from osler.engine.predictor import Predictor
from osler.engine.prepare import open_cohort, prepare
from osler.engine.study import Study
from osler.engine.train import name_of
from osler.engine.validate_params import check_params
from osler.engine.verify import verify
from osler.errors import PredictorError
from osler.tasks.base import Prediction


def brains(folder: Path, n: int = 80, gone: float = 0.0) -> Path:
    """A table with small volumes in one npz: age and the brightness of a corner say something, and height nothing."""
    rng = np.random.default_rng(0)
    age, corner = rng.normal(size=(2, n))
    values = rng.normal(100, 20, size=(n, 8, 9, 8))
    values[:, :4, :4, :4] += 25 * corner[:, None, None, None]
    np.savez(folder / "scans.npz", image=values.clip(0, 255).astype(np.uint8))
    rows = {
        "patient": [f"p{i}" for i in range(n)],
        "scan": [None if rng.random() < gone else f"scans.npz#image/{i}" for i in range(n)],
        "age": (70 + 8 * age).round(1), "height": rng.normal(170, 9, n).round(1),
        "ill": np.where(age + corner + 0.6 * rng.normal(size=n) > 0, "yes", "no"),
    }  # fmt: skip
    path = folder / "rows.csv"
    pl.DataFrame(rows).write_csv(path)
    return path


STUDY = Study(target=("ill",), unit=("patient",), column=("scan=volume:orientation=stored",), repeats=1, boot=200)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One default fit with a tenth of the scans missing."""
    folder = tmp_path_factory.mktemp("fused")
    return fit(brains(folder, gone=0.1), folder / "run", STUDY, workers=1, silent=True)


def test_a_fusion_is_what_is_fitted_where_scans_stand_beside_a_table(tmp_path):
    cohort = open_cohort(STUDY, brains(tmp_path))
    assert is_mixed(cohort, "binary")
    assert not is_mixed(cohort, "survival")
    assert with_singles(("fusion",), cohort, "binary") == (
        "logistic:inputs=table", "spline:inputs=table", "pls:inputs=scan", "logistic:inputs=age", "logistic:inputs=height",
        "fusion:members=logistic:inputs=table+spline:inputs=table+pls:inputs=scan",
    )  # fmt: skip
    assert with_singles(("logistic",), cohort, "binary") == ("logistic",)
    own = with_singles(("fusion:prior=2,members=forest:n_trees=9;inputs=table+pls:inputs=scan",), cohort, "binary")
    assert own[0] == "forest:n_trees=9,inputs=table"
    assert own[-1] == "fusion:members=forest:n_trees=9;inputs=table+pls:inputs=scan,prior=2"
    again = prepare(STUDY, tmp_path / "rows.csv").study
    assert again.model == with_singles(again.model, cohort, "binary")


def test_scans_alone_get_what_suits_them(tmp_path):
    cohort = open_cohort(STUDY.with_(ignore=("age", "height")), brains(tmp_path))
    assert not is_mixed(cohort, "binary")
    assert for_scans_alone(cohort, "binary") == ("pls",)
    assert for_scans_alone(cohort, "survival") == ("cnn",)
    assert for_scans_alone(open_cohort(STUDY.with_(ignore=("scan",)), tmp_path / "rows.csv"), "binary") == ()
    assert prepare(STUDY.with_(ignore=("age", "height")), tmp_path / "rows.csv").study.model == ("pls",)


def test_names_that_a_specification_cannot_hold_have_no_model_of_their_own(tmp_path):
    path = brains(tmp_path)
    pl.read_csv(path).rename({"age": "age, years"}).write_csv(path)
    made = with_singles(("fusion",), open_cohort(STUDY, path), "binary")
    assert not any("years" in spec for spec in made)


def test_single_models_are_told_by_their_inputs():
    assert is_single("logistic:inputs=age")
    assert is_single("pls:smooth=1,inputs=scan")
    assert not is_single("fusion:members=logistic:inputs=table+pls:inputs=scan")
    assert not is_single("cnn:fusion=gated")
    assert name_of("fusion:members=logistic:inputs=table") == "fusion"
    assert name_of("ensemble:inputs=table") == "ensemble:inputs=table"


def test_the_run_scores_every_column_beside_the_fusion(run):
    scores = json.loads((run.folder / "scores.json").read_text())
    cv, fusion = scores["parts"]["cv"], scores["fusion"]
    members = {"logistic:inputs=table", "spline:inputs=table", "pls:inputs=scan"}
    assert set(fusion["singles"]) == members | {"logistic:inputs=age", "logistic:inputs=height"}
    assert scores["chosen"] == fusion["kept"] == "fusion"
    for name, entry in fusion["singles"].items():
        assert entry["value"] == pytest.approx(cv["fusion"]["auroc"]["value"] - cv[name]["auroc"]["value"])
        assert entry["low"] < entry["value"] < entry["high"]
        assert 0 <= entry["p_value"] <= 1
    assert fusion["singles"]["logistic:inputs=height"]["p_value"] < 0.01
    assert verify(run).to_json()["verdict"] == "clean"


def test_the_saved_fusion_answers_rows_without_a_scan_or_without_values(run):
    rows = run.folder.parent / "rows.csv"
    table = pl.read_csv(rows).head(6)
    whole = predict(run, rows).table.head(6)["ill_prob_yes"].to_numpy()
    holes = table.with_columns(
        scan=pl.when(pl.int_range(6) < 3).then(None).otherwise("scan"), age=pl.when(pl.int_range(6) == 5).then(None).otherwise("age")
    )
    holes = holes.with_columns(height=pl.when(pl.int_range(6) == 5).then(None).otherwise("height"))
    path = run.folder.parent / "holes.csv"
    holes.write_csv(path)
    answer = predict(run, path).table["ill_prob_yes"].to_numpy()
    assert np.isfinite(answer).all()
    assert answer[3:5] == pytest.approx(whole[3:5], abs=1e-9)
    assert abs(answer[5] - whole[5]) > 1e-6


def test_the_better_single_model_is_kept_and_the_run_says_so(run):
    prepared = prepare(run.study, run.folder.parent / "rows.csv")
    y = prepared.target.y
    rng = np.random.default_rng(0)
    said = lambda noise: Pooled(np.arange(len(y)), tuple(_answer(y + noise * rng.normal(size=len(y))) for _ in range(2)))  # noqa: E731
    pooled = {"logistic:inputs=age": said(0.2), "pls:inputs=scan": said(9.0), "fusion": said(1.0)}
    assert choose(prepared, pooled) == "fusion"
    name, facts = kept(prepared, pooled, "fusion")
    assert name == facts["kept"] == facts["best_single"] == "logistic:inputs=age"
    assert facts["singles"]["logistic:inputs=age"]["high"] < 0 < facts["singles"]["pls:inputs=scan"]["low"]
    assert kept(prepared, {k: v for k, v in pooled.items() if k != "logistic:inputs=age"}, "fusion")[0] == "fusion"
    assert kept(prepared, {"fusion": pooled["fusion"]}, "fusion") == ("fusion", {})


def test_numbers_are_compared_by_their_error(run):
    prepared = prepare(run.study, run.folder.parent / "rows.csv")
    y = np.random.default_rng(1).normal(size=len(prepared.target))
    number = replace(prepared, target=replace(prepared.target, kind="regression", y=y, classes=()))
    said = lambda noise: Pooled(np.arange(len(y)), (Prediction((y + noise * np.cos(9 * y))[:, None]),))  # noqa: E731
    name, facts = kept(number, {"linear:inputs=age": said(0.1), "fusion": said(1.0)}, "fusion")
    assert (name, facts["measure"]) == ("linear:inputs=age", "rmse")
    assert kept(number, {"linear:inputs=age": said(1.0), "fusion": said(0.1)}, "fusion")[0] == "fusion"


def _answer(score: np.ndarray) -> Prediction:
    p = 1 / (1 + np.exp(-score))
    return Prediction(np.column_stack([1 - p, p]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stack/weights", np.zeros((3, 2))), ("stack/patterns", np.zeros((4, 2))), ("stack/centre", np.zeros(2)),
        ("2/map/0", np.zeros((1, 8))), ("2/lines", np.zeros((2, 2))), ("2/middle/0", np.zeros(3)),
    ],
)  # fmt: skip
def test_arrays_that_do_not_belong_together_are_refused(run, name, value):
    predictor = Predictor.load(run.folder / "predictor")
    spec, params = predictor.models["fusion"]
    check_params(spec, params.meta, params.arrays, 2)
    assert name in params.arrays
    with pytest.raises(PredictorError, match="must be whole"):
        check_params(spec, params.meta, {**params.arrays, name: value}, 2)


@pytest.mark.parametrize("change", [{"group": [0, 0, 5]}, {"group": [0]}, {"columns": [["age"]]}, {"columns": "age"}])
def test_a_fusion_whose_groups_do_not_fit_is_refused(run, change):
    spec, params = Predictor.load(run.folder / "predictor").models["fusion"]
    with pytest.raises(PredictorError, match="must be whole"):
        check_params(spec, {**params.meta, **change}, params.arrays, 2)
