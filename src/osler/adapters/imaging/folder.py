"""A folder of pictures, volumes and DICOM files as a table: one row per picture or per series, with what matters of the headers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from osler.adapters.imaging import beside, boxfiles, complete, dicom_read, dicom_series, scan
from osler.cohort.lineage import of_file
from osler.errors import CODES, InputError, LimitError, MissingExtraError, ReadError

#: Most files below a folder that are looked at, and how deep folders may nest.
MAX_FILES, MAX_DEPTH = 500_000, 24
#: Columns taken from DICOM headers: attribute → name. Names, birth dates and free texts are never taken.
_FACTS = {
    "PatientID": "patient", "SeriesInstanceUID": "series", "Manufacturer": "manufacturer", "ManufacturerModelName": "scanner",
    "InstitutionName": "institution", "StudyDate": "study_date", "Modality": "scan_modality", "BodyPartExamined": "body_part",
    "ViewPosition": "view", "Laterality": "laterality",
}  # fmt: skip
#: Why a stack of files may be pictures after all.
_PICTURES = frozenset({"series-few", "series-geometry"})

Row = dict[str, Any]


def read_folder(source: Path) -> tuple[list[Row], list[tuple[int, str]], dict[str, Any]]:
    """Rows, the ledger of what was left out as (row, reason), and counts for the lineage; masks stand in the rows of their scans
    (`osler.adapters.imaging.beside`), whose columns are under `columns` then: name → modality, and under `classes` what a `dataset.json` calls their numbers.

    Args:
        source: a folder, or one file of it, which is then the only one that is looked at.

    A row has `file` (path below the folder), `image` or `volume` (the reference), for volumes `slices`, and for DICOM the columns
    above. Rows are numbered in the order of folders and names, those left out with them.

    Raises:
        ReadError: no picture and no scan is in the folder (code `image-format`). LimitError: too many files.
        MissingExtraError: none can be read without a library that is not installed.
    """
    rows: list[Row] = []
    refused: list[tuple[int, str]] = []
    counts: dict[str, Any] = {"files": 0, "other_files": 0}
    lacking: list[MissingExtraError] = []
    root = source if source.is_dir() else source.parent
    for folder, paths in _folders(root) if source.is_dir() else [(root, [source])]:
        dicom = []
        for path in paths:
            counts["files"] += 1
            try:
                kind = scan.kind_of(path)
                if kind == "dicom":
                    dicom.append((path, dicom_read.attributes(path)))
                    continue
                if kind != "stack" and "#" not in path.name and not path.name.lower().endswith(".raw"):
                    _check(path)
            except (InputError, OSError) as error:
                if path == source:
                    raise
                lacking += [error] if isinstance(error, MissingExtraError) else []
                if path.name.lower().endswith((*scan.PICTURES, *scan.VOLUMES, *scan.DICOM)):
                    refused.append((len(rows) + len(refused) + 1, _why(error, path.relative_to(root))))
                else:
                    counts["other_files"] += 1
                continue
            if kind == "stack" or path.name.lower().endswith(".raw"):
                counts["other_files"] += 1
                continue
            name = path.relative_to(root).as_posix()
            rows.append({"_row": len(rows) + len(refused) + 1, "file": name, "image" if kind == "picture" else "volume": name})
        _add_dicom(root, folder, dicom, rows, refused)
    if not rows:
        if lacking:
            raise lacking[0]
        why = f": {refused[0][1]}" if refused else ""
        must = f"folder '{root.name}' must hold pictures, scans or a saved cohort, it holds none"
        must = must if source == root else f"'{source.name}' must be a picture or a scan, it is none"
        raise ReadError(f"{must} that can be read{why}", "image-format")
    rows, alone, made = beside.joined(rows, root)
    refused += [(row["_row"], _why(ReadError("", "mask-scan"), row["file"])) for row in alone]
    boxes = {} if made or source != root else boxfiles.joined(rows, root, (path for _, paths in _folders(root) for path in paths))
    if made or boxes:
        counts |= {"columns": made | boxes, "classes": beside.named_classes(root) if made else {}}
    return rows, refused, {**counts, "pictures": sum("image" in r for r in rows), "volumes": sum("volume" in r for r in rows)}


def _folders(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder below the root with its files, in order of names; links are not followed, hidden files are passed over.

    Raises:
        LimitError: more files or deeper folders than are looked at.
    """
    seen = 0
    for at, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        here = Path(at)
        if len(here.relative_to(root).parts) > MAX_DEPTH:
            raise LimitError(f"folders below '{root.name}' must nest at most {MAX_DEPTH} deep, they nest deeper: name one of them", "limit-depth")
        paths = [here / f for f in sorted(files) if not f.startswith(".") and f != "DICOMDIR"]
        seen += len(paths)
        if seen > MAX_FILES:
            raise LimitError(f"folder '{root.name}' must hold at most {MAX_FILES:,} files, it holds more: name a folder below it")
        yield here, [p for p in paths if p.is_file() and not p.is_symlink()]


