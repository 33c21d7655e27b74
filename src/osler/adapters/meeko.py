"""PDBQT of receptors and ligands, the only place where meeko is imported."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from osler.adapters.rdkit.poses import silent
from osler.errors import InputError
from osler.registry import optional

_RESIDUE = re.compile(r"(?:residue_key='|corresponding to key )([^'\s]*)")


@dataclass(frozen=True)
class ReceptorText:
    """What meeko made of a structure.

    Attributes:
        pdbqt: rigid receptor with charges and atom types.
        pdb: the same atoms with every hydrogen.
        refused: residues ("A:45") that match no template; without these, the others would be a receptor with holes.
    """

    pdbqt: str
    pdb: str
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class LigandText:
    """A ligand for docking.

    Attributes:
        pdbqt: the torsion tree with charges and atom types.
        atoms: for each line of the PDBQT the atom's index in the molecule, −1 for a helper of a cut ring; shape (n,).
        torsions: number of bonds that turn.
    """

    pdbqt: str
    atoms: np.ndarray
    torsions: int


@cache
def _templates() -> Any:
    polymer = optional("meeko", "molecules")
    return polymer.ResidueChemTemplates.create_from_defaults()


def known_residues() -> frozenset[str]:
    """Residue names that have a template; the others could only be had from the network, and are never asked for
    there.
    """
    templates = _templates()
    return frozenset(templates.ambiguous) | frozenset(templates.residue_templates)


def receptor(pdb: str) -> ReceptorText:
    """Match every residue of a PDB text to its template, add the hydrogens it lacks, give charges and types.

    Charges are those of the templates. A histidine without hydrogens becomes the first template that fits; termini and
    disulphide bridges are recognised by their bonds. Source: the meeko package of the Forli group.

    Args:
        pdb: polymers and waters of `known_residues`, one place per atom.

    Raises:
        MissingExtraError: meeko is not installed.
    """
    meeko = optional("meeko", "molecules")
    with _silent():
        try:
            polymer = meeko.Polymer.from_pdb_string(
                pdb, _templates(), meeko.MoleculePreparation(), allow_bad_res=True, default_altloc="A"
            )
        except RuntimeError as error:
            named = _RESIDUE.search(str(error))
            if named is None:
                raise
            return ReceptorText("", "", (named[1],))
        rigid, _ = meeko.PDBQTWriterLegacy.write_from_polymer(polymer)
    return ReceptorText(rigid, polymer.to_pdb(), tuple(polymer.get_ignored_monomers()))


def ligand(molecule: Any) -> LigandText:
    """The torsion tree of a molecule with explicit hydrogens and 3-D coordinates (RDKit), Gasteiger charges, AutoDock
    types.

    Rings of seven atoms and more may be cut and closed by the search; amides stay as they are.

    Raises:
        MissingExtraError: meeko is not installed.
        InputError: an atom has no charge or type.
    """
    meeko = optional("meeko", "molecules")
    with _silent():
        try:
            setup = meeko.MoleculePreparation().prepare(molecule)[0]
            text, good, why = meeko.PDBQTWriterLegacy.write_string(setup, add_index_map=True)
        except (RuntimeError, ValueError, KeyError) as error:
            raise InputError(
                "the ligand must be of atoms with known charges and types, one of "
                "its atoms has none: dock another form of it"
            ) from error
    if not good:
        raise InputError(
            f"the ligand must be of atoms with known charges and types, it is not "
            f"({why.strip().splitlines()[0][:80]}): dock another form of it"
        )
    return LigandText(text, _index_map(text), text.count("\nBRANCH"))


def _index_map(pdbqt: str) -> np.ndarray:
    """Molecule index (from 0) per atom line, from the remarks "INDEX MAP molecule line molecule line ..."."""
    pairs = [
        int(v) for line in pdbqt.splitlines() if line.startswith("REMARK INDEX MAP") for v in line.split()[3:]
    ]
    lines = sum(line.startswith(("ATOM", "HETATM")) for line in pdbqt.splitlines())
    found = np.full(lines, -1, dtype=np.int64)
    for inside, line in zip(pairs[::2], pairs[1::2], strict=True):
        found[line - 1] = inside - 1
    return found


@contextmanager
def _silent() -> Iterator[None]:
    """Meeko's warnings name residues over many lines; what matters is in the answer."""
    logger = logging.getLogger("meeko")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), silent():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
