"""Natural cubic splines as extra columns that say how an effect bends away from a straight line.

Source: restricted cubic splines in truncated power form, Harrell, Regression Modeling Strategies, 2nd edition, section
2.4.5; each bend is made free of its straight part in training and scaled to standard deviation 1, so that penalising
the bends alone leads to the straight line.
"""

from __future__ import annotations

import numpy as np


def fit(X: np.ndarray, n_numbers: int, knots: int) -> dict[str, np.ndarray]:
    """Knots and scales of the first `n_numbers` columns of X (n, p) that have enough distinct values.

    Returns:
        `column` (c,), `knots` (c, k), and `constant`, `slope`, `scale` (c, k - 2) of every bend.
    """
    knots = int(np.clip(knots, 3, 7))
    edge = {3: 0.10, 4: 0.05, 5: 0.05, 6: 0.05, 7: 0.025}[knots]
    at = np.linspace(edge, 1 - edge, knots)
    columns, places = [], []
    for j in range(n_numbers):
        distinct = np.unique(X[:, j])
        place = np.quantile(X[:, j], at)
        if len(np.unique(place)) < knots and len(distinct) > 2 * knots:
            place = np.quantile(distinct, at)
        if len(distinct) > 2 * knots and np.diff(place).min() > 1e-3:
            columns.append(j)
            places.append(place)
    state = {"column": np.array(columns, dtype=np.int64), "knots": np.array(places).reshape(len(columns), knots)}
    bends = _bends(X, state)
    x = X[:, state["column"]][:, :, None]
    middle, mean = x.mean(axis=0), bends.mean(axis=0)
    slope = ((x - middle) * (bends - mean)).sum(axis=0) / np.maximum(((x - middle) ** 2).sum(axis=0), 1e-300)
    constant = mean - slope * middle
    scale = (bends - constant - slope * x).std(axis=0)
    return {**state, "constant": constant, "slope": slope, "scale": np.where(scale > 1e-9, scale, np.inf)}


def expand(X: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """X (n, p) with (k - 2) more columns for each of the c columns that bend."""
    if not len(state["column"]):
        return X
    x = X[:, state["column"]][:, :, None]
    bends = (_bends(X, state) - state["constant"] - state["slope"] * x) / state["scale"]
    return np.concatenate([X, bends.reshape(len(X), -1)], axis=1)


def _bends(X: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """(n, c, k - 2) truncated power terms, straight beyond the outer knots."""
    t = state["knots"]
    x = X[:, state["column"]][:, :, None]
    cubes = np.maximum(x - t, 0.0) ** 3
    width = t[:, -1:] - t[:, -2:-1]
    last, second = cubes[:, :, -1:], cubes[:, :, -2:-1]
    inner = cubes[:, :, :-2] - second * (t[:, -1:] - t[:, :-2]) / width + last * (t[:, -2:-1] - t[:, :-2]) / width
    return inner / (t[:, -1:] - t[:, :1]) ** 2
