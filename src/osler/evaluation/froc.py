"""How well things are found in scans: free-response curves and average precision, with intervals over independent units.

A found box is a hit of a thing of its class by one of two rules:

    overlap   intersection over union of at least a share; the surest box takes the thing that it overlaps most, any other box on
              the same thing is false (COCO; Pascal VOC differs in that a box only ever asks for the thing it overlaps most)
    centre    its centre lies in the ellipsoid that fills the thing's box; any other box there counts for nothing (LUNA16, Setio et al. 2017)

Curves walk down the boxes of all scans by how sure they are; equally sure boxes are counted together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from osler.evaluation.intervals import bootstrap_weights, percentile
from osler.scenes import Asked, Boxes, Drawing

#: False boxes per scan at which sensitivity is told (Setio et al. 2017); CPM is the mean of these sensitivities.
RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: Overlaps over which COCO averages.
OVERLAPS = tuple(np.arange(50, 100, 5) / 100)
#: Most boxes of a class per scan that count, the surest (COCO).
MOST = 100
RULES = ("overlap", "centre")
#: What a box is: a hit, false, or nothing that counts.
HIT, FALSE, NEITHER = 1, 0, -1
REPLICATES = 1000


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(m, n) intersection over union of boxes (m, 2d) and (n, 2d); 0 where both are empty."""
    dims = a.shape[1] // 2
    low = np.maximum(a[:, None, :dims], b[None, :, :dims])
    high = np.minimum(a[:, None, dims:], b[None, :, dims:])
    inner = np.clip(high - low, 0, None).prod(axis=2)
    size = lambda x: np.clip(x[:, dims:] - x[:, :dims], 0, None).prod(axis=1)  # noqa: E731
    union = size(a)[:, None] + size(b)[None] - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def centre_inside(found: np.ndarray, things: np.ndarray) -> np.ndarray:
    """(m, n) 1 in the middle of a thing's box, falling to 0 at the ellipsoid that fills it, and 0 beyond: how near each found box's centre is."""
    dims = found.shape[1] // 2
    middle = 0.5 * (found[:, :dims] + found[:, dims:])
    at, half = 0.5 * (things[:, :dims] + things[:, dims:]), 0.5 * (things[:, dims:] - things[:, :dims])
    far = np.sqrt((((middle[:, None] - at[None]) / np.maximum(half[None], 1e-12)) ** 2).sum(axis=2))
    return np.clip(1 - far, 0, None) + (far <= 1) * 1e-12


@dataclass(frozen=True)
class Rule:
    """When a found box is a hit.

    Attributes:
        name: one of `RULES`.
        least: overlap that a hit needs.
    """

    name: str = "overlap"
    least: float = 0.5

    def outcome(self, found: np.ndarray, things: np.ndarray) -> np.ndarray:
        """(m,) `HIT`, `FALSE` or `NEITHER` of found boxes of one scan and class, the surest first."""
        out = np.full(len(found), FALSE, dtype=np.int8)
        if not len(found) or not len(things):
            return out
        near = overlap(found, things) if self.name == "overlap" else centre_inside(found, things)
        fits = near >= self.least - 1e-12 if self.name == "overlap" else near > 0
        free = np.ones(len(things), dtype=bool)
        for i in range(len(found)):
            open_ = fits[i] & free
            if open_.any():
                free[np.where(open_, near[i], -1).argmax()] = False
                out[i] = HIT
            elif self.name == "centre" and fits[i].any():
                out[i] = NEITHER
        return out


