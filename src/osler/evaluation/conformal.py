"""Sets and intervals that hold the truth as often as they say, whatever the model: split, CV+ and Mondrian
conformal prediction.

The promise is marginal: 90 % of new rows like those of calibration, on average. `by` (Mondrian) makes it hold
within each group or class, at the price of wider answers where a group is small; a group too small for the
level gets the whole set or an infinite interval, never a false promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from osler.errors import OptionError


def quantile(scores: np.ndarray, level: float) -> float:
    """The conformal quantile: the ceil((n + 1) level)-th smallest score, infinite if there are too few.

    Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei et al., JASA
    2018;113:1094-1111.
    """
    n = len(scores)
    rank = int(np.ceil((n + 1) * level - 1e-9))
    return float(np.partition(scores, rank - 1)[rank - 1]) if 1 <= rank <= n else float("inf")


def lac(p: np.ndarray) -> np.ndarray:
    """(n, k) non-conformity of each class: 1 - probability (Sadinle, Lei and Wasserman, JASA
    2019;114:223-234).
    """
    return 1.0 - p


def aps(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n, k) adaptive scores: probability mass of likelier classes plus a random part of the class's own.

    Source: Romano, Sesia and Candes, NeurIPS 2020. Sets adapt to the row's difficulty; the random part makes
    coverage exact.
    """
    order = np.argsort(-p, axis=1, kind="stable")
    mass = np.cumsum(np.take_along_axis(p, order, axis=1), axis=1)
    above = np.empty_like(p)
    np.put_along_axis(above, order, mass - np.take_along_axis(p, order, axis=1), axis=1)
    return above + rng.random((len(p), 1)) * p


