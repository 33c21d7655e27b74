"""Columns of proteins in a table: recognised, read from structure files, emptied where they are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import osler
from osler.cohort import proteins
from osler.cohort.facts import facts_of
from osler.engine.prepare import open_cohort
from osler.engine.study import Study
from osler.modalities.residues import RESIDUES

KINASE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"
PEPTIDE = {"ALA": "A", "GLY": "G", "SER": "S"}


def chains(n: int, seed: int = 0, length: int = 60) -> list[str]:
    """Random sequences."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(RESIDUES), length)) for _ in range(n)]


def pdb(names: list[str], chain: str = "A", start: int = 1) -> str:
    """Lines of a structure with one alpha carbon per residue."""
    return "".join(
        f"ATOM  {i + start:5d}  CA  {name} {chain}{i + start:4d}    {3.8 * i:8.3f}{0.0:8.3f}{0.0:8.3f}  1.00  0.00           C\n"
        for i, name in enumerate(names)
    )


@pytest.mark.parametrize(
    ("header", "values", "found"),
    [
        ("protein", chains(20, length=25), True),
        ("x", chains(20), True),
        ("x", chains(20, length=25), False),
        ("x", [c.lower() for c in chains(20)], False),
        ("sequence", [c.lower() for c in chains(20)], True),
        ("protein", ["ACGTTGCA" * 5] * 20, False),
        ("protein", ["kinase", "receptor", "channel"] * 7, False),
        ("sequence", chains(16) + ["see the other file"] * 4, True),
        ("x", chains(16) + ["see the other file"] * 4, False),
        ("target", ["pain in the left side of the chest since"] * 20, False),
        ("protein", [f"{c[:60]}*" for c in chains(20)], True),
        ("protein", [" ".join(c[i : i + 10] for i in range(0, 60, 10)) for c in chains(20)], True),
    ],
)
def test_what_is_taken_for_proteins(header: str, values: list[str], found: bool) -> None:
    assert proteins.is_proteins(facts_of(pl.Series(header, values))) is found


def test_numbers_and_nothing_are_no_proteins() -> None:
    assert not proteins.is_proteins(facts_of(pl.Series("protein", [1.0, 2.0, 3.0])))
    assert not proteins.is_proteins(facts_of(pl.Series("protein", [None, None], dtype=pl.String)))


def test_inference_says_why() -> None:
    table = pl.DataFrame({"protein": chains(30), "y": range(30)})
    column = osler.read(table).column("protein")
    assert (column.modality, column.role) == ("protein", "input")
    assert column.reason == "text that reads as proteins, 30 distinct"


def test_unreadable_cells_reach_the_ledger_with_their_row() -> None:
    table = pl.DataFrame({"protein": [*chains(30), KINASE + "1", "MK V?", None], "y": range(33)})
    cohort = osler.read(table)
    assert cohort.refusals.sort("row").rows() == [
        (31, "protein", "not a protein: no letter of a residue at position 34", "set missing"),
        (32, "protein", "not a protein: no letter of a residue at position 4", "set missing"),
    ]
    assert cohort.table["protein"].null_count() == 3
    assert len(cohort) == 33


def test_declared_columns_are_read_as_proteins_too(tmp_path) -> None:
    table = pl.DataFrame({"chain": ["MKV", "GGS", "M1", "AAA"] * 5, "y": range(20)})
    cohort = osler.read(table, columns={"chain": "protein"})
    assert cohort.column("chain").modality == "protein"
    assert cohort.refusals["reason"].unique().to_list() == ["not a protein: no letter of a residue at position 2"]
    table.write_csv(tmp_path / "t.csv")
    opened = open_cohort(Study(target=("y",), column=("chain=protein",), source=str(tmp_path / "t.csv")))
    assert opened.column("chain").modality == "protein"
    assert opened.refusals.height == 5, "a column that a study declares is read so, too"


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    """A folder with a table's structure files."""
    pytest.importorskip("gemmi")
    first = pdb(["ALA", "GLY", "SER", "ALA"]) + pdb(["SER", "SER"], "B", 5) + "END\n"
    (tmp_path / "one.pdb").write_text(first)
    (tmp_path / "two.pdb.gz").write_bytes(gzip.compress((pdb(["SER", "MSE", "GLY"]) + "END\n").encode()))
    (tmp_path / "water.pdb").write_text("HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O\n")
    (tmp_path / "text.pdb").write_text("this is no structure\n")
    return tmp_path


def test_structure_files_become_the_sequence_of_their_first_chain(structures: Path) -> None:
    table = structures / "t.csv"
    names = ["one.pdb", "two.pdb.gz", " one.pdb ", "AGS"]
    pl.DataFrame({"protein": names, "y": range(4)}).write_csv(table)
    cohort = osler.read(table, columns={"protein": "protein"})
    assert cohort.table["protein"].to_list() == ["AGSA", "SMG", "AGSA", "AGS"], "selenomethionine is a methionine"
    assert cohort.refusals.height == 0


def test_a_structure_that_gives_no_sequence_costs_its_cell(structures: Path) -> None:
    table = structures / "t.csv"
    names = ["one.pdb", "water.pdb", "text.pdb", "none.pdb", "../out.pdb"]
    pl.DataFrame({"protein": names * 4, "y": range(20)}).write_csv(table)
    cohort = osler.read(table)
    assert cohort.column("protein").modality == "protein", "names of structure files are proteins"
    assert cohort.refusals.filter(pl.col("row") <= 5).sort("row")["reason"].to_list() == [
        "not a protein: its structure file gives no sequence (structure)",
        "not a protein: its structure file gives no sequence (structure)",
        "not a protein: its structure file is not there",
        "not a protein: its structure file gives no sequence (read-outside)",
    ]
    assert cohort.table["protein"][:5].to_list() == ["AGSA", None, None, None, None]


def test_a_table_without_a_folder_opens_no_file(structures: Path, monkeypatch) -> None:
    monkeypatch.chdir(structures)
    cohort = osler.read(pl.DataFrame({"protein": ["one.pdb", "two.pdb.gz"] * 2, "y": range(4)}), columns={"protein": "protein"})
    assert cohort.table["protein"].null_count() == 4


def test_mmcif_gives_the_same_sequence(structures: Path) -> None:
    gemmi = pytest.importorskip("gemmi")
    structure = gemmi.read_structure(str(structures / "one.pdb"))
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(structures / "one.cif"))
    pl.DataFrame({"protein": ["one.cif", "one.pdb"], "y": [1, 2]}).write_csv(structures / "t.csv")
    assert osler.read(structures / "t.csv", columns={"protein": "protein"}).table["protein"].to_list() == ["AGSA"] * 2
