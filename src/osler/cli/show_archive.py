"""What an archive answered, in the terminal or in a file; patients' values go nowhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Rows that are shown in a terminal; all are written to a file.
SHOWN = 50


def rows(found: list[dict[str, str]], columns: tuple[str, ...], out: Path | None) -> None:
    """A table of answers: written to a .csv or .parquet file if one is named, otherwise shown.

    Raises:
        OptionError: another kind of file.
    """
    import polars as pl

    from osler.cohort.atomic import write_atomic
    from osler.engine.files import write_parquet
    from osler.engine.tables import defused
    from osler.errors import OptionError

    table = pl.DataFrame({c: [row.get(c, "") for row in found] for c in columns}, schema=dict.fromkeys(columns, pl.String))
    if out is None:
        _shown(table)
        return
    if out.suffix == ".parquet":
        write_parquet(out, table)
    elif out.suffix == ".csv":
        write_atomic(out, defused(table).write_csv().encode())
    else:
        raise OptionError(f"out must end in .csv or .parquet, was '{out.suffix}'")
    print(f"{len(table)} rows in {out.name}")


def _shown(table: Any) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = [c for c in table.columns if table[c].str.len_chars().max()]
    shown = Table(*names)
    for row in table.head(SHOWN).select(names).iter_rows():
        shown.add_row(*(Text(cell) for cell in row))
    if names:
        Console().print(shown)
    more = len(table) - SHOWN
    print(f"{len(table)} rows" + (f", {more} more than are shown: name a file with --out" if more > 0 else ""))


def fetched(series: Iterator[Any]) -> int:
    """One line per series as it comes, then the sum; exit code 1 if an object is missing."""
    listed = new = missing = count = 0
    for one in series:
        count, listed, new, missing = count + 1, listed + one.listed, new + one.new, missing + one.missing
        print(f"series {count}: {one.listed} objects, {one.new} new, {one.missing} missing", flush=True)
    print(f"{count} series, {listed} objects: {new} came now, {listed - new - missing} were here, {missing} are missing")
    return 1 if missing else 0


def sent(files: Iterator[tuple[Path, int | None]]) -> int:
    """How many files had which answer; exit code 1 if one was not taken."""
    from osler.adapters.imaging import dicom_net

    words = {
        dicom_net.DONE: "sent",
        dicom_net.NO_ROOM: "refused: the node has no room",
        dicom_net.OTHER: "refused: another object has the same UID",
        None: "no DICOM, or no answer",
    }
    counts = Counter(words.get(status, "refused by the node") for _, status in files)
    for word, count in counts.most_common():
        print(f"{count:>8} {word}")
    return 0 if set(counts) <= {"sent"} else 1


def made(objects: list[Any], paths: list[Path]) -> None:
    """One line per object that was made, with its file where it is kept."""
    words = {"SEG": "segmentation", "SR": "measurement report", "OT": "drawing"}
    for i, one in enumerate(objects):
        print(f"{words.get(str(one.Modality), str(one.Modality))}" + (f": {paths[i].name}" if paths else ""))
