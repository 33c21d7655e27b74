"""What tests of optimising share: a committee that tells rings from chains, and a tiny generator of drugs."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from osler import models, tasks
from osler.cohort.read import read
from osler.engine.answer import learn_domain
from osler.engine.batches import CohortBatches, fit_states
from osler.engine.predictor import Predictor
from osler.engine.prepare import open_cohort
from osler.engine.study import Study
from osler.models.neural.generation import get, learner
from osler.models.neural.generation.options import GeneratorOptions
from tests.engine.screening.molecules import SMILES
from tests.models.neural.generation.drugs import DRUGS


@lru_cache
def committee() -> Predictor:
    """Answers `ring` (0 or 1) with the probability of a straight line and a forest together."""
    smiles = [*SMILES, *DRUGS]
    table = pl.DataFrame({"smiles": smiles, "ring": ["1" if "1" in s else "0" for s in smiles]})
    study = Study(target=("ring",), task="binary", positive="1", column=("smiles=molecule",))
    cohort = open_cohort(study, read(table)).declare(columns={"smiles": {"modality": "molecule", "role": "input"}})
    cohort = cohort.declare(columns={"smiles": {"options": {"features": ["maccs"]}}})
    answer = tasks.get("binary").target_of(cohort)
    states = fit_states(cohort)
    rows = CohortBatches(cohort, states, answer, np.arange(len(cohort))).all()
    ensemble = models.get("ensemble")
    ensemble = type(ensemble)(replace(ensemble.options, members=("linear", "forest:n_trees=20")))
    params = ensemble.fit(rows, np.random.default_rng(7))
    params.meta["weights"] = [0.25, 0.75]
    columns = tuple(c for c in cohort.columns if c.role in ("input", "target"))
    return Predictor(
        columns, states, "binary", ("ring",), tuple(answer.classes), None, {"ensemble": ("ensemble", params)}, "ensemble", {},
        learn_domain(rows.blocks), {"verdict": "clean"},
    )  # fmt: skip


def tiny_generator(folder: Path) -> Path:
    """A run folder with a generator of drugs that has learnt a little."""
    options = GeneratorOptions(width=32, batch_size=16, epochs=4.0, learning_rate=0.01, rarest=1)
    made = get("generator_gru").learn_from(DRUGS, options)[0]
    for number in range(made.total):
        made.step(number)
    learner.save(made, folder / "generator")
    return folder
