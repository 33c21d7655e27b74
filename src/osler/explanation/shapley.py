"""Attributions per column that add up to the prediction: Shapley values against a background.

The worth of a set of columns S is v(S) = sum over background rows b of weight(b) * g(x on S, b elsewhere): the
interventional game of Lundberg and Lee 2017 (NeurIPS) and Janzing et al. 2020. Ways, the first that fits is taken:

    additive     closed form where g is a sum over columns (linear models, splines, Cox, explainable boosting without
    pairs) trees        exact where g is a sum of trees (`osler.explanation.tree_shapley`)
    enumeration  exact over all 2^p sets, where few columns make it cheap
    sampling     permutations in opposite pairs (Castro et al. 2009; Mitchell et al. 2022), each walked from each
    background
                 row to x, so that values add up by construction; exact for pairs of columns; standard error reported
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

import numpy as np

from osler.blocks import Block
from osler.errors import OptionError
from osler.explanation.additive import terms_of
from osler.explanation.background import Background
from osler.explanation.scales import Scale
from osler.explanation.tree_shapley import tree_matrix, tree_values, trees_of
from osler.models.base import Params

#: Answers per row up to which all sets of columns are walked.
MOST_ENUMERATED = 20_000

#: Most columns of a model that must be sampled.
MOST_SAMPLED = 200

#: How closely attributions must add up to the prediction, on its scale.
TOLERANCE = 1e-6

#: Rows times columns that are answered at once.
CHUNK = 400_000

Answer = Callable[[dict[str, Block]], np.ndarray]


@dataclass(frozen=True)
class Attribution:
    """Why each of n rows has its prediction.

    Attributes:
        columns: p names.
        values: (n, p) attributions on the scale.
        base: (n,) mean prediction over the background; base + values.sum(axis=1) is the prediction.
        prediction: (n,) the model's own answer on the scale.
        error: (n,) largest standard error of a value by sampling; 0 where exact.
        way: how they were found.
        fit: (n,) how well a local surrogate follows the model (weighted R2); NaN for the Shapley ways.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    base: np.ndarray
    prediction: np.ndarray
    error: np.ndarray
    way: str
    fit: np.ndarray

    def adds_up(self, scale: Scale) -> np.ndarray:
        """(n,) whether base and attributions give the prediction within 1e-6."""
        total = scale.bounded(self.base + self.values.sum(axis=1))
        return np.abs(total - self.prediction) <= TOLERANCE * np.maximum(1.0, np.abs(self.prediction))


