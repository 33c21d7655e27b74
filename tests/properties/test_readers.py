"""Readers: what was written comes back, and no row is ever lost, whatever the bytes."""

from __future__ import annotations

import csv
import importlib.util
import io
import tempfile
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import osler
from osler.cohort.column import ROW
from osler.cohort.delimited import Delimited
from osler.errors import InputError

CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from("\",;\n\t|'= "), max_size=12
)
NAMES = st.lists(st.text("abcdefghij_", min_size=1, max_size=8), min_size=2, max_size=5, unique=True)


def blocks_of(
    data: bytes, size: int, delimiter: str = ","
) -> tuple[list[tuple[str | None, ...]], list[int], Delimited]:
    """Rows as text, numbers of refused rows, and the reader, from bytes that come in steps of 7."""
    reader = Delimited("t.csv", delimiter)
    rows: list[tuple[str | None, ...]] = []
    refused: list[int] = []
    numbers: list[int] = []
    for block in reader.blocks((data[i : i + 7] for i in range(0, len(data), 7)), size):
        rows += block.table(reader.header, reader.delimiter).rows()
        numbers += block.rows.tolist()
        refused += [row for row, _ in block.refused]
    assert sorted([*numbers, *refused]) == list(range(1, reader.n_read + 1))
    return rows, refused, reader


@given(NAMES, st.data(), st.sampled_from([64, 200, 1 << 20]), st.sampled_from(["\n", "\r\n"]))
def test_csv_comes_back_cell_by_cell(names: list[str], data: st.DataObject, size: int, end: str):
    rows = data.draw(st.lists(st.tuples(*[CELLS] * len(names)), min_size=1, max_size=12))
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end).writerows([names, *rows])
    found, refused, reader = blocks_of(out.getvalue().encode(), size)
    assert reader.header == names
    assert refused == []
    assert found == [tuple(c or None for c in row) for row in rows]


@given(st.binary(max_size=400), st.sampled_from([32, 100, 1 << 20]))
def test_every_record_of_any_text_is_a_row_or_a_refusal(noise: bytes, size: int):
    data = b"a,b\n1,2\n" + noise.decode("utf-8", "replace").encode()
    rows, _, reader = blocks_of(data, size)
    assert rows
    assert all(len(row) == 2 for row in rows)
    assert reader.header == ["a", "b"]


@given(
    st.lists(st.integers(-(10**15), 10**15) | st.none(), min_size=1, max_size=30).filter(
        lambda x: any(v is not None for v in x)
    )
)
def test_whole_numbers_come_back(values: list[int | None]):
    text = "x,y\n" + "\n".join(f"{'' if v is None else v},a" for v in values)
    assert read(text.encode()).table["x"].to_list() == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_numbers_come_back_exactly(values: list[float]):
    text = "x,y\n" + "\n".join(f"{v!r},a" for v in values)
    assert read(text.encode()).table["x"].cast(pl.Float64).to_list() == values


@given(st.lists(st.text("0123456789", min_size=2, max_size=6), min_size=1, max_size=20))
def test_a_leading_zero_keeps_a_column_as_it_is_written(values: list[str]):
    values = ["007", *values]
    assert read(("x,y\n" + "\n".join(f"{v},a" for v in values)).encode()).table["x"].to_list() == values


@given(st.binary(min_size=1, max_size=300), st.sampled_from([".csv", ".jsonl", ".csv.gz", ".tsv"]))
def test_any_bytes_give_a_cohort_or_a_typed_error(data: bytes, suffix: str):
    cohort, said = None, None
    try:
        cohort = read(data, suffix)
    except InputError as error:
        said = (error.exit_code, error.message.count("\n"))
    if cohort is None:
        assert said == (2, 0)
    else:
        refused = cohort.refusals.filter(pl.col("action") == "row refused")["row"].n_unique()
        assert cohort.lineage[0].rows_before == len(cohort) + refused
        assert cohort.table[ROW].is_unique().all()


def read(data: bytes, suffix: str = ".csv") -> osler.Cohort:
    """A cohort from bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{suffix}"
        path.write_bytes(data)
        return osler.read(path)


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    """The script `tests/safety/fuzz_readers.py`."""
    path = Path(__file__).parents[1] / "safety" / "fuzz_readers.py"
    spec = importlib.util.spec_from_file_location("fuzz_readers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mutated_files_crash_nothing(fuzz: ModuleType):
    outcomes, wrong = fuzz.run(300, 11)
    assert wrong == []
    assert sum(n for kind, n in outcomes.items() if kind != "peak MiB") == 300
    assert outcomes["csv read"] > 20


def test_files_that_once_failed_are_refused(fuzz: ModuleType):
    kept = sorted(p for p in fuzz.CORPUS.iterdir() if p.is_file())
    assert kept
    assert [p.name for p in kept if not fuzz.outcome(p).startswith("refused")] == []
