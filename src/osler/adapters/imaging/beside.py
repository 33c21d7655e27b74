"""Masks among the files of a folder: told from scans by the names of folders and files, and put in the row of the scan they belong to.

Three ways of laying out files are known: scans and masks of equal names in sibling folders (`imagesTr` and `labelsTr`, `images` and
`masks`, or a sibling of `images` with any name whose files are label maps); files side by side whose names differ in a last word
(`brain1_image.nrrd`, `brain1_label.nrrd`); and a folder per case with one mask and one or several sequences. A DICOM segmentation is told by its header,
and belongs to the only series of its folder or patient.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from osler.adapters.imaging import labels
from osler.cohort import limits
from osler.errors import InputError

#: Words that folders of scans and of masks are called by, alone or followed by the part (`imagesTr`, `labels_test`).
SCAN_FOLDERS = ("images", "image", "imgs", "img", "scans", "volumes")
MASK_FOLDERS = ("labels", "label", "masks", "mask", "segmentations", "segmentation", "seg", "segs", "groundtruth", "gt", "manual")
#: Last words of names of masks, and of scans that stand beside masks.
MASK_WORDS = ("mask", "masks", "label", "labels", "seg", "segmentation", "gt", "groundtruth", "labelmap", "manual", "manual1")
SCAN_WORDS = ("image", "img", "scan", "volume", "vol", "ct", "mr", "mri")
#: Share of a folder's files that must have a scan of their name for the folder to hold masks, and how many are looked into.
SHARE, LOOKED = 0.9, 3
#: Most different numbers in a label map of a folder that is not called one.
FEW_NUMBERS = 64

Row = dict[str, Any]
_END = re.compile(r"(?i)(\.nii)?(\.\w{1,5})?(\.gz)?$")
_PART = re.compile(r"(?i)[_ -]?(tr|ts|train|training|val|valid|validation|test)?$")
_CHANNEL = re.compile(r"_(\d{4})$")


def joined(rows: Sequence[Row], root: Path) -> tuple[list[Row], list[Row], dict[str, str]]:
    """Rows with their masks, masks without a scan, and the columns that were made: name → "mask" or the scans' modality.

    Where no masks are found the rows come back as they are.

    Args:
        rows: one per file or series (`osler.adapters.imaging.folder`).
        root: the folder that they are below.
    """
    drawn = {i: name for i, row in enumerate(rows) if (name := _segmentation(row) or _mask_folder(row) or _mask_word(row))}
    drawn |= _told_by_content(rows, drawn, root)
    scans = [row for i, row in enumerate(rows) if i not in drawn]
    if not drawn or not scans:
        return list(rows), [], {}
    cases = _cases(scans, {_key(rows[i]) for i in drawn})
    names = dict.fromkeys(drawn.values())
    alone = []
    for i, name in drawn.items():
        case = cases.get(_key(rows[i])) or _only_one(cases, rows[i]) or _of_patient(cases, rows[i])
        column = "mask" if len(names) == 1 else name
        if case is None or column in case:
            alone.append(rows[i])
        else:
            case[column] = rows[i]["file"]
    made = list({id(c): c for c in cases.values()}.values())
    kinds = {("mask" if len(names) == 1 else n): "mask" for n in names}
    modality = "volume" if any("volume" in row for row in scans) else "image"
    kinds |= {column: modality for row in made for column in row.get("_sequences", ())}
    for row in made:
        row.pop("_sequences", None)
    return sorted(made, key=lambda r: r["_row"]), alone, kinds


def _folders(row: Row) -> tuple[str, ...]:
    return PurePosixPath(row["file"]).parts[:-1]


def _stem(row: Row) -> str:
    return _END.sub("", PurePosixPath(row["file"]).name)


def _is_called(folder: str, words: tuple[str, ...]) -> bool:
    return _PART.sub("", folder).lower().rstrip("_- ") in words


def _last_word(stem: str) -> str:
    return re.split(r"[_. -]", stem)[-1].lower()


def _segmentation(row: Row) -> str:
    """Whether a row is a DICOM segmentation, which says so itself."""
    return "mask" if row.get("scan_modality") == "SEG" else ""


def _mask_folder(row: Row) -> str:
    """The column of a file in a folder of masks, "" for any other."""
    found = [f for f in _folders(row) if _is_called(f, MASK_FOLDERS)]
    return _PART.sub("", found[-1]).lower().rstrip("_- ") if found else ""


def _mask_word(row: Row) -> str:
    return "mask" if _last_word(_stem(row)) in MASK_WORDS and not any(_is_called(f, SCAN_FOLDERS) for f in _folders(row)) else ""


def _key(row: Row) -> tuple[tuple[str, ...], str]:
    """What a scan and its mask have in common: folders without those of scans and masks, and the name without its last word for either."""
    parts = [f for f in _folders(row)]
    for at, folder in enumerate(parts):
        if _is_called(folder, (*SCAN_FOLDERS, *MASK_FOLDERS)):
            parts[at] = "*" + (_PART.search(folder)[1] or "").lower()
    if row.get("_sibling"):
        parts[-1] = "*"
    stem = _stem(row)
    while _last_word(stem) in (*MASK_WORDS, *SCAN_WORDS):
        cut = re.split(r"[_. -]", stem)
        stem = stem[: len(stem) - len(cut[-1])].rstrip("_. -")
        if not stem:
            break
    return tuple(parts), stem


def _told_by_content(rows: Sequence[Row], drawn: dict[int, str], root: Path) -> dict[int, str]:
    """Files of a sibling of a folder of scans that is called neither: masks where their names agree and a few of them are label maps."""
    stems: dict[tuple[str, ...], set[str]] = {}
    for i, row in enumerate(rows):
        folders = _folders(row)
        if i not in drawn and folders and _is_called(folders[-1], SCAN_FOLDERS):
            stems.setdefault(folders[:-1], set()).add(_stem(row))
    siblings: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(rows):
        folders = _folders(row)
        if i not in drawn and folders and folders[:-1] in stems and not _is_called(folders[-1], SCAN_FOLDERS):
            siblings.setdefault(folders, []).append(i)
    found: dict[int, str] = {}
    for folders, members in siblings.items():
        named = np.mean([_key_stem(rows[i]) in stems[folders[:-1]] for i in members])
        if named >= SHARE and all(_is_label_map(rows[i]["file"], root) for i in members[:: max(1, len(members) // LOOKED)][:LOOKED]):
            for i in members:
                rows[i]["_sibling"] = True
                found[i] = folders[-1]
    return found


def _key_stem(row: Row) -> str:
    return _key(row)[1]


def _is_label_map(file: str, root: Path) -> bool:
    try:
        return len(labels.held(file, root)[0]) <= FEW_NUMBERS
    except InputError:
        return False


def _cases(scans: Sequence[Row], keys: set[tuple[tuple[str, ...], str]]) -> dict[tuple[tuple[str, ...], str], Row]:
    """One row per case: scans of one name, or of one folder's only mask, are sequences beside one another."""
    cases: dict[tuple[tuple[str, ...], str], Row] = {}
    for row in scans:
        folders, stem = _key(row)
        key, word = (folders, stem), ""
        if key not in keys:
            for shorter, told in ((_CHANNEL.sub("", stem), _CHANNEL.search(stem)), (stem[: -len(_last_word(stem)) - 1], True)):
                if told and (folders, shorter) in keys:
                    key, word = (folders, shorter), stem[len(shorter) + 1 :]
                    break
        kind = "volume" if "volume" in row else "image"
        case = cases.get(key)
        if case is None:
            case = cases[key] = dict(row)
            if word and not word.isdigit():
                case[word], case["_sequences"] = case.pop(kind), [word]
        elif word:
            column = f"{kind}_{word}" if word.isdigit() else word
            case[column] = row[kind]
            case.setdefault("_sequences", []).append(column)
        else:
            cases[(*key[0], str(row["_row"])), key[1]] = dict(row)
    return cases


