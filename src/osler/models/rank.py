"""Columns that cannot be told apart, named; and how wide the least-squares answer is because of them.

With columns that are linear combinations of others, infinitely many coefficients fit equally well. Software prints one,
the one of minimum norm in whatever scale the columns happened to have. Here the directions are reported, and the
answers under the usual scales are shown side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Columns whose remainder after projection on the others is below this share of their own length are dependent.
TOLERANCE = 1e-9

#: Most directions that are written out.
SHOWN = 10

#: How columns are scaled before the minimum-norm least-squares answer is taken.
SCALINGS = (
    "raw, constant as a column", "raw, centred", "standardised",
    "divided by range", "divided by largest", "divided by mean",
)  # fmt: skip


@dataclass(frozen=True)
class RankReport:
    """What a design can and cannot tell apart.

    Attributes:
        rank: independent directions of the centred columns; p: columns; n: rows.
        directions: at most `SHOWN` combinations of columns that are constant over rows: feature → weight, largest 1.
        unclear: columns that take part in any such combination.
    """

    rank: int
    p: int
    n: int
    directions: tuple[dict[str, float], ...]
    unclear: tuple[str, ...]

    @property
    def is_full(self) -> bool:
        """Whether every column can be told apart from the others."""
        return self.rank == self.p

    def sentences(self) -> list[str]:
        """One plain sentence per direction."""
        same = "is the same in every row"
        return [f"the data cannot tell apart {_joined(list(d))}: {_formula(d)} {same}" for d in self.directions]

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {
            "rank": self.rank, "p": self.p, "n": self.n, "directions": [dict(d) for d in self.directions],
            "unclear": list(self.unclear), "sentences": self.sentences(),
        }  # fmt: skip


def is_deficient(meta: dict[str, Any]) -> bool:
    """Whether params' meta holds a rank report by which columns cannot be told apart."""
    report = meta.get("rank")
    return isinstance(report, dict) and report["rank"] < report["p"]


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _formula(direction: dict[str, float]) -> str:
    text = ""
    for name, weight in direction.items():
        size = "" if abs(abs(weight) - 1) < 1e-9 else f"{abs(weight):.4g} × "
        sign = ("− " if weight < 0 else "+ ") if text else ("−" if weight < 0 else "")
        text += f"{' ' if text else ''}{sign}{size}{name}"
    return text


def rank_report(X: np.ndarray, names: Sequence[str]) -> RankReport:
    """The rank of the centred columns of X (n, p), and the combinations that do not vary.

    Source: QR with column pivoting (Golub and Van Loan, section 5.4) on centred columns of unit length.
    """
    from scipy.linalg import qr, solve_triangular

    n, p = X.shape
    centred = X - X.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    varies = length > 1e-12 * np.maximum(np.abs(X).max(axis=0, initial=0.0) * np.sqrt(n), 1e-300)
    unit = np.where(varies, centred / np.where(varies, length, 1.0), 0.0)
    _, r, order = qr(unit, mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    rank = int((size > TOLERANCE * max(p, n)).sum())
    free, bound = order[:rank], order[rank:]
    weights = solve_triangular(r[:rank, :rank], r[:rank, rank:]) if rank else np.zeros((0, len(bound)))
    directions, unclear = [], np.zeros(p, dtype=bool)
    for k, j in enumerate(bound):
        direction = np.zeros(p)
        direction[j] = 1.0
        direction[free] = -weights[:, k]
        direction = np.where(varies, direction / np.where(varies, length, 1.0), direction)
        direction[np.abs(direction) < 1e-7 * np.abs(direction).max()] = 0.0
        touched = np.flatnonzero(direction)
        unclear[touched] = True
        if len(directions) < SHOWN:
            direction = direction / direction[touched[np.argmax(np.abs(direction[touched]))]]
            direction = direction * np.sign(direction[touched[0]])
            directions.append({names[i]: float(np.round(direction[i], 10)) for i in touched})
    return RankReport(rank, p, n, tuple(directions), tuple(names[i] for i in np.flatnonzero(unclear)))


def scaled_answers(X: np.ndarray, y: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
    """(len(SCALINGS), p + 1) least-squares coefficients on X (n, p), intercept last, minimum-norm under each scaling.

    All fit the rows equally well; with full column rank they are one and the same.
    """
    from scipy.linalg import lstsq

    n, p = X.shape
    root = np.sqrt(np.ones(n) if w is None else w)[:, None]
    total = float((root**2).sum())
    centre, middle = (root[:, 0] ** 2 @ X) / total, float(root[:, 0] ** 2 @ y) / total
    with_constant = np.column_stack([X, np.ones(n)])
    answers = [lstsq(with_constant * root, y * root[:, 0], cond=1e-10)[0]]
    one = np.ones(p)
    for scale in (one, X.std(axis=0), np.ptp(X, axis=0), np.abs(X).max(axis=0), np.abs(centre)):
        divide = np.where(scale > 1e-300, scale, 1.0)
        beta = lstsq((X - centre) / divide * root, (y - middle) * root[:, 0], cond=1e-10)[0] / divide
        answers.append(np.append(beta, middle - beta @ centre))
    return np.stack(answers)


def prediction_width(X: np.ndarray, y: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far apart the least-squares answers for new rows are.

    Args:
        X: (n, p) training rows. y: (n,). new: (m, p).

    Returns:
        (m, 2) the lowest and highest answer over `SCALINGS`, and (m, len(SCALINGS)) every answer.
    """
    answers = scaled_answers(np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64))
    every = np.asarray(new, dtype=np.float64) @ answers[:, :-1].T + answers[:, -1]
    return np.column_stack([every.min(axis=1), every.max(axis=1)]), every
