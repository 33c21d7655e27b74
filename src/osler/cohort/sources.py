"""Where a table comes from, and its cells as they are there: one function per format, chosen by content before name."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import registry
from osler.cohort import encoding, fasta, guard, jsonlines, limits
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW, Column
from osler.cohort.delimited import Delimited
from osler.cohort.lineage import REFUSAL_SCHEMA, Step, no_refusals
from osler.cohort.scans import is_scan
from osler.errors import LimitError, OslerError, ReadError, nearest

#: Readers that need a third-party library, each in its adapter.
READERS = {
    "duckdb": "osler.adapters.sql_duckdb:read_query",
    "sqlalchemy": "osler.adapters.sql_alchemy:read_query",
    "frame": "osler.adapters.frames:to_polars",
    "excel": "osler.adapters.excel:read_sheet",
    "molecules": "osler.adapters.rdkit.files:read_molecules",
    "scans": "osler.adapters.imaging.folder:read_folder",
    "molecules in blocks": "osler.adapters.rdkit.files:molecule_blocks",
}

_HOW = "how it was scanned, which may tell the target by chance: make it an input if it should be known"
#: Columns of a folder of scans → modality, role and why.
_SCANS = {
    "file": ("category", "id", "the path of the row's file or folder"), "series": ("category", "id", "the series' identifier"),
    "image": ("image", "input", "what the folder holds"), "volume": ("volume", "input", "what the folder holds"),
    "patient": ("category", "unit", "the patient's identifier in the headers"),
    "institution": ("category", "site", "the place in the headers"), "manufacturer": ("category", "site", "the scanner's maker in the headers"),
    "study_date": ("date", "time", "the study's date in the headers"),
    **{name: ("category", "ignore", _HOW) for name in ("scanner", "scan_modality", "body_part", "view", "laterality")},
    "slices": ("number", "ignore", _HOW),
}  # fmt: skip
_EXCEL = (".xlsx", ".xls", ".xlsb", ".xlsm", ".ods")
_JSON = (".jsonl", ".ndjson", ".json")
_MOLECULES = (".smi", ".smiles", ".sdf", ".sd", ".mol", ".mol2")


@dataclass
class Raw:
    """A table as it is in its source.

    Attributes:
        table: cells as text or in the source's own types; may hold `_row`.
        name: what to call the source in messages: a file name, never a folder or a password.
        format: "csv", "parquet", "arrow", "json lines", "excel", "molecules", "sequences", "scans", "database",
            "frame" or "cohort".
        refused: the ledger of rows that could not be read.
        notes: decisions (encoding, delimiter, sheet) for the lineage.
        root: the folder of the source, where relative paths in cells start.
        cohort: the finished cohort, if the source was one.
        readable: columns of molecules whose every cell was read once and found to be one.
        kinds: column → its meaning, where the source itself says it.
    """

    table: pl.DataFrame
    name: str
    format: str
    refused: pl.DataFrame = field(default_factory=no_refusals)
    notes: dict[str, Any] = field(default_factory=dict)
    root: Path | None = None
    cohort: Cohort | None = None
    readable: frozenset[str] = frozenset()
    kinds: Mapping[str, Column] = field(default_factory=dict)


#: Told (stage, done, total) of what takes long; a total of 0 is not known.
Progress = Callable[[str, int, int], None]


def modality_names() -> list[str]:
    """Every modality that a column may be declared to have."""
    return list(registry.load({"index": "osler.modalities:INDEX"}, "modalities", "index"))


def open_source(source: Any, progress: Progress | None = None) -> Raw:
    """Read whatever `osler.read` takes, or what was opened before; see there for formats and errors."""
    if isinstance(source, Raw):
        return source
    if isinstance(source, Cohort):
        return Raw(source.table, "cohort", "cohort", cohort=source)
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        return Raw(source, "the table", "frame")
    if not isinstance(source, (str, Path)):
        return Raw(registry.load(READERS, "readers", "frame")(source), "the table", "frame")
    if isinstance(source, str) and "://" in source:
        return _database(source)
    path = located(source)
    return _folder(path) if path.is_dir() else _file(path, progress)


def located(source: str | Path) -> Path:
    """The path of an existing regular file or folder.

    Raises:
        ReadError: there is none (code `read-missing`); a similar name in the folder is suggested.
    """
    path = Path(source)
    if "\0" in str(source):
        raise ReadError("path must not hold a NUL character: correct it", "read-missing")
    if path.is_dir() or path.is_file():
        return path
    if path.exists():
        raise ReadError(
            f"'{path.name}' must be a file or a folder, it is a device or a pipe: write it to a file first",
            "read-format",
        )
    near = [p.name for p in itertools.islice(path.parent.iterdir(), 1000)] if path.parent.is_dir() else []
    raise ReadError(
        f"path must exist, there is no '{path.name}': {nearest(path.name, near) or 'check its folder'}", "read-missing"
    )


def format_of(path: Path) -> str:
    """The format of a file, by its first bytes and then its name."""
    if is_scan(path):
        return "scans"
    with path.open("rb") as raw:
        head = raw.read(16)
    names = [s.lower() for s in path.suffixes]
    last = next((s for s in reversed(names) if s not in (".gz", ".bz2", ".xz", ".zip", ".zst")), "")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")) or last in (".arrow", ".feather", ".ipc"):
        return "arrow"
    if head.startswith(b"\xd0\xcf\x11\xe0") or last in _EXCEL:
        return "excel"
    if last in _MOLECULES:
        return "molecules"
    if last in fasta.SUFFIXES:
        return "sequences"
    if last in _JSON:
        return "json lines"
    if last in (".parquet", ".pq"):
        return "parquet"
    if head.startswith(b"SQLite format 3"):
        raise ReadError(
            f"'{path.name}' must be named as a database, it is a SQLite file: write sqlite:///{path.name}?table=NAME",
            "read-database",
        )
    return "csv"


def _file(path: Path, progress: Progress | None) -> Raw:
    if is_scan(path):
        if path.stat().st_size == 0:
            raise ReadError(f"'{path.name}' must be a picture or a scan, it is empty: copy it again", "image-empty")
        return _scans(path)
    if path.stat().st_size == 0:
        raise ReadError(f"'{path.name}' must hold a table, it is empty: check that it was exported whole", "read-empty")
    readers: dict[str, Callable[[Path], Raw]] = {
        "csv": _delimited, "parquet": _parquet, "arrow": _arrow, "json lines": _json_lines, "excel": _excel,
        "molecules": partial(_molecules, progress=progress), "sequences": _sequences,
    }  # fmt: skip
    raw = readers[format_of(path)](path)
    raw.root = path.resolve().parent
    return raw


def _text_of(path: Path, cap: int = limits.MAX_TEXT) -> tuple[bytes, str]:
    """The whole text of a file in UTF-8, and its encoding."""
    data = b"".join(limits.unpack(path, cap))
    found = encoding.decide(_steps(data), path.name)
    if found == "utf-8":
        return data, found
    return b"".join(encoding.to_utf8(_steps(data), found, path.name)), found


def _steps(data: bytes) -> Iterator[bytes]:
    return (data[i : i + limits.STEP] for i in range(0, len(data), limits.STEP))


def _delimited(path: Path) -> Raw:
    data, found = _text_of(path)
    suffix = next((s.lower() for s in reversed(path.suffixes) if s.lower() in (".tsv", ".tab")), "")
    reader = Delimited(path.name, "\t" if suffix and b"\t" in data[:65_536] else "")
    tables, rows, refused = [], [], []
    for block in reader.blocks(_steps(data)):
        tables.append(block.table(reader.header, reader.delimiter))
        rows.append(block.rows)
        refused += block.refused
    schema = dict.fromkeys(reader.header, pl.String())
    table = pl.concat([pl.DataFrame(schema=schema), *tables])
    numbers = np.concatenate([np.empty(0, np.int64), *rows])
    notes: dict[str, Any] = {"delimiter": reader.delimiter}
    if found not in ("utf-8", "utf-8-sig"):
        notes["encoding"] = found
    table = _kept_rows(table, path.name) if ROW in schema else table.with_columns(pl.Series(ROW, numbers))
    return Raw(table, path.name, "csv", _ledger(refused), notes)


def _ledger(refused: list[tuple[int, str]]) -> pl.DataFrame:
    rows, why = [r for r, _ in refused], [w for _, w in refused]
    n = len(refused)
    return pl.DataFrame(
        {"row": rows, "column": [""] * n, "reason": why, "action": ["row refused"] * n}, schema=REFUSAL_SCHEMA
    )


def _kept_rows(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """A table that brings its own `_row`, if these are whole and distinct."""
    rows = table[ROW].cast(pl.Int64, strict=False)
    if rows.null_count() or rows.n_unique() != len(rows):
        raise ReadError(
            f"column '_row' of '{name}' must be distinct whole numbers, it is not: the name is reserved, rename it",
            "read-header",
        )
    return table.with_columns(rows)


@contextmanager
def native(name: str, what: str) -> Iterator[None]:
    """Turns any failure of a native parser, a panic included, into one typed sentence without its text.

    Raises:
        ReadError: the parser failed (code `read-format`).
    """
    try:
        yield
    except (OslerError, TypeError, AttributeError, NameError, AssertionError):
        raise
    except MemoryError as error:
        raise LimitError(f"'{name}' must fit into memory, it does not: select fewer columns or rows") from error
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ReadError(
            f"'{name}' must be a whole {what}, it is damaged or of another format: write it again"
        ) from error


def _parquet(path: Path) -> Raw:
    guard.reads_safely(path, "parquet")
    with native(path.name, "Parquet file"):
        shape = pl.scan_parquet(path, glob=False)
        _check_cells(path.name, int(shape.select(pl.len()).collect().item()), len(shape.collect_schema()))
        table = pl.read_parquet(path, glob=False, hive_partitioning=False)
    return Raw(_own_rows(table, path.name), path.name, "parquet")


def _arrow(path: Path) -> Raw:
    guard.reads_safely(path, "arrow")
    with native(path.name, "Arrow file"):
        with path.open("rb") as raw:
            is_stream = not raw.read(6).startswith(b"ARROW1")
        table = pl.read_ipc_stream(path) if is_stream else pl.read_ipc(path)
        _check_cells(path.name, table.height, table.width)
    return Raw(_own_rows(table, path.name), path.name, "arrow")


def _own_rows(table: pl.DataFrame, name: str) -> pl.DataFrame:
    return _kept_rows(table, name) if ROW in table.columns else table


def _check_cells(name: str, rows: int, columns: int) -> None:
    if rows * columns > limits.MAX_CELLS:
        raise LimitError(
            f"'{name}' must hold at most {limits.MAX_CELLS:,} cells to be read at once, it "
            f"holds {rows * columns:,}: select columns or rows"
        )


def _json_lines(path: Path) -> Raw:
    data, found = _text_of(path, limits.MAX_JSON)
    table, refused = jsonlines.parse(data, path.name)
    return Raw(
        table, path.name, "json lines", _ledger(refused), {} if found.startswith("utf-8") else {"encoding": found}
    )


def _excel(path: Path) -> Raw:
    with path.open("rb") as raw:
        if limits.packing(raw.read(8)) == "zip":
            limits.check_workbook(path)
    guard.reads_safely(path, "excel")
    reader = registry.load(READERS, "readers", "excel")
    with native(path.name, "workbook"):
        table, sheet = reader(path)
    return Raw(table, path.name, "excel", notes={"sheet": sheet})


def _molecules(path: Path, progress: Progress | None) -> Raw:
    table, refused, notes = registry.load(READERS, "readers", "molecules")(path, progress)
    as_written = {"smiles"} if notes["kind"] == "smi" else ()  # others are written anew, in words nobody has read yet
    return Raw(table, path.name, "molecules", _ledger(refused), notes, readable=frozenset(as_written))


def _sequences(path: Path) -> Raw:
    table, refused = fasta.read_fasta(path)
    return Raw(table, path.name, "sequences", _ledger(refused))


def _database(address: str) -> Raw:
    scheme = address.partition("://")[0].split("+")[0]
    reader = registry.load(READERS, "readers", "duckdb" if scheme == "duckdb" else "sqlalchemy")
    table, name = reader(address)
    _check_cells(name, table.height, table.width)
    return Raw(_own_rows(table, name), name, "database")


def _folder(path: Path) -> Raw:
    described, data = path / "cohort.json", path / "cohort.parquet"
    if not described.is_file() or not data.is_file():
        return _scans(path)
    text = b"".join(limits.unpack(described, 256 << 20))
    limits.json_depth(text)
    guard.reads_safely(data, "parquet")
    with native(path.name, "cohort folder"):
        facts = json.loads(text)
        if facts["format"] != "osler.cohort/1":
            raise ReadError(
                f"cohort in '{path.name}' must be of format osler.cohort/1, it "
                f"is another: use the release that wrote it"
            )
        table = pl.read_parquet(data, glob=False, hive_partitioning=False)
        try:
            lineage = tuple(Step(**s) for s in facts["lineage"])
            columns = tuple(Column.from_json(c) for c in facts["columns"])
        except (TypeError, AttributeError) as error:
            raise ValueError("a field of cohort.json is not known") from error
        ledger = path / "refusals.csv"
        refused = (
            pl.read_csv(ledger, schema=REFUSAL_SCHEMA).with_columns(pl.col("column").fill_null(""))
            if ledger.is_file()
            else no_refusals()
        )
        cohort = Cohort(table, columns, lineage, path.resolve(), refused)
    return Raw(table, path.name, "cohort", cohort=cohort)


def _scans(path: Path) -> Raw:
    """A folder of pictures and scans, or one of them: one row per picture, series or volume."""
    rows, refused, notes = registry.load(READERS, "readers", "scans")(path)
    table, drawn, classes = pl.DataFrame(rows, infer_schema_length=None), notes.pop("columns", {}), notes.pop("classes", {})
    masks = [name for name, modality in drawn.items() if modality in ("mask", "boxes")]
    kinds = {
        name: Column(name, modality, role, reason=reason)
        for name, (modality, role, reason) in _SCANS.items()
        if name in table.columns and (name == "file" or role == "input" or table[name].drop_nulls().n_unique() > 1)
    }
    for name, modality in drawn.items():
        role = "input" if modality not in ("mask", "boxes") else "target" if len(masks) == 1 else "ignore"
        options = classes if modality == "mask" and len(masks) == 1 else {}
        why = "told by the names of folders and files" if role != "ignore" else "one of several kinds of masks"
        kinds[name] = Column(name, modality, role, options=options, reason=why)
    if "institution" in kinds and "manufacturer" in kinds:
        kinds["manufacturer"] = Column("manufacturer", "category", "ignore", reason=_HOW)
    root = path.resolve()
    return Raw(table, root.name, "scans", _ledger(refused), dict(notes), root if root.is_dir() else root.parent, kinds=kinds)
