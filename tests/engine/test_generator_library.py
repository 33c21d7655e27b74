"""Libraries that generators learn from: every kind of file, every reason of refusal, rows told apart and accounted for."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from osler.adapters.rdkit.fragments import canonical
from osler.adapters.rdkit.parse import parse
from osler.adapters.rdkit.scaffolds import scaffold
from osler.engine.library import COLUMNS, FEWEST, Library, read_library
from osler.engine.progress import Progress
from osler.errors import ColumnError, InputError, ReadError
from tests.models.neural.generation.drugs import DRUGS

pytest.importorskip("rdkit")
EXPECTED = [canonical(parse(s).mol) for s in DRUGS]


def read(path: Path, most: int = 0) -> Library:
    """A library, silently."""
    with Progress(True) as progress:
        return read_library(path, progress, most)


def write(folder: Path, name: str, lines: list[str]) -> Path:
    """A file of lines."""
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_list_gives_canonical_molecules_in_their_order(tmp_path: Path):
    found = read(write(tmp_path, "drugs.smi", list(DRUGS)))
    assert found.smiles == EXPECTED
    assert found.rows.tolist() == list(range(1, len(DRUGS) + 1))
    assert found.n_read == len(found) == len(DRUGS)
    assert found.refusals.is_empty()
    assert found.name.startswith("drugs")


def test_scaffolds_go_with_their_molecules(tmp_path: Path):
    found = read(write(tmp_path, "drugs.smi", list(DRUGS)))
    assert found.scaffolds == [scaffold(parse(s).mol) for s in DRUGS]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_table_with_any_usual_name_of_the_column(tmp_path: Path, column: str):
    lines = [f"id,{column},x", *(f'{i},"{s}",{i % 7}' for i, s in enumerate(DRUGS))]
    assert read(write(tmp_path, "table.csv", lines)).smiles == EXPECTED


def test_a_packed_list(tmp_path: Path):
    path = tmp_path / "drugs.smi.gz"
    path.write_bytes(gzip.compress("\n".join(DRUGS).encode()))
    assert read(path).smiles == EXPECTED


def test_only_so_many_rows_are_looked_at(tmp_path: Path):
    path = write(tmp_path, "drugs.smi", list(DRUGS))
    found = read(path, FEWEST + 2)
    assert found.smiles == EXPECTED[: FEWEST + 2]
    assert found.n_read == FEWEST + 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [("C1CC", "not a molecule"), ("CCN.Cl", "more than one part"), (DRUGS[3], "the same molecule"), ("C(C)(C)(C)(C)C", "not a molecule")],
)
def test_a_refused_row_has_its_number_and_its_reason(tmp_path: Path, line: str, reason: str):
    found = read(write(tmp_path, "drugs.smi", [*DRUGS, line]))
    assert len(found) == len(DRUGS)
    row = found.refusals.row(0, named=True)
    assert row["row"] == len(DRUGS) + 1
    assert row["reason"].startswith(reason)
    assert row["action"] == "row refused"
    assert line not in row["reason"]


def test_every_row_is_either_kept_or_refused(tmp_path: Path):
    lines = [*DRUGS, "C1CC", "CCN.Cl", DRUGS[0], "c1ccccc1Cc1ccccc1C"]
    found = read(write(tmp_path, "drugs.smi", lines))
    told = {*found.rows.tolist(), *found.refusals["row"].to_list()}
    assert told == set(range(1, len(lines) + 1))
    assert found.n_read == len(lines) == len(found) + found.refusals["row"].n_unique()


def test_two_spellings_are_one_molecule(tmp_path: Path):
    found = read(write(tmp_path, "drugs.smi", [*DRUGS, "O=C(O)c1ccccc1OC(C)=O"]))
    assert len(found) == len(DRUGS)
    assert found.refusals["reason"].to_list() == ["the same molecule as in an earlier row"]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_held_out_are_whole_scaffolds(tmp_path: Path, share: float):
    found = read(write(tmp_path, "drugs.smi", list(DRUGS)))
    held = found.held_out(share, np.random.default_rng(3))
    names = np.array(found.scaffolds)
    assert 0 < held.sum() < len(found)
    assert not set(names[held]) & set(names[~held])
    assert len(set(names[held])) == max(1, round(share * len(set(names))))
    assert np.array_equal(held, found.held_out(share, np.random.default_rng(3)))
    assert not np.array_equal(held, found.held_out(share, np.random.default_rng(4)))


def test_too_few_absent_or_without_molecules(tmp_path: Path):
    with pytest.raises(InputError, match=f"at least {FEWEST} different molecules, 1 are left of 60 rows"):
        read(write(tmp_path, "same.smi", ["CCO"] * 60))
    with pytest.raises(ColumnError, match="smiles"):
        read(write(tmp_path, "table.csv", ["a,b", "1,2", "3,4"]))
    with pytest.raises(ReadError):
        read(tmp_path / "none.smi")
