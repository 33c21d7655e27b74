"""One thing measured again (a molecule in two assays): what the spread of its targets says, and how training takes it.

Nothing is merged before the split: rows of one thing stay on one side of it, and are merged inside each training part
only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from osler.cohort.cohort import Cohort
from osler.cohort.finding import Finding, count
from osler.cohort.grouping import replicates_of
from osler.tasks.base import Target

#: Fewest degrees of freedom (replicates beyond the first of each thing) from which a spread is stated.
LEAST = 5


def noise(cohort: Cohort, target: Target) -> dict[str, Any]:
    """How far targets of one thing differ; {} where too few things were measured again.

    Regression: `sd`, the pooled standard deviation within things, with its 95 % interval (`low`, `high`, by
    chi-square), which no model's RMSE on such labels can beat. Classes: `disagree`, the share of repeating rows whose
    class is not the commonest of their thing, which no model's error on them can beat. Both with `things`, `rows` and
    `freedom`.
    """
    codes = replicates_of(cohort)
    repeated = _repeated(codes)
    freedom = int(repeated.sum()) - len(np.unique(codes[repeated]))
    if freedom < LEAST or target.kind not in ("regression", "binary", "multiclass"):
        return {}
    things = np.unique(codes[repeated], return_inverse=True)[1]
    y = target.y[repeated]
    facts = {"rows": int(repeated.sum()), "things": int(things.max()) + 1, "freedom": freedom}
    if target.kind == "regression":
        return facts | _spread(y, things, freedom)
    table = np.zeros((facts["things"], len(target.classes)))
    np.add.at(table, (things, y), 1.0)
    return facts | {"disagree": float(1.0 - table.max(axis=1).sum() / len(y))}


def _spread(y: np.ndarray, things: np.ndarray, freedom: int) -> dict[str, float]:
    from scipy.stats import chi2

    mean = np.bincount(things, y) / np.bincount(things)
    squares = float(((y - mean[things]) ** 2).sum())
    low, high = np.sqrt(squares / chi2.ppf([0.975, 0.025], freedom))
    return {"sd": float(np.sqrt(squares / freedom)), "low": float(low), "high": float(high)}


def finding(facts: dict[str, Any], target: Target) -> tuple[Finding, ...]:
    """The finding that tells of `noise`, or none."""
    if not facts:
        return ()
    what = f"{count(facts['rows'], 'row')} measure {count(facts['things'], 'thing')} more than once"
    if "sd" in facts:
        spread = f"{facts['sd']:.3g} ({facts['low']:.3g} to {facts['high']:.3g})"
        said = f"{what}; their targets differ with a standard deviation of {spread}: no model can beat that RMSE on labels like these"
    else:
        said = f"{what}; {facts['disagree']:.1%} of these rows disagree with the class of their thing: no model can beat that error on them"
    return (Finding("replicates", "note", target.names[0], facts["rows"], said, "measure the disagreeing ones again"),)


def merged(cohort: Cohort, target: Target) -> tuple[np.ndarray, Target]:
    """Training rows with every thing once: positions of the rows kept, and their target.

    Regression only: a thing's target is the mean of its rows and its weight their summed weight, which leaves the least
    squares fit where it was. Other tasks keep every row.
    """
    everything = np.arange(len(target))
    if target.kind != "regression":
        return everything, target
    codes = replicates_of(cohort)
    codes = np.where(codes >= 0, codes, codes.max(initial=-1) + 1 + everything)
    kept, thing = np.unique(codes, return_index=True, return_inverse=True)[1:]
    if len(kept) == len(target):
        return everything, target
    weight = np.ones(len(target)) if target.weight is None else target.weight
    total = np.bincount(thing, weight)
    mean = np.bincount(thing, weight * target.y) / np.where(total > 0, total, 1.0)
    order = np.argsort(kept)
    return kept[order], replace(target.take(kept[order]), y=mean[order], weight=total[order])


def _repeated(codes: np.ndarray) -> np.ndarray:
    """(n,) true for rows whose thing (code not −1) has another row."""
    size = np.bincount(codes[codes >= 0], minlength=1)
    return (codes >= 0) & (size[np.maximum(codes, 0)] > 1)
