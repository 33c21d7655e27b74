"""Small counts are hidden, and with them whatever would let a reader work them out.

A count from 1 to `SMALL` - 1 describes so few people that they may be known by it. Hiding it alone is not
enough where a total stands beside it, so a second cell of the same row and column is hidden too
(complementary suppression; Willenborg and de Waal, Elements of Statistical Disclosure Control, 2001,
chapter 4).
"""

from __future__ import annotations

import numpy as np

SMALL = 10
HIDDEN = f"<{SMALL}"


def is_small(count: int | float) -> bool:
    """True for 1 to 9; a zero describes nobody."""
    return 0 < count < SMALL


def hide(counts: np.ndarray) -> np.ndarray:
    """(rows, groups) bool, true where a count must not be shown.

    Args:
        counts: (rows, columns) int, rows that add up to a published total per column, and columns that add
            up to a published total per row or hold that total among them.
    """
    counts = np.asarray(counts)
    hidden = (counts > 0) & (counts < SMALL)
    while True:
        before = hidden.copy()
        for view, mask in ((counts, hidden), (counts.T, hidden.T)):
            for line in np.flatnonzero(mask.sum(axis=0) == 1):
                _hide_one_more(view[:, line], mask[:, line])
        if (hidden == before).all():
            return hidden


def _hide_one_more(counts: np.ndarray, mask: np.ndarray) -> None:
    """Hide the smallest shown count above zero of one line, in place; a zero if there is no other."""
    shown = np.flatnonzero(~mask)
    if len(shown):
        above = shown[counts[shown] > 0]
        pick = above if len(above) else shown
        mask[pick[np.argmin(counts[pick])]] = True


def shown(count: int, hidden: bool) -> str:
    """A count as it may be printed."""
    return HIDDEN if is_small(count) else ("hidden" if hidden else f"{count:,}")
