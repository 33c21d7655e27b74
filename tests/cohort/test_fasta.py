"""FASTA files as tables: what is read, what is refused and where."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest

import osler
from osler.cohort import fasta
from osler.errors import LimitError, ReadError

KINASE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


def written(folder: Path, text: str | bytes, name: str = "some.fasta") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_records_become_rows(tmp_path) -> None:
    path = written(tmp_path, ">sp|P1|A first protein\nMKV\n\nLAA\n; a comment\n>P2\r\nmkv*\r\n")
    table, refused = fasta.read_fasta(path)
    assert table.to_dict(as_series=False) == {
        "_row": [1, 2], "name": ["sp|P1|A", "P2"], "description": ["first protein", None], "sequence": ["MKVLAA", "mkv*"],
    }  # fmt: skip
    assert refused == []


def test_columns_that_no_record_fills_are_left_out(tmp_path) -> None:
    assert fasta.read_fasta(written(tmp_path, ">\nMKV\n"))[0].columns == ["_row", "sequence"]


def test_a_record_without_a_sequence_is_refused_with_its_line(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fasta, "MAX_LETTERS", 10)
    path = written(tmp_path, f">a\n>b\nMKV\n>c\n{'A' * 8}\n{'A' * 8}\n>d\nGG\n>e")
    table, refused = fasta.read_fasta(path)
    assert table["name"].to_list() == ["b", "d"]
    assert table["_row"].to_list() == [2, 4]
    assert refused == [
        (1, "a header without a sequence (line 1)"),
        (3, "longer than 10 letters (line 4)"),
        (5, "a header without a sequence (line 9)"),
    ]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("MKV\n>a\nMKV\n", "read-format", r"first text \(line 1\) is no header"),
        ("\n; note\nMKV\n", "read-format", r"\(line 3\)"),
        (">a\n>b\n", "read-empty", "holds no record with one"),
    ],
)
def test_other_files_are_refused(tmp_path, text: str, code: str, says: str) -> None:
    with pytest.raises(ReadError, match=says) as error:
        fasta.read_fasta(written(tmp_path, text))
    assert error.value.code == code


def test_packed_files_and_other_encodings(tmp_path) -> None:
    text = f">näme\n{KINASE}\n"
    for name, data in (
        ("a.fa.gz", gzip.compress(text.encode())), ("a.faa.bz2", bz2.compress(text.encode())),
        ("a.fasta", text.encode("utf-16")), ("b.fasta", b"\xef\xbb\xbf" + text.encode()),
    ):  # fmt: skip
        cohort = osler.read(written(tmp_path, data, name))
        assert cohort.table.select("name", "sequence").rows() == [("näme", KINASE)], name


def test_a_bomb_is_not_unpacked(tmp_path) -> None:
    with pytest.raises(LimitError, match="must unpack to at most 100 times its size"):
        fasta.read_fasta(written(tmp_path, gzip.compress(b">a\n" + b"A" * (40 << 20)), "a.fa.gz"))


def test_a_cut_file_is_refused(tmp_path) -> None:
    whole = gzip.compress(f">a\n{KINASE}\n".encode() * 1000)
    with pytest.raises(ReadError, match="ends too early or is damaged"):
        osler.read(written(tmp_path, whole[: len(whole) // 2], "a.fasta.gz"))


def test_illegal_letters_cost_the_cell_and_not_the_file(tmp_path) -> None:
    text = "".join(f">p{i}\n{KINASE[i:]}{KINASE}\n" for i in range(10)) + f">bad\n{KINASE}1\n>none\n"
    cohort = osler.read(written(tmp_path, text))
    assert cohort.column("sequence").modality == "protein"
    assert len(cohort) == 11
    assert cohort.table["sequence"].null_count() == 1
    assert cohort.refusals.sort("row").rows() == [
        (11, "sequence", "not a protein: no letter of a residue at position 34", "set missing"),
        (12, "", "a header without a sequence (line 23)", "row refused"),
    ]