def _check(path: Path) -> None:
    """Refuse what ends too early or whose header cannot be read; pages of a TIFF are not rows, so one of several pages is refused too."""
    scan.header(path.name, path.parent)


def _why(error: Exception, file: Path | str) -> str:
    """A reason with its code and the file below the folder, whose name is kept out of runs (`osler.cohort.lineage.without_files`)."""
    code = error.code if isinstance(error, InputError) else "system"
    return of_file(f"{CODES[code]} ({code})", file)


def _add_dicom(root: Path, folder: Path, found: list[tuple[Path, Row]], rows: list[Row], refused: list[tuple[int, str]]) -> None:
    """Series of one folder: volumes where they can be, pictures where single files are, the rest in the ledger."""

    def refuse(error: Exception, file: Path, n: int = 1) -> None:
        files = f", {n} files" if n > 1 else ""
        refused.append((len(rows) + len(refused) + 1, _why(error, f"{file.relative_to(root)}{files}")))

    if not found:
        return
    where = folder.relative_to(root).as_posix()
    for path, _ in (one for one in found if not one[1].get("Rows")):
        refuse(ReadError("no pixels", "image-pixels"), path)
    stacks = dicom_series.stacks(found, folder.name)
    alone = len(stacks) == 1
    for stack in stacks:
        short = _too_short(stack)
        if not stack.code and len(stack.paths) > 1:
            if short:
                refuse(*next((error, path) for path, error in short.items()), n=len(stack.paths))
                continue
            n_parts = sum(s.uid == stack.uid for s in stacks)
            reference = where if alone and where != "." else f"{where}#{stack.uid}" + (f"/{stack.part}" if n_parts > 1 else "")
            facts = _facts(stack.heads[0])
            rows.append({"_row": len(rows) + len(refused) + 1, "file": where, "volume": reference, "slices": len(stack.paths), **facts})
        elif not stack.code or stack.code in _PICTURES:
            for path, head in zip(stack.paths, stack.heads):
                if path in short:
                    refuse(short[path], path)
                    continue
                name = path.relative_to(root).as_posix()
                kind = "volume" if head.get("NumberOfFrames", 1) > 1 else "image"
                rows.append({"_row": len(rows) + len(refused) + 1, "file": name, kind: name, **_facts(head)})
        else:
            refuse(ReadError("", stack.code), stack.paths[0], n=len(stack.paths))


def _too_short(stack: dicom_series.Stack) -> dict[Path, InputError]:
    """Files of a stack that end before their last pixel or cannot be read, with the reason."""
    found: dict[Path, InputError] = {}
    for path, head in zip(stack.paths, stack.heads):
        try:
            complete.check(path, "dicom", head=head)
        except MissingExtraError:
            continue  # whole or not cannot be told without the decoder, which reading will name
        except InputError as error:
            found[path] = error
    return found


def _facts(head: Row) -> Row:
    out = {name: str(head[attribute]) for attribute, name in _FACTS.items() if head.get(attribute)}
    date = out.get("study_date", "")
    if date:
        out["study_date"] = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else date
    return out
