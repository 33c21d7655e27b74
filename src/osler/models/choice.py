"""Which penalty a linear model gets: inner grouped cross-validation over a path, everything refitted in each fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from osler.models import solvers
from osler.models.labels import sigmoid, softmax

Path = Callable[["Problem"], "Iterator[np.ndarray]"]


@dataclass(frozen=True)
class Problem:
    """A penalised linear problem on plain numbers.

    Attributes:
        X: (n, p). y: (n,) class codes or numbers. w: (n,) case weights. factor: (p,) relative penalty of each column.
        classes: number of classes, 0 for a number. select: keep that many columns by F statistic (0: all).
    """

    X: np.ndarray
    y: np.ndarray
    w: np.ndarray
    factor: np.ndarray
    classes: int
    select: int = 0

    def take(self, rows: np.ndarray) -> Problem:
        """Some rows."""
        return Problem(self.X[rows], self.y[rows], self.w[rows], self.factor, self.classes, self.select)

    def kept(self) -> np.ndarray:
        """Positions of the columns that the selection keeps, in order."""
        p = self.X.shape[1]
        if not self.select or self.select >= p:
            return np.arange(p)
        f = solvers.f_statistic(self.X, self.y, self.w, self.classes)
        return np.sort(np.argsort(-f, kind="stable")[: self.select])


def ridge_path(problem: Problem, penalties: np.ndarray, tolerance: float = 1e-9) -> Iterator[np.ndarray]:
    """Walk (k, p + 1) coefficients along falling penalties, each started from the one before; k is 1 unless multiclass.

    Columns left out by the selection have coefficient 0. With more columns than rows the problem is solved in the space
    of the rows, where ridge has the same answer.
    """
    kept = problem.kept()
    shrink = 1.0 / np.sqrt(problem.factor[kept])
    Z = problem.X[:, kept] * shrink
    turn = None
    if Z.shape[1] > len(Z):
        _, s, turn = np.linalg.svd(Z, full_matrices=False)
        turn = turn[s > s.max(initial=0.0) * 1e-12]
        Z = Z @ turn.T
    for beta in _solve_path(Z, problem, penalties, tolerance):
        coef = beta[:, :-1] if turn is None else beta[:, :-1] @ turn
        out = np.zeros((len(beta), problem.X.shape[1] + 1))
        out[:, kept] = coef * shrink
        out[:, -1] = beta[:, -1]
        yield out


def _solve_path(Z: np.ndarray, problem: Problem, penalties: np.ndarray, tolerance: float) -> Iterator[np.ndarray]:
    p = Z.shape[1]
    if not problem.classes:
        yield from solvers.ridge(Z, problem.y, problem.w, penalties)[:, None, :]
    elif problem.classes == 2:
        for beta in solvers.logistic_path(Z, problem.y.astype(np.float64), problem.w, penalties, tolerance):
            yield beta[None]
    else:
        Y, beta = np.eye(problem.classes)[problem.y], None
        for penalty in penalties:
            beta = solvers.multinomial(Z, Y, problem.w, np.full(p, penalty), beta, tolerance)
            yield beta


def loss(problem: Problem, coef: np.ndarray) -> float:
    """Summed weighted loss (log loss, or squared error) of the rows of `problem` under coefficients (k, p + 1)."""
    X, y, w = problem.X, problem.y, problem.w
    if problem.classes > 2:
        share = answer(coef, X, problem.classes)[np.arange(len(y)), y]
        return float(-w @ np.log(np.maximum(share, 1e-300)))
    eta = X @ coef[0, :-1] + coef[0, -1]
    if problem.classes == 2:
        return float(w @ (np.logaddexp(0.0, eta) - y * eta))
    return float(w @ (y - eta) ** 2)


def cross_validate(problem: Problem, folds: np.ndarray, path: Path, patience: int = 3) -> np.ndarray:
    """(m,) mean held-out loss at every step of a path, until it has risen `patience` times in a row.

    Args:
        folds: (n,) fold of every row, -1 for rows that take no part.
        path: how a problem becomes coefficients (k, p + 1), step by step.
    """
    held = [problem.take(np.flatnonzero(folds == fold)) for fold in range(folds.max() + 1)]
    walks = [path(problem.take(np.flatnonzero((folds >= 0) & (folds != fold)))) for fold in range(len(held))]
    total = sum(part.w.sum() for part in held)
    means: list[float] = []
    for steps in zip(*walks, strict=True):
        means.append(sum(loss(part, coef) for part, coef in zip(held, steps, strict=True)) / total)
        if len(means) - 1 - int(np.argmin(means)) >= patience:
            break
    return np.array(means)


def answer(coef: np.ndarray, X: np.ndarray, classes: int) -> np.ndarray:
    """(n,) probability of the second class or the mean, or (n, k) class probabilities, from coefficients (k, p + 1)."""
    if classes > 2:
        return softmax(X @ coef[:, :-1].T + coef[:, -1])
    eta = X @ coef[0, :-1] + coef[0, -1]
    return sigmoid(eta) if classes == 2 else eta


def elastic_path(problem: Problem, shares: np.ndarray, mix: float, tolerance: float = 1e-7) -> Iterator[np.ndarray]:
    """Walk (k, p + 1) elastic-net coefficients along falling shares of the least penalty that leaves no column.

    Binary and number: Newton steps on the quadratic approximation; multiclass: the bound of Boehning 1992 on its
    curvature, so that every step lowers the loss. Source: Friedman, Hastie and Tibshirani 2010, section 3.
    """
    A = np.column_stack([problem.X, np.ones(len(problem.X))])
    k = problem.classes if problem.classes > 2 else 1
    Y = np.eye(k)[problem.y] if k > 1 else problem.y[:, None].astype(np.float64)
    beta = np.zeros((k, A.shape[1]))
    share = np.average(Y, axis=0, weights=problem.w)
    rest = np.maximum(1 - share, 1e-9) if k == 1 else 1.0
    beta[:, -1] = np.log(np.maximum(share, 1e-9) / rest) if problem.classes else share
    free = np.ones(A.shape[1])
    free[-1] = 0.0
    slope = (problem.w[:, None] * (Y - share)).T @ problem.X
    strongest = np.abs(slope).max() / max(mix, 1e-3)
    gram = None
    for penalty in shares * strongest:
        lasso, ridge = np.tile(penalty * mix * free, (k, 1)), np.tile(penalty * (1 - mix) * free, (k, 1))
        for _ in range(30 if k > 1 else 6):
            mu = answer(beta, problem.X, problem.classes).reshape(len(A), k)
            if problem.classes == 2 or gram is None:
                bound = np.full(len(A), 0.5 if k > 1 else 1.0)
                curve = np.maximum(mu * (1 - mu), 1e-4)[:, 0] if problem.classes == 2 else bound
                gram = np.matmul(A.T * (problem.w * curve), A)[None].repeat(k, axis=0)
            push = (problem.w[:, None] * (Y - mu)).T @ A + np.matmul(gram, beta[:, :, None])[:, :, 0]
            new = solvers.elastic_quadratic(gram, push, lasso, ridge, beta, tolerance)
            moved = np.abs(new - beta).max()
            beta = new
            if moved < max(1e3 * tolerance, 1e-6) or not problem.classes:
                break
        yield beta
