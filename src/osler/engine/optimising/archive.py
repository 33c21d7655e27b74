"""Every molecule that was scored, in its order; the best of them, those that new ones are made of, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

#: What every scored molecule has besides its columns.
OWN = ("place", "round", "method", "change", "parent")


class Archive:
    """Scored molecules.

    Args:
        rows: what is scored already.

    Attributes:
        rows: one dict per molecule, in the order of scoring.
    """

    def __init__(self, rows: Sequence[dict[str, Any]] = ()) -> None:
        self.rows: list[dict[str, Any]] = list(rows)
        self._known = {row["smiles"] for row in self.rows}

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, smiles: str) -> bool:
        return smiles in self._known

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Put scored molecules at the end and number them."""
        for row in rows:
            self.rows.append({"place": len(self.rows) + 1, **row})
            self._known.add(row["smiles"])

    def ranked(self) -> list[dict[str, Any]]:
        """Best first: fewest unmet conditions, then the score; what has no score comes last, equal ones by place."""
        return sorted(self.rows, key=rank)

    def parents(self, n: int, objectives: Callable[[dict[str, Any]], list[float]], strict: bool) -> list[dict[str, Any]]:
        """What new molecules are made of: the n best, the front among them.

        Args:
            strict: molecules outside the domain of a run are no parents, unless there are no others.
        """
        ranked = self.ranked()
        if strict:
            ranked = [row for row in ranked if _is_inside(row)] or ranked
        on = {row["smiles"] for row in front(ranked, objectives)[: n // 2]}
        first = [row for row in ranked if row["smiles"] in on]
        others = [row for row in ranked if row["smiles"] not in on]
        return [*first, *others][:n]

    def shares(self, smiles: Sequence[str]) -> list[float]:
        """From 0 (worst) to 1 (best): the share of all scored molecules that each one is better than; 0 for one that was not scored."""
        place = {row["smiles"]: i for i, row in enumerate(self.ranked())}
        most = max(1, len(self.rows) - 1)
        return [1.0 - place[text] / most if text in place else 0.0 for text in smiles]


def rank(row: dict[str, Any]) -> tuple[int, float, int]:
    """Sorting key: smaller is better."""
    score = row["score"]
    return row["unmet"], math.inf if score is None or math.isnan(score) else -score, row["place"]


def front(rows: Sequence[dict[str, Any]], objectives: Callable[[dict[str, Any]], list[float]]) -> list[dict[str, Any]]:
    """The rows that meet every condition and that no other such row is at least as good as in every objective and better in one; by
    the first objective, best first. Of rows that are equal in all objectives the first stays.

    Source: H. T. Kung et al., On finding the maxima of a set of vectors, J ACM 22:469 (1975).
    """
    open_rows = [row for row in rows if row["unmet"] == 0 and all(map(math.isfinite, objectives(row)))]
    if not open_rows:
        return []
    values = np.array([objectives(row) for row in open_rows], dtype=np.float64)
    order = np.lexsort((np.arange(len(values)), *(-values[:, ::-1]).T))
    kept: list[int] = []
    for i in order:
        held = values[kept]
        if not len(kept) or not (held >= values[i]).all(axis=1).any():
            kept.append(int(i))
    return [open_rows[i] for i in kept]


def _is_inside(row: dict[str, Any]) -> bool:
    return all(value is not False for name, value in row.items() if name.endswith("_in_domain"))
