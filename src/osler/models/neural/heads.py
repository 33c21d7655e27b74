"""From logits to answers, and the losses that teach them.

binary, multiclass   softmax, cross-entropy
multilabel           a sigmoid per label; labels that were not assessed (NaN) count for nothing
regression           the mean, in standard deviations of the training rows; squared error or Huber's loss; with
                     `uncertainty` more outputs that say how far values lie from it (see `spreads`)
survival             discrete-time hazards on quantiles of the event times (Gensheimer and Narasimhan 2019,
                         PeerJ 7:e6257)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from osler.errors import OptionError
from osler.models.neural import spreads
from osler.tasks.base import Prediction, Target


@dataclass(frozen=True)
class Head:
    """What the last layer of a network means.

    Attributes:
        kind: a task kind of `osler.tasks.base.KINDS`.
        n_outputs: logits per row.
        bias: the logits that answer the training shares; the last layer starts from them.
        class_weight: weight of each class (or of each label's positives) in the loss; taken back out of the
            probabilities in `answer`, so that they stay probabilities of the training population.
        center: mean of a regression target.
        spread: standard deviation of a regression target.
        huber: where Huber's loss turns linear, in standard deviations; 0 for squared error.
        times: right ends of the survival intervals, increasing.
        mean_weight: mean case weight of the training rows.
        uncertainty: of a regression: `none`, `quantile` or `evidential`.
        smoothing: share of every class label that is spread evenly over all classes in the loss.
    """

    kind: str
    n_outputs: int
    bias: tuple[float, ...]
    class_weight: tuple[float, ...] = ()
    center: float = 0.0
    spread: float = 1.0
    huber: float = 0.0
    times: tuple[float, ...] = ()
    mean_weight: float = 1.0
    uncertainty: str = "none"
    smoothing: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Head:
        """The inverse of `to_json`."""
        return Head(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})

    def target_tensors(self, target: Target, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """What `loss` compares with: `y`, `weight` (n,), and for survival `alive` and `died`, each (n, t)."""
        weight = np.ones(len(target)) if target.weight is None else target.weight / self.mean_weight
        found = {"weight": weight.astype(np.float32)}
        if self.kind in ("binary", "multiclass"):
            found["y"] = target.y.astype(np.int64)
        elif self.kind == "multilabel":
            found["y"] = target.y.astype(np.float32)
        elif self.kind == "regression":
            found["y"] = ((target.y - self.center) / self.spread).astype(np.float32)
        else:
            found["alive"], found["died"] = at_risk(target.y, target.event, np.array(self.times))
        return {k: torch.from_numpy(v).to(device) for k, v in found.items()}

    def loss(self, logits: Tensor, target: dict[str, Tensor]) -> Tensor:
        """(n, k) logits and n targets → (n,) loss per row, case weights included."""
        logits = logits.float()
        if self.kind in ("binary", "multiclass"):
            weight = torch.tensor(self.class_weight, device=logits.device) if self.class_weight else None
            rows = F.cross_entropy(
                logits, target["y"], weight=weight, reduction="none", label_smoothing=self.smoothing
            )
        elif self.kind == "multilabel":
            rows = self._label_loss(logits, target["y"])
        elif self.kind == "regression":
            rows = self._number_loss(logits, target["y"])
        else:
            rows = (target["alive"] * F.softplus(logits) + target["died"] * F.softplus(-logits)).sum(dim=1)
        return rows * target["weight"]

    def _number_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        if self.uncertainty == "evidential":
            return spreads.evidential_loss(logits, y)
        error = logits[:, 0] - y
        if self.huber:
            rows = F.huber_loss(error, torch.zeros_like(error), reduction="none", delta=self.huber)
        else:
            rows = error**2
        return rows + spreads.quantile_loss(logits, y) if self.uncertainty == "quantile" else rows

    def _label_loss(self, logits: Tensor, y: Tensor) -> Tensor:
        known = ~torch.isnan(y)
        y = torch.where(known, y, torch.zeros_like(y))
        weight = torch.tensor(self.class_weight, device=logits.device) if self.class_weight else None
        each = F.binary_cross_entropy_with_logits(logits, y, pos_weight=weight, reduction="none")
        return (each * known).sum(dim=1) / y.shape[1]

    def answer(self, logits: np.ndarray) -> Prediction:
        """(n, k) logits of one network → its prediction, in float64."""
        logits = logits.astype(np.float64)
        if self.kind == "regression":
            find = spreads.SPREADS.get(self.uncertainty)
            spread = None if find is None else self.spread * find(logits)
            return Prediction(self.center + self.spread * logits[:, :1], spread=spread)
        if self.class_weight:
            logits = logits - np.log(self.class_weight)
        if self.kind in ("binary", "multiclass"):
            shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
            return Prediction(shifted / shifted.sum(axis=1, keepdims=True))
        if self.kind == "multilabel":
            return Prediction(0.5 * (1.0 + np.tanh(0.5 * logits)))
        log_alive = -np.logaddexp(0.0, logits)
        return Prediction(np.exp(np.cumsum(log_alive, axis=1)), np.array(self.times))


def at_risk(durations: np.ndarray, event: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which intervals each row was seen to outlive, and in which it died.

    Interval j ends at `times[j]`. A censored row counts as having outlived an interval if it was seen for at least half
    of it (Gensheimer and Narasimhan 2019, equation 3); a row with an event after the last time outlived them all.

    Returns:
        alive: (n, t) float32, 1 where the row outlived the interval.
        died: (n, t) float32, 1 where its event lies in the interval.
    """
    starts = np.concatenate([[0.0], times[:-1]])
    middle = 0.5 * (starts + times)
    durations = durations[:, None]
    died = event[:, None] & (durations <= times) & (durations > starts)
    died[:, 0] |= event & (durations[:, 0] <= times[0])
    alive = np.where(event[:, None], durations > times, durations >= middle)
    return alive.astype(np.float32), died.astype(np.float32)


def head_of(target: Target, class_weight: str, huber: float, intervals: int, uncertainty: str = "none") -> Head:
    """The head for a target, with everything learnt from these training rows.

    Args:
        class_weight: `none` or `balanced` (classes, or each label's positives and negatives, weigh the same in total).
        huber: Huber's threshold in standard deviations, 0 for squared error (regression).
        intervals: most survival intervals.
        uncertainty: `none`, `quantile` or `evidential` (regression only).

    Raises:
        OptionError: `class_weight` is neither, or a spread is asked of a target that is no number.
    """
    if class_weight not in ("none", "balanced"):
        raise OptionError(f"class_weight must be 'none' or 'balanced', was '{class_weight}'")
    if uncertainty != "none" and target.kind != "regression":
        raise OptionError(
            f"option 'uncertainty' of a network is for a target that is a number, this one is {target.kind}, whose "
            "probabilities say how sure the network is: leave it out"
        )
    weight = np.ones(len(target)) if target.weight is None else target.weight.astype(np.float64)
    mean_weight = float(weight.mean()) or 1.0
    balanced = class_weight == "balanced"
    make = {
        "binary": _class_head, "multiclass": _class_head, "multilabel": _label_head,
    }  # fmt: skip
    if target.kind in make:
        return make[target.kind](target, weight, mean_weight, balanced)
    if target.kind == "regression":
        center = float(np.average(target.y, weights=weight))
        spread = float(np.sqrt(np.average((target.y - center) ** 2, weights=weight))) or 1.0
        bias = spreads.BIAS[uncertainty]
        return Head(
            "regression", len(bias), bias, center=center, spread=spread, huber=huber, mean_weight=mean_weight,
            uncertainty=uncertainty,
        )  # fmt: skip
    return _survival_head(target, weight, mean_weight, intervals)


def _class_head(target: Target, weight: np.ndarray, mean_weight: float, balanced: bool) -> Head:
    k = len(target.classes)
    counts = np.bincount(target.y, weights=weight, minlength=k) + 0.5
    balance = counts.sum() / (k * counts)
    bias = np.zeros(k) if balanced else np.log(counts / counts.sum())
    return Head(target.kind, k, _floats(bias), _floats(balance) if balanced else (), mean_weight=mean_weight)


def _label_head(target: Target, weight: np.ndarray, mean_weight: float, balanced: bool) -> Head:
    known = ~np.isnan(target.y)
    y = np.where(known, target.y, 0.0)
    positive = (y * weight[:, None]).sum(axis=0) + 0.5
    negative = ((known - y) * weight[:, None]).sum(axis=0) + 0.5
    bias = np.zeros(len(positive)) if balanced else np.log(positive / negative)
    return Head(
        "multilabel",
        len(positive),
        _floats(bias),
        _floats(negative / positive) if balanced else (),
        mean_weight=mean_weight,
    )


def _survival_head(target: Target, weight: np.ndarray, mean_weight: float, intervals: int) -> Head:
    events = target.y[target.event]
    ends = (
        np.quantile(events, np.linspace(0.0, 1.0, intervals + 1)[1:], method="inverted_cdf")
        if len(events)
        else target.y.max(initial=1.0)
    )
    ends = np.atleast_1d(ends)
    if target.horizon is not None:
        ends = np.append(ends, target.horizon)
    times = np.unique(ends[ends > 0]) if (ends > 0).any() else np.ones(1)
    alive, died = at_risk(target.y, target.event, times)
    lived, dead = (alive * weight[:, None]).sum(axis=0) + 0.5, (died * weight[:, None]).sum(axis=0) + 0.1
    return Head("survival", len(times), _floats(np.log(dead / lived)), times=_floats(times), mean_weight=mean_weight)


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
