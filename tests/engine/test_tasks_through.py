"""Every task, and every awkward table, through the main verb."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.predict import predict
from osler.engine.prepare import prepare
from osler.engine.study import Study
from osler.engine.train import fit_rows, weighted
from osler.errors import OslerError, TargetError
from tests.engine.conftest import clinic

QUICK = {"folds": 3, "repeats": 1, "boot": 200, "explain": False, "workers": 1, "silent": True}


def frame_of(loader: str, target: str) -> pl.DataFrame:
    """A table of scikit-learn with its target as the last column."""
    from sklearn import datasets

    data = getattr(datasets, loader)(as_frame=True).frame
    return pl.DataFrame({c.replace(" ", "_"): data[c].to_numpy() for c in data.columns}).rename({"target": target})


def test_multiclass(tmp_path: Path):
    wine = frame_of("load_wine", "cultivar").with_columns(pl.format("grape {}", "cultivar").alias("cultivar"))
    wine.write_csv(tmp_path / "wine.csv")
    run = fit(
        tmp_path / "wine.csv",
        tmp_path / "run",
        target="cultivar",
        model=("logistic", "tree", "ensemble:members=logistic+tree"),
        **QUICK,
    )
    assert run.study.task == "multiclass"
    cv = run.scores["parts"]["cv"]
    assert cv["ensemble"]["accuracy"]["value"] > 0.9 > cv["baseline"]["accuracy"]["value"]
    answered = predict(run, tmp_path / "wine.csv").table
    p = answered.select([f"cultivar_prob_grape {k}" for k in range(3)]).to_numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-9)
    assert (
        run.predictions.select("probability_0", "probability_1", "probability_2")
        .sum_horizontal()
        .is_between(1 - 1e-9, 1 + 1e-9)
        .all()
    )


def labels(n: int = 200, seed: int = 2) -> pl.DataFrame:
    """Two labels, each assessed in most rows only."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    frame = pl.DataFrame({f"x{j}": x[:, j] for j in range(3)})
    for name, j in (("a", 0), ("b", 1)):
        y = (x[:, j] + 0.5 * rng.normal(size=n) > 0).astype(int)
        seen = rng.random(n) < 0.85
        frame = frame.with_columns(pl.Series(name, [int(v) if s else None for v, s in zip(y, seen)]))
    return frame


def test_multilabel_with_missing_labels(tmp_path: Path):
    frame = labels()
    frame.write_csv(tmp_path / "l.csv")
    run = fit(tmp_path / "l.csv", tmp_path / "run", target=("a", "b"), model=("logistic",), **QUICK)
    assert run.study.task == "multilabel"
    assert (
        run.json("facts.json")["rows_used"]
        == frame.filter(pl.col("a").is_not_null() | pl.col("b").is_not_null()).height
    )
    assert run.scores["parts"]["cv"]["logistic"]["auroc"]["value"] > 0.85
    answered = predict(run, tmp_path / "l.csv").table
    assert {"a_prob_1", "b_prob_1", "a_pred", "b_pred"} <= set(answered.columns)
    strong = answered.filter(pl.col("x0") > 1)["a_prob_1"].mean()
    assert strong > 0.8 > 0.2 > answered.filter(pl.col("x0") < -1)["a_prob_1"].mean()


def test_regression(tmp_path: Path):
    frame_of("load_diabetes", "progression").write_csv(tmp_path / "d.csv")
    run = fit(tmp_path / "d.csv", tmp_path / "run", target="progression", model=("linear", "tree"), **QUICK)
    assert run.study.task == "regression"
    assert run.chosen == "linear"
    r2 = run.scores["parts"]["cv"]["linear"]["r2"]
    assert 0.40 < r2["value"] < 0.56
    answered = predict(run, tmp_path / "d.csv").table
    inside = (answered["progression"] >= answered["progression_low"]) & (
        answered["progression"] <= answered["progression_high"]
    )
    assert 0.85 < inside.mean() < 1.0


