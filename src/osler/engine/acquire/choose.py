"""Which rows are worth measuring, and a batch of them that are not all the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osler.adapters.tanimoto.search import checked, similarities
from osler.engine.acquire.spread import Belief
from osler.errors import OptionError, nearest

#: Strategy → what it looks for.
STRATEGIES = {
    "ei": "expected improvement over the best so far (D. R. Jones et al., J Glob Optim 13:455, 1998)",
    "ucb": "upper confidence bound: the prediction plus kappa spreads (P. Auer, JMLR 3:397, 2002)",
    "spread": "where the model is least sure, so that it learns most",
    "mean": "the best prediction, without regard to how sure it is",
}
#: So many times the batch are looked at, the most worthwhile first, when it is made diverse.
REACH = 10


@dataclass(frozen=True)
class Batch:
    """A chosen batch.

    Attributes:
        rows: (b,) rows, in the order of choosing.
        rank: (b,) their rank by worth among all, from 1.
        nearest: (b,) largest similarity to those chosen before, 0 for the first.
    """

    rows: np.ndarray
    rank: np.ndarray
    nearest: np.ndarray


def worth(strategy: str, belief: Belief, best: float | None = None, kappa: float = 1.0, sign: int = 1) -> np.ndarray:
    """(n,) how worthwhile each row is to measure.

    Args:
        strategy: one of `STRATEGIES`.
        best: the best value measured so far, for expected improvement.
        kappa: spreads that are added for the upper confidence bound.
        sign: 1 where large values are wanted, -1 where small ones are.

    Raises:
        OptionError: another strategy, or expected improvement without the best so far.
    """
    if strategy not in STRATEGIES:
        raise OptionError(f"strategy must be one of {', '.join(STRATEGIES)}, was '{strategy}': {nearest(strategy, STRATEGIES)}")
    mean, spread = sign * belief.mean, belief.spread
    if strategy == "ucb":
        return mean + kappa * spread
    if strategy == "spread":
        return spread
    if strategy == "mean":
        return mean
    if best is None:
        raise OptionError("strategy ei must know the best value so far: give the table that was fitted with --table")
    return expected_improvement(mean, spread, sign * best)


def expected_improvement(mean: np.ndarray, spread: np.ndarray, best: float) -> np.ndarray:
    """(n,) expectation of max(y - best, 0) for y normal with this mean and spread."""
    from scipy.special import ndtr

    gain = mean - best
    z = np.divide(gain, spread, out=np.zeros_like(gain), where=spread > 0)
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.where(spread > 0, gain * ndtr(z) + spread * density, np.maximum(gain, 0.0))


def batch(value: np.ndarray, bits: np.ndarray, size: int, diversity: float = 0.3) -> Batch:
    """A batch that weighs worth against likeness to what is chosen already (maximal marginal relevance: J. Carbonell,
    J. Goldstein, SIGIR 1998).

    Of the `REACH` times `size` most worthwhile rows, each next one has the largest (1 - diversity) worth + diversity (1 - similarity to
    the nearest chosen), worth being scaled to 0 ... 1 among them. Equal ones go by rank.

    Args:
        value: (n,) worth. bits: (n, words) packed fingerprints. diversity: 0 (worth alone) to 1 (MaxMin among the worthwhile).

    Raises:
        OptionError: diversity out of range, or a size below 1.
    """
    if not 0.0 <= diversity <= 1.0 or size < 1:
        raise OptionError(f"diversity must be from 0 to 1 and the batch at least 1, were {diversity:g} and {size}")
    order = np.argsort(-value, kind="stable")
    looked = order[: max(size * REACH, size)]
    held, worths = checked(bits[looked]), value[looked]
    span = worths.max() - worths.min() if len(worths) else 0.0
    scaled = (worths - worths.min()) / span if span > 0 else np.ones(len(worths))
    near, taken, places, nearests = np.zeros(len(looked)), np.zeros(len(looked), dtype=bool), [], []
    for _ in range(min(size, len(looked))):
        marginal = (1 - diversity) * scaled + diversity * (1 - near)
        at = int(np.argmax(np.where(taken, -np.inf, marginal)))
        places.append(at)
        nearests.append(float(near[at]))
        taken[at] = True
        near = np.maximum(near, similarities(held, held[at]))
    chosen = np.array(places, dtype=np.int64)
    return Batch(looked[chosen], chosen + 1, np.array(nearests))
