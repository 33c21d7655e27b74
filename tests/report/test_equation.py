"""Who computes the printed equation by hand gets the predictor's answer; and what the engine writes for the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import osler
from osler.report.answers import read_answers
from osler.report.build import build
from osler.report.equation import Equation, digest, equation
from tests.report.runs import Dom, dangers


def people(n: int = 240, seed: int = 5) -> pl.DataFrame:
    """Rows with a number, a category, missing cells, two outcomes and a duration."""
    rng = np.random.default_rng(seed)
    age, dose = rng.normal(60, 10, n), rng.normal(5, 2, n)
    arm = rng.choice(["alpha", "beta", "gamma"], n)
    risk = 0.08 * (age - 60) + 0.5 * (arm == "beta") - 0.3 * (dose - 5)
    sick = rng.random(n) < 1 / (1 + np.exp(-risk))
    time = np.round(rng.exponential(np.exp(-risk) * 400) + 1, 1)
    table = pl.DataFrame({"age": age.round(1), "dose": dose.round(2), "arm": arm, "sick": np.where(sick, "yes", "no"), "time": time.clip(1, 900), "dead": (time < 900).astype(int),
                          "pressure": (120 + 2 * risk + rng.normal(0, 5, n)).round(1)})  # fmt: skip
    return table.with_columns(
        pl.when(pl.int_range(n) % 7 == 0).then(None).otherwise(pl.col("dose")).alias("dose"),
        pl.when(pl.int_range(n) % 11 == 0).then(None).otherwise(pl.col("arm")).alias("arm"),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small run per kind of equation."""
    out, table = tmp_path_factory.mktemp("runs"), people()
    base = {"repeats": 1, "boot": 200, "folds": 3, "silent": True, "workers": 1, "explain": False}
    asked = {
        "binary": {"target": ("sick",), "model": ("logistic",), "ignore": ("time", "dead", "pressure")},
        "regression": {"target": ("pressure",), "model": ("linear",), "ignore": ("time", "dead", "sick")},
        "multiclass": {"target": ("arm",), "model": ("logistic",), "ignore": ("time", "dead", "sick")},
        "survival": {"duration": "time", "event": "dead", "model": ("cox:spline=no",), "ignore": ("sick", "pressure")},
        "trees": {"target": ("sick",), "model": ("forest",), "ignore": ("time", "dead", "pressure"), "holdout": "0.3"},
    }  # fmt: skip
    path = out / "people.csv"
    table.write_csv(path)
    for name, options in asked.items():
        osler.fit(str(path), out=out / name, **base, **options)
    return {name: out / name for name in asked}


def by_hand(found: Equation, row: dict[str, object]) -> np.ndarray:
    """(k,) sums of the printed equation for one row."""
    total = np.array(found.intercept)
    named = {t.name for t in found.terms}
    for term in found.terms:
        column, _, level = term.name.partition(" = ")
        weight = np.array(term.coefficient)
        if level:
            total = total + weight * (row[column] == level)
        elif column.endswith(" is missing"):
            total = total + weight * (row[column.removesuffix(" is missing")] is None)
        else:
            value = row[column]
            total = total + weight * float(term.if_missing if value is None else value)
    for column, adds in found.absent.items():
        if row[column] is None or f"{column} = {row[column]}" not in named:
            total = total + np.array(adds)
    return total


def rows_of(run: Path) -> tuple[list[dict[str, object]], np.ndarray]:
    """Twenty rows, missing cells among them, and the predictor's raw answers."""
    from osler.engine.run import Run
    from osler.tasks.base import Prediction

    predictor = Run.load(run).predictor
    table = people().head(20)
    cohort = osler.read(table).declare(columns={c.name: {"modality": c.modality} for c in predictor.inputs})
    answer: Prediction = predictor.raw(cohort)
    return table.to_dicts(), answer.value if predictor.task != "survival" else answer.event_probability(
        predictor.horizon
    )


def test_logistic_by_hand(runs: dict[str, Path]):
    found, (rows, seen) = equation(runs["binary"]), rows_of(runs["binary"])
    assert found is not None
    assert any(r["dose"] is None for r in rows)
    assert any(r["arm"] is None for r in rows)
    mine = [1 / (1 + np.exp(-by_hand(found, r)[0])) for r in rows]
    assert mine == pytest.approx(seen[:, 1].tolist(), abs=1e-9)


def test_linear_by_hand(runs: dict[str, Path]):
    found, (rows, seen) = equation(runs["regression"]), rows_of(runs["regression"])
    assert found is not None
    assert found.form == "prediction = sum"
    assert [by_hand(found, r)[0] for r in rows] == pytest.approx(seen[:, 0].tolist(), abs=1e-8)


def test_several_classes_by_hand(runs: dict[str, Path]):
    found, (rows, seen) = equation(runs["multiclass"]), rows_of(runs["multiclass"])
    assert found is not None
    assert found.classes == ("alpha", "beta", "gamma")
    sums = np.exp([by_hand(found, r) for r in rows])
    assert (sums / sums.sum(axis=1, keepdims=True)).ravel().tolist() == pytest.approx(seen.ravel().tolist(), abs=1e-9)


