"""How well a mask that a model drew agrees with a person's: overlap, distances between surfaces, and things one by one.

Distances are in mm by the scan's spacing, in pixels where it says none, and exact: a Euclidean distance transform of the surface, the
pixels of a mask that touch one outside of it by a face. Conventions where something is empty: a class that neither has marked is not counted
in that scan (n says how many scans were); where only one has, Dice, Jaccard and NSD are 0 and distances are the scan's diagonal, so that a
missed or an invented thing costs and is never left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from osler.evaluation.intervals import bootstrap_weights, percentile, replicates_for
from osler.scenes import Asked, Drawing

#: Overlaps (IoU) above which a thing counts as found, as in the 2018 challenge on nuclei (Caicedo and others, Nature Methods 2019;16:1247-1253).
OVERLAPS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
#: Measures of a class, in the order of reports.
OF_CLASSES = ("dice", "jaccard", "hd95", "asd", "nsd")
#: Measures of things one by one.
OF_THINGS = ("ap", "ap_50", "f1_50", "dice", "jaccard")


class Masks:
    """The judge of segmentations (`osler.tasks.drawn.Judge`)."""

    primary = "dice"
    bigger_is_better = True

    def record(
        self, truth: Drawing, answer: Drawing, spacing: np.ndarray, asked: Asked, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Measures of one scan; of classes `NAME` (mean) and `NAME[CLASS]`, None where a class is in neither mask.

        Args:
            spacing: mm per axis in the order of the array, NaN where unknown.
            options: of the target's column; `tolerance` (mm) is that of nsd.
        """
        if asked.instances:
            return things(truth.labels, answer.labels)
        found: dict[str, Any] = {}
        tolerance = float(options.get("tolerance", 1.0))
        each = [agreement(truth.labels == k, answer.labels == k, spacing, tolerance) for k in range(1, len(asked.classes))]
        for name in OF_CLASSES:
            values = np.array([one[name] for one in each])
            found[name] = _plain(values[np.isfinite(values)].mean() if np.isfinite(values).any() else np.nan)
            if len(each) > 1:
                found |= {f"{name}[{label}]": _plain(v) for label, v in zip(asked.classes[1:], values)}
        return found

    def score(
        self, records: Sequence[Mapping[str, Any]], groups: np.ndarray, asked: Asked, rng: np.random.Generator, n_boot: int
    ) -> dict[str, dict[str, Any]]:
        """Means over scans; of things the challenge's precision (mean over scans) and F1 of all things together. Intervals by units."""
        n = len(records)
        boot = replicates_for(n, n_boot)
        weights = np.concatenate(list(bootstrap_weights(groups, n, boot, rng))) if n else np.empty((0, 0))
        names = [k for k in dict.fromkeys(k for r in records for k in r) if not isinstance(records[0].get(k), list)]
        scored = {}
        for name in names:
            if name in ("things", "drawn"):
                continue
            values = np.array([np.nan if r.get(name) is None else r[name] for r in records], dtype=np.float64)
            counted = np.isfinite(values)
            scored[name] = _entry(np.where(counted, values, 0.0), counted.astype(np.float64), weights, int(counted.sum()))
        if asked.instances and n:
            hits = np.array([r["hits"][0] for r in records], dtype=np.float64)
            sizes = np.array([r["things"] + r["drawn"] for r in records], dtype=np.float64)
            scored["f1_50"] = _entry(2 * hits, sizes, weights, n)
        return scored

    def curves(self, records: Sequence[Mapping[str, Any]], asked: Asked) -> dict[str, Any]:
        """None: a mask has no threshold."""
        return {}


class Things(Masks):
    """The judge of segmentations of things one by one: models are chosen by how many are found, missed and invented."""

    primary = "ap_50"


