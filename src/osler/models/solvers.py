"""Penalised likelihood, solved: ridge logistic and multinomial regression, ridge least squares, elastic net.

All take X (n, p) as a `Design` makes it (centred, comparable scales), weights w (n,) and penalties that are prior
precisions: half of `penalty * sum(factor * coef ** 2)` is added to the weighted negative log likelihood, which is a sum
and not a mean, so that one penalty means the same prior belief at any number of rows. Intercepts are not penalised.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from osler.models.labels import sigmoid, softmax

#: More coefficients than this and Newton's matrix costs more than it saves: L-BFGS instead.
NEWTON_LIMIT = 600


def logistic_path(
    X: np.ndarray, y: np.ndarray, w: np.ndarray, penalties: np.ndarray, tolerance: float = 1e-9
) -> Iterator[np.ndarray]:
    """Walk (p + 1,) ridge logistic coefficients, intercept last, along penalties, each from the one before.

    Newton's method with halved steps. Where the curvature matrix is costly it is kept from step to step (and from
    penalty to penalty) until progress slows.

    Args:
        X: (n, p). y: (n,) 0 or 1. w: (n,) case weights. penalties: prior precisions, one for all coefficients.
        tolerance: stop when Newton's decrement is below this times n.
    """
    p = X.shape[1]
    share = np.clip(np.average(y, weights=w), 1e-6, 1 - 1e-6)
    beta = np.append(np.zeros(p), np.log(share / (1 - share)))
    curved = None
    for penalty in penalties:
        diagonal = np.append(np.full(p, penalty), 0.0)
        if p > NEWTON_LIMIT:
            beta = _lbfgs(X, y[:, None], w, diagonal[:-1], beta)[0]
        else:
            beta, curved = _newton(X, y, w, diagonal, beta, curved, tolerance)
        yield beta


def _newton(
    X: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    diagonal: np.ndarray,
    beta: np.ndarray,
    curved: np.ndarray | None,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Coefficients at one penalty, and the last curvature matrix where it is worth keeping."""
    keep = X.shape[1] > 64
    eta = X @ beta[:-1] + beta[-1]
    value = _logistic_loss(eta, y, w) + 0.5 * diagonal @ beta**2
    before = np.inf
    for _ in range(100):
        mu = sigmoid(eta)
        residual = w * (mu - y)
        gradient = np.append(residual @ X, residual.sum()) + diagonal * beta
        fresh = curved is None
        if fresh:
            curved = _curvature(X, w * mu * (1 - mu))
        step = np.linalg.solve(curved + np.diag(diagonal + 1e-10), gradient)
        decrement = float(gradient @ step)
        scale = 1.0
        while True:
            new = beta - scale * step
            eta = X @ new[:-1] + new[-1]
            new_value = _logistic_loss(eta, y, w) + 0.5 * diagonal @ new**2
            if new_value <= value + 1e-10 * abs(value) or scale < 1e-4:
                break
            scale *= 0.5
        beta, value = new, new_value
        if decrement < tolerance * len(y):
            break
        if not keep or (not fresh and (decrement > 0.1 * before or scale < 1.0)):
            curved = None
        before = decrement
    return beta, curved if keep else None