def _only_one(cases: dict[tuple[tuple[str, ...], str], Row], mask: Row) -> Row | None:
    """The only case in or below the folder of a mask."""
    folders = _folders(mask)
    below = {id(c): c for c in cases.values() if folders and (_folders(c)[: len(folders)] == folders or c["file"] == "/".join(folders))}
    return next(iter(below.values())) if len(below) == 1 else None


def _of_patient(cases: dict[tuple[tuple[str, ...], str], Row], mask: Row) -> Row | None:
    """The only case of a mask's patient, where headers name patients."""
    same = {id(c): c for c in cases.values() if mask.get("patient") and c.get("patient") == mask["patient"]}
    return next(iter(same.values())) if len(same) == 1 else None


def named_classes(root: Path) -> dict[str, list[Any]]:
    """`names` and `numbers` of the classes above 0 that a `dataset.json` in the folder gives, {} where there is none that can be read.

    Both usual forms are known: number to name (`{"1": "tumour"}`) and name to number (`{"tumour": 1}`).
    """
    path = root / "dataset.json"
    try:
        text = b"".join(limits.unpack(path, 1 << 20)) if path.is_file() else b""
        limits.json_depth(text)
        given = json.loads(text).get("labels", {}) if text else {}
    except (InputError, ValueError, AttributeError, RecursionError):
        return {}
    found: dict[int, str] = {}
    for key, value in given.items() if isinstance(given, dict) else ():
        number, name = (value, key) if isinstance(value, int) else (key, value)
        if isinstance(name, str) and str(number).isascii() and str(number).isdigit() and len(str(number)) < 6 and int(number) > 0 and name.strip():
            found[int(number)] = name.strip()[:80]
    if not found or len(set(found.values())) != len(found):
        return {}
    return {"names": [found[k] for k in sorted(found)], "numbers": sorted(found)}
