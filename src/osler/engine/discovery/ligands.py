"""How strongly each target's known ligands speak for a new molecule: the nearest one, all together, and a model of
fragments.

- neighbours: the sum over the target's ligands of similarity to the power `POWER`, a vote in which near ligands count
  most and many count more than one: binary kernel discrimination without inactives, G. Harper et al., J Chem Inf
  Comput Sci 41:1295 (2001).
- nearest: the largest Tanimoto similarity to a ligand of the target.
- ensemble: similarities above a threshold, summed over all ligands and held against sums that random sets of molecules
  of that size give: M. J. Keiser et al., Relating protein pharmacology by ligand chemistry. Nat Biotechnol 25:197
  (2007). Here the query is a set of one.
- bayes: which bits of the fingerprint the target's ligands have more often than all molecules, Laplacian-corrected: X.
  Xia et al., J Med Chem 47:4463 (2004); Nidhi et al., J Chem Inf Model 46:1124 (2006).
- popularity: how many ligands the target has, whatever the query; a baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from osler.adapters.tanimoto.search import checked

METHODS = ("neighbours", "nearest", "ensemble", "bayes", "popularity")
#: Power of the vote; 10 to 30 rank alike.
POWER = 10
#: Least similarity that counts in an ensemble (ECFP4, 2,048 bits).
LEAST = 0.30
#: Queries and sizes of random sets behind the expected sums.
_QUERIES, _SIZES, _SETS = 200, (5, 10, 20, 50, 100, 200, 400), 20


@dataclass(frozen=True)
class Evidence:
    """What k targets' ligands say of one query; all arrays (k,).

    Attributes:
        votes: the neighbours' sum. similarity: to the nearest ligand. nearest: which molecule of the reference that
            is.
        z: how far the sum of similarities is above that of random sets, in standard deviations. p: its significance.
        bayes: log odds of the fragments.
    """

    votes: np.ndarray
    similarity: np.ndarray
    nearest: np.ndarray
    z: np.ndarray
    p: np.ndarray
    bayes: np.ndarray


class Reference:
    """Known ligands of k targets, ready to be held against queries.

    Args:
        bits: (n, words) packed fingerprints of all molecules.
        molecule, target: (m,) pairs: molecule of this row binds target of this number.
        n_targets: k.
        rng: draws the random sets.
    """

    def __init__(
        self, bits: np.ndarray, molecule: np.ndarray, target: np.ndarray, n_targets: int, rng: np.random.Generator
    ) -> None:
        self._bits = checked(bits)
        order = np.argsort(target, kind="stable")
        self._molecule, self._k = molecule[order], n_targets
        self.sizes = np.bincount(target, minlength=n_targets)
        self._here = np.flatnonzero(self.sizes)
        self._starts = np.concatenate([[0], np.cumsum(self.sizes[self._here])[:-1]]).astype(np.int64)
        self._pool = np.unique(molecule)
        self._mean, self._spread = self._background(rng)

    def similarities(self, query: np.ndarray) -> np.ndarray:
        """(n,) Tanimoto similarities of all molecules to a query (words,)."""
        from osler.adapters.tanimoto import kernels

        out = np.zeros(len(self._bits))
        kernels.raise_to(self._bits, np.ascontiguousarray(query), out)
        return out

    def evidence(self, query: np.ndarray, similarity: np.ndarray | None = None) -> Evidence:
        """What every target's ligands say of a query (words,); targets without a ligand have similarity 0 and p 1.

        Args:
            similarity: (n,) similarities to all molecules, where they are worked out already.
        """
        per_pair = (self.similarities(query) if similarity is None else similarity)[self._molecule]
        best, votes, summed = np.zeros(self._k), np.zeros(self._k), np.zeros(self._k)
        where = np.full(self._k, -1, dtype=np.int64)
        if len(self._here):
            best[self._here] = np.maximum.reduceat(per_pair, self._starts)
            votes[self._here] = np.add.reduceat(per_pair**POWER, self._starts)
            summed[self._here] = np.add.reduceat(np.where(per_pair >= LEAST, per_pair, 0.0), self._starts)
            first = np.flatnonzero(per_pair == np.repeat(best[self._here], self.sizes[self._here]))
            owner = np.searchsorted(self._starts, first, side="right") - 1
            where[self._here[owner[::-1]]] = self._molecule[first[::-1]]
        z = (summed - self._mean(self.sizes)) / self._spread(self.sizes)
        z[self.sizes == 0] = -np.inf
        return Evidence(votes, best, where, z, significance(z, summed), self._log_odds(query))

    @cached_property
    def _counts(self) -> tuple[np.ndarray, np.ndarray]:
        """(bits, k) ligands of each target that have a bit, and (bits,) molecules of the pool that have it."""
        width = 64 * self._bits.shape[1]
        of_target = np.zeros((width, self._k), dtype=np.float32)
        for start, t in zip(self._starts.tolist(), self._here.tolist(), strict=True):
            rows = self._molecule[start : start + self.sizes[t]]
            of_target[:, t] = unpacked(self._bits[rows]).sum(axis=0, dtype=np.float32)
        of_all = np.zeros(width)
        for part in np.array_split(self._pool, max(1, len(self._pool) // 5000)):
            of_all += unpacked(self._bits[part]).sum(axis=0)
        return of_target, of_all

    def _log_odds(self, query: np.ndarray) -> np.ndarray:
        of_target, of_all = self._counts
        on = np.flatnonzero(unpacked(query[None])[0])
        share = self.sizes / max(len(self._pool), 1)
        odds = np.log((of_target[on] + 1.0) / (of_all[on, None] * share + 1.0)).sum(axis=0)
        return np.where(self.sizes > 0, odds, -np.inf)

    def _background(self, rng: np.random.Generator) -> tuple[np.polynomial.Polynomial, object]:
        """Mean and standard deviation of the sum over a random set of a given size: straight lines, the latter in
        logarithms.
        """
        pool = self._pool
        queries = rng.choice(pool, min(_QUERIES, len(pool)), replace=False)
        sums: dict[int, list[float]] = {size: [] for size in _SIZES}
        for q in queries:
            s = self.similarities(self._bits[q])
            s[q] = 0.0
            s = np.where(s >= LEAST, s, 0.0)[pool]
            for size in _SIZES:
                drawn = rng.integers(len(pool), size=(_SETS, size))
                sums[size] += s[drawn].sum(axis=1).tolist()
        sizes = np.array(_SIZES, dtype=np.float64)
        slope = float(np.average([np.mean(sums[s]) / s for s in _SIZES], weights=sizes))
        spread = np.array([max(np.std(sums[s]), 1e-3) for s in _SIZES])
        power, start = np.polyfit(np.log(sizes), np.log(spread), 1)
        return np.polynomial.Polynomial([0.0, slope]), lambda n: np.exp(start) * np.maximum(n, 1) ** power


def unpacked(bits: np.ndarray) -> np.ndarray:
    """(n, 64 words) uint8 of packed rows (n, words)."""
    return np.unpackbits(np.ascontiguousarray(bits).view(np.uint8), axis=1, bitorder="little")


def significance(z: np.ndarray, summed: np.ndarray) -> np.ndarray:
    """(k,) chance that a random set of ligands gives a sum as large, by an extreme-value distribution (Keiser 2007); 1
    where no ligand is similar at all.
    """
    euler = 0.5772156649015329
    p = -np.expm1(-np.exp(-np.clip(z, -50, 700) * np.pi / np.sqrt(6.0) - euler))
    return np.where((summed > 0) & np.isfinite(z), p, 1.0)


def scores(found: Evidence, sizes: np.ndarray, method: str) -> np.ndarray:
    """(k,) larger for likelier targets, by one of `METHODS`; -inf for targets without ligands."""
    found_by = {
        "neighbours": found.votes,
        "nearest": found.similarity,
        "ensemble": found.z,
        "bayes": found.bayes,
        "popularity": sizes.astype(float),
    }
    return np.where(sizes > 0, found_by[method], -np.inf)


def best_first(score: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """(k,) targets, best first; equal scores by `tie`, larger first, then by number."""
    return np.lexsort((np.arange(len(score)), -tie, -score))
