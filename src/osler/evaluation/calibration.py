"""Do predicted probabilities mean what they say: the calibration curve, its distances, and how to
recalibrate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from osler.errors import OptionError, nearest
from osler.evaluation import intervals, metrics

#: Ways to recalibrate, from the fewest to the most parameters.
RECALIBRATIONS = ("none", "intercept", "platt", "isotonic")

#: A smoothed curve is worked out from at most this many rows.
MOST_ROWS = 50_000


@dataclass(frozen=True)
class Smoother:
    """A local linear fit of an outcome on a prediction, ready to be refitted under other row weights.

    Attributes:
        at: (m,) increasing predictions where the curve is worked out.
        left: (n,) int64, position in `at` at or below each row's prediction.
        part: (n,) how far the row lies towards the next position, 0 to 1.
        kernel: (n, m) tricube weight of each row at each position.
        shift: (n, m) prediction minus position.
    """

    at: np.ndarray
    left: np.ndarray
    part: np.ndarray
    kernel: np.ndarray
    shift: np.ndarray

    @classmethod
    def of(cls, p: np.ndarray, span: float = 0.75, points: int = 60) -> Smoother:
        """Prepare for predictions p (n,): the nearest `span` of the rows count at each of up to `points`
        quantiles of p.

        Source: Cleveland, Journal of the American Statistical Association 1979;74:829-836 (degree 1, no
        robustness step).
        """
        at = np.unique(np.quantile(p, np.linspace(0, 1, points)))
        if len(at) == 1:
            at = np.array([at[0], at[0] + 1e-9])
        shift = p[:, None] - at[None, :]
        distance = np.abs(shift)
        k = max(2, min(len(p), int(np.ceil(span * len(p)))))
        width = np.partition(distance, k - 1, axis=0)[k - 1]
        width = np.maximum(width, 1e-6) * 1.0001
        kernel = np.clip(1 - (distance / width) ** 3, 0, None) ** 3
        left = np.clip(np.searchsorted(at, p, side="right") - 1, 0, len(at) - 2)
        part = np.clip((p - at[left]) / (at[left + 1] - at[left]), 0, 1)
        return cls(at, left, part, kernel, shift)

    def curve(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """(..., m) smoothed outcome at each position; weights (..., n)."""
        w = np.ones(len(y)) if weights is None else weights
        k0, k1, k2 = self.kernel, self.kernel * self.shift, self.kernel * self.shift**2
        s0, s1, s2 = w @ k0, w @ k1, w @ k2
        t0, t1 = w @ (k0 * y[:, None]), w @ (k1 * y[:, None])
        det = s0 * s2 - s1 * s1
        with np.errstate(divide="ignore", invalid="ignore"):
            line = (s2 * t0 - s1 * t1) / det
            flat = t0 / s0
        return np.where(det > 1e-10 * s0 * s2, line, flat)

    def rows(self, curve: np.ndarray) -> np.ndarray:
        """(..., n) the curve read off at every row's own prediction."""
        return curve[..., self.left] * (1 - self.part) + curve[..., self.left + 1] * self.part


def distances(
    y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None, smoother: Smoother | None = None
) -> dict[str, np.ndarray]:
    """ICI, E50, E90 and Emax: mean, median, 90th percentile and maximum of |smoothed outcome - probability|
    over rows.

    Shapes (...) for weights (..., n). Quantiles are over the rows of the sample, unweighted.
    Source: Austin and Steyerberg, Statistics in Medicine 2019;38:4051-4065.
    """
    smoother = smoother or Smoother.of(p)
    observed = smoother.rows(np.clip(smoother.curve(np.asarray(y, dtype=np.float64), weights), 0, 1))
    gap = np.abs(observed - p)
    w = np.ones(len(y)) if weights is None else weights
    ici = (gap * w).sum(axis=-1) / w.sum(axis=-1)
    e50, e90 = np.quantile(gap, [0.5, 0.9], axis=-1)
    return {"ici": ici, "e50": e50, "e90": e90, "emax": gap.max(axis=-1)}


