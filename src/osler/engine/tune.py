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

    The given specification is judged first and kept unless a trial is better; a model without a `space`, or a study
    without trials, returns it unchanged. A first trial outside the space starts at its border.

    Args:
        spec: "NAME" or "NAME:option=value,...".
        data: the encoded training rows of one split.
        study: gives the number of trials and the seeds.
        key: the split's key, for the seeds.
    """
    estimator = models.get(spec)
    if not estimator.space or not study.tune:
        return spec
    rng = study.rng("tune", key, spec)
    codes = stratified_group_folds(data.groups, data.target.strata, folds, rng)
    seeds = rng.integers(0, 2**63, folds)
    known: dict[str, float] = {}

    def loss(options: dict[str, Any]) -> float:
        asked = with_options(spec, options)
        if asked not in known:
            known[asked] = inner_loss(asked, data, codes, seeds)
        return known[asked]

    begin = loss({})
    first = {name: _text(getattr(estimator.options, name)) for name in estimator.space}
    best = search(estimator.space, loss, first, trials=study.tune, seed=int(rng.integers(0, 2**31)))
    return with_options(spec, best) if loss(best) < begin else spec


def inner_loss(spec: str, data: Encoded, codes: np.ndarray, seeds: np.ndarray) -> float:
    """Mean loss of rows (n,) by fits that did not see their inner fold; `seeds` (k,) one per fold."""
    estimator, task, total = models.get(spec), tasks.get(data.target.kind), 0.0
    for k, seed in enumerate(seeds):
        train, test = data.take(codes != k), data.take(codes == k)
        params = estimator.fit(estimator.confined(train), np.random.default_rng(seed))
        total += float(task.loss(test.target, estimator.predict(params, test.blocks)).sum())
    return total / len(data)


def _text(value: Any) -> Any:
    """An option as a specification spells it: several values joined by "+"."""
    return "+".join(str(v) for v in value) if isinstance(value, tuple) else value


def with_options(spec: str, options: dict[str, Any]) -> str:
    """A specification with some options replaced, written in a fixed order."""
    if not options:
        return spec
    name, _, text = spec.partition(":")
    given = dict(part.partition("=")[::2] for part in text.split(",") if part)
    given.update({k: repr(v) if isinstance(v, float) else str(v) for k, v in options.items()})
    return f"{name}:{','.join(f'{k}={v}' for k, v in sorted(given.items()))}"
