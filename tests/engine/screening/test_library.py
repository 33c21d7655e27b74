"""Libraries as streams: every format gives the same molecules, what is cut is told, what is no library is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from osler.engine.screening.library import blocks, entries
from osler.errors import ColumnError, LimitError, ReadError

SDF = "{name}\n  made\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n    0.0000    0.0000    0.0000 O   0  0\nM  END\n> <x>\n1\n\n$$$$\n"


def told(path: Path, column: str = "") -> list[tuple[int, str, str]]:
    """Place, text and name of every entry."""
    return [(e.place, e.text, e.name) for e in entries(path, column)]


def test_lists_tables_and_packed_files_say_the_same(tmp_path: Path):
    expected = ["CCO", "CCN"]
    files = {
        "a.smi": "CCO ethanol\n\nCCN ethyl amine\n",
        "b.smi": "smiles name\r\nCCO ethanol\r\nCCN ethyl amine",
        "c.csv": 'id,smiles\nethanol,CCO\n\n"ethyl amine",CCN\n',
        "d.tsv": "SMILES\tname\nCCO\tethanol\nCCN\tethyl amine\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, newline="")
        with gzip.open(tmp_path / f"{name}.gz", "wt", newline="") as out:
            out.write(text)
        for path in (tmp_path / name, tmp_path / f"{name}.gz"):
            assert [text for _, text, _ in told(path)] == expected
            assert [name for _, _, name in told(path)] == ["ethanol", "ethyl amine"]
    assert [place for place, _, _ in told(tmp_path / "a.smi")] == [1, 3]


def test_line_ends_of_every_kind_in_one_file_wherever_it_is_cut_into_steps(tmp_path: Path, monkeypatch):
    text = b"smiles name\rCCO one\r\n\r\nCCN two\rCCC three\n\rCC=O four\r\nCCCl five\r"
    expected = [(2, "CCO", "one"), (4, "CCN", "two"), (5, "CCC", "three"), (7, "CC=O", "four"), (8, "CCCl", "five")]
    path = tmp_path / "a.smi"
    path.write_bytes(text)
    assert told(path) == expected
    for size in range(1, len(text)):
        monkeypatch.setattr("osler.cohort.limits.STEP", size)
        assert told(path) == expected
    path.write_bytes(text[:-8])
    assert told(path)[-1] == (8, "CC", ""), "of a list that was cut nobody can tell: what is there is taken"


def test_records_of_an_sdf_and_the_one_that_was_cut(tmp_path: Path):
    path = tmp_path / "a.sdf"
    path.write_text(SDF.format(name="one") + SDF.format(name="two")[:90])
    first, second = entries(path)
    assert (first.place, first.name, first.kind, first.problem) == (1, "one", "mol", "")
    assert first.text.endswith("M  END\n")
    assert second.place == 2
    assert "cut" in second.problem


def test_a_table_that_was_cut_in_the_middle_of_a_line_says_so(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("smiles,name,price\nCCO,ethanol,3\nCCN,eth")
    first, second = entries(path)
    assert first.problem == ""
    assert second.problem == "has 2 cells where the header has 3: the line is cut or broken"


def test_a_packed_file_that_ends_too_early_is_refused(tmp_path: Path):
    path = tmp_path / "a.smi.gz"
    whole = gzip.compress("\n".join(f"{'C' * (i % 90)}O m{i}" for i in range(1, 2000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError) as error:
        list(entries(path))
    assert error.value.code == "read-truncated"


def test_what_is_no_library_is_refused(tmp_path: Path):
    (tmp_path / "a.docx").write_text("x")
    (tmp_path / "a.csv").write_text("price\n3\n")
    (tmp_path / "b.smi").write_bytes(b"C" * (1 << 20) + b"C" * 10)
    with pytest.raises(ReadError, match=r"\.sdf"):
        entries(tmp_path / "a.docx")
    with pytest.raises(ReadError, match="not there"):
        entries(tmp_path / "none.smi")
    with pytest.raises(ColumnError, match="--column"):
        list(entries(tmp_path / "a.csv"))
    with pytest.raises(ColumnError, match="price"):
        list(entries(tmp_path / "a.csv", "prize"))
    with pytest.raises((ReadError, LimitError)):
        list(entries(tmp_path / "b.smi"))


def test_blocks_hold_every_entry_once(tmp_path: Path):
    path = tmp_path / "a.smi"
    path.write_text("C\n" * 7)
    assert [[e.place for e in b] for b in blocks(entries(path), 3)] == [[1, 2, 3], [4, 5, 6], [7]]
