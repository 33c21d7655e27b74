"""Predictors on real tables, fitted in a second or two: what the tests of export and service share."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from osler import models, tasks
from osler.cohort.cohort import Cohort
from osler.cohort.read import read
from osler.engine.answer import learn_domain
from osler.engine.batches import CohortBatches, fit_states
from osler.engine.predict import as_trained
from osler.engine.predictor import Predictor
from osler.engine.prepare import open_cohort
from osler.engine.study import Study
from osler.evaluation.conformal import fit_classes, fit_number
from osler.explanation.background import learn_background

#: Tables that come with installed libraries, and tables of the mirror's folder `clinical`.
STUDIES = {
    "clinic": Study(target=("died",), task="binary"),
    "diabetes": Study(target=("progression",), task="regression"),
    "gbsg2": Study(duration="time", event="cens", task="survival"),
    "heart_cleveland": Study(target=("num",), task="binary", positive=">0"),
    "pima_diabetes": Study(target=("diabetes",), task="binary"),
    "three": Study(target=("stage",), task="multiclass"),
}


@dataclass(frozen=True)
class Fitted:
    """A predictor and the rows that it learnt from."""

    predictor: Predictor
    cohort: Cohort


@lru_cache
def table_of(name: str, mirror: Path | None = None) -> pl.DataFrame | Path:
    """The raw table of a study: a frame, or a file of the mirror."""
    if name == "diabetes":
        from sklearn.datasets import load_diabetes

        made = load_diabetes(scaled=False)
        return pl.DataFrame(made.data, schema=made.feature_names).with_columns(
            pl.col("sex").cast(pl.Int64), pl.Series("progression", made.target)
        )
    if name == "gbsg2":
        text = (importlib.resources.files("lifelines.datasets") / "gbsg2.csv").read_bytes()
        return pl.read_csv(text)
    if name in ("clinic", "three"):
        return _clinic(name)
    return Path(mirror) / "clinical" / f"{name}.csv.gz"


def _clinic(name: str, n: int = 240) -> pl.DataFrame:
    """Made-up visits with every modality but text: numbers with gaps, words in mixed case, yes/no, dates."""
    rng = np.random.default_rng(4)
    age, creatinine = np.round(rng.normal(60, 12, n), 1), np.round(np.exp(rng.normal(0, 0.5, n)), 2)
    ward = rng.choice(["North", "south", "EAST Wing", "Zürich"], n)
    smoker = rng.random(n) < 0.4
    day = np.datetime64("2019-01-01") + rng.integers(0, 1500, n)
    score = (age - 60) / 12 + np.log(creatinine) + smoker + (ward == "south") + rng.normal(0, 0.7, n)
    frame = {
        "age": age, "creatinine": np.where(rng.random(n) < 0.15, np.nan, creatinine), "ward": ward,
        "smoker": np.where(smoker, "yes", "no"), "admitted": [str(d) for d in day],
    }  # fmt: skip
    if name == "three":
        frame["stage"] = np.array(["I", "II", "III"])[np.digitize(score, [-0.2, 1.2])]
    else:
        frame["died"] = np.where(score > 0.5, "yes", "no")
    return pl.DataFrame(frame).with_columns(pl.col("creatinine").fill_nan(None))


@lru_cache
def fitted(name: str, spec: str, mirror: Path | None = None) -> Fitted:
    """A model fitted on every row of a table, with its domain and a conformal answer."""
    source = table_of(name, mirror)
    cohort = open_cohort(STUDIES[name], read(source))
    if "admitted" in {c.name for c in cohort.columns}:
        cohort = cohort.declare(columns={"admitted": {"role": "input"}})
    task = tasks.get(STUDIES[name].task)
    cohort = cohort.where(task.usable(cohort))
    target = task.target_of(cohort)
    states = fit_states(cohort)
    batches = CohortBatches(cohort, states, target, np.arange(len(cohort)))
    params = models.get(spec).fit(batches.all(), np.random.default_rng(7))
    blocks = batches.all().blocks
    found = models.get(spec).predict(params, blocks)
    conformal = {}
    if target.kind in ("binary", "multiclass"):
        conformal = fit_classes(found.value, target.y).to_json()
    elif target.kind == "regression":
        conformal = fit_number(found.value[:, 0], target.y).to_json()
    columns = tuple(c for c in cohort.columns if c.role in ("input", "target", "duration", "event"))
    chosen = spec.partition(":")[0]
    horizon = target.horizon
    if target.kind == "survival" and horizon is None:
        from osler.tasks.survival import horizon_of

        horizon = horizon_of(target)
    predictor = Predictor(
        columns, states, target.kind, target.names, target.classes, horizon, {chosen: (spec, params)}, chosen, conformal,
        learn_domain(blocks), {"verdict": "clean", "unit": "row"}, {"rows": len(cohort), "threshold": 0.5},
        learn_background(blocks, np.arange(len(cohort))),
    )  # fmt: skip
    return Fitted(predictor, as_trained(predictor, cohort))


def rows_of(one: Fitted, n: int) -> list[dict[str, object]]:
    """The first n rows of the inputs, as JSON would hold them; missing cells are null."""
    names = [c.name for c in one.predictor.inputs]
    return one.cohort.table.select(names).head(n).to_dicts()
