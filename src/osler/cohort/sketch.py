"""Counting a column in one pass and bounded memory: moments, distinct values, levels, a uniform sample of rows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

#: Smallest hashes that are kept: distinct counts are exact below this, and within about 2 % (one standard error) above.
KEPT_HASHES = 4_096
#: Levels of a column that are counted exactly; a column with more is not counted by level.
MAX_LEVELS = 10_000


@dataclass
class Distinct:
    """The number of distinct values by the k smallest hashes (Bar-Yossef et al. 2002, "Counting distinct elements")."""

    smallest: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.uint64))

    def add(self, values: pl.Series) -> None:
        """Count the values of a block, nulls left out."""
        hashes = values.drop_nulls().hash(seed=11).to_numpy()
        if len(self.smallest) >= KEPT_HASHES:
            hashes = hashes[hashes < self.smallest[-1]]
        if len(hashes):
            self.smallest = np.unique(np.concatenate([self.smallest, hashes]))[:KEPT_HASHES]

    @property
    def is_exact(self) -> bool:
        """Whether fewer values were seen than hashes are kept."""
        return len(self.smallest) < KEPT_HASHES

    def count(self) -> int:
        """How many distinct values there are: (k - 1) / (the k-th smallest hash as a share of all hashes)."""
        if self.is_exact:
            return len(self.smallest)
        return round((KEPT_HASHES - 1) / (float(self.smallest[-1]) / 2.0**64))


@dataclass
class Moments:
    """Count, mean, spread and range of numbers, block by block (Chan, Golub and LeVeque 1979).

    Attributes:
        n: finite numbers so far.
        mean: their mean.
        squares: sum of squared distances from the mean.
        low: the smallest, infinite before the first.
        high: the largest.
    """

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf

    def add(self, x: np.ndarray) -> None:
        """Count the finite numbers of a block, shape (m,)."""
        m = len(x)
        if not m:
            return
        mean = float(x.mean())
        gap, total = mean - self.mean, self.n + m
        self.squares += float(np.square(x - mean).sum()) + gap * gap * self.n * m / total
        self.mean += gap * m / total
        self.n = total
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))

    @property
    def sd(self) -> float:
        """Standard deviation with n - 1, NaN below two numbers."""
        return float(np.sqrt(self.squares / (self.n - 1))) if self.n > 1 else float("nan")


@dataclass
class Levels:
    """Rows per level, while there are at most `MAX_LEVELS`."""

    counts: pl.DataFrame | None = field(
        default_factory=lambda: pl.DataFrame(schema={"level": pl.String, "n": pl.Int64})
    )

    def add(self, counted: pl.DataFrame) -> None:
        """Add counts of a block: columns `level` (text) and `n`."""
        if self.counts is None:
            return
        merged = pl.concat([self.counts, counted]).group_by("level").agg(pl.col("n").sum())
        self.counts = merged if merged.height <= MAX_LEVELS else None

    def top(self, k: int, at_least: int) -> list[tuple[str, int]]:
        """The k commonest levels with at least so many rows, commonest first."""
        if self.counts is None:
            return []
        rows = self.counts.filter(pl.col("n") >= at_least).sort(["n", "level"], descending=[True, False]).head(k)
        return list(rows.iter_rows())


@dataclass
class RowSample:
    """A uniform sample of rows without replacement: each row draws a number, the smallest stay (Vitter 1985).

    Attributes:
        size: rows to keep.
        rng: source of the draws; the sample depends on the order of rows only, not on blocks.
    """

    size: int
    rng: np.random.Generator
    draws: np.ndarray = field(default_factory=lambda: np.empty(0))
    parts: list[pl.DataFrame] = field(default_factory=list)

    def add(self, table: pl.DataFrame) -> None:
        """Let the rows of a block draw."""
        draw = self.rng.random(table.height)
        limit = self.draws.max() if len(self.draws) >= self.size else 1.0
        keep = draw < limit
        if not keep.any():
            return
        self.parts.append(table.filter(pl.Series(keep)))
        self.draws = np.concatenate([self.draws, draw[keep]])
        if len(self.draws) > 2 * self.size or len(self.parts) > 64:
            self._shrink()

    def _shrink(self) -> None:
        table = pl.concat(self.parts, how="diagonal")
        if len(self.draws) > self.size:
            stay = np.sort(np.argpartition(self.draws, self.size)[: self.size])
            table, self.draws = table[stay], self.draws[stay]
        self.parts = [table.rechunk()]

    def table(self) -> pl.DataFrame:
        """The sample in source order."""
        self._shrink()
        return self.parts[0]
