"""From a structure file to a rigid receptor: every choice and every loss is named.

Order: alternate places, modified residues, what is left out, incomplete side chains, hydrogens and charges. A residue
that no template fits loses first its own hydrogens, then its side chain, and only then itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.adapters import gemmi, meeko
from osler.cohort import limits
from osler.cohort.sources import located
from osler.errors import LimitError, OptionError, ReadError
from osler.instruments.dock import sidechains

#: Largest structure file, unpacked bytes.
MOST_BYTES = 200 << 20
#: Most atoms of a receptor: the atom number of PDB has five digits.
MOST_ATOMS = 90_000
#: Metal ions that bind ligands in proteins and that Vina has a type for; others count as salt of the crystal.
METALS = {
    "ZN": "Zn",
    "MG": "Mg",
    "MN": "Mn",
    "CA": "Ca",
    "FE": "Fe",
    "CU": "Cu",
    "CO": "Co",
    "NI": "Ni",
    "CD": "Cd",
}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_KEY = pl.concat_str("chain", pl.lit(":"), pl.col("number").cast(pl.String), "insertion")


@dataclass(frozen=True)
class Receptor:
    """A receptor ready for docking.

    Attributes:
        pdbqt: rigid receptor with charges and atom types.
        pdb: the same atoms, hydrogens included, in PDB format.
        atoms: the same as an atom table of `osler.adapters.gemmi`.
        structure: the file's atoms as they were read, ligands and waters included.
        facts: what was chosen, added, cut and left out.
    """

    pdbqt: str
    pdb: str
    atoms: pl.DataFrame
    structure: pl.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def xyz(self) -> np.ndarray:
        """Positions (n, 3) in Å."""
        return self.atoms.select("x", "y", "z").to_numpy()


def prepare(path: str, altlocs: tuple[str, ...] = (), waters: bool = False, metals: bool = True) -> Receptor:
    """Read and prepare a PDB or mmCIF file (also packed by gzip, bzip2 or xz).

    Args:
        path: the file.
        altlocs: "A:45=B" takes place B of that residue; elsewhere the place with the highest occupancy.
        waters: keep waters.
        metals: keep ions of `METALS`.

    Raises:
        ReadError: no file, no structure, or no protein in it (codes `read-missing`, `structure`).
        OptionError: an altloc that the structure has not.
        LimitError: more than `MOST_ATOMS` atoms.
    """
    file = located(path)
    text = b"".join(limits.unpack(file, MOST_BYTES)).decode("utf-8", "replace")
    is_mmcif = text.lstrip().startswith(("data_", "#")) or ".cif" in file.name.lower()
    structure, models = gemmi.read_atoms(text, file.name, is_mmcif)
    chosen, places = _altlocs(structure.with_columns(key=_KEY), altlocs)
    kept, facts = _kept(chosen, file, waters)
    kept, cut = sidechains.complete(kept)
    letters = _letters(kept)
    made, cured = _templated(kept, letters)
    ions = chosen.filter(
        (pl.col("kind") == "metal") & pl.col("element").str.to_uppercase().is_in(list(METALS))
    )
    ions = ions if metals else ions.clear()
    pdb = made.pdb + _pdb(ions, letters)
    atoms = _with_names(gemmi.read_atoms(pdb, file.name, False)[0], letters)
    facts = {
        "file": file.name, "models": models, "chains": sorted(set(atoms["chain"])), **facts,
        "residues": int(atoms.filter(pl.col("kind") != "water").select("chain", "number", "insertion").n_unique()),
        "atoms": atoms.height,
        "hydrogens": {"in the file": int((kept["element"] == "H").sum()), "now": int((atoms["element"] == "H").sum())},
        "alternate_places_chosen": places, "chain_breaks": sidechains.breaks(kept),
        "side_chains_cut": {**cut, **cured["side_chains_cut"]}, "own_hydrogens_replaced": cured["hydrogens_replaced"],
        "residues_left_out": cured["left_out"], "metals_kept": _named(ions), "waters_kept": int(_count(atoms, "water")),
    }  # fmt: skip
    facts["hetero_left_out"] = [n for n in facts["hetero_left_out"] if n not in facts["metals_kept"]]
    return Receptor(made.pdbqt + _pdbqt(ions, letters), pdb, atoms, structure, facts)


def _altlocs(atoms: pl.DataFrame, asked: tuple[str, ...]) -> tuple[pl.DataFrame, list[str]]:
    """One residue name per number and one place per atom: the asked letter, or that with the highest occupancy in the
    residue.
    """
    wanted = dict(_asked(text, atoms) for text in asked)
    names = atoms.group_by("key", "residue", maintain_order=True).agg(pl.col("occupancy").mean())
    names = names.sort("occupancy", descending=True, maintain_order=True).unique(
        "key", keep="first", maintain_order=True
    )
    atoms = atoms.join(names.select("key", "residue"), on=["key", "residue"], maintain_order="left")
    letters = atoms.filter(pl.col("altloc") != "").group_by("key", "altloc").agg(pl.col("occupancy").sum())
    best, told = {}, []
    for key in letters["key"].unique(maintain_order=True).sort().to_list():
        held = (
            letters.filter(pl.col("key") == key)
            .sort(["occupancy", "altloc"], descending=[True, False])["altloc"]
            .to_list()
        )
        best[key] = wanted.get(key, held[0])
        told.append(f"{key} {best[key]} of {', '.join(sorted(held))}")
    rank = (pl.col("altloc") != pl.col("key").replace_strict(best, default="", return_dtype=pl.String)).cast(
        pl.Int8
    )
    ranked = (
        atoms.with_row_index("at")
        .with_columns(rank=rank)
        .sort(["rank", "occupancy", "at"], descending=[False, True, False])
        .unique(["key", "atom"], keep="first", maintain_order=True)
    )
    whole = ranked.sort(pl.col("at").min().over("key"), "at")  # a residue's lines together, where its first one is
    return whole.drop("at", "rank"), told


def _asked(text: str, atoms: pl.DataFrame) -> tuple[str, str]:
    key, _, letter = text.partition("=")
    key = key.strip() if ":" in key else f":{key.strip()}"
    held = sorted(set(atoms.filter((pl.col("key") == key) & (pl.col("altloc") != ""))["altloc"]))
    if letter.strip() not in held:
        raise OptionError(
            f"option 'altlocs' must be like A:45=B with a place that the residue has, was "
            f"'{text[:30]}'; it has {', '.join(held) or 'none'}"
        )
    return key, letter.strip()


def _kept(atoms: pl.DataFrame, file: Path, waters: bool) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Polymers and asked waters under names that have templates, and what was renamed or left out."""
    kinds = ["amino", "nucleic"] + (["water"] if waters else [])
    if not _count(atoms, "amino"):
        raise ReadError(
            f"'{file.name}' must hold a protein, it holds no amino acid: name the receptor's file, not the ligand's",
            "structure",
        )
    known = meeko.known_residues()
    renamed, atoms = sidechains.modified(atoms, known)
    is_polymer = pl.col("kind").is_in(kinds) & pl.col("residue").is_in(list(known))
    kept = atoms.filter(is_polymer)
    if kept.height > MOST_ATOMS:
        raise LimitError(
            f"a receptor must have at most {MOST_ATOMS:,} atoms, '{file.name}' has "
            f"{kept.height:,}: keep the chains around the pocket"
        )
    out = atoms.filter(~is_polymer & (pl.col("kind") != "water"))
    return kept, {
        "modified_residues": renamed, "hetero_left_out": _named(out),
        "waters_left_out": 0 if waters else int(_count(atoms, "water")),
    }  # fmt: skip


