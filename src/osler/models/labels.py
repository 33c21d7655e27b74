"""What every classic estimator does with a target before it learns: case weights, one model per label, inner folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from osler.blocks import Block
from osler.errors import OptionError, nearest
from osler.models.base import Encoded, Params
from osler.tasks.base import Prediction, Target

#: How classes are weighted: as they are, or so that every class carries the same total weight.
WEIGHTS = ("none", "balanced")


def case_weights(target: Target, weights: str) -> np.ndarray:
    """(n,) weights that sum to n: the target's own, times n / (k n_class) when `weights` is "balanced".

    Raises:
        OptionError: `weights` is not one of `WEIGHTS`.
    """
    if weights not in WEIGHTS:
        raise OptionError(f"option 'weights' must be none or balanced, was '{weights}': {nearest(weights, WEIGHTS)}")
    w = np.ones(len(target)) if target.weight is None else np.asarray(target.weight, dtype=np.float64)
    if weights == "balanced" and target.kind in ("binary", "multiclass"):
        totals = np.bincount(target.y, weights=w, minlength=len(target.classes))
        w = w / np.maximum(totals, 1e-300)[target.y]
    return w * (len(w) / w.sum()) if len(w) and w.sum() > 0 else w


def one_label(data: Encoded, k: int) -> Encoded:
    """The rows whose label `k` was assessed, as a binary question."""
    rows = np.flatnonzero(~np.isnan(data.target.y[:, k]))
    part = data.take(rows)
    name = data.target.classes[k]
    y = part.target.y[:, k].astype(np.int64)
    return replace(part, target=replace(part.target, kind="binary", names=(name,), y=y, classes=("0", "1")))


def fit_per_label(
    data: Encoded, rng: np.random.Generator, fit: Callable[[Encoded, np.random.Generator], Params]
) -> Params:
    """One model per label, each on the rows where it was assessed; a label with one value only keeps its share."""
    return fit_label_rows(data, rng, lambda part, rows, child: fit(part, child))


def fit_label_rows(
    data: Encoded, rng: np.random.Generator, fit: Callable[[Encoded, np.ndarray, np.random.Generator], Params]
) -> Params:
    """As `fit_per_label`, for a `fit` that is told too which rows of `data` (ascending positions) a label has."""
    parts = {}
    for k, child in enumerate(rng.spawn(len(data.target.classes))):
        rows = one_label(data, k)
        n, events = len(rows), int(rows.target.y.sum())
        if n == 0 or events in (0, n):
            parts[str(k)] = Params({"constant": (events + 0.5) / (n + 1.0)})
        else:
            parts[str(k)] = fit(rows, np.flatnonzero(~np.isnan(data.target.y[:, k])), child)
    return Params.nest(parts, {"labels": list(data.target.classes)})


def predict_per_label(
    params: Params, blocks: dict[str, Block], predict: Callable[[Params, dict[str, Block]], Prediction]
) -> Prediction:
    """(n, k) probability of each label."""
    n = len(next(iter(blocks.values())))
    columns = []
    for k in range(len(params.meta["labels"])):
        part = params.part(str(k))
        constant = part.meta.get("constant")
        columns.append(np.full(n, constant) if constant is not None else predict(part, blocks).value[:, 1])
    return Prediction(np.column_stack(columns))


def probabilities(p: np.ndarray) -> Prediction:
    """A binary prediction (n, 2) from the probability (n,) of the positive class."""
    value = np.empty((len(p), 2))
    value[:, 1] = p
    np.subtract(1.0, p, out=value[:, 0])
    return Prediction(value)


def sigmoid(eta: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-eta)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * eta))


def softmax(eta: np.ndarray) -> np.ndarray:
    """Rows of exp(eta) (n, k) that sum to one, without overflow."""
    e = np.exp(eta - eta.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def inner_folds(data: Encoded, k: int, rng: np.random.Generator, most: int | None = None) -> np.ndarray:
    """(n,) fold of every row for choices made inside `fit`; whole groups stay together, classes are balanced.

    With `most`, only about that many rows (whole groups, drawn by `rng`) take part, in three folds at most; the others
    have fold -1. Fewer folds are dealt if there are fewer groups; all rows are -1 if there are not two groups, or not
    two of each class.
    """
    from osler.cohort.split import stratified_group_folds

    groups, n = data.groups, len(data)
    rows = np.arange(n)
    if most is not None and n > most:
        rows = np.flatnonzero(stratified_group_folds(groups, data.target.strata, -(-n // most), rng) == 0)
        k = min(k, 3)
    target = data.target.take(rows)
    _, group = np.unique(groups[rows], return_inverse=True)
    limit = int(group.max()) + 1 if len(group) else 0
    if target.kind in ("binary", "multiclass"):
        limit = min([limit, *(len(np.unique(group[target.y == c])) for c in np.unique(target.y))])
    out = np.full(n, -1, dtype=np.int64)
    if min(k, limit) >= 2:
        out[rows] = stratified_group_folds(group, target.strata, min(k, limit), rng)
    return out
