"""Small protein structures for docking tests, made here: no file of a data bank."""

from __future__ import annotations

from functools import cache


@cache
def peptide(sequence: str) -> str:
    """PDB lines of a peptide in one of its folds, chain A, numbered from 1, without hydrogens."""
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom

    molecule = Chem.AddHs(Chem.MolFromSequence(sequence))
    assert rdDistGeom.EmbedMolecule(molecule, randomSeed=11) == 0
    block = Chem.MolToPDBBlock(Chem.RemoveHs(molecule), flavor=2 | 8)
    return "".join(line + "\n" for line in block.splitlines() if line.startswith("ATOM"))


def atom(name: str, residue: str, number: int, xyz: tuple[float, float, float], **more: object) -> str:
    """One line of PDB; `more` may hold kind, chain, element, altloc, occupancy."""
    element = str(more.get("element", name[0]))
    shown = name if len(element) == 2 else f" {name}"
    return (
        f"{more.get('kind', 'ATOM'):<6s}{1:5d} {shown:<4s}{more.get('altloc', ' '):1s}{residue:>3s} "
        f"{more.get('chain', 'A'):1s}{number:4d}    "
        f"{xyz[0]:8.3f}{xyz[1]:8.3f}{xyz[2]:8.3f}{float(more.get('occupancy', 1)):6.2f}{0:6.2f} "
        f"         {element:>2s}\n"
    )


def lines_of(pdb: str, number: int) -> list[str]:
    """The lines of one residue."""
    return [line for line in pdb.splitlines(True) if int(line[22:26]) == number]
