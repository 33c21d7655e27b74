"""Search over a model's options inside training rows only, so that the outer test rows stay unseen."""

from __future__ import annotations

from typing import Any

import numpy as np

from osler import models, tasks
from osler.adapters.optuna_search import search
from osler.cohort.split import stratified_group_folds
from osler.engine.study import Study
from osler.models.base import Encoded


def tuned(spec: str, data: Encoded, study: Study, key: str, folds: int = 3) -> str:
    """The specification with the options that had the least inner cross-validated loss.

    The given options are the first trial, so that tuning can end where it began; a model without a `space` is
    returned unchanged.

    Args:
        spec: "NAME" or "NAME:option=value,...".
        data: the encoded training rows of one split.
        study: gives the number of trials and the seeds.
        key: the split's key, for the seeds.
    """
    estimator = models.get(spec)
    if not estimator.space:
        return spec
    rng = study.rng("tune", key, spec)
    codes = stratified_group_folds(data.groups, data.target.strata, folds, rng)
    seeds = rng.integers(0, 2**63, folds)
    task = tasks.get(data.target.kind)

    def loss(options: dict[str, Any]) -> float:
        trial = models.get(with_options(spec, options))
        total = 0.0
        for k in range(folds):
            train, test = data.take(codes != k), data.take(codes == k)
            params = trial.fit(train, np.random.default_rng(seeds[k]))
            total += float(task.loss(test.target, trial.predict(params, test.blocks)).sum())
        return total / len(data)

    first = {name: getattr(estimator.options, name) for name in estimator.space}
    best = search(estimator.space, loss, first, trials=study.tune, seed=int(rng.integers(0, 2**31)))
    return with_options(spec, best)


def with_options(spec: str, options: dict[str, Any]) -> str:
    """A specification with some options replaced, written in a fixed order."""
    name, _, text = spec.partition(":")
    given = dict(part.partition("=")[::2] for part in text.split(",") if part)
    given.update({k: repr(v) if isinstance(v, float) else str(v) for k, v in options.items()})
    return f"{name}:{','.join(f'{k}={v}' for k, v in sorted(given.items()))}"