def _count(atoms: pl.DataFrame, kind: str) -> int:
    return atoms.filter(pl.col("kind") == kind).select("chain", "number", "insertion").n_unique()


def _named(atoms: pl.DataFrame) -> list[str]:
    named = atoms.select(
        pl.concat_str("chain", pl.lit(":"), "residue", pl.col("number").cast(pl.String), "insertion").alias(
            "n"
        )
    )
    return named["n"].unique(maintain_order=True).to_list()


def _templated(atoms: pl.DataFrame, letters: dict[str, str]) -> tuple[meeko.ReceptorText, dict[str, Any]]:
    """The receptor, after residues without a fitting template were cured or left out, and which."""
    told: dict[str, Any] = {"hydrogens_replaced": [], "side_chains_cut": {}, "left_out": []}
    back = {v: k for k, v in letters.items()}
    tries: dict[str, int] = {}
    for _ in range(60):
        made = meeko.receptor(_pdb(atoms, letters))
        refused = [f"{back.get(r.partition(':')[0], '')}:{r.partition(':')[2]}" for r in made.refused]
        if not refused and made.pdbqt:
            return made, told
        for key in refused:
            here, tries[key] = pl.col("key") == key, tries.get(key, 0) + 1
            if tries[key] == 1 and atoms.filter(here & (pl.col("element") == "H")).height:
                told["hydrogens_replaced"].append(key)
                atoms = atoms.filter(~(here & (pl.col("element") == "H")))
            elif tries[key] <= 2 and (short := sidechains.cut(atoms, key)) is not None:
                told["side_chains_cut"][key] = "no template fits it"
                atoms = short
            else:
                told["left_out"].append(key)
                atoms = atoms.filter(~here)
    raise ReadError(
        "the receptor must be of residues with known templates, too many are not: name a cleaned structure",
        "structure",
    )


