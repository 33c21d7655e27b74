"""Answers for tables that are too large to be held: rows are read, answered and written block by block.

This is for predictors whose columns mean the same in any block, as a molecule does; what a number or a date means is decided
by its whole column, and such tables are read whole (`osler.engine.predict`). Columns that the predictor does not know are
carried along as they are written.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from osler import modalities
from osler.adapters.rdkit import features
from osler.cohort import molecules, proteins, sources
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW, Column
from osler.cohort.headers import checked
from osler.cohort.lineage import no_refusals, refusals
from osler.cohort.profile_stream import csv_blocks, parquet_blocks
from osler.engine.predict import as_trained, open_predictor
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.engine.screening.library import LINES, blocks, entries
from osler.engine.tables import defused
from osler.engine.validate import typed
from osler.errors import OptionError, ReadError

#: Rows answered together, and rows and refusals kept to be shown.
ROWS, SHOWN = 4000, 20

Table = tuple[pl.DataFrame, list[tuple[int, str]]]


@dataclass
class Streamed:
    """What was answered.

    Attributes:
        rows, inside: rows answered, and those of them in domain. refused: cells or rows that could not be used.
        names: prediction columns. head: the first `SHOWN` rows, with their numbers. first: the first refusals.
        written: the file, if one was asked for.
    """

    rows: int = 0
    inside: int = 0
    refused: int = 0
    names: tuple[str, ...] = ()
    head: pl.DataFrame = field(default_factory=pl.DataFrame)
    first: pl.DataFrame = field(default_factory=no_refusals)
    written: Path | None = None


def can_stream(predictor: Predictor, source: str | Path) -> bool:
    """Whether a file can be answered block by block: delimited text, Parquet or a list of SMILES, for columns
    whose cells are things written out.
    """
    if not all(modalities.get(column.modality).is_thing for column in predictor.inputs) or not Path(source).is_file():
        return False
    return _form(Path(source)) in ("csv", "parquet", "lines")


def predict_stream(
    run: Run | Predictor | str | Path,
    source: str | Path,
    out: str | Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Streamed:
    """Answer every row of a file in memory that does not grow with it.

    Args:
        run: a run, its folder, or a predictor for which `can_stream` holds.
        source: a file that `can_stream` takes.
        out: a .csv or .parquet file, there when everything is in it; None writes none.
        progress: called with ("rows", done, 0): how many there are is not known.

    Raises:
        ColumnError: none of the predictor's columns is there.
        OptionError: another ending of `out`.
        ReadError: the file holds no row that can be read.
    """
    predictor, source = open_predictor(run), Path(source)
    if out is not None and Path(out).suffix not in (".csv", ".parquet"):
        raise OptionError(f"out must end in .csv or .parquet, was '{Path(out).suffix}'")
    answered = Streamed(written=None if out is None else Path(out))
    with features.passing(_ahead(predictor)), _Writer(answered.written) as writer:
        for table, refused in _blocks(source, predictor):
            answered.refused += len(refused)
            _note(answered, [refusals([row], "", why, "row refused") for row, why in refused[:SHOWN]])
            for start in range(0, table.height, ROWS):
                cohort = _cohort(predictor, table[start : start + ROWS], source)
                writer.add(_answer(predictor, cohort, answered))
                if progress is not None:
                    progress("rows", answered.rows, 0)
        if not answered.rows:
            raise ReadError(f"'{source.name}' must have at least one row that can be read, it has none", "read-empty")
    return answered


def _ahead(predictor: Predictor) -> tuple[str, ...]:
    """The features to work out as molecules are read, where a single column of them is all that is asked of them."""
    entries = [entry for entry in predictor.states.values() if entry["modality"] == "molecule"]
    if len(entries) != 1 or entries[0].get("views") or entries[0]["state"].get("encoder"):
        return ()
    return tuple(entries[0]["state"]["features"])


def _form(path: Path) -> str:
    form = sources.format_of(path)
    endings = [s.lower() for s in path.suffixes if s.lower() not in (".gz", ".bz2", ".xz", ".zip", ".zst")]
    return "lines" if form == "molecules" and endings and endings[-1] in LINES else form


def _blocks(path: Path, predictor: Predictor) -> Iterator[Table]:
    """Rows of a file with their numbers, and the rows refused among them."""
    form = _form(path)
    if form == "lines":
        yield from _lists(path, predictor)
        return
    for table, refused in csv_blocks(path) if form == "csv" else parquet_blocks(path):
        names = [name for name in table.columns if name != ROW]
        yield table.rename(dict(zip(names, checked(names, path.name)))), refused


def _lists(path: Path, predictor: Predictor) -> Iterator[Table]:
    """Lines of a list of SMILES as rows: a molecule, in the column that the predictor reads, and its name."""
    column = predictor.inputs[0].with_(name=predictor.inputs[0].name if len(predictor.inputs) == 1 else "smiles")
    schema = {ROW: pl.Int64(), column.name: pl.String(), "name": pl.String()}
    for part in blocks(entries(path), ROWS):
        yield pl.DataFrame([(e.place, e.text, e.name) for e in part], schema=schema, orient="row"), []


def _cohort(predictor: Predictor, table: pl.DataFrame, source: Path) -> Cohort:
    """Some rows in the predictor's terms, with the cells emptied that cannot be read; of a list, without those rows."""
    known = {c.name: c for c in predictor.inputs}
    columns = tuple(
        known.get(name, Column(name, "category", "ignore", reason="carried along")) for name in table.columns if name != ROW
    )
    for name in known.keys() & set(table.columns):
        table = table.with_columns(pl.col(name).cast(pl.String))
    table, unreadable = molecules.readable(table, columns)
    table, no_proteins = proteins.readable(table, columns, source.parent)
    if _form(source) == "lines":
        table = table.drop_nulls(list(known.keys() & set(table.columns)))
    cohort = Cohort(table, columns, (), source.parent, pl.concat([unreadable, no_proteins]))
    with typed("reading a table in its terms"):
        return as_trained(predictor, cohort)


