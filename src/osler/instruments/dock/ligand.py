"""From a cell of a table to a ligand that can be docked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from osler.adapters import meeko
from osler.adapters.rdkit import conformers, poses
from osler.cohort import limits
from osler.cohort.cohort import Cohort
from osler.cohort.sources import located
from osler.errors import ColumnError, LimitError

#: Beyond these a search by Vina is not to be trusted: heavy atoms, bonds that turn.
MOST_ATOMS, MOST_TORSIONS = 150, 32
#: Largest SDF file, unpacked bytes.
MOST_BYTES = 64 << 20
#: Names of columns that hold molecules, where no column has the modality.
NAMES = ("smiles", "canonical_smiles", "smi", "molecule", "mol", "molblock", "structure", "drug")


@dataclass(frozen=True)
class Ligand:
    """A molecule in space, ready for docking.

    Attributes:
        molecule: RDKit molecule with explicit hydrogens and one conformer.
        text: its PDBQT and what belongs to it.
        notes: what was done to it, in words.
    """

    molecule: Any
    text: meeko.LigandText
    notes: tuple[str, ...]


def column_of(cohort: Cohort, name: str) -> str:
    """The column of molecules: the named one, the one of modality molecule, or one named as in `NAMES`.

    Raises:
        ColumnError: there is none.
    """
    if name:
        return cohort.column(name).name
    known = [c.name for c in cohort.columns if c.modality == "molecule"]
    known += [c.name for c in cohort.columns if c.name.lower() in NAMES]
    if not known:
        raise ColumnError(
            "the table must have a column of molecules, none is of modality "
            "molecule or named smiles: name it with --column",
            "column-unknown",
        )
    return known[0]


def ready(cell: str, seed: int, start: str) -> Ligand:
    """A ligand from SMILES or a mol block. Charges and hydrogens stay as they are given.

    Args:
        cell: the text.
        seed: of the conformer.
        start: "new" makes a conformer from the bonds alone, "given" takes the coordinates of the mol block.

    Raises:
        ReadError: it is no molecule.
        LimitError: more heavy atoms or turning bonds than `MOST_ATOMS`, `MOST_TORSIONS`.
        InputError: no conformer, charge or type.
    """
    molecule, parts = poses.largest_part(poses.read(cell))
    heavy = molecule.GetNumHeavyAtoms()
    if not 1 <= heavy <= MOST_ATOMS:
        raise LimitError(
            f"a ligand must have 1 to {MOST_ATOMS} heavy atoms, one has {heavy}: dock a part of it"
        )
    notes = [f"largest of {parts} parts"] if parts > 1 else []
    if start == "given":
        molecule = poses.with_hydrogens(molecule)
    else:
        if drawn := poses.open_centres(molecule):
            notes.append(f"{drawn} stereo centres not given, drawn by the seed")
        molecule = conformers.embed(molecule, seed)
    text = meeko.ligand(molecule)
    if text.torsions > MOST_TORSIONS:
        raise LimitError(
            f"a ligand must have at most {MOST_TORSIONS} bonds that turn, one has {text.torsions}: dock a part of it"
        )
    return Ligand(molecule, text, tuple(notes))


def pose_of(path: str) -> Any:
    """The first molecule of an SDF file, as an RDKit molecule in space.

    Raises:
        ReadError: no file, no molecule, or no coordinates in space.
    """
    file = located(path)
    text = b"".join(limits.unpack(file, MOST_BYTES)).decode("utf-8", "replace")
    return poses.read_sdf(text, file.name)[0]
