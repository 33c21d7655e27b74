"""Gaussian processes: every training row answers, weighted by how alike it is (Rasmussen and Williams 2006).

One kernel is a sum: a line and a bend (Matern) over numbers and levels, and the MinMax kernel over each fingerprint's
counts. How much each counts, the bend's width and the noise are those that make the training targets most likely
(evidence), learnt on some of the rows. Classes are learnt as numbers, and held-out margins become probabilities by
Platt's line; what is held out comes from the same inverse as the fit, without fitting again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.blocks import Block
from osler.models import kernels, solvers
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.models.kernels import KernelDesign, Rows
from osler.models.labels import case_weights, fit_per_label, inner_folds, predict_per_label, probabilities, sigmoid
from osler.tasks.base import Prediction

#: Rows that are answered at once.
BLOCK = 1024
#: Kernels that weigh less than this share of all are left out.
LEAST = 0.01
#: Rows whose spread is known exactly: the others' is that of these rows, which is an upper bound.
PIVOTS = 800
#: Least noise, as a share of the targets' variance.
_FLOOR = 1e-4
#: How far, in natural logarithms, a weight may be expected from where the search begins.
_PRIOR = 2.0


@dataclass(frozen=True)
class GaussianProcessOptions:
    """Options of `gaussian_process`.

    Attributes:
        max_rows: at most about that many training rows are used (whole groups, drawn at random).
        learn_rows: rows on which the kernel is learnt.
        steps: most steps of that search.
        folds: inner folds for turning margins into probabilities.
        weights: "none", or "balanced" for classes of equal total weight.
    """

    max_rows: int = 4000
    learn_rows: int = 600
    steps: int = 50
    folds: int = 5
    weights: str = "none"


class GaussianProcess(Estimator):
    """Gaussian process. Its params hold training rows (`meta["stores_rows"]`)."""

    name: ClassVar[str] = "gaussian_process"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = GaussianProcessOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {}

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn design, kernel and weights of the training rows."""
        data = batches.all()
        if data.target.kind == "multilabel":
            return fit_per_label(data, rng, self.fit)
        rows = _Training.of(data, self.options, rng)
        process = rows.learn(rng.permutation(len(rows.data)), self.options)
        return rows.params(process, process.held_out(rows.folds))

    def fit_out_of_bag(self, batches: Batches, rng: np.random.Generator) -> tuple[Params, Prediction] | None:
        """As `Estimator.fit_out_of_bag`. The kernel is learnt twice, on rows of two halves of the groups; each group's rows are
        answered from all other groups' by the kernel of the half that it is not in. Where a half has too few rows to learn
        a kernel from, the one that is kept is learnt a third time, on rows of both.
        """
        data = batches.all()
        rows = _Training.of(data, self.options, rng)
        groups = np.unique(rows.data.groups, return_inverse=True)[1]
        half = (rng.permutation(int(groups.max()) + 1) % 2)[groups]
        if data.target.kind == "multilabel" or min(np.bincount(half, minlength=2)) < 2:
            return None
        order = rng.permutation(len(groups))
        first, second = (rows.learn(order[half[order] == k], self.options) for k in (0, 1))
        unseen = np.where(half[:, None] == 1, first.held_out(groups), second.held_out(groups))
        answer = unseen
        if rows.classes:
            lines = [_platt_lines(rows.data, unseen, half == k) for k in (0, 1)]
            answer = np.where(half[:, None] == 1, _chance(unseen, lines[0]), _chance(unseen, lines[1]))
        few = (half == 0).sum() < min(self.options.learn_rows, len(order))
        params = rows.params(rows.learn(order, self.options) if few else first, unseen)
        whole = np.empty((len(data), max(data.target.n_outputs, 1)))
        whole[rows.used] = _prediction(answer, rows.classes).value
        rest = np.setdiff1d(np.arange(len(data)), rows.used)
        if len(rest):
            whole[rest] = self.predict(params, data.take(rest).blocks).value
        return params, Prediction(whole)

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class or label probabilities, or the mean and its spread."""
        if "labels" in params.meta:
            return predict_per_label(params, blocks, self.predict)
        design = KernelDesign.from_params(params)
        rows, process = design.rows(blocks), _Process.from_params(params)
        train = Rows(params.arrays["numbers"], tuple(params.arrays[f"counts/{i}"] for i in range(len(design.families))))
        means, spreads = [], []
        for start in range(0, len(rows), BLOCK):
            part = rows.take(np.arange(start, min(start + BLOCK, len(rows))))
            bases = kernels.between(process.names, part, train)
            means.append(process.mean(bases))
            spreads.append(process.spread(bases, _of_self(process.names, part)))
        out = np.concatenate(means) if means else np.zeros((0, len(process.centre)))
        if params.meta["classes"]:
            return _prediction(_chance(out, params.arrays["platt"]), params.meta["classes"])
        return Prediction(out, spread=np.concatenate(spreads) if spreads else np.zeros(0))


@dataclass(frozen=True)
class _Training:
    """Training rows as the kernel sees them.

    Attributes:
        data: the rows that are used. used: their positions. folds: (n,) whole groups together; -1 if there are no folds.
        classes: 0 for a number. bases: (n, n) per kernel. weights: (n,) case weights.
    """

    data: Encoded
    used: np.ndarray
    folds: np.ndarray
    classes: int
    design: KernelDesign
    rows: Rows
    bases: list[np.ndarray]
    weights: np.ndarray

    @classmethod
    def of(cls, data: Encoded, options: GaussianProcessOptions, rng: np.random.Generator) -> _Training:
        """At most about `options.max_rows` of the rows."""
        folds = inner_folds(data, options.folds, rng, options.max_rows)
        used = np.flatnonzero(folds >= 0) if folds.max(initial=-1) >= 1 else np.arange(len(data))
        part = data.take(used)
        design = KernelDesign.fit(part.blocks)
        rows = design.rows(part.blocks)
        classes = len(data.target.classes) if data.target.kind != "regression" else 0
        bases = kernels.between(design.names, rows, rows)
        return cls(part, used, folds[used], classes, design, rows, bases, case_weights(part.target, options.weights))

    def learn(self, order: np.ndarray, options: GaussianProcessOptions) -> _Process:
        """A process whose kernel is learnt on the first of these rows."""
        some = order[: options.learn_rows]
        return _Process.learn(self.design.names, self.bases, _numbers(self.data), self.weights, some, options.steps)

    def params(self, process: _Process, unseen: np.ndarray | None) -> Params:
        """Everything that answers: `unseen` (n, c) are means of rows from others, for the probabilities of classes."""
        meta, arrays = self.design.to_params()
        facts = {"classes": self.classes, "stores_rows": True, "rows_used": len(self.rows), **process.meta()}
        arrays |= {f"counts/{i}": counts for i, counts in enumerate(self.rows.counts)}
        arrays |= process.arrays() | {"numbers": self.rows.numbers}
        if self.classes:
            arrays["platt"] = _platt_lines(self.data, unseen, np.ones(len(self.data), dtype=bool))
        return Params({**meta, **facts}, arrays)


def _of_self(names: tuple[str, ...], rows: Rows) -> list[np.ndarray]:
    """One (n,) array per kernel name: what `kernels.between` gives for a row and itself."""
    found = []
    if kernels.NUMBERS[0] in names:
        found = [(rows.numbers**2).mean(axis=1), np.zeros(len(rows))]
    return found + [(c.sum(axis=1) > 0).astype(np.float64) for c in rows.counts]


def _numbers(data: Encoded) -> np.ndarray:
    """(n, c) what is learnt: the number, or 1 and 0 for each class (the second of two)."""
    y = data.target.y
    if data.target.kind == "regression":
        return np.asarray(y, dtype=np.float64)[:, None]
    k = len(data.target.classes)
    return (np.asarray(y)[:, None] == ([1] if k == 2 else np.arange(k))).astype(np.float64)


def _platt_lines(data: Encoded, unseen: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """(c, 2) slope and constant per class, from means (n, c) of some rows (mask) that come from others; prior odds without."""
    wanted, w = _numbers(data)[rows], case_weights(data.target, "none")[rows]
    lines = []
    for k in range(wanted.shape[1]):
        y = wanted[:, k].astype(np.int64)
        if unseen is None or len(np.unique(y)) < 2:
            p = (float(w @ y) + 0.5) / (float(w.sum()) + 1.0)
            lines.append([0.0, float(np.log(p / (1 - p)))])
        else:
            lines.append(solvers.platt_line(unseen[rows, k], y, w))
    return np.array(lines)


def _chance(means: np.ndarray, lines: np.ndarray) -> np.ndarray:
    return sigmoid(means * lines[:, 0] + lines[:, 1])


def _prediction(value: np.ndarray, classes: int) -> Prediction:
    """From (n, c) numbers, the chance of the second of two classes, or of each of several before they sum to one."""
    if classes == 2:
        return probabilities(value[:, 0])
    return Prediction(value / value.sum(axis=1, keepdims=True) if classes else value)


@dataclass(frozen=True)
class _Process:
    """A learnt kernel and the weights of the training rows.

    Attributes:
        names: the kernels. theta: (kernels,) weights. width: of the bend. noise: variance, of a row of weight 1.
        centre, scale: (c,) of the targets. alpha: (n, c) weights of rows.
        pivots: (r,) rows that the spread is worked out from. factor: (r, r) Cholesky factor of their covariance.
        inverse, y: (n, n) and (n, c), only while learning.
    """

    names: tuple[str, ...]
    theta: np.ndarray
    width: float
    noise: float
    centre: np.ndarray
    scale: np.ndarray
    alpha: np.ndarray
    pivots: np.ndarray
    factor: np.ndarray
    inverse: np.ndarray | None = None
    y: np.ndarray | None = None

    @classmethod
    def learn(
        cls, names: tuple[str, ...], bases: list[np.ndarray], y: np.ndarray, w: np.ndarray, some: np.ndarray, steps: int
    ) -> _Process:
        """The kernel that makes the targets of `some` rows most likely, and weights of all rows.

        Args:
            names, bases: (n, n) per kernel. y: (n, c). w: (n,) case weights.
        """
        from scipy.linalg import cho_factor, cho_solve

        centre, scale = np.average(y, axis=0, weights=w), y.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        z, noise_of = (y - centre) / scale, 1.0 / np.maximum(w, 1e-3)
        log = _search(names, [b[np.ix_(some, some)] for b in bases], z[some], noise_of[some], steps)
        theta, width, noise = np.exp(log[:-2]), float(np.exp(log[-2])), float(np.exp(log[-1])) + _FLOOR
        theta[theta < LEAST * theta.sum()] = 0.0
        K = _sum(names, bases, theta, width)
        pivots = _pivots(K, PIVOTS)
        covered = K[np.ix_(pivots, pivots)] + np.diag(noise * noise_of[pivots])
        K[np.diag_indices(len(K))] += noise * noise_of
        inverse = cho_solve(cho_factor(K, lower=True, overwrite_a=True), np.eye(len(K)))
        return cls(names, theta, width, noise, centre, scale, inverse @ z, pivots, np.linalg.cholesky(covered), inverse, z)

    def mean(self, bases: list[np.ndarray]) -> np.ndarray:
        """(m, c) from (m, n) per kernel."""
        return _sum(self.names, bases, self.theta, self.width) @ self.alpha * self.scale + self.centre

    def spread(self, bases: list[np.ndarray], own: list[np.ndarray]) -> np.ndarray:
        """(m,) standard deviation of a new measurement of the first output; never too small, for it uses the pivots only."""
        from scipy.linalg import solve_triangular

        k = _sum(self.names, [b[:, self.pivots] for b in bases], self.theta, self.width)
        explained = (solve_triangular(self.factor, k.T, lower=True) ** 2).sum(axis=0)
        whole = _sum(self.names, own, self.theta, self.width)
        return np.sqrt(np.maximum(whole - explained, 0.0) + self.noise) * float(self.scale[0])

    def held_out(self, folds: np.ndarray) -> np.ndarray | None:
        """(n, c) means for each fold from the other folds (Rasmussen and Williams 2006, equation 5.12, for blocks); None
        without two folds.
        """
        if folds.max(initial=-1) < 1:
            return None
        out, order = np.empty_like(self.y), np.argsort(folds, kind="stable")
        for held in np.split(order, np.flatnonzero(np.diff(folds[order])) + 1):
            out[held] = self.y[held] - np.linalg.solve(self.inverse[np.ix_(held, held)], self.alpha[held])
        return out * self.scale + self.centre

    def meta(self) -> dict[str, Any]:
        """What `from_params` needs beside arrays."""
        return {"kernels": list(self.names), "width": self.width, "noise": self.noise}

    def arrays(self) -> dict[str, np.ndarray]:
        """What `from_params` needs beside meta."""
        names = ("theta", "centre", "scale", "alpha", "pivots", "factor")
        return {f"process/{name}": getattr(self, name) for name in names}

    @classmethod
    def from_params(cls, params: Params) -> _Process:
        """The inverse of `meta` and `arrays`."""
        held = {name[8:]: a for name, a in params.arrays.items() if name.startswith("process/")}
        return cls(tuple(params.meta["kernels"]), width=params.meta["width"], noise=params.meta["noise"], **held)


def _sum(names: tuple[str, ...], bases: list[np.ndarray], theta: np.ndarray, width: float) -> np.ndarray:
    """The kernel: weighted sum of its parts, of any one shape."""
    out = np.zeros(bases[0].shape)
    for name, base, weight in zip(names, bases, theta):
        if weight:
            out += weight * (_bend(base, width) if name == "bend" else base)
    return out


def _bend(far: np.ndarray, width: float) -> np.ndarray:
    """Matern's kernel of order 3/2 (Rasmussen and Williams 2006, equation 4.17) of squared distances; the square of its
    length scale is `width`.
    """
    steps = np.sqrt(far * (3.0 / width))
    return (1.0 + steps) * np.exp(-steps)


def _bend_by_width(far: np.ndarray, width: float) -> np.ndarray:
    """The derivative of `_bend` by the logarithm of `width`."""
    square = far * (3.0 / width)
    return 0.5 * square * np.exp(-np.sqrt(square))


def _search(names: tuple[str, ...], bases: list[np.ndarray], z: np.ndarray, noise_of: np.ndarray, steps: int) -> np.ndarray:
    """(kernels + 2,) logarithms of weights, the bend's width and the noise with the highest evidence."""
    from scipy.optimize import minimize

    start = np.log(np.append(np.full(len(names), 1.0 / max(len(names), 1)), [1.0, 0.2]))
    box = [(-9.0, 5.0)] * len(start)
    found = minimize(_loss, start, args=(start, names, bases, z, noise_of), jac=True, method="L-BFGS-B", bounds=box,
                     options={"maxiter": steps})  # fmt: skip
    return found.x


