"""From drawn atoms and bonds to one molecule in which no atom has a bond too many.

The likeliest bonds come first: those that join what is not yet joined, then those that close rings. A bond is taken with
the highest order that both atoms have room for, so every graph decodes to a molecule; nothing is redrawn or thrown away but atoms
that no bond can reach.
"""

from __future__ import annotations

import numpy as np


def bounded(atoms: np.ndarray, logits: np.ndarray, orders: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Atoms and bonds of one molecule.

    Args:
        atoms: (n,) atom numbers, 0 for none.
        logits: (n, n, orders + 1) symmetric scores of each bond order, noise included.
        orders: (n, n) drawn order of each bond.
        room: bonds that each atom number may have, by atom number.

    Returns:
        (n,) atom numbers, 0 for atoms of smaller parts that no bond reaches, and (n, n) symmetric orders; the orders of each atom sum
        to at most its room.
    """
    left = room[atoms].astype(int)
    bonds = np.zeros(orders.shape, dtype=np.int8)
    part = np.arange(len(atoms))
    rows, columns = np.triu_indices(len(atoms), 1)
    real = (atoms[rows] > 0) & (atoms[columns] > 0)
    rows, columns = rows[real], columns[real]
    gain = logits[rows, columns, 1:].max(1) - logits[rows, columns, 0]
    drawn = orders[rows, columns] > 0
    best = np.lexsort((columns, rows, -gain))
    later = []
    for k in best[drawn[best]]:
        if part[rows[k]] == part[columns[k]]:
            later.append(k)
        else:
            _bind(rows[k], columns[k], max(1, orders[rows[k], columns[k]]), left, bonds, part)
    for k in best[~drawn[best]]:
        if part[rows[k]] != part[columns[k]]:
            _bind(rows[k], columns[k], 1, left, bonds, part)
    for k in later:
        _bind(rows[k], columns[k], orders[rows[k], columns[k]], left, bonds, part)
    names, counts = np.unique(part[atoms > 0], return_counts=True)
    kept = part == names[counts.argmax()] if len(names) else np.zeros(len(atoms), bool)
    kept &= atoms > 0
    return np.where(kept, atoms, 0).astype(np.int8), bonds * (kept[:, None] & kept[None, :])


def _bind(i: int, j: int, order: int, left: np.ndarray, bonds: np.ndarray, part: np.ndarray) -> None:
    """Join two atoms as far as both have room."""
    order = min(order, left[i], left[j])
    if order < 1:
        return
    bonds[i, j] = bonds[j, i] = order
    left[[i, j]] -= order
    part[part == part[j]] = part[i]