@dataclass(frozen=True)
class Game:
    """The game of one row: `worth(masks, which)` answers for hybrids of the row and background rows.

    Attributes:
        answer: blocks of N rows → (N,) on the scale.
        row: column → block of the one row.
        background: what stands in for columns that are left out.
    """

    answer: Answer
    row: dict[str, Block]
    background: Background

    def worth(self, masks: np.ndarray, which: np.ndarray) -> np.ndarray:
        """(N,) answers for hybrids.

        Args:
            masks: (N, p) true where the row's own column is used. which: (N,) background row of the others.
        """
        joined = {name: Block.concat([block, self.background.blocks[name]]) for name, block in self.row.items()}
        out = np.empty(len(masks))
        size = max(1, CHUNK // max(masks.shape[1], 1))
        for at in range(0, len(masks), size):
            mask, other = masks[at : at + size], which[at : at + size] + 1
            picks = (np.where(own, 0, other) for own in mask.T)
            out[at : at + size] = self.answer({n: b.take(pick) for (n, b), pick in zip(joined.items(), picks)})
        return out

    def worth_of_sets(self, masks: np.ndarray) -> np.ndarray:
        """(N,) v(S) of sets of columns (N, p): the weighted mean over the background."""
        m = len(self.background)
        every = self.worth(np.repeat(masks, m, axis=0), np.tile(np.arange(m), len(masks)))
        return every.reshape(len(masks), m) @ self.background.weights


def exact_values(worth: np.ndarray, p: int) -> np.ndarray:
    """(p,) Shapley values of a game.

    Args:
        worth: (2^p,) v of every set; bit j of the position says whether column j is in it.
    """
    sets = np.arange(2**p)
    size = sum((sets >> j) & 1 for j in range(p))
    share = np.array([1.0 / (p * comb(p - 1, s)) for s in range(p)])
    out = np.empty(p)
    for j in range(p):
        without = sets[(sets >> j) & 1 == 0]
        out[j] = share[size[without]] @ (worth[without | (1 << j)] - worth[without])
    return out


def enumerate_sets(game: Game, p: int) -> np.ndarray:
    """(p,) exact Shapley values by walking all sets of columns."""
    masks = (np.arange(2**p)[:, None] >> np.arange(p)) & 1 == 1
    return exact_values(game.worth_of_sets(masks), p)


def permutation_plan(p: int, m: int, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """(rounds, m, 2, p) a permutation of the columns and its reverse for every background row of every round."""
    forward = rng.permuted(np.broadcast_to(np.arange(p), (rounds, m, p)), axis=2)
    return np.stack([forward, forward[..., ::-1]], axis=2)


def sample_values(
    game: Game, plan: np.ndarray, prediction: float, of_background: np.ndarray
) -> tuple[np.ndarray, float]:
    """(p,) Shapley values by sampled permutations, and the largest standard error.

    Args:
        plan: of `permutation_plan`. prediction: g(x). of_background: (m,) g of the background rows.
    """
    rounds, m, _, p = plan.shape
    place = np.argsort(plan, axis=3)
    masks = place[..., None, :] < np.arange(1, p)[:, None]  # after k steps the first k columns are the row's own
    which = np.broadcast_to(np.arange(m)[None, :, None, None], masks.shape[:-1])
    inner = game.worth(masks.reshape(-1, p), which.reshape(-1)).reshape(rounds, m, 2, p - 1)
    first = np.broadcast_to(of_background[None, :, None, None], (rounds, m, 2, 1))
    walk = np.concatenate([first, inner, np.full((rounds, m, 2, 1), prediction)], axis=3)
    gains = np.take_along_axis(np.diff(walk, axis=3), place, axis=3)
    per_round = np.einsum("rmdp,m->rp", gains, game.background.weights) / 2.0
    spread = per_round.std(axis=0, ddof=1) / np.sqrt(rounds) if rounds > 1 else np.full(p, np.nan)
    return per_round.mean(axis=0), float(spread.max(initial=0.0))


def attribute(
    family: str,
    params: Params,
    answer: Answer,
    blocks: dict[str, Block],
    background: Background,
    scale: Scale,
    rng: np.random.Generator,
    rounds: int = 4,
) -> Attribution:
    """Shapley values of every column of every row, exact where there is an exact way.

    Args:
        family: the model's name. params: what it learnt.
        answer: blocks → (n,) its answer on the scale.
        blocks: column → block of the n explained rows.
        rng: permutations; all rows share them, so that a row's values do not depend on its company.
        rounds: permutation pairs per background row where values are sampled.

    Raises:
        OptionError: the model would have to be sampled and has more than 200 columns.
    """
    prediction, of_background = answer(blocks), answer(background.blocks)
    n = len(prediction)
    if "labels" in params.meta and "parts" in params.meta:
        params = params.part(str(scale.output))
    base = np.full(n, float(of_background @ background.weights))
    exact = _closed(family, params, blocks, background, scale)
    nothing = np.full(n, np.nan)
    if exact is not None:
        values, way, constant = exact
        base = base if constant is None else np.full(n, constant)
        return Attribution(tuple(blocks), values, base, prediction, np.zeros(n), way, nothing)
    p = len(blocks)
    if p > MOST_SAMPLED:
        raise OptionError(
            f"a model that is no sum must have at most {MOST_SAMPLED} columns to be explained, it has {p}: "
            "fit a linear model or fewer columns"
        )
    few = 2**p * len(background) <= MOST_ENUMERATED
    plan = None if few else permutation_plan(p, len(background), rounds, rng)
    values, error = np.empty((n, p)), np.zeros(n)
    for i in range(n):
        game = Game(answer, {name: b.take(np.array([i])) for name, b in blocks.items()}, background)
        if few:
            values[i] = enumerate_sets(game, p)
        else:
            values[i], error[i] = sample_values(game, plan, prediction[i], of_background)
    return Attribution(tuple(blocks), values, base, prediction, error, "enumeration" if few else "sampling", nothing)


def _closed(
    family: str, params: Params, blocks: dict[str, Block], background: Background, scale: Scale
) -> tuple[np.ndarray, str, float | None] | None:
    """Values (n, p), the way's name and the base if it is not the mean answer; None where there is no closed form."""
    if "constant" in params.meta:
        return np.zeros((len(next(iter(blocks.values()))), len(blocks))), "additive", None
    terms = terms_of(family, params, blocks, scale.horizon)
    if terms is not None:
        if terms.scale != scale.name:
            return None
        average = background.weights @ terms_of(family, params, background.blocks, scale.horizon).values
        return terms.values - average, "additive", terms.constant + float(average.sum())
    trees = trees_of(family, params, blocks, scale.output, scale.horizon)
    if trees is None or trees[0] != scale.name:
        return None
    _, leaves, design = trees
    X, B = tree_matrix(family, design, blocks), tree_matrix(family, design, background.blocks)
    return tree_values(leaves, X, B, background.weights, len(blocks)), "trees", None
