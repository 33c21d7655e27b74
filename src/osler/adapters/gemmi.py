"""Structure files (PDB and mmCIF) as a table of atoms, the only place where gemmi is imported."""

from __future__ import annotations

import polars as pl

from osler.errors import ReadError
from osler.registry import optional

#: The columns of an atom table: author's numbering, one line per atom and place.
ATOMS = {
    "chain": pl.String, "number": pl.Int64, "insertion": pl.String, "residue": pl.String, "kind": pl.String,
    "parent": pl.String, "atom": pl.String, "element": pl.String, "altloc": pl.String, "occupancy": pl.Float64,
    "x": pl.Float64, "y": pl.Float64, "z": pl.Float64,
}  # fmt: skip


def read_atoms(text: str, name: str, is_mmcif: bool) -> tuple[pl.DataFrame, int]:
    """Every atom of the first model, in file order, and the number of models.

    `kind` is "amino", "nucleic", "water", "metal" (a residue of metal atoms only) or "other"; `parent` is the
    one-letter code of the standard residue that a modified one comes from, empty if there is none; deuterium is read
    as hydrogen.

    Args:
        text: the file.
        name: what to call it in messages.
        is_mmcif: mmCIF instead of PDB.

    Raises:
        ReadError: it is no structure file, or holds no atom (code `structure`).
        MissingExtraError: gemmi is not installed.
    """
    gemmi = optional("gemmi", "molecules")
    try:
        if is_mmcif:
            structure = gemmi.make_structure_from_block(gemmi.cif.read_string(text).sole_block())
        else:
            structure = gemmi.read_pdb_string(text)
    except (RuntimeError, ValueError, IndexError) as error:
        kind = "mmCIF" if is_mmcif else "PDB"
        raise ReadError(
            f"'{name}' must be a {kind} file, it cannot be read as one: check its format", "structure"
        ) from error
    if not len(structure) or not structure[0].count_atom_sites():
        raise ReadError(
            f"'{name}' must hold a protein, it holds no atoms: export its coordinates", "structure"
        )
    rows = []
    for chain in structure[0]:
        for residue in chain:
            about = gemmi.find_tabulated_residue(residue.name)
            where = (
                chain.name,
                residue.seqid.num,
                residue.seqid.icode.strip(),
                residue.name,
                _kind(residue, about),
            )
            parent = about.one_letter_code.strip().upper() if about.is_amino_acid() else ""
            for atom in residue:
                element = "H" if atom.element.name == "D" else atom.element.name
                place = (atom.altloc.strip("\0 "), atom.occ, atom.pos.x, atom.pos.y, atom.pos.z)
                rows.append((*where, parent, atom.name, element, *place))
    return pl.DataFrame(rows, schema=ATOMS, orient="row"), len(structure)


def read_sequence(text: str, name: str, is_mmcif: bool) -> str:
    """The residues of the first protein chain of the first model, one letter each, X for one without a standard parent.
    Residues that the experiment did not see are not in it.

    Raises:
        ReadError: it is no structure file, or holds no protein chain (code `structure`).
        MissingExtraError: gemmi is not installed.
    """
    atoms, _ = read_atoms(text, name, is_mmcif)
    held = atoms.filter(pl.col("kind") == "amino")
    if not held.height:
        raise ReadError(f"'{name}' must hold a protein chain, it holds none: export its coordinates", "structure")
    chain = held.filter(pl.col("chain") == held["chain"][0])
    chain = chain.unique(["number", "insertion"], keep="first", maintain_order=True)
    return "".join(letter or "X" for letter in chain["parent"].to_list())


def _kind(residue: object, about: object) -> str:
    if about.is_amino_acid():
        return "amino"
    if about.is_nucleic_acid():
        return "nucleic"
    if about.is_water():
        return "water"
    return "metal" if len(residue) and all(a.element.is_metal for a in residue) else "other"