@dataclass(frozen=True)
class Ranked:
    """All found boxes of n scans that count, the surest first.

    Attributes:
        scores: (m,); hits: (m,) bool; scan: (m,) number of the scan.
        things: (n,) how many there are to be found in each scan.
    """

    scores: np.ndarray
    hits: np.ndarray
    scan: np.ndarray
    things: np.ndarray

    @property
    def taken(self) -> np.ndarray:
        """(m,) bool, true at the last of equally sure boxes: a threshold takes all of them or none."""
        return np.append(self.scores[1:] != self.scores[:-1], True) if len(self.scores) else np.empty(0, bool)

    def counts(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """At each threshold, hits (b, t) and false boxes (b, t); things (b,) and scans (b,), scans counted `weights` (b, n) times."""
        weights = np.ones((1, len(self.things))) if weights is None else weights
        each = weights[:, self.scan]
        hits, false = np.cumsum(each * self.hits, axis=1), np.cumsum(each * ~self.hits, axis=1)
        return hits[:, self.taken], false[:, self.taken], weights @ self.things, weights.sum(axis=1)


def noted(found: Boxes, true: Boxes, n_classes: int, rule: Rule) -> dict[str, list[Any]]:
    """What came of one scan, as JSON: per class `things` (how many there are), `scores` of the found boxes, the surest first, and their outcomes
    by the rule (`hits`) and by each of `OVERLAPS` (`hits_at`).
    """
    note: dict[str, list[Any]] = {"things": [], "scores": [], "hits": [], "hits_at": []}
    for code in range(n_classes):
        mine, asked = found.take(found.codes == code), true.corners[true.codes == code]
        mine = mine.take(np.argsort(-mine.scores, kind="stable")[:MOST])
        note["things"].append(len(asked))
        note["scores"].append(mine.scores.tolist())
        note["hits"].append(rule.outcome(mine.corners, asked).tolist())
        note["hits_at"].append([Rule(least=least).outcome(mine.corners, asked).tolist() for least in OVERLAPS])
    return note


def ranked(notes: Sequence[Mapping[str, list[Any]]], codes: Sequence[int], at: int | None = None) -> Ranked:
    """The found boxes of some classes in n scans; outcomes by the rule of the notes, or by the overlap `OVERLAPS[at]`."""
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = [(np.empty(0), np.empty(0, bool), np.empty(0, np.int64))]
    things = np.zeros(len(notes))
    for number, note in enumerate(notes):
        for code in codes:
            out = np.array(note["hits"][code] if at is None else note["hits_at"][code][at], dtype=np.int8)
            counted = out != NEITHER
            parts.append((np.array(note["scores"][code], dtype=np.float64)[counted], out[counted] == HIT, np.full(int(counted.sum()), number)))
            things[number] += note["things"][code]
    scores, hits, scan = (np.concatenate(p) for p in zip(*parts))
    order = np.argsort(-scores, kind="stable")
    return Ranked(scores[order], hits[order], scan[order].astype(np.int64), things)


def average_precision(of: Ranked, weights: np.ndarray | None = None, way: str = "coco") -> np.ndarray:
    """(b,) area under precision over recall, precision at a recall being the best at that recall or beyond; NaN where nothing is to be found.

    Args:
        weights: (b, n) how often each scan counts.
        way: "coco" (mean over the recalls 0, 0.01, ..., 1; Lin et al. 2014) or "voc" (the exact area; Everingham et al. 2010 as of 2010).
    """
    hits, false, things, _ = of.counts(weights)
    recall = hits / np.maximum(things, 1e-12)[:, None]
    precision = hits / np.maximum(hits + false, 1e-12)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    if way == "voc":
        area = (np.diff(recall, axis=1, prepend=0.0) * best).sum(axis=1)
    else:
        at = np.linspace(0, 1, 101)
        area = np.array([_at(r, b, at).mean() for r, b in zip(recall, best)])
    return np.where(things > 0, area, np.nan)


def _at(recall: np.ndarray, best: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Best precision at or beyond each recall, 0 where it is never reached."""
    place = np.searchsorted(recall, at - 1e-12, side="left")
    return np.append(best, 0.0)[place]


def sensitivities(of: Ranked, rates: Sequence[float] = RATES, weights: np.ndarray | None = None) -> np.ndarray:
    """(b, r) share of things found by the lowest threshold that gives at most so many false boxes per scan; nothing is interpolated."""
    hits, false, things, scans = of.counts(weights)
    share = hits / np.maximum(things, 1e-12)[:, None]
    per_scan = false / np.maximum(scans, 1e-12)[:, None]
    found = np.stack([np.where(per_scan <= rate + 1e-12, share, 0.0).max(axis=1, initial=0.0) for rate in rates], axis=1)
    return np.where((things > 0)[:, None], found, np.nan)


def curve(of: Ranked) -> dict[str, list[float]]:
    """The free-response curve: false boxes per scan, sensitivity and the score that gives them, at every threshold."""
    hits, false, things, scans = of.counts()
    share, rate = hits[0] / max(things[0], 1e-12), false[0] / max(scans[0], 1e-12)
    return {"false_per_scan": rate.tolist(), "sensitivity": share.tolist(), "score": of.scores[of.taken].tolist()}


def scores(
    notes: Sequence[Mapping[str, list[Any]]], classes: Sequence[str], groups: np.ndarray, rng: np.random.Generator, n_boot: int = REPLICATES
) -> dict[str, dict[str, Any]]:
    """Metric → value, low, high (95 %, bootstrap of whole units) and n (things to be found).

    `map_50`: mean of the classes' average precision by the notes' rule (COCO's 101 recalls), and `map_50[CLASS]` of each where there are several;
    `map`: the mean over classes and overlaps of 0.50 to 0.95; `cpm` and `sensitivity_at_RATE`: all classes together.

    Args:
        notes: one per scan (`noted`).
        groups: (n,) unit of each scan.
    """
    n = len(notes)
    weights = np.concatenate(list(bootstrap_weights(groups, n, n_boot, rng))) if n else np.ones((0, 0))
    per_class = [ranked(notes, [code]) for code in range(len(classes))]
    rows: dict[str, tuple[float, np.ndarray, float]] = {}
    each = [(average_precision(r)[0], average_precision(r, weights)) for r in per_class]
    rows["map_50"] = _mean(each, sum(r.things.sum() for r in per_class))
    rows["map"] = _over_overlaps(notes, len(classes), weights)
    if len(classes) > 1:
        rows |= {f"map_50[{name}]": (v, w, r.things.sum()) for name, (v, w), r in zip(classes, each, per_class)}
    every = ranked(notes, range(len(classes)))
    value, drawn = sensitivities(every)[0], sensitivities(every, weights=weights)
    rows["cpm"] = (float(value.mean()), drawn.mean(axis=1), every.things.sum())
    for i, rate in enumerate(RATES):
        rows[f"sensitivity_at_{rate:g}"] = (float(value[i]), drawn[:, i], every.things.sum())
    return {name: _told(*row) for name, row in rows.items()}


def thinned(points: Mapping[str, list[float]], most: int = 200) -> dict[str, list[float]]:
    """The points of a curve at which the sensitivity rises, and its last one; `most` of them, spread evenly."""
    share = np.array(points["sensitivity"])
    if not len(share):
        return {k: [] for k in points}
    kept = np.unique(np.append(np.flatnonzero(np.diff(share, prepend=-1.0) > 0), len(share) - 1))
    kept = kept[np.unique(np.linspace(0, len(kept) - 1, min(most, len(kept))).round().astype(int))]
    return {k: np.round(np.array(v)[kept], 5).tolist() for k, v in points.items()}


def _over_overlaps(notes: Sequence[Mapping[str, list[Any]]], n_classes: int, weights: np.ndarray) -> tuple[float, np.ndarray, float]:
    """COCO's average precision: the mean over classes and overlaps; a fifth of the replicates is enough for a mean of so many."""
    each, things = [], 0.0
    few = weights[: max(1, len(weights) // 5)]
    for code in range(n_classes):
        for at in range(len(OVERLAPS)):
            one = ranked(notes, [code], at)
            each.append((average_precision(one)[0], average_precision(one, few)))
        things += one.things.sum()
    return _mean(each, things)


def _mean(each: Sequence[tuple[float, np.ndarray]], things: float) -> tuple[float, np.ndarray, float]:
    """The mean of what is known, in value and in every replicate."""
    values, drawn = np.array([v for v, _ in each]), np.stack([w for _, w in each])
    known = ~np.isnan(drawn)
    mean = np.where(known, drawn, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    value = float(values[~np.isnan(values)].mean()) if (~np.isnan(values)).any() else float("nan")
    return value, np.where(known.any(axis=0), mean, np.nan), things


def _told(value: float, drawn: np.ndarray, things: float) -> dict[str, Any]:
    low, high = percentile(float(value), drawn)
    plain = lambda x: float(x) if np.isfinite(x) else None  # noqa: E731
    return {"value": plain(value), "low": plain(low), "high": plain(high), "n": int(things)}


class FoundBoxes:
    """The judge of detections (`osler.tasks.drawn.Judge`)."""

    primary = "map_50"
    bigger_is_better = True

    def record(
        self, truth: Drawing, answer: Drawing, spacing: np.ndarray, asked: Asked, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What came of one scan: `noted`, its own `map_50`, and how many things and boxes there are. `options` `hit` and `least` say what a hit is."""
        rule = Rule(str(options.get("hit", "overlap")), float(options.get("least", 0.5)))
        note = noted(answer.boxes, truth.boxes, len(asked.classes), rule)
        each = [average_precision(ranked([note], [code]))[0] for code in range(len(asked.classes))]
        known = [float(v) for v in each if np.isfinite(v)]
        own = {"map_50": float(np.mean(known)) if known else None, "n_things": len(truth.boxes), "n_boxes": len(answer.boxes)}
        return own | note

    def score(
        self, records: Sequence[Mapping[str, Any]], groups: np.ndarray, asked: Asked, rng: np.random.Generator, n_boot: int
    ) -> dict[str, dict[str, Any]]:
        """`scores` of all scans together."""
        return scores(records, asked.classes, groups, rng, n_boot)

    def curves(self, records: Sequence[Mapping[str, Any]], asked: Asked) -> dict[str, Any]:
        """`found`: class ("all" of several together) → its free-response curve, thinned to the points where another thing is found."""
        named = {name: [code] for code, name in enumerate(asked.classes)}
        every = {"all": list(range(len(asked.classes)))} if len(asked.classes) > 1 else {}
        return {"found": {name: thinned(curve(ranked(records, codes))) for name, codes in (every | named).items()}}