def calibration(
    y: np.ndarray,
    p: np.ndarray,
    groups: np.ndarray | None,
    rng: np.random.Generator,
    n_boot: int = 200,
    bins: int = 10,
) -> dict[str, Any]:
    """Everything about the calibration of p (n,) for y (n,) of 0 and 1, as JSON values with 95 % intervals.

    Keys: `slope`, `intercept`, `observed_expected`, `brier`, `ece`, `ici`, `e50`, `e90`, `emax` (each value,
    low, high, n); `curve` (predicted, observed, low, high: the smoothed curve with a pointwise band); `bins`
    (predicted, observed, low, high, n). Beyond 50,000 rows a random 50,000 of them are used.
    """
    y = np.asarray(y, dtype=np.float64)
    codes = intervals.codes(groups, len(y))
    if len(y) > MOST_ROWS:
        kept = np.sort(rng.choice(len(y), MOST_ROWS, replace=False))
        y, p, codes = y[kept], p[kept], codes[kept]
    smoother = Smoother.of(p)
    lines = {
        "slope": metrics.calibration_slope, "intercept": metrics.calibration_intercept,
        "observed_expected": metrics.observed_expected, "brier": metrics.brier, "ece": metrics.ece,
    }  # fmt: skip
    drawn: dict[str, list[np.ndarray]] = {k: [] for k in (*lines, "ici", "e50", "e90", "emax")}
    curves = []
    for block in intervals.bootstrap_weights(codes, len(y), n_boot, rng):
        for name, metric in lines.items():
            drawn[name].append(metric(y, p, block))
        for name, value in distances(y, p, block, smoother).items():
            drawn[name].append(value)
        curves.append(np.clip(smoother.curve(y, block), 0, 1))
    values = {**{k: m(y, p) for k, m in lines.items()}, **distances(y, p, None, smoother)}
    far = ("ece", "ici", "e50", "e90", "emax")
    out: dict[str, Any] = {}
    for name, value in values.items():
        interval = intervals.centred if name in far else intervals.percentile
        low, high = interval(float(value), np.concatenate(drawn[name]))
        out[name] = {"value": _none(value), "low": _none(low), "high": _none(high), "n": len(y)}
    low, high = np.nanquantile(np.concatenate(curves), [0.025, 0.975], axis=0)
    observed = np.clip(smoother.curve(y), 0, 1)
    out["curve"] = {
        "predicted": smoother.at.tolist(),
        "observed": observed.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
    }
    out["bins"] = binned(y, p, codes, bins)
    return out


def binned(
    y: np.ndarray, p: np.ndarray, groups: np.ndarray | None = None, bins: int = 10
) -> list[dict[str, float]]:
    """Mean prediction and observed share in bins of equal mass, the share with Wilson's interval on the units
    of the bin.
    """
    member = metrics.mass_bins(p, bins).astype(bool)
    codes = intervals.codes(groups, len(y))
    out = []
    for column in range(member.shape[1]):
        rows = member[:, column]
        share = float(np.mean(y[rows]))
        low, high = intervals.wilson(share, len(np.unique(codes[rows])))
        out.append(
            {
                "predicted": float(np.mean(p[rows])),
                "observed": share,
                "low": low,
                "high": high,
                "n": int(rows.sum()),
            }
        )
    return out


@dataclass(frozen=True)
class Recalibration:
    """A monotone correction of a probability, learnt on rows that the model had not seen.

    Attributes:
        kind: one of `RECALIBRATIONS`.
        numbers: intercept: (a,); platt: (a, b) of logit p' = a + b logit p; isotonic: empty.
        x, y: isotonic: increasing predictions and their corrected values; between them the line.
    """

    kind: str
    numbers: tuple[float, ...] = ()
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = field(default=())

    def __call__(self, p: np.ndarray) -> np.ndarray:
        """Corrected probabilities, shape of p."""
        if self.kind == "none":
            return p
        if self.kind == "isotonic":
            return np.interp(p, self.x, self.y)
        a, b = (*self.numbers, 1.0)[:2]
        return 1.0 / (1.0 + np.exp(-(a + b * metrics.logit(p))))

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {"kind": self.kind, "numbers": list(self.numbers), "x": list(self.x), "y": list(self.y)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recalibration:
        """The inverse of `to_json`."""
        return cls(data["kind"], tuple(data["numbers"]), tuple(data["x"]), tuple(data["y"]))


def recalibrate(
    y: np.ndarray, p: np.ndarray, kind: str = "platt", weights: np.ndarray | None = None
) -> Recalibration:
    """Learn a correction from y (n,) of 0 and 1 and p (n,).

    `intercept` moves all log odds by one number (enough when only the share of events differs), `platt` also
    stretches them (logistic recalibration), `isotonic` fits any increasing step curve (needs about 1,000 rows
    not to overfit).
    Sources: Steyerberg, Clinical Prediction Models, 2019, chapter 20; Platt 1999; Zadrozny and Elkan, KDD
    2002.

    Raises:
        OptionError: the kind is unknown, or the rows do not determine the correction (one class, or perfectly
        separated).
    """
    if kind not in RECALIBRATIONS:
        raise OptionError(
            f"recalibration must be one that Osler knows, was '{kind}': {nearest(kind, RECALIBRATIONS)}"
        )
    if kind == "none":
        return Recalibration("none")
    if kind == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y, weights)
        return Recalibration(
            "isotonic", (), tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist())
        )
    if kind == "intercept":
        numbers = (float(metrics.calibration_intercept(y, p, weights)),)
    else:
        numbers = tuple(float(v) for v in metrics.recalibration_line(y, p, weights))
    if not np.isfinite(numbers).all():
        raise OptionError(
            f"recalibration '{kind}' needs rows of both classes that overlap, these do not: use more rows, "
            "or 'none'"
        )
    return Recalibration(kind, numbers)


def _none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
