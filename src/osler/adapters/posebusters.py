"""Is a pose physically plausible? PoseBusters' checks, the only place where posebusters is imported."""

from __future__ import annotations

import warnings
from typing import Any

from osler.registry import optional


def checks(poses: list[Any], receptor: Any) -> list[dict[str, bool]]:
    """Check → passed, for each pose beside a receptor.

    Chemistry, bond lengths and angles, flatness, clashes within the molecule, strain (energy against that of an
    ensemble), and distance and overlap to the protein. Source: Buttenschoen, Morris, Deane, Chem Sci 2024.

    Args:
        poses: RDKit molecules with hydrogens.
        receptor: an RDKit molecule of the receptor's atoms, with their residues.

    Raises:
        MissingExtraError: posebusters is not installed.
    """
    posebusters = optional("posebusters", "molecules")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = posebusters.PoseBusters(config="dock", max_workers=0).bust(poses, None, receptor)
    return [{str(name): bool(value) for name, value in row.items()} for row in table.to_dict("records")]
