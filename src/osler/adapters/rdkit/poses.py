"""Molecules in space: read from SMILES and SDF, moved to docked positions, written as SDF with their bond orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from osler.adapters.rdkit.parse import parse
from osler.errors import ReadError
from osler.registry import optional


def read(text: str) -> Any:
    """A molecule from SMILES, or from a mol block (a text of several lines), with its coordinates.

    Raises:
        ReadError: it is neither (code `structure`).
        MissingExtraError: RDKit is not installed.
    """
    chem = optional("rdkit.Chem", "molecules")
    is_block = "\n" in text.strip()
    text = _versioned(text.partition("$$$$")[0]) if is_block else text
    parsed = parse(text, "mol" if is_block else "smiles")
    if parsed.mol is None:
        kind = "mol block" if is_block else "SMILES"
        why = f" ({parsed.reason})" if parsed.reason else ""
        raise ReadError(
            f"a ligand must be SMILES or a mol block, one is no valid {kind}{why}: correct its row",
            "structure",
        )
    if not is_block:
        return parsed.mol
    with silent():
        return chem.MolFromMolBlock(text, removeHs=False)


def _versioned(block: str) -> str:
    """A mol block whose counts line names its version: early ones do not, and are V2000."""
    lines = block.split("\n")
    if len(lines) > 3 and not lines[3].rstrip().endswith(("V2000", "V3000")):
        lines[3] = f"{lines[3].rstrip()[:33]:<33s} V2000"
    return "\n".join(lines)


def read_sdf(text: str, name: str) -> list[Any]:
    """The molecules of an SDF text, hydrogens kept.

    Raises:
        ReadError: there is none, or one is damaged (code `structure`).
        MissingExtraError: RDKit is not installed.
    """
    chem = optional("rdkit.Chem", "molecules")
    supplier = chem.SDMolSupplier()
    with silent():
        supplier.SetData(text, removeHs=False)
        found = list(supplier)
    if not found or any(m is None or not m.GetNumAtoms() for m in found):
        raise ReadError(
            f"'{name}' must hold whole molecules in SDF format, it does not: export it again", "structure"
        )
    return found


def with_hydrogens(molecule: Any) -> Any:
    """A copy in which the hydrogens that are not there stand at their usual places; the other atoms stay where they
    are.

    Raises:
        ReadError: the molecule has no coordinates in space (code `structure`).
    """
    chem = optional("rdkit.Chem", "molecules")
    if not molecule.GetNumConformers() or not molecule.GetConformer().Is3D():
        raise ReadError(
            "a ligand must have coordinates in space to start from them, one has none: use --start new",
            "structure",
        )
    return chem.AddHs(molecule, addCoords=True)


def largest_part(molecule: Any) -> tuple[Any, int]:
    """The part with the most heavy atoms (a salt's drug), and how many parts there were."""
    chem = optional("rdkit.Chem", "molecules")
    parts = chem.GetMolFrags(molecule, asMols=True)
    return max(parts, key=lambda m: m.GetNumHeavyAtoms()), len(parts)


def open_centres(molecule: Any) -> int:
    """Number of stereo centres and double bonds whose geometry is not given."""
    chem = optional("rdkit.Chem", "molecules")
    open_kind = chem.StereoSpecified.Unspecified
    return sum(s.specified == open_kind for s in chem.FindPotentialStereo(molecule))


def positions(molecule: Any) -> np.ndarray:
    """Positions (n, 3) in Å of all atoms."""
    return np.asarray(molecule.GetConformer().GetPositions(), dtype=np.float64)


def heavy(molecule: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (n, 3), atomic numbers (n,) and adjacency (n, n) of the atoms that are not hydrogen."""
    chem = optional("rdkit.Chem", "molecules")
    numbers = np.array([a.GetAtomicNum() for a in molecule.GetAtoms()])
    keep = numbers > 1
    bonds = np.asarray(chem.GetAdjacencyMatrix(molecule))
    return positions(molecule)[keep], numbers[keep], bonds[np.ix_(keep, keep)]


def place(molecule: Any, atoms: np.ndarray, xyz: np.ndarray) -> Any:
    """A copy at docked positions: bond orders and charges stay, hydrogens that were not docked are set anew on their
    atoms.

    Args:
        molecule: the molecule with explicit hydrogens that was docked.
        atoms: index in the molecule per docked atom, −1 for none; shape (n,).
        xyz: docked positions, shape (n, 3), Å.
    """
    chem = optional("rdkit.Chem", "molecules")
    geometry = optional("rdkit.Geometry", "molecules")
    docked = {int(i): p for i, p in zip(atoms, xyz, strict=True) if i >= 0}
    conformer = chem.Conformer(molecule.GetNumAtoms())
    for i, (x, y, z) in docked.items():
        conformer.SetAtomPosition(i, geometry.Point3D(float(x), float(y), float(z)))
    edit = chem.RWMol(molecule)
    edit.RemoveAllConformers()
    edit.AddConformer(conformer, assignId=True)
    for atom in reversed([a for a in edit.GetAtoms() if a.GetIdx() not in docked]):
        parent = atom.GetNeighbors()[0]
        parent.SetNumExplicitHs(parent.GetNumExplicitHs() + 1)
        edit.RemoveAtom(atom.GetIdx())
    found = edit.GetMol()
    chem.SanitizeMol(found)
    found = chem.AddHs(found, addCoords=True)
    order = sorted(range(found.GetNumAtoms()), key=lambda i: found.GetAtomWithIdx(i).GetAtomicNum() == 1)
    return chem.RenumberAtoms(found, order)


def to_sdf(molecules: list[Any], properties: list[Mapping[str, Any]]) -> str:
    """SDF text of molecules in space, each with its properties."""
    chem = optional("rdkit.Chem", "molecules")
    parts = []
    for molecule, named in zip(molecules, properties, strict=True):
        fields = "".join(f">  <{k}>\n{v}\n\n" for k, v in named.items() if v not in (None, ""))
        parts.append(f"{chem.MolToMolBlock(molecule)}{fields}$$$$\n")
    return "".join(parts)


def read_receptor(pdb: str) -> Any:
    """The atoms of a PDB text as one molecule without bonds, for checks that need positions and residue names only."""
    chem = optional("rdkit.Chem", "molecules")
    return chem.MolFromPDBBlock(pdb, sanitize=False, removeHs=False, proximityBonding=False)


@contextmanager
def silent() -> Iterator[None]:
    """RDKit says nothing meanwhile: its messages quote structures, ours do not."""
    blocks = optional("rdkit.rdBase", "molecules")
    keep = blocks.BlockLogs()
    try:
        yield
    finally:
        del keep
