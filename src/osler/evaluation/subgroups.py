"""How good for whom: every metric by group, with small cells hidden so that nobody can be singled out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from osler.evaluation import intervals, scores
from osler.tasks.base import Prediction, Target

#: A count from 1 to one below this is a small cell.
SMALL = 10

_MISSING = "(missing)"


def subgroups(
    target: Target,
    prediction: Prediction,
    labels: Sequence[str | None],
    groups: np.ndarray | None,
    rng: np.random.Generator,
    *,
    n_boot: int = 500,
    threshold: float = 0.5,
    small: int = SMALL,
) -> list[dict[str, Any]]:
    """The scores of each level of `labels` (n,), most frequent first.

    Each entry has `group`, `hidden`; and, unless hidden, `n`, `units`, `events` (rows of the positive class
    or with an event; None for other tasks), `scores` (as `scores.score`) and `difference` (the level against
    everyone else, metric → value, low, high).

    A level is hidden when its rows, units, events or non-events number from 1 to `small` - 1. If that leaves
    exactly one hidden level, or hidden levels of fewer than `small` rows together, the next smallest is
    hidden too, because totals would give it away.
    """
    names = np.array([_MISSING if v is None or v != v else str(v) for v in labels], dtype=object)
    codes = intervals.codes(groups, len(target))
    levels, counts = np.unique(names.astype(str), return_counts=True)
    order = [str(levels[i]) for i in np.argsort(-counts, kind="stable")]
    masks = {name: names == name for name in order}
    hidden = _hidden(target, masks, codes, small)
    out = []
    for name in order:
        if name in hidden:
            out.append({"group": name, "hidden": hidden[name]})
            continue
        rows = masks[name]
        part = target.take(rows)
        n_events = events(target)
        entry = {
            "group": name, "hidden": "", "n": int(rows.sum()), "units": len(np.unique(codes[rows])),
            "events": None if n_events is None else int(n_events[rows].sum()),
            "scores": scores.score(
                part, prediction.take(rows), codes[rows], rng, n_boot, threshold=threshold
            ),
        }  # fmt: skip
        if target.kind != "survival" and len(order) > 1:
            entry["difference"] = against_rest(
                target, prediction, rows, codes, rng, n_boot=n_boot, threshold=threshold
            )
        out.append(entry)
    return out


def events(target: Target) -> np.ndarray | None:
    """(n,) bool: the positive class, or the event was seen; None where a task has no events."""
    if target.kind == "binary":
        return target.y == 1
    return target.event.astype(bool) if target.kind == "survival" else None


def _hidden(target: Target, masks: dict[str, np.ndarray], codes: np.ndarray, small: int) -> dict[str, str]:
    hits = events(target)
    hidden = {}
    for name, rows in masks.items():
        cells = {"rows": int(rows.sum()), "units": len(np.unique(codes[rows]))}
        if hits is not None:
            cells |= {"events": int(hits[rows].sum()), "rows without event": int((~hits[rows]).sum())}
        few = [what for what, n in cells.items() if 0 < n < small]
        if few:
            hidden[name] = f"fewer than {small} {few[0]}"
    by_size = sorted((name for name in masks if name not in hidden), key=lambda name: int(masks[name].sum()))
    while hidden and by_size and (len(hidden) == 1 or sum(int(masks[k].sum()) for k in hidden) < small):
        hidden[by_size.pop(0)] = "hidden so that the totals do not give away another group"
    return hidden


def against_rest(
    target: Target,
    prediction: Prediction,
    rows: np.ndarray,
    groups: np.ndarray | None,
    rng: np.random.Generator,
    *,
    n_boot: int = 500,
    threshold: float = 0.5,
) -> dict[str, dict[str, Any]]:
    """Metric of the rows (n,) bool minus the metric of all others, resampling units of the whole: metric →
    value, low, high, n.
    """
    rest = ~rows
    inside = scores.tables(target.take(rows), prediction.take(rows), threshold)
    outside = scores.tables(target.take(rest), prediction.take(rest), threshold)
    weight = np.ones(len(target)) if target.weight is None else target.weight
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in inside}
    for block in intervals.bootstrap_weights(groups, len(target), n_boot, rng):
        block = block * weight
        for name in inside:
            drawn[name].append(
                np.asarray(inside[name](block[:, rows])) - np.asarray(outside[name](block[:, rest]))
            )
    out = {}
    for name in inside:
        value = float(inside[name](weight[rows])) - float(outside[name](weight[rest]))
        low, high = intervals.percentile(value, np.concatenate(drawn[name]))
        found = [float(v) if np.isfinite(v) else None for v in (value, low, high)]
        out[name] = {"value": found[0], "low": found[1], "high": found[2], "n": len(target)}
    return out
