"""Would more data help: a score at growing training sizes, a power law through them, and one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from osler.errors import TargetError


def learning_curve(
    fit_and_score: Callable[[np.ndarray, np.ndarray, np.random.Generator], float],
    groups: np.ndarray,
    rng: np.random.Generator,
    *,
    strata: np.ndarray | None = None,
    sizes: int = 5,
    repeats: int = 5,
    bigger_is_better: bool = True,
) -> dict[str, Any]:
    """Fit on growing shares of the units, score on a fifth of the units kept aside, repeat, and extrapolate.

    Args:
        fit_and_score: called with training positions, test positions and a generator; gives the score on the
            test rows.
        groups: (n,) unit of every row; whole units are drawn.
        rng: draws the splits.
        strata: (n,) class codes; a unit belongs to its largest code, each class keeps its share in every
            training set.
        sizes: how many sizes, spread evenly in the logarithm from 10 % to 100 % of the training units.
        repeats: random splits.
        bigger_is_better: whether a higher score is better.

    Returns:
        JSON values: units (per size), scores (repeats × sizes), mean, low, high (mean ± 2 standard errors
        over repeats, the repeats share rows, so this is a guide), fit (`power_law`), sentence.

    Raises:
        TargetError: fewer than 20 units.
    """
    units, codes = np.unique(groups, return_inverse=True)
    if len(units) < 20:
        raise TargetError(f"a learning curve needs at least 20 units, there are {len(units)}", "target-rows")
    level = np.zeros(len(units), dtype=np.int64)
    if strata is not None:
        np.maximum.at(level, codes, strata)
    n_train = len(units) - max(1, len(units) // 5)
    counts = np.unique(np.round(np.geomspace(max(10, 0.1 * n_train), n_train, sizes)).astype(int))
    table = np.full((repeats, len(counts)), np.nan)
    for repeat in range(repeats):
        order = _mixed(level, rng)
        test = np.flatnonzero(np.isin(codes, order[n_train:]))
        for column, count in enumerate(counts):
            train = np.flatnonzero(np.isin(codes, order[:count]))
            table[repeat, column] = fit_and_score(train, test, rng)
    mean, error = (
        np.nanmean(table, axis=0),
        np.nanstd(table, axis=0, ddof=1) / np.sqrt(repeats) if repeats > 1 else np.zeros(len(counts)),
    )
    law = power_law(counts.astype(float), mean, bigger_is_better)
    return {
        "units": counts.tolist(), "scores": table.tolist(), "mean": mean.tolist(),
        "low": (mean - 2 * error).tolist(), "high": (mean + 2 * error).tolist(), "fit": law,
        "sentence": sentence(law, int(counts[-1]), float(mean[-1]), float(np.max(error))),
    }  # fmt: skip


def _mixed(level: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Units in random order with every prefix holding each level in about its share."""
    place = np.empty(len(level))
    for code in np.unique(level):
        members = rng.permutation(np.flatnonzero(level == code))
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
    return np.argsort(place, kind="stable")


def power_law(n: np.ndarray, score: np.ndarray, bigger_is_better: bool = True) -> dict[str, float | None]:
    """score = limit -+ scale n^-rate with 0 < rate <= 2, least squares over a grid of rates (exact in limit
    and scale).

    Source: Figueroa et al., BMC Medical Informatics and Decision Making 2012;12:8. `limit` and the scores
    expected at twice and four times the largest size are None where more data made the score no better.
    """
    best: tuple[float, float, float, float] | None = None
    for rate in np.linspace(0.05, 2.0, 196):
        x = n**-rate
        design = np.column_stack([np.ones_like(x), x])
        (limit, slope), *_ = np.linalg.lstsq(design, score, rcond=None)
        error = float(((design @ [limit, slope] - score) ** 2).sum())
        if best is None or error < best[0]:
            best = (error, float(limit), float(slope), float(rate))
    error, limit, slope, rate = best
    learns = slope < 0 if bigger_is_better else slope > 0
    at = lambda size: limit + slope * size**-rate if learns else None  # noqa: E731
    last = float(n[-1])
    return {
        "limit": limit if learns else None,
        "scale": slope,
        "rate": rate,
        "now": at(last),
        "at_double": at(2 * last),
        "at_fourfold": at(4 * last),
    }


def sentence(law: dict[str, float | None], n: int, now: float, error: float) -> str:
    """The answer in words: a gain counts if it is larger than the noise of the curve (2 standard errors) and
    than 0.005.
    """
    if law["at_double"] is None:
        return (
            f"More data would probably not help: from the smallest size to {n} units the score did not "
            "improve."
        )
    gain = abs(law["at_double"] - law["now"])
    if gain <= max(0.005 * max(1.0, abs(now)), 2 * error):
        return (
            f"More data would help little: doubling {n} units is expected to change the score by "
            f"{gain:.3f}, within the noise of this curve."
        )
    return (
        f"More data would help: doubling {n} units is expected to improve the score by about {gain:.3f} "
        f"(from {now:.3f} to {law['at_double']:.3f})."
    )
