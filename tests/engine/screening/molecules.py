"""Molecules that tests of screening share: alkanols and phenols, and predictors of their size that were fitted on them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl

from osler import models, tasks
from osler.cohort.read import read
from osler.engine.answer import learn_domain
from osler.engine.batches import CohortBatches, fit_states
from osler.engine.predictor import Predictor
from osler.engine.prepare import open_cohort
from osler.engine.study import Study
from osler.evaluation.conformal import fit_number

#: Forty molecules: chains with a group at the end, and rings with a chain.
SMILES = [f"{'C' * n}{end}" for n in range(2, 12) for end in ("O", "N", "C(=O)O")] + [f"{'C' * n}c1ccccc1O" for n in range(1, 11)]


@lru_cache
def predictor(target: str = "size") -> Predictor:
    """A straight line from MACCS keys to the length of a SMILES, with intervals and a domain."""
    table = pl.DataFrame({"smiles": SMILES * 2, target: [float(len(s)) for s in SMILES * 2]})
    study = Study(target=(target,), task="regression", column=("smiles=molecule",))
    cohort = open_cohort(study, read(table)).declare(columns={"smiles": {"modality": "molecule", "role": "input"}})
    cohort = cohort.declare(columns={"smiles": {"options": {"features": ["maccs"]}}})
    task = tasks.get("regression")
    answer = task.target_of(cohort)
    states = fit_states(cohort)
    batches = CohortBatches(cohort, states, answer, np.arange(len(cohort)))
    params = models.get("linear").fit(batches.all(), np.random.default_rng(7))
    found = models.get("linear").predict(params, batches.all().blocks)
    columns = tuple(c for c in cohort.columns if c.role in ("input", "target"))
    return Predictor(
        columns, states, "regression", (target,), (), None, {"linear": ("linear", params)}, "linear",
        fit_number(found.value[:, 0], answer.y).to_json(), learn_domain(batches.all().blocks), {"verdict": "clean"},
    )  # fmt: skip
