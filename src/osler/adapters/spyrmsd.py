"""Root-mean-square deviation of two poses of one molecule, the only place where spyrmsd is imported."""

from __future__ import annotations

import numpy as np

from osler.registry import optional


def symmetric_rmsd(
    reference: tuple[np.ndarray, np.ndarray, np.ndarray], pose: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> float | None:
    """The least RMSD in Å over all ways to lay the one molecular graph onto the other; nothing is moved.

    Source: Meli, Biggin, J Cheminform 2020.

    Args:
        reference: positions (n, 3) in Å, atomic numbers (n,), adjacency (n, n).
        pose: the same of the pose.

    Returns:
        The RMSD, or None if the graphs are not those of one molecule.

    Raises:
        MissingExtraError: spyrmsd is not installed.
    """
    rmsd = optional("spyrmsd.rmsd", "molecules")
    errors = optional("spyrmsd.exceptions", "molecules")
    (xyz0, number0, bonds0), (xyz1, number1, bonds1) = reference, pose
    if sorted(number0.tolist()) != sorted(number1.tolist()) or bonds0.sum() != bonds1.sum():
        return None
    try:
        return float(rmsd.symmrmsd(xyz0, xyz1, number0, number1, bonds0, bonds1))
    except errors.NonIsomorphicGraphs:
        return None