@dataclass(frozen=True)
class Conformal:
    """What calibration rows taught: the quantile, per group or class where asked.

    Attributes:
        kind: `classes` or `number`.
        method: `lac`, `aps`, `residual` or `normalised`.
        level: wanted coverage, 0 to 1.
        by: `` (one quantile), `group` or `class`.
        quantiles: group or class code (as text; "" for all) → quantile of the non-conformity scores.
        n: calibration rows per key of `quantiles`.
    """

    kind: str
    method: str
    level: float
    by: str = ""
    quantiles: Mapping[str, float] = field(default_factory=dict)
    n: Mapping[str, int] = field(default_factory=dict)

    def sets(
        self, p: np.ndarray, groups: np.ndarray | None = None, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """(n, k) bool: the classes that cannot be ruled out; p (n, k). `aps` needs a generator, `by="group"`
        needs groups (n,).
        """
        scores = aps(p, _need(rng)) if self.method == "aps" else lac(p)
        if self.by == "class":
            limit = np.array([[self._limit(str(c)) for c in range(p.shape[1])]])
        else:
            limit = self._limits(len(p), groups)[:, None]
        return scores <= limit + 1e-12

    def interval(
        self, prediction: np.ndarray, groups: np.ndarray | None = None, scale: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends (n,) around predicted numbers (n,); `scale` (n,) as given to `fit_number`."""
        half = self._limits(len(prediction), groups) * (1.0 if scale is None else np.maximum(scale, 1e-12))
        return prediction - half, prediction + half

    def _limit(self, key: str) -> float:
        return self.quantiles.get(key, float("inf"))

    def _limits(self, n: int, groups: np.ndarray | None) -> np.ndarray:
        if self.by != "group":
            return np.full(n, self._limit(""))
        if groups is None:
            raise OptionError("conformal answers by group need the group of every row, none was given")
        return np.array([self._limit(str(g)) for g in groups])

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values; an infinite quantile is None."""
        finite = {k: v if np.isfinite(v) else None for k, v in self.quantiles.items()}
        return {
            "kind": self.kind,
            "method": self.method,
            "level": self.level,
            "by": self.by,
            "quantiles": finite,
            "n": dict(self.n),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Conformal:
        """The inverse of `to_json`."""
        quantiles = {k: float("inf") if v is None else float(v) for k, v in data["quantiles"].items()}
        return cls(data["kind"], data["method"], data["level"], data["by"], quantiles, dict(data["n"]))


def fit_classes(
    p: np.ndarray,
    y: np.ndarray,
    level: float = 0.9,
    *,
    method: str = "lac",
    by: str = "",
    groups: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> Conformal:
    """Calibrate prediction sets on rows that the model had not seen (split conformal; out-of-fold rows give
    cross-conformal).

    Args:
        p: (n, k) class probabilities.
        y: (n,) class codes.
        level: wanted coverage.
        method: `lac` (smallest sets on average) or `aps` (sets adapt to difficulty; needs `rng`).
        by: `` | `group` | `class`.
        groups: (n,) group of every row, for `by="group"`.
        rng: for `aps`.

    Raises:
        OptionError: an option has a value it cannot have.
    """
    _check(level, method, ("lac", "aps"), by)
    scores = (aps(p, _need(rng)) if method == "aps" else lac(p))[np.arange(len(y)), y]
    keys = {"": None, "class": np.asarray(y), "group": groups}[by]
    return Conformal("classes", method, level, by, *_quantiles(scores, level, by, keys))


def fit_number(
    prediction: np.ndarray,
    y: np.ndarray,
    level: float = 0.9,
    *,
    by: str = "",
    groups: np.ndarray | None = None,
    scale: np.ndarray | None = None,
) -> Conformal:
    """Calibrate prediction intervals: absolute residuals, divided by `scale` (n,) (an expected error per row)
    if given.

    Raises:
        OptionError: an option has a value it cannot have.
    """
    _check(level, "residual", ("residual",), by)
    if by == "class":
        raise OptionError("conformal intervals of a number can be by group, not by class")
    scores = np.abs(y - prediction) / (1.0 if scale is None else np.maximum(scale, 1e-12))
    method = "residual" if scale is None else "normalised"
    return Conformal("number", method, level, by, *_quantiles(scores, level, by, groups))


def _quantiles(
    scores: np.ndarray, level: float, by: str, keys: np.ndarray | None
) -> tuple[dict[str, float], dict[str, int]]:
    if not by:
        return {"": quantile(scores, level)}, {"": len(scores)}
    if keys is None:
        raise OptionError(f"conformal calibration by {by} needs the {by} of every row, none was given")
    rows = {str(k): keys == k for k in np.unique(keys)}
    return {k: quantile(scores[m], level) for k, m in rows.items()}, {
        k: int(m.sum()) for k, m in rows.items()
    }


def _check(level: float, method: str, methods: tuple[str, ...], by: str) -> None:
    if not 0 < level < 1:
        raise OptionError(f"wanted coverage must lie between 0 and 1, was {level}: for example 0.9")
    if method not in methods:
        raise OptionError(f"conformal method must be one of {', '.join(methods)}, was '{method}'")
    if by not in ("", "group", "class"):
        raise OptionError(f"conformal calibration must be by '', 'group' or 'class', was '{by}'")


def _need(rng: np.random.Generator | None) -> np.random.Generator:
    if rng is None:
        raise OptionError("adaptive prediction sets (aps) need a random generator, none was given")
    return rng


# -- CV+ -----------------------------------------------------------------------------------------------------
# ----------


def cv_plus_interval(
    residual: np.ndarray, fold: np.ndarray, predictions: np.ndarray, level: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """CV+ intervals: lower and upper ends (m,) for m new rows, no data set aside.

    Args:
        residual: (n,) absolute out-of-fold residuals of the training rows.
        fold: (n,) fold of each, 0 ... K - 1.
        predictions: (m, K) the new rows as predicted by the model that left out each fold.
        level: wanted coverage (guaranteed 2 level - 1, in practice close to level).

    Source: Barber, Candes, Ramdas and Tibshirani, Annals of Statistics 2021;49:486-507, section 3 (with K =
    n: jackknife+).
    """
    n = len(residual)
    low, high = predictions[:, fold] - residual, predictions[:, fold] + residual
    rank = int(np.ceil(level * (n + 1) - 1e-9))
    if rank > n:
        return np.full(len(predictions), -np.inf), np.full(len(predictions), np.inf)
    upper = np.partition(high, rank - 1, axis=1)[:, rank - 1]
    lower = -np.partition(-low, rank - 1, axis=1)[:, rank - 1]
    return lower, upper


def cv_plus_sets(
    scores: np.ndarray, fold: np.ndarray, predictions: np.ndarray, level: float = 0.9
) -> np.ndarray:
    """(m, k) bool: CV+ prediction sets with scores 1 - probability.

    Args:
        scores: (n,) out-of-fold score of each training row's true class.
        fold: (n,) fold of each, 0 ... K - 1.
        predictions: (m, K, k) class probabilities of the new rows by the model that left out each fold.
        level: wanted coverage.

    Source: Romano, Sesia and Candes, NeurIPS 2020, section 2.3: a class stays while fewer than level (n + 1)
    scores lie below its.
    """
    n = len(scores)
    below = np.zeros((predictions.shape[0], predictions.shape[2]))
    for k in range(predictions.shape[1]):
        sorted_scores = np.sort(scores[fold == k])
        below += np.searchsorted(sorted_scores, lac(predictions[:, k]) - 1e-12, side="left")
    return below < level * (n + 1)


def coverage(hit: np.ndarray, groups: np.ndarray | None = None) -> dict[str, float | int | None]:
    """Share of rows whose set or interval held the truth, with Wilson's interval (hit (n,) bool)."""
    from osler.evaluation.confusion import share

    return share(np.asarray(hit, dtype=bool), np.arange(len(hit)) if groups is None else groups)