def _letters(atoms: pl.DataFrame) -> dict[str, str]:
    """Chain name → one letter, itself where it has one."""
    names = atoms["chain"].unique(maintain_order=True).to_list()
    free = [c for c in _LETTERS if c not in names]
    if len([n for n in names if len(n) > 1]) > len(free):
        raise LimitError(
            f"a receptor must have at most {len(_LETTERS)} chains, it has "
            f"{len(names)}: keep the chains around the pocket"
        )
    numbers = atoms["number"]
    if numbers.min() < -999 or numbers.max() > 9999:
        raise LimitError(
            f"residue numbers must be -999 to 9999, they are {numbers.min()} to {numbers.max()}: number the chain anew"
        )
    return {n: n if len(n) <= 1 else free.pop(0) for n in names}


def _with_names(atoms: pl.DataFrame, letters: dict[str, str]) -> pl.DataFrame:
    """The chains under their own names again."""
    back = {v: k for k, v in letters.items()}
    return atoms.with_columns(pl.col("chain").replace(back))


def _pdb(atoms: pl.DataFrame, letters: dict[str, str]) -> str:
    """PDB lines of an atom table."""
    out = []
    for i, a in enumerate(atoms.iter_rows(named=True), start=1):
        name = a["atom"] if len(a["atom"]) >= 4 or len(a["element"]) == 2 else f" {a['atom']}"
        out.append(
            f"{'HETATM' if a['kind'] == 'metal' else 'ATOM  '}{i:5d} {name:<4.4s} {a['residue']:>3.3s} "
            f"{letters.get(a['chain'], a['chain'][:1]):1.1s}{a['number']:4d}"
            f"{a['insertion'] or ' ':1.1s}   {a['x']:8.3f}{a['y']:8.3f}{a['z']:8.3f}{1:6.2f}{0:6.2f} "
            f"         {a['element'].upper():>2s}\n"
        )
    return "".join(out)


def _pdbqt(ions: pl.DataFrame, letters: dict[str, str]) -> str:
    """PDBQT lines of metal ions; Vina scores them by type, the charge is not used."""
    lines = _pdb(ions, letters).splitlines()
    return "".join(f"{line[:66]}    {0:6.3f} {METALS[line[76:78].strip()]:<2s}\n" for line in lines)
