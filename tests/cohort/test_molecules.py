"""Columns of molecules: cells that are none are emptied, each with its row and reason, however long the column is."""

from __future__ import annotations

import polars as pl
import pytest

pytest.importorskip("rdkit")

import osler
from osler.cohort import molecules
from osler.cohort.column import ROW, Column

TEXTS = ["CCO", "C1CC", None, "CCN", "C1CC", "CC>>CO", "CCO", "", "CCCl", "C(C)(C)(C)(C)C"]


def table(times: int = 1) -> pl.DataFrame:
    """Ten cells, several times, with row numbers from 5 on."""
    n = 10 * times
    return pl.DataFrame({ROW: range(5, 5 + n), "smiles": TEXTS * times, "dose": [1.0] * n})


COLUMNS = (Column("smiles", "molecule"), Column("dose", "number"))


def test_what_is_no_molecule_is_emptied_and_listed():
    found, ledger = molecules.readable(table(), COLUMNS)
    assert found["smiles"].to_list() == ["CCO", None, None, "CCN", None, None, "CCO", "", "CCCl", None]
    assert sorted(ledger.select("row", "reason").rows()) == [
        (6, "not a molecule: unclosed ring"), (9, "not a molecule: unclosed ring"),
        (10, "not a molecule: a reaction, not one molecule"),
        (14, "not a molecule: Explicit valence for atom # 0 C, 5, is greater than permitted"),
    ]  # fmt: skip
    assert set(ledger["action"]) == {"set missing"}


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_a_long_column_is_read_in_blocks_to_the_same_end(monkeypatch, block):
    whole, ledger = molecules.readable(table(7), COLUMNS)
    monkeypatch.setattr(molecules, "BLOCK", block)
    said = []
    found, lost = molecules.readable(table(7), COLUMNS, progress=lambda *step: said.append(step))
    assert found.equals(whole)
    assert lost.sort("row").equals(ledger.sort("row"))
    if block == 3:
        assert said == [("molecules of smiles", done, 8) for done in (3, 6, 8)], "seven distinct texts and the missing one"


def test_columns_known_to_be_molecules_or_ignored_are_not_asked(monkeypatch):
    monkeypatch.setattr(molecules, "_modality", lambda: pytest.fail("asked"))
    assert molecules.readable(table(), COLUMNS, known={"smiles"})[0].equals(table())
    ignored = (Column("smiles", "molecule", "ignore"),)
    assert molecules.readable(table(), ignored)[1].height == 0


def test_reading_a_table_tells_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(molecules, "BLOCK", 20)
    path = tmp_path / "a.csv"
    path.write_text("smiles,y\n" + "".join(f"{'C' * (i % 30 + 3)}O,{i}\n" for i in range(60)))
    said = []
    cohort = osler.read(path, columns={"smiles": "molecule"}, progress=lambda *step: said.append(step))
    assert len(cohort) == 60
    assert said == [("molecules of smiles", 20, 30), ("molecules of smiles", 30, 30)]