def agreement(truth: np.ndarray, answer: np.ndarray, spacing: np.ndarray, tolerance: float = 1.0) -> dict[str, float]:
    """Dice, Jaccard, HD95, average surface distance and NSD of two masks of one class; NaN where both are empty.

    hd95 is the larger of both directed 95th percentiles; asd the mean over the surface pixels of both; nsd the share of the surface pixels of
    both that lie within `tolerance` of the other surface (Nikolov and others, 2018, arXiv:1809.04430, by pixels and not by area).

    Args:
        truth, answer: (y, x) or (z, y, x) bool.
        spacing: mm per axis in the same order; an axis of unknown spacing counts as 1.
    """
    step = np.where(np.isfinite(spacing), spacing, 1.0)
    n_true, n_answer, both = int(truth.sum()), int(answer.sum()), int((truth & answer).sum())
    if not n_true and not n_answer:
        return dict.fromkeys(OF_CLASSES, float("nan"))
    if not n_true or not n_answer:
        diagonal = float(np.linalg.norm(np.array(truth.shape) * step))
        return {"dice": 0.0, "jaccard": 0.0, "hd95": diagonal, "asd": diagonal, "nsd": 0.0}
    there, back = surface_distances(truth, answer, step)
    together = np.concatenate([there, back])
    return {
        "dice": 2.0 * both / (n_true + n_answer), "jaccard": both / (n_true + n_answer - both),
        "hd95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "asd": float(together.mean()), "nsd": float((together <= tolerance + 1e-9).mean()),
    }  # fmt: skip


def surface_distances(first: np.ndarray, second: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances (mm) from every surface pixel of each mask to the nearest one of the other, neither of them empty."""
    from scipy.ndimage import binary_erosion, distance_transform_edt, find_objects

    box = find_objects((first | second).astype(np.uint8))[0]
    edges = [np.pad(m[box], 1) for m in (first, second)]
    edges = [m & ~binary_erosion(m) for m in edges]
    far = [distance_transform_edt(~m, sampling=spacing) for m in edges]
    return far[1][edges[0]], far[0][edges[1]]


def things(truth: np.ndarray, answer: np.ndarray) -> dict[str, Any]:
    """Measures of things one by one in one scan.

    A thing is found at an overlap t where its IoU with a drawn one is above t; from 0.5 on no thing can have two such partners. `ap_50` is
    found / (found + missed + invented) at 0.5, `ap` its mean over 0.5, 0.55, ... 0.95; `f1_50` counts at 0.5. dice and jaccard are of all
    things together against the background.

    Args:
        truth, answer: (y, x) or (z, y, x) integers, 0 background and every thing its own number.
    """
    overlap = overlaps(truth, answer)
    n_true, n_answer = overlap.shape
    hits = [int((overlap > t).sum()) for t in OVERLAPS]
    total = n_true + n_answer
    shares = [h / (total - h) if total else float("nan") for h in hits]
    area, both = int((truth > 0).sum()) + int((answer > 0).sum()), int(((truth > 0) & (answer > 0)).sum())
    values = {
        "ap": float(np.mean(shares)), "ap_50": shares[0], "f1_50": 2 * hits[0] / total if total else float("nan"),
        "dice": 2 * both / area if area else float("nan"), "jaccard": both / (area - both) if area else float("nan"),
    }  # fmt: skip
    return {**{k: _plain(v) for k, v in values.items()}, "things": n_true, "drawn": n_answer, "hits": hits}


def overlaps(truth: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """(things of truth, things of answer) intersection over union, in rising order of their numbers."""
    rows, first = np.unique(truth, return_inverse=True)
    columns, second = np.unique(answer, return_inverse=True)
    shared = np.bincount(first.ravel() * len(columns) + second.ravel(), minlength=len(rows) * len(columns))
    shared = shared.reshape(len(rows), len(columns)).astype(np.float64)
    union = shared.sum(axis=1)[:, None] + shared.sum(axis=0)[None, :] - shared
    return (shared / np.maximum(union, 1))[rows > 0][:, columns > 0]


def _entry(above: np.ndarray, below: np.ndarray, weights: np.ndarray, n: int) -> dict[str, Any]:
    """A ratio of sums over scans with its percentile interval; None where nothing is counted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(above.sum() / below.sum()) if below.sum() else float("nan")
        drawn = (weights @ above) / (weights @ below) if len(weights) else np.empty(0)
    low, high = percentile(value, drawn) if len(drawn) else (float("nan"), float("nan"))
    return {"value": _plain(value), "low": _plain(low), "high": _plain(high), "n": n}


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


__all__ = ["OF_CLASSES", "OF_THINGS", "OVERLAPS", "Masks", "Things", "agreement", "overlaps", "surface_distances", "things"]
