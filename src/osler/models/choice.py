"""Which penalty a linear model gets: inner grouped cross-validation over a path, everything refitted in each fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from osler.models import solvers
from osler.models.labels import sigmoid, softmax


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


def ridge_path(problem: Problem, penalties: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """(m, k, p + 1) coefficients at m falling penalties, each started from the one before; k is 1 unless multiclass.

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
    beta = _solve_path(Z, problem, penalties, tolerance)
    coef = beta[:, :, :-1] if turn is None else beta[:, :, :-1] @ turn
    out = np.zeros((len(penalties), beta.shape[1], problem.X.shape[1] + 1))
    out[:, :, kept] = coef * shrink
    out[:, :, -1] = beta[:, :, -1]
    return out


def _solve_path(Z: np.ndarray, problem: Problem, penalties: np.ndarray, tolerance: float) -> np.ndarray:
    p = Z.shape[1]
    if not problem.classes:
        return solvers.ridge(Z, problem.y, problem.w, penalties, np.ones(p))[:, None, :]
    Y = np.eye(problem.classes)[problem.y] if problem.classes > 2 else problem.y.astype(np.float64)
    path, start = [], None
    for penalty in penalties:
        weight = np.full(p, penalty)
        solve = solvers.logistic if problem.classes == 2 else solvers.multinomial
        start = solve(Z, Y, problem.w, weight, start, tolerance)
        path.append(np.atleast_2d(start))
    return np.stack(path)


def losses(problem: Problem, path: np.ndarray) -> np.ndarray:
    """(m,) summed weighted loss (log loss, or squared error) of the rows of `problem` at every step of a path."""
    if problem.classes > 2:
        return np.array([_multiclass_loss(problem, beta) for beta in path])
    eta = problem.X @ path[:, 0, :-1].T + path[:, 0, -1]
    if problem.classes == 2:
        return problem.w @ (np.logaddexp(0.0, eta) - problem.y[:, None] * eta)
    return problem.w @ (problem.y[:, None] - eta) ** 2


def _multiclass_loss(problem: Problem, beta: np.ndarray) -> float:
    share = softmax(problem.X @ beta[:, :-1].T + beta[:, -1])[np.arange(len(problem.y)), problem.y]
    return float(-problem.w @ np.log(np.maximum(share, 1e-300)))


def cross_validate(
    problem: Problem, folds: np.ndarray, path: Callable[[Problem], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean held-out loss at every step of a path, and its standard error over folds, both (m,).

    Args:
        folds: (n,) fold of every row, -1 for rows that take no part.
        path: how a problem becomes coefficients (m, k, p + 1).
    """
    rows = []
    weights = []
    for fold in range(folds.max() + 1):
        held = problem.take(np.flatnonzero(folds == fold))
        rows.append(losses(held, path(problem.take(np.flatnonzero((folds >= 0) & (folds != fold))))))
        weights.append(held.w.sum())
    table, share = np.array(rows), np.array(weights)
    each = table / share[:, None]
    mean = table.sum(axis=0) / share.sum()
    return mean, each.std(axis=0, ddof=1) / np.sqrt(len(each))


def answer(coef: np.ndarray, X: np.ndarray, classes: int) -> np.ndarray:
    """(n,) probability of the second class or the mean, or (n, k) class probabilities, from coefficients (k, p + 1)."""
    if classes > 2:
        return softmax(X @ coef[:, :-1].T + coef[:, -1])
    eta = X @ coef[0, :-1] + coef[0, -1]
    return sigmoid(eta) if classes == 2 else eta
