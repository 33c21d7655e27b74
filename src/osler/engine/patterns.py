"""Predictors that a new site often leaves out: each common pattern of empty cells gets a model fitted without them.

A model that fills an empty cell gives the predictors that are left the weight that they had beside the lost one. A
model fitted without the lost one gives them the weight that they have alone. Only where cells are empty at the new
site is used, never an outcome there. Sources: reduced-feature models, Saar-Tsechansky & Provost 2007, J Mach Learn Res
8:1625; pattern submodels, Mercaldo & Blume 2020, Biostatistics 21:236.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from osler import models
from osler.cohort.cohort import Cohort
from osler.engine.batches import encode
from osler.engine.prepare import Prepared
from osler.engine.train import fit_rows
from osler.models.ensemble import on_grid
from osler.tasks.base import Prediction

#: A predictor is often left out where its share of empty cells is higher by this than in development.
GAP = 0.10

#: A pattern is common where it holds at least this share of the rows; there are 20 common patterns at most.
COMMON = 0.05


@dataclass(frozen=True)
class Pattern:
    """Rows that lack the same predictors.

    Attributes:
        lost: the predictors that these rows lack, at least one.
        rows: (m,) positions of the rows.
    """

    lost: tuple[str, ...]
    rows: np.ndarray


def often_left_out(shares: Mapping[str, Mapping[str, float | None]], names: Iterable[str]) -> list[str]:
    """Those of `names` that are empty at the new site more often than in development, by `GAP` or more.

    Args:
        shares: predictor → its share of empty cells in `development` (None: not known, taken as 0) and `external`.
    """
    return [n for n in names if (shares[n]["external"] or 0.0) - (shares[n]["development"] or 0.0) >= GAP]


def common_patterns(cohort: Cohort, names: list[str]) -> list[Pattern]:
    """The patterns of empty cells of the columns `names` that hold at least `COMMON` of the rows, in a fixed order."""
    if not names or not len(cohort):
        return []
    empty = np.column_stack([cohort.values(n).is_null().to_numpy() for n in names])
    kinds, which, counts = np.unique(empty, axis=0, return_inverse=True, return_counts=True)
    return [
        Pattern(tuple(n for n, lost in zip(names, kind) if lost), np.flatnonzero(which.ravel() == i))
        for i, (kind, count) in enumerate(zip(kinds, counts))
        if kind.any() and count >= COMMON * len(cohort)
    ]


def answer_by_pattern(prepared: Prepared, cohort: Cohort, patterns: list[Pattern], others: Prediction) -> Prediction:
    """Answers (n rows of `cohort`): of rows of a pattern by a model without its lost predictors, else from `others`.

    Args:
        prepared: the development table, its study naming the one model to fit and its inputs being shared with
            `cohort`.
        cohort: the new site's rows.
        patterns: rows and what they lack; a pattern that would leave no predictor is answered by `others`.
        others: answers for all n rows.
    """
    value = others.value.copy()
    for i, pattern in enumerate(patterns):
        part = without(prepared, pattern.lost)
        if not part.cohort.role("input"):
            continue
        fitted = fit_rows(part, part.splits[-1].train, f"refit/{i}")
        spec, params = next(iter(fitted.params.values()))
        answer = models.get(spec).predict(params, encode(cohort.take(pattern.rows), fitted.states))
        value[pattern.rows] = on_grid(answer, others.times).value
    return replace(others, value=value, spread=None)


def without(prepared: Prepared, lost: Iterable[str]) -> Prepared:
    """The same rows, target and splits with some predictors left out."""
    gone = set(lost)
    cohort = prepared.cohort
    columns = tuple(c.with_(role="ignore") if c.role == "input" and c.name in gone else c for c in cohort.columns)
    return replace(prepared, cohort=replace(cohort, columns=columns), scores=())