def test_cox_by_hand(runs: dict[str, Path]):
    found, (rows, seen) = equation(runs["survival"]), rows_of(runs["survival"])
    assert found is not None
    assert len(found.baseline) > 3
    from osler.engine.run import Run

    horizon = Run.load(runs["survival"]).predictor.horizon
    before = [s for t, s in found.baseline if t <= horizon][-1]
    assert [1 - before ** np.exp(by_hand(found, r)[0]) for r in rows] == pytest.approx(seen.tolist(), abs=1e-6)


def test_trees_are_named_by_their_hash(runs: dict[str, Path]):
    assert equation(runs["trees"]) is None
    assert len(digest(runs["trees"])) == 64
    page = Dom((runs["trees"] / "report.html").read_text(encoding="utf-8"))
    assert digest(runs["trees"]) in page.text
    assert "is not an equation that fits on a page" in page.text


def test_a_changed_predictor_is_not_printed(runs: dict[str, Path], tmp_path: Path):
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(runs["binary"], copy)
    path = copy / "predictor" / "predictor.json"
    path.write_bytes(path.read_bytes() + b" ")
    assert equation(copy) is None
    assert equation(tmp_path) is None
    assert digest(tmp_path) == ""


def test_every_real_report_is_safe_and_whole(runs: dict[str, Path]):
    for name, run in runs.items():
        page = Dom((run / "report.html").read_text(encoding="utf-8"))
        assert dangers(page) == [], name
        assert "Table one" in page.text
        assert "TRIPOD+AI 2024" in page.text
        assert "people.csv" in page.text
        assert str(run.parent) not in page.text


def test_table_one_is_by_part_and_by_outcome_with_small_counts_hidden(runs: dict[str, Path]):
    held = json.loads((runs["trees"] / "facts.json").read_text(encoding="utf-8"))["table_one"]
    assert [t["group"] for t in held] == ["part", "sick"]
    sizes = dict(zip(held[0]["columns"], held[0]["rows"][0]))
    assert (
        sizes["variable"] == "rows"
    )
    assert (
        int(sizes["development"]) + int(sizes["hold-out"]) == int(sizes["all"]) == 240
    )
    one = json.loads((runs["survival"] / "facts.json").read_text(encoding="utf-8"))["table_one"]
    assert [t["group"] for t in one] == ["event"]


def test_risk_groups_hold_no_single_time_and_stop_where_few_are_left(runs: dict[str, Path]):
    held = json.loads((runs["survival"] / "curves.json").read_text(encoding="utf-8"))["parts"]["cv"]["risk_groups"]
    assert [g["group"] for g in held["groups"]] == ["low risk", "middle risk", "high risk"]
    assert sum(
        g["n"] for g in held["groups"]
    ) == 240
    for group in held["groups"]:
        steps = np.diff(group["times"])
        assert np.allclose(steps, steps[0])
        assert np.all(np.diff(group["survival"]) <= 0)
        assert all(n is None or n == 0 or n >= 10 for n in group["at_risk"])
    ends = [g["survival"][20] for g in held["groups"]]
    assert ends[0] > ends[2]


def test_classes_get_curves_of_their_own(runs: dict[str, Path]):
    held = json.loads((runs["multiclass"] / "curves.json").read_text(encoding="utf-8"))["parts"]["cv"]["roc_by_class"]
    assert (
        list(held) == ["alpha", "beta", "gamma"]
    )
    assert (
        (runs["multiclass"] / "figures" / "roc-by-class-cv.svg").is_file()
    )


def test_every_class_is_calibrated_against_the_rest(runs: dict[str, Path]):
    """The curve is the smoothed share of a class among rows of like probability, worked out here from the run's own
    answers.
    """
    from osler.evaluation.calibration import Smoother

    part = json.loads((runs["multiclass"] / "curves.json").read_text(encoding="utf-8"))["parts"]["cv"]
    told = pl.read_parquet(runs["multiclass"] / "predictions.parquet").filter(pl.col("model") == "logistic")
    truth = people()["arm"].gather(told["row"] - 1)
    for k, (name, held) in enumerate(part["calibration_by_class"].items()):
        y, p = (truth == name).cast(pl.Float64).to_numpy(), told[f"probability_{k}"].to_numpy()
        smoother = Smoother.of(p)
        assert held["curve"]["predicted"] == pytest.approx(smoother.at.tolist()), name
        assert held["curve"]["observed"] == pytest.approx(np.clip(smoother.curve(y), 0, 1).tolist()), name
        assert held["slope"]["low"] <= held["slope"]["value"] <= held["slope"]["high"]
        assert held["slope"]["n"] == len(y)
    picture = (runs["multiclass"] / "figures" / "calibration-by-class-cv.svg").read_text(encoding="utf-8")
    assert picture.count('class="band') == 3
    assert all(f">{name}<" in picture for name in ("alpha", "beta", "gamma"))


def test_answers_outlive_a_second_fit(runs: dict[str, Path]):
    run = runs["binary"]
    text = (run / "answers.yaml").read_text(encoding="utf-8").replace('"19": ""', '"19": "A panel of patients"')
    (run / "answers.yaml").write_text(text, encoding="utf-8")
    study = json.loads((run / "study.json").read_text(encoding="utf-8"))
    osler.fit(
        study["source"],
        out=run,
        repeats=1,
        boot=200,
        folds=3,
        silent=True,
        workers=1,
        target=("sick",),
        model=("logistic",),
        ignore=("time", "dead", "pressure"),
    )
    assert read_answers(run) == {"19": "A panel of patients"}
    build(run)
    assert "A panel of patients" in (run / "report.html").read_text(encoding="utf-8")
