"""A few rows that differ from one another: MaxMin and sphere exclusion.

MaxMin: M. Ashton et al., Quant Struct-Act Relat 21:598 (2002). Sphere exclusion along a ranking: B. D. Hudson et al.,
Quant Struct-Act Relat 15:285 (1996).
"""

from __future__ import annotations

import numpy as np

from osler.adapters.tanimoto.search import checked
from osler.errors import OptionError


def maxmin(bits: np.ndarray, n: int, first: int = 0, chosen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """n rows of (m, words), each the one least similar to all picked before it; equal ones by row.

    Args:
        first: the row to begin with; with `chosen`, rows (k, words) picked earlier, it is not used.

    Returns:
        Rows (n,) in the order of picking, and each one's largest similarity to those before it (0 for the first).
    """
    from osler.adapters.tanimoto import kernels

    bits, n = checked(bits), min(n, len(bits))
    similarity = np.zeros(len(bits))
    for row in chosen if chosen is not None else ():
        kernels.raise_to(bits, np.ascontiguousarray(row), similarity)
    taken = np.zeros(len(bits), dtype=bool)
    rows, nearest = np.empty(n, dtype=np.int64), np.empty(n)
    for i in range(n):
        start = i == 0 and chosen is None
        rows[i] = first if start else int(np.argmin(np.where(taken, np.inf, similarity)))
        nearest[i] = similarity[rows[i]]
        taken[rows[i]] = True
        kernels.raise_to(bits, bits[rows[i]], similarity)
    return rows, nearest


def spheres(bits: np.ndarray, n: int, most: float) -> tuple[np.ndarray, np.ndarray]:
    """Up to n rows in their own order, leaving out every row more than `most` similar to one taken before it.

    Returns:
        Rows (at most n,), and each one's largest similarity to those before it (0 for the first).

    Raises:
        OptionError: `most` is no similarity.
    """
    from osler.adapters.tanimoto import kernels

    if not 0.0 <= most <= 1.0:
        raise OptionError(f"similarity of a sphere must be from 0 to 1, was {most:g}")
    bits = checked(bits)
    similarity = np.zeros(len(bits))
    rows, nearest = [], []
    for row in range(len(bits)):
        if len(rows) == n:
            break
        if similarity[row] <= most:
            rows.append(row)
            nearest.append(similarity[row])
            kernels.raise_to(bits, bits[row], similarity)
    return np.array(rows, dtype=np.int64), np.array(nearest)