def _answer(predictor: Predictor, cohort: Cohort, answered: Streamed) -> pl.DataFrame:
    """The rows with their answers, which are counted."""
    answered.refused += cohort.refusals.height
    _note(answered, [cohort.refusals])
    if not len(cohort):
        return cohort.table.drop(ROW)
    result = predictor.predict(cohort)
    frame = result.table
    answered.names = answered.names or tuple(c.name for c in result.role("prediction"))
    answered.rows += frame.height
    answered.inside += int(frame["in_domain"].sum())
    if answered.head.height < SHOWN:
        answered.head = pl.concat([answered.head, frame.head(SHOWN - answered.head.height)], how="diagonal")
    return frame.drop(ROW)


def _note(answered: Streamed, ledgers: list[pl.DataFrame]) -> None:
    if answered.first.height < SHOWN and ledgers:
        answered.first = pl.concat([answered.first, *ledgers]).head(SHOWN)


class _Writer:
    """A table written block by block under a temporary name, which it keeps only when everything is in it."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._schema = path, pl.Schema()
        self._part = None if path is None else path.with_name(f".{path.name}.partial-{secrets.token_hex(4)}")

    def __enter__(self) -> _Writer:
        if self._part is not None:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        return self

    def add(self, frame: pl.DataFrame) -> None:
        """Write some rows."""
        if self._path is None or not frame.height:
            return
        frame = frame if self._path.suffix == ".parquet" else defused(frame)
        self._file.write(frame.write_csv(include_header=not self._schema).encode())
        self._schema = frame.schema

    def __exit__(self, kind: type | None, *_: object) -> None:
        if self._path is None or self._part is None:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if kind is None:
                if self._path.suffix == ".parquet":
                    self._as_parquet()
                os.replace(self._part, self._path)
        finally:
            self._part.unlink(missing_ok=True)

    def _as_parquet(self) -> None:
        other = self._part.with_name(f"{self._part.name}.parquet")
        pl.scan_csv(self._part, schema=self._schema).sink_parquet(other)
        other.chmod(0o600)
        os.replace(other, self._part)