def survival(n: int = 250, seed: int = 4) -> pl.DataFrame:
    """Exponential times whose rate follows one predictor, censored at two years."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    time = rng.exponential(np.exp(-x))
    return pl.DataFrame(
        {
            "marker": x,
            "noise": rng.normal(size=n),
            "years": np.minimum(time, 2.0),
            "dead": np.where(time < 2.0, "yes", "no"),
        }
    )


def test_survival_with_a_horizon(tmp_path: Path):
    survival().write_csv(tmp_path / "s.csv")
    run = fit(
        tmp_path / "s.csv", tmp_path / "run", duration="years", event="dead", horizon=1.0, model=("cox",), **QUICK
    )
    assert run.study.task == "survival"
    assert run.predictor.horizon == 1.0
    assert run.scores["parts"]["cv"]["cox"]["c_harrell"]["value"] > 0.65
    answered = predict(run, tmp_path / "s.csv").table
    truth = 1 - np.exp(-np.exp(answered["marker"].to_numpy()))
    assert np.corrcoef(answered["dead_pred"].to_numpy(), truth)[0, 1] > 0.95


def test_survival_ensemble_of_real_patients(mirror: Path, tmp_path: Path):
    from osler import catalogue

    run = fit(
        catalogue.read("gbsg2"), tmp_path / "run",
        model=("cox", "survival_forest:trees=50", "ensemble:members=cox+survival_forest:trees=50"), **{**QUICK, "folds": 2},
    )  # fmt: skip
    cv = run.scores["parts"]["cv"]
    assert cv["ensemble"]["c_uno"]["low"] > 0.5
    assert sum(run.json("facts.json")["ensemble_weights"].values()) == pytest.approx(1.0)


def test_balanced_weights_give_each_class_the_same_sum():
    prepared = prepare(Study(target=("died",), model=("logistic",), folds=3, repeats=1), read(clinic(), target="died"))
    w = weighted(prepared.target, "balanced").weight
    y = prepared.target.y
    assert w[y == 0].sum() == pytest.approx(w[y == 1].sum())
    assert w.mean() == pytest.approx(1.0)
    assert weighted(prepared.target, "none").weight is None


def test_balance_moves_the_probabilities(clinic_csv: Path):
    plain = Study(
        target=("died",), unit=("patient_id",), model=("logistic",), folds=3, repeats=1, source=str(clinic_csv)
    )
    frame = clinic().filter((pl.col("died") == "yes") | (pl.int_range(180) % 4 == 0))
    means = []
    for study in (plain, plain.with_(imbalance="balanced")):
        prepared = prepare(study, read(frame, unit="patient_id", target="died"))
        fitted = fit_rows(prepared, prepared.development, "all")
        from osler import models
        from osler.engine.batches import encode

        spec, params = fitted.params["logistic"]
        means.append(models.get(spec).predict(params, encode(prepared.cohort, fitted.states)).value[:, 1].mean())
    observed = float((prepared.target.y == 1).mean())
    assert means[0] == pytest.approx(observed, abs=0.02)
    assert abs(means[1] - 0.5) < abs(means[0] - 0.5)


def test_case_weights_are_used():
    """A row of weight 2 counts like the row twice."""
    frame = clinic(120).with_columns(pl.Series("w", np.where(np.arange(120) % 3 == 0, 2.0, 1.0)))
    study = Study(target=("died",), weight="w", model=("logistic:penalty=1",), folds=3, repeats=1)
    prepared = prepare(study, read(frame, target="died"))
    np.testing.assert_array_equal(prepared.target.weight, frame["w"].to_numpy())
    assert "w" not in prepared.facts["inputs"]
    fitted = fit_rows(prepared, prepared.development, "all")
    plain = prepare(study.with_(weight=""), read(frame.drop("w"), target="died"))
    other = fit_rows(plain, plain.development, "all")
    name = "logistic:penalty=1"
    assert any(not np.array_equal(a, other.params[name][1].arrays[k]) for k, a in fitted.params[name][1].arrays.items())


def test_a_later_part_is_held_out(tmp_path: Path):
    frame = clinic().with_columns(pl.Series("year", np.repeat([2019, 2020, 2021], 60)))
    frame.with_columns(pl.int_range(180).cast(pl.String).alias("patient_id")).write_csv(tmp_path / "c.csv")
    run = fit(
        tmp_path / "c.csv",
        tmp_path / "run",
        target="died",
        unit="patient_id",
        ignore=("year",),
        holdout="year>=2021",
        model=("logistic",),
        **QUICK,
    )
    held = run.predictions.filter(pl.col("part") == "holdout")["row"].to_list()
    assert sorted(held) == list(range(121, 181))
    assert run.json("curves.json")["drift"]["holdout"]["columns"]["age"]["verdict"] in ("stable", "moderate", "large")


@pytest.mark.parametrize(("rule", "share"), [(">0", 4 / 5), (">=2", 3 / 5), ("3", 1 / 5)])
def test_a_rule_says_what_is_positive(rule: str, share: float):
    frame = clinic(100).drop("died", "patient_id").with_columns(pl.Series("grade", np.arange(100) % 5))
    prepared = prepare(
        Study(target=("grade",), positive=rule, model=("logistic",), folds=3, repeats=1), read(frame, target="grade")
    )
    assert prepared.study.task == "binary"
    assert (prepared.target.y == 1).mean() == pytest.approx(share)


def test_constant_and_empty_columns_do_no_harm(tmp_path: Path):
    """One column is constant but for a row, one is empty in a whole fold's training rows, one is empty everywhere."""
    frame = clinic().with_columns(
        pl.when(pl.int_range(180) == 7).then(1.0).otherwise(0.0).alias("nearly"),
        pl.when(pl.int_range(180) == 7).then(3.25).otherwise(None).alias("once"),
        pl.lit(None, dtype=pl.Float64).alias("never"),
    )
    frame.write_csv(tmp_path / "c.csv")
    run = fit(
        tmp_path / "c.csv", tmp_path / "run", target="died", unit="patient_id", model=("logistic", "tree"),
        column=("nearly=number", "once=number"), **QUICK,
    )  # fmt: skip
    assert run.scores["parts"]["cv"]["logistic"]["auroc"]["value"] > 0.65
    assert run.predictions["probability"].is_finite().all()


def test_one_class_in_a_training_part_is_refused():
    frame = (
        clinic(120)
        .with_columns(
            pl.Series("ward", np.where(np.arange(120) < 60, "north", "south")),
            pl.Series("died", np.where(np.arange(120) < 60, "no", "yes")),
        )
        .drop("patient_id")
    )
    prepared = prepare(
        Study(target=("died",), site="ward", model=("logistic",), folds=3, repeats=1), read(frame, target="died")
    )
    split = next(s for s in prepared.splits if s.part == "site=north")
    with pytest.raises(TargetError, match="both classes"):
        fit_rows(prepared, split.train, split.key)


def test_a_target_of_one_class_is_refused():
    with pytest.raises(OslerError):
        prepare(
            Study(target=("died",), model=("logistic",)),
            read(clinic(60).with_columns(pl.lit("no").alias("died")), target="died"),
        )


def test_few_rows_get_the_straight_line_only():
    prepared = prepare(Study(target=("died",)), read(clinic(30).drop("patient_id"), target="died"))
    assert prepared.study.model == ("logistic",)
    more = prepare(Study(target=("died",)), read(clinic(60).drop("patient_id"), target="died"))
    assert more.study.model[-1].startswith("ensemble:members=logistic+")
