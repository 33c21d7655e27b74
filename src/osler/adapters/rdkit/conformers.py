"""Three-dimensional structures of molecules."""

from __future__ import annotations

from typing import Any

from osler.errors import InputError
from osler.registry import optional

#: Longest search for one conformer, seconds.
MOST_SECONDS = 120


def embed(molecule: Any, seed: int) -> Any:
    """A copy with explicit hydrogens and one conformer: ETKDG version 3, then MMFF94s (UFF where MMFF has no
    parameters).

    Charges and hydrogens are taken as the molecule has them: nothing is protonated. Sources: Wang, Witek, Landrum,
    Riniker, J Chem Inf Model 2020; Tosco, Stiefl, Landrum, J Cheminform 2014.

    Args:
        molecule: an RDKit molecule; stereo centres that it leaves open are drawn by the seed.
        seed: the same seed gives the same conformer.

    Raises:
        InputError: no conformer was found.
        MissingExtraError: RDKit is not installed.
    """
    chem = optional("rdkit.Chem", "molecules")
    distances = optional("rdkit.Chem.rdDistGeom", "molecules")
    fields = optional("rdkit.Chem.rdForceFieldHelpers", "molecules")
    full = chem.AddHs(molecule)
    settings = distances.ETKDGv3()
    settings.randomSeed, settings.timeout = seed, MOST_SECONDS
    if distances.EmbedMolecule(full, settings) < 0:
        settings.useRandomCoords = True
        if distances.EmbedMolecule(full, settings) < 0:
            raise InputError(
                "the ligand must have a structure in space, none was found: check its stereo centres and rings"
            )
    if fields.MMFFHasAllMoleculeParams(full):
        fields.MMFFOptimizeMolecule(full, mmffVariant="MMFF94s", maxIters=2000)
    elif fields.UFFHasAllMoleculeParams(full):
        fields.UFFOptimizeMolecule(full, maxIters=2000)
    return full
