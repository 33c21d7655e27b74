"""Support vector machines with a radial kernel: fitted by scikit-learn, kept as support vectors and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.blocks import Block
from osler.models import solvers
from osler.models.base import Batches, Estimator, Params
from osler.models.design import Design
from osler.models.labels import case_weights, fit_per_label, inner_folds, predict_per_label, probabilities, sigmoid
from osler.tasks.base import Prediction

#: Support vectors times rows that are compared at once.
CHUNK = 4_000_000


@dataclass(frozen=True)
class SVMOptions:
    """Options of `svm`.

    Attributes:
        costs: values of C that are tried.
        widths: kernel widths that are tried, as multiples of 1 / (columns times their variance).
        folds: inner folds for that choice and for turning margins into probabilities.
        max_rows: at most about that many training rows are used (whole groups, drawn at random).
        weights: "none", or "balanced" for classes of equal total weight.
    """

    costs: tuple[float, ...] = (0.3, 1.0, 3.0)
    widths: tuple[float, ...] = (0.3, 1.0)
    folds: int = 5
    max_rows: int = 5000
    weights: str = "none"


class SVM(Estimator):
    """Support vector machine (Cortes and Vapnik 1995), one against the rest, with Platt's probabilities (2000) from
    held-out margins. Its params hold training rows (`meta["stores_rows"]`)."""

    name: ClassVar[str] = "svm"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = SVMOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "costs": ("choice", "0.3+1.0+3.0", "0.03+0.1+0.3", "3.0+10.0+30.0"), "widths": ("choice", "0.3+1.0", "0.1", "3.0"),
    }  # fmt: skip

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn design, kernel, machines and probabilities from training rows."""
        data = batches.all()
        if data.target.kind == "multilabel":
            return fit_per_label(data, rng, self.fit)
        design = Design.fit(data.blocks)
        folds = inner_folds(data, self.options.folds, rng, self.options.max_rows)
        used = np.flatnonzero(folds >= 0) if folds.max(initial=-1) >= 1 else np.arange(len(data))
        X, folds = design.matrix(data.take(used).blocks), folds[used]
        w = case_weights(data.target, self.options.weights)[used]
        classes = len(data.target.classes) if data.target.kind != "regression" else 0
        y = data.target.y[used]
        parts = {}
        for k in [1] if classes == 2 else range(classes) if classes else [0]:
            wanted = (y == k).astype(np.int64) if classes else y
            parts[str(k)] = self._machine(X, wanted, w, folds, bool(classes))
        meta, arrays = design.to_params()
        nested = Params.nest(parts)
        facts = {"design": meta, "classes": classes, "stores_rows": True, "rows_used": len(used)}
        return Params({**nested.meta, **facts}, {**arrays, **nested.arrays})

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class or label probabilities, or the mean."""
        if "labels" in params.meta:
            return predict_per_label(params, blocks, self.predict)
        X = Design.from_params(params).matrix(blocks)
        machines = [params.part(name) for name in params.meta["parts"]]
        out = np.column_stack([_respond(machine, X) for machine in machines])
        if params.meta["classes"] == 2:
            return probabilities(out[:, 0])
        return Prediction(out / out.sum(axis=1, keepdims=True) if params.meta["classes"] else out)

    def _machine(self, X: np.ndarray, y: np.ndarray, w: np.ndarray, folds: np.ndarray, is_class: bool) -> Params:
        """One machine: cost and width with the least held-out loss, then a fit on all rows."""
        if is_class and len(np.unique(y)) < 2:
            return Params({"constant": float(np.mean(y))})
        centre, spread = (0.0, 1.0) if is_class else (float(np.average(y, weights=w)), float(np.std(y)) or 1.0)
        z = y if is_class else (y - centre) / spread
        base = 1.0 / max(X.shape[1] * float(X.var()), 1e-12)
        best, platt = (np.inf, self.options.costs[0], base), np.array([-1.0, 0.0])
        for cost in self.options.costs if folds.max(initial=-1) >= 1 else ():
            for width in self.options.widths:
                margin = _held_out(X, z, w, folds, cost, width * base, is_class)
                line = solvers.platt_line(margin, z, w) if is_class else platt
                loss = _loss(margin, z, w, line if is_class else None)
                if loss < best[0]:
                    best, platt = (loss, cost, width * base), line
        fitted = _train(X, z, w, best[1], best[2], is_class)
        intercept = float(fitted.intercept_[0])
        meta = {"width": best[2], "cost": best[1], "intercept": intercept, "centre": centre, "spread": spread}
        if is_class:
            meta["platt"] = [float(v) for v in platt]
        return Params(meta, {"vectors": fitted.support_vectors_.copy(), "dual": fitted.dual_coef_[0].copy()})


def _train(X: np.ndarray, y: np.ndarray, w: np.ndarray, cost: float, width: float, is_class: bool) -> Any:
    from sklearn.svm import SVC, SVR

    cls = SVC if is_class else SVR
    model = cls(C=cost, gamma=width, cache_size=500)
    return model.fit(X, y, sample_weight=w)


def _held_out(
    X: np.ndarray, y: np.ndarray, w: np.ndarray, folds: np.ndarray, cost: float, width: float, is_class: bool
) -> np.ndarray:
    """(n,) margins (or numbers) of every row from machines that have not seen its group."""
    out = np.zeros(len(y))
    for fold in range(folds.max() + 1):
        held = folds == fold
        if is_class and len(np.unique(y[~held])) < 2:
            continue
        model = _train(X[~held], y[~held], w[~held], cost, width, is_class)
        out[held] = model.decision_function(X[held]) if is_class else model.predict(X[held])
    return out


def _loss(margin: np.ndarray, y: np.ndarray, w: np.ndarray, line: np.ndarray | None) -> float:
    if line is None:
        return float(w @ (y - margin) ** 2)
    eta = line[0] * margin + line[1]
    return float(w @ (np.logaddexp(0.0, eta) - y * eta))


def _respond(machine: Params, X: np.ndarray) -> np.ndarray:
    """(n,) probability or mean from one machine."""
    meta = machine.meta
    if "constant" in meta:
        return np.full(len(X), meta["constant"])
    vectors, dual = machine.arrays["vectors"], machine.arrays["dual"]
    own = (vectors**2).sum(axis=1)
    margin = np.empty(len(X))
    size = max(1, CHUNK // max(len(vectors), 1))
    for at in range(0, len(X), size):
        part = X[at : at + size]
        distance = (part**2).sum(axis=1)[:, None] + own - 2.0 * part @ vectors.T
        margin[at : at + size] = np.exp(-meta["width"] * np.maximum(distance, 0.0)) @ dual
    margin += meta["intercept"]
    if "platt" in meta:
        return sigmoid(meta["platt"][0] * margin + meta["platt"][1])
    return margin * meta["spread"] + meta["centre"]
