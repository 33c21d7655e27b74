"""LIME: a straight line that follows the model near one row, over columns.

A neighbour keeps each column of the row with probability one half and takes the others from a background row; z_j = 1
says that column j was kept. Neighbours are weighted by exp(-d^2 / width^2) with d the Euclidean distance of z from
(1, ..., 1) and width = 0.75 sqrt(p), its square root as in the authors' code, and a ridge regression of the answers
on z with penalty 1 gives the weights. Source: Ribeiro, Singh and Guestrin 2016 (KDD), equation 2 and algorithm 1, and
the authors' library `lime`, whose `LimeBase` gives the same numbers for the same neighbours.

The weights are slopes of the surrogate: unlike Shapley values they need not add up to the prediction. How well the line
follows the model is its weighted R2 on the neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osler.blocks import Block
from osler.explanation.background import Background
from osler.explanation.shapley import Answer, Attribution, Game

#: Neighbours of a row, ridge penalty, and kernel width per square root of the number of columns.
NEIGHBOURS, PENALTY, WIDTH = 2000, 1.0, 0.75


@dataclass(frozen=True)
class Surrogate:
    """A weighted ridge line: `slope` (p,), `intercept`, and `fit`, its weighted R2."""

    slope: np.ndarray
    intercept: float
    fit: float


def kernel(masks: np.ndarray) -> np.ndarray:
    """(N,) weights of neighbours with kept columns (N, p)."""
    width = WIDTH * np.sqrt(masks.shape[1])
    square = (~masks).sum(axis=1).astype(float)
    return np.sqrt(np.exp(-square / width**2))


def ridge(masks: np.ndarray, answers: np.ndarray, weights: np.ndarray, penalty: float = PENALTY) -> Surrogate:
    """The weighted ridge regression of answers (N,) on kept columns (N, p); the intercept is free."""
    z, share = masks.astype(float), weights / weights.sum()
    centre, mean = share @ z, float(share @ answers)
    z, y = z - centre, answers - mean
    slope = np.linalg.solve((z.T * weights) @ z + penalty * np.eye(z.shape[1]), z.T @ (weights * y))
    left, all_ = weights @ (y - z @ slope) ** 2, weights @ y**2
    return Surrogate(slope, mean - float(centre @ slope), float(1.0 - left / all_) if all_ > 0 else 1.0)


def lime(
    answer: Answer,
    blocks: dict[str, Block],
    background: Background,
    rng: np.random.Generator,
    neighbours: int = NEIGHBOURS,
) -> Attribution:
    """Slopes of a local surrogate for every column of every row; all rows share the same draws.

    Args:
        answer: blocks → (n,) on the scale. blocks: column → block of the n explained rows. rng: draws the neighbours.
    """
    prediction, p = answer(blocks), len(blocks)
    n = len(prediction)
    masks = rng.random((neighbours, p)) < 0.5
    masks[0] = True
    which = rng.choice(len(background), size=neighbours, p=background.weights)
    weights = kernel(masks)
    values, base, fit = np.empty((n, p)), np.empty(n), np.empty(n)
    for i in range(n):
        game = Game(answer, {name: b.take(np.array([i])) for name, b in blocks.items()}, background)
        line = ridge(masks, game.worth(masks, which), weights)
        values[i], base[i], fit[i] = line.slope, line.intercept, line.fit
    return Attribution(tuple(blocks), values, base, prediction, np.full(n, np.nan), "lime", fit)