def _logistic_loss(eta: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    return float(w @ (np.logaddexp(0.0, eta) - y * eta))


def _curvature(X: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """(p + 1, p + 1) X' diag(curvature) X with the intercept's row and column last."""
    p = X.shape[1]
    weighted = X * np.sqrt(curvature)[:, None]
    out = np.empty((p + 1, p + 1))
    np.matmul(weighted.T, weighted, out=out[:p, :p])
    out[p, :p] = out[:p, p] = curvature @ X
    out[p, p] = curvature.sum()
    return out


def multinomial(
    X: np.ndarray,
    Y: np.ndarray,
    w: np.ndarray,
    penalty: np.ndarray,
    start: np.ndarray | None = None,
    tolerance: float = 1e-9,
) -> np.ndarray:
    """(k, p + 1) coefficients, intercepts last, of ridge multinomial regression, symmetric over the k classes.

    Args:
        X: (n, p). Y: (n, k) one-hot classes. w: (n,) case weights. penalty: (p,) prior precisions.
        start: (k, p + 1) where to begin. tolerance: stop when Newton's decrement is below this times n.
    """
    (n, p), k = X.shape, Y.shape[1]
    if (p + 1) * k > NEWTON_LIMIT:
        return _lbfgs(X, Y, w, penalty, start)
    A = np.hstack([X, np.ones((n, 1))])
    beta = np.zeros((k, p + 1)) if start is None else start.copy()
    diagonal = np.tile(np.append(penalty, 1e-8), (k, 1))
    value = _multinomial_loss(A @ beta.T, Y, w) + 0.5 * (diagonal * beta**2).sum()
    for _ in range(50):
        mu = softmax(A @ beta.T)
        gradient = ((mu - Y) * w[:, None]).T @ A + diagonal * beta
        hessian = np.empty((k, p + 1, k, p + 1))
        for a in range(k):
            for b in range(a, k):
                block = A.T @ (A * (w * mu[:, a] * ((a == b) - mu[:, b]))[:, None])
                hessian[a, :, b], hessian[b, :, a] = block, block.T
        hessian = hessian.reshape(k * (p + 1), -1)
        hessian.ravel()[:: len(hessian) + 1] += diagonal.ravel() + 1e-10
        step = np.linalg.solve(hessian, gradient.ravel()).reshape(beta.shape)
        decrement = float((gradient * step).sum())
        scale = 1.0
        while True:
            new = beta - scale * step
            new_value = _multinomial_loss(A @ new.T, Y, w) + 0.5 * (diagonal * new**2).sum()
            if new_value <= value + 1e-10 * abs(value) or scale < 1e-4:
                break
            scale *= 0.5
        beta, value = new, new_value
        if decrement < tolerance * n:
            break
    return beta


def _multinomial_loss(eta: np.ndarray, Y: np.ndarray, w: np.ndarray) -> float:
    top = eta.max(axis=1)
    total = top + np.log(np.exp(eta - top[:, None]).sum(axis=1))
    return float(w @ (total - (Y * eta).sum(axis=1)))


def _lbfgs(X: np.ndarray, Y: np.ndarray, w: np.ndarray, penalty: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """(k, p + 1) by L-BFGS; one column of Y is the logistic model, more are the multinomial one."""
    from scipy.optimize import minimize

    (_n, p), k = X.shape, Y.shape[1]
    total = max(w.sum(), 1e-300)
    ridge = np.append(penalty, 1e-8)

    def value_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        beta = flat.reshape(k, p + 1)
        eta = X @ beta[:, :-1].T + beta[:, -1]
        if k == 1:
            loss, mu = _logistic_loss(eta[:, 0], Y[:, 0], w), sigmoid(eta)
        else:
            loss, mu = _multinomial_loss(eta, Y, w), softmax(eta)
        residual = (mu - Y) * w[:, None]
        slope = np.hstack([residual.T @ X, residual.sum(axis=0)[:, None]]) + ridge * beta
        return (loss + 0.5 * (ridge * beta**2).sum()) / total, slope.ravel() / total

    first = np.zeros(k * (p + 1)) if start is None else np.asarray(start, dtype=np.float64).ravel()
    options = {"maxiter": 500, "ftol": 1e-11, "gtol": 1e-7, "maxcor": 20}
    return minimize(value_and_slope, first, jac=True, method="L-BFGS-B", options=options).x.reshape(k, p + 1)


def ridge(X: np.ndarray, y: np.ndarray, w: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """(m, p + 1) coefficients, intercept last, of ridge least squares at m penalties by one decomposition.

    A penalty of 0 gives the least-squares answer of minimum norm.
    """
    total = w.sum()
    centre, middle = (w @ X) / total, float(w @ y) / total
    root = np.sqrt(w)
    Z = (X - centre) * root[:, None]
    target = (y - middle) * root
    n, p = Z.shape
    if n > 4 * p and np.min(penalties) > 0:
        values, vectors = np.linalg.eigh(Z.T @ Z)
        gain = 1.0 / (np.maximum(values, 0.0) + np.asarray(penalties)[:, None])
        beta = (gain * (vectors.T @ (target @ Z))) @ vectors.T
    else:
        U, s, Vt = np.linalg.svd(Z, full_matrices=False)
        s = np.where(s > s.max(initial=0.0) * max(n, p) * np.finfo(float).eps, s, 0.0)
        gain = np.divide(s, s**2 + np.asarray(penalties)[:, None], out=np.zeros((len(penalties), len(s))), where=s > 0)
        beta = (gain * (U.T @ target)) @ Vt
    return np.column_stack([beta, middle - beta @ centre])


def f_statistic(X: np.ndarray, y: np.ndarray, w: np.ndarray, classes: int) -> np.ndarray:
    """(p,) F of every column: analysis of variance between `classes` classes, or of the correlation with y if 0."""
    total = w.sum()
    Z = X - (w @ X) / total
    spread = w @ Z**2
    if classes:
        between = np.zeros(X.shape[1])
        for c in range(classes):
            part = w * (y == c)
            if part.sum() > 0:
                between += (part @ Z) ** 2 / part.sum()
        freedom = classes - 1
    else:
        target = y - (w @ y) / total
        between = ((w * target) @ Z) ** 2 / max(float(w @ target**2), 1e-300)
        freedom = 1
    within = np.maximum(spread - between, 1e-300)
    return np.where(spread > 1e-300, between / freedom / (within / max(len(y) - freedom - 1, 1)), 0.0)


def elastic_quadratic(
    gram: np.ndarray,
    slope: np.ndarray,
    lasso: np.ndarray,
    ridge_: np.ndarray,
    start: np.ndarray,
    tolerance: float = 1e-7,
) -> np.ndarray:
    """(b, p) minimisers of b quadratics 0.5 x'Gx - s'x + lasso |x|_1 + 0.5 ridge |x|^2, all at once, by FISTA.

    Args:
        gram: (b, p, p). slope: (b, p). lasso, ridge_: (b, p) penalties of every coefficient. start: (b, p).
        tolerance: stop when no coefficient moves by more.

    Source: Beck and Teboulle 2009; restart of O'Donoghue and Candes 2015.
    """
    largest = np.linalg.norm(gram, ord=2, axis=(1, 2)) + ridge_.max(axis=1)
    rate = 1.0 / np.maximum(largest, 1e-12)[:, None]
    x = look = start
    momentum = np.ones((len(x), 1))
    for _ in range(2000):
        gradient = np.matmul(gram, look[:, :, None])[:, :, 0] - slope + ridge_ * look
        new = look - rate * gradient
        new = np.sign(new) * np.maximum(np.abs(new) - rate * lasso, 0.0)
        restart = ((look - new) * (new - x)).sum(axis=1, keepdims=True) > 0
        after = np.where(restart, 1.0, 0.5 * (1 + np.sqrt(1 + 4 * momentum**2)))
        move = new - x
        look = new + np.where(restart, 0.0, (momentum - 1) / after) * move
        x, momentum = new, after
        if np.abs(move).max(initial=0.0) < tolerance:
            break
    return x


def platt_line(margin: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(2,) slope and constant of the log odds as a line of the margin, with Platt's softened targets
    (J. Platt, Advances in Large Margin Classifiers, 2000).

    Args:
        margin: (n,) from models that did not see the row. y: (n,) 0 or 1. w: (n,) case weights.
    """
    positive, negative = float(w[y == 1].sum()), float(w[y == 0].sum())
    soft = np.where(y == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    return next(logistic_path(margin[:, None], soft, w, np.array([1e-6])))