def _loss(
    log: np.ndarray, start: np.ndarray, names: tuple[str, ...], bases: list[np.ndarray], z: np.ndarray, noise_of: np.ndarray
) -> tuple[float, np.ndarray]:
    """Minus the log evidence, with a weak normal prior on the logarithms, and its gradient."""
    from scipy.linalg import cho_factor, cho_solve

    weights, width, noise = np.exp(log[:-2]), np.exp(log[-2]), np.exp(log[-1])
    parts = [w * (_bend(b, width) if name == "bend" else b) for name, b, w in zip(names, bases, weights)]
    K = sum(parts, np.diag((noise + _FLOOR) * noise_of))
    factor = cho_factor(K, lower=True)
    alpha, c = cho_solve(factor, z), z.shape[1]
    value = 0.5 * float((z * alpha).sum()) + c * float(np.log(np.diag(factor[0])).sum())
    inner = c * cho_solve(factor, np.eye(len(z))) - alpha @ alpha.T
    gradient = [0.5 * float((inner * part).sum()) for part in parts]
    bent = [0.5 * w * float((inner * _bend_by_width(b, width)).sum()) for name, b, w in zip(names, bases, weights) if name == "bend"]
    gradient += [sum(bent), 0.5 * noise * float(np.diag(inner) @ noise_of)]
    away = (log - start) / _PRIOR
    return value + 0.5 * float(away @ away), np.array(gradient) + away / _PRIOR


def _pivots(K: np.ndarray, most: int) -> np.ndarray:
    """Positions of the rows that a pivoted Cholesky factorisation takes first: each is the one known least from the others."""
    n = len(K)
    if n <= most:
        return np.arange(n)
    left, L, chosen = np.diag(K).copy(), np.zeros((most, n)), []
    for j in range(most):
        i = int(np.argmax(left))
        if left[i] <= 1e-10:
            break
        row = (K[i] - L[:j, i] @ L[:j]) / np.sqrt(left[i])
        L[j] = row
        left = np.maximum(left - row**2, 0.0)
        left[i] = 0.0
        chosen.append(i)
    return np.array(chosen, dtype=np.int64)
