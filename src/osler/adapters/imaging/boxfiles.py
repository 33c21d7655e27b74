"""Files of boxes in a folder of scans: which of them belongs to which scan, told by names and the first bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

#: Columns of a table of nodules (LUNA16): series, centre in mm (left, posterior, superior) and diameter.
NODULES = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
#: The column that cells of boxes come into.
COLUMN = "boxes"
#: Bytes at the beginning of a file by which it is told.
HEAD = 1 << 16

Row = dict[str, Any]


def joined(rows: list[Row], root: Path, files: Iterable[Path]) -> dict[str, str]:
    """Add a cell of boxes to every row that files say something about.

    Pascal VOC files belong to the picture of the same name; one COCO file to all pictures; one table of nodules to all volumes, by their file's name or
    SeriesInstanceUID. Where several kinds of files could be meant, or two of one name, nothing is added.

    Args:
        rows: as of `osler.adapters.imaging.folder.read_folder`; changed in place.
        files: all files below `root`.

    Returns:
        name of the column added → its modality, {} for none.
    """
    by_end: dict[str, list[Path]] = {".xml": [], ".json": [], ".csv": []}
    for path in files:
        if path.suffix.lower() in by_end:
            by_end[path.suffix.lower()].append(path)
    found = [cells for cells in (_voc(rows, by_end[".xml"]), _coco(rows, by_end[".json"]), _nodules(rows, by_end[".csv"])) if cells]
    if len(found) != 1 or any(COLUMN in row for row in rows):
        return {}
    for i, (path, part) in found[0].items():
        rows[i][COLUMN] = path.relative_to(root).as_posix() + (f"#{part}" if part else "")
    return {COLUMN: "boxes"}


def _voc(rows: list[Row], paths: list[Path]) -> dict[int, tuple[Path, str]]:
    """Row → the XML file of its picture's name."""
    named: dict[str, Path | None] = {}
    for path in paths:
        if b"<annotation" in _head(path):
            named[path.stem] = None if path.stem in named else path
    cells = {i: named.get(PurePosixPath(row["image"]).stem) for i, row in enumerate(rows) if "image" in row}
    return {i: (path, "") for i, path in cells.items() if path is not None}


def _coco(rows: list[Row], paths: list[Path]) -> dict[int, tuple[Path, str]]:
    """Row → the folder's one COCO file and the picture's name in it."""
    heads = [(path, _head(path)) for path in paths]
    known = [path for path, head in heads if (head.lstrip().startswith(b"{") and b'"file_name"' in head) or b'"bbox"' in head]
    if len(known) != 1:
        return {}
    return {i: (known[0], PurePosixPath(row["image"]).name) for i, row in enumerate(rows) if "image" in row}


def _nodules(rows: list[Row], paths: list[Path]) -> dict[int, tuple[Path, str]]:
    """Row → the folder's one table of nodules and the volume's series; a volume that it does not list has none."""
    known = [path for path in paths if set(NODULES) <= {name.strip() for name in _head(path).split(b"\n")[0].decode("utf-8-sig", "replace").split(",")}]
    if len(known) != 1:
        return {}
    return {i: (known[0], row.get("series") or _stem(row["volume"])) for i, row in enumerate(rows) if "volume" in row}


def _stem(reference: str) -> str:
    name = PurePosixPath(reference).name
    return name.removesuffix(".gz").rpartition(".")[0] or name


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""
