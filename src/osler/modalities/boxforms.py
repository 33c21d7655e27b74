"""Forms in which boxes are written down: Pascal VOC, COCO, lists in JSON, and tables of nodules; read with limits, without running anything in them."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from osler.adapters.imaging.boxfiles import NODULES
from osler.adapters.imaging.scan import Scan
from osler.cohort import limits
from osler.errors import LimitError, ReadError

#: Largest file of boxes of one picture, and of many pictures, in bytes.
MOST_BYTES, MOST_BYTES_OF_MANY = 16 << 20, 512 << 20
#: Most boxes of one scan.
MOST_BOXES = 100_000
#: The class of a box without one.
THING = "thing"


@dataclass(frozen=True)
class Written:
    """Boxes as they are written down.

    Attributes:
        classes: (k,) name of each.
        corners: (k, 2d) lowest corner and then highest in pixels, each (y, x) or (z, y, x); NaN where `world` says it.
        world: (k, 4) centre in mm (left, posterior, superior) and diameter in mm of things given so; NaN for the others.
        scores: (k,) from 0 to 1, how sure a model was of each; 1 where nothing is said.
    """

    classes: tuple[str, ...]
    corners: np.ndarray
    world: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def upon(self, image: Scan) -> np.ndarray:
        """(k, 2d) corners in pixels of a scan.

        Raises:
            ReadError: a box has as many axes as the scan has not (`boxes-format`), or mm are given and the scan does not say where it lies.
        """
        if not len(self):
            return np.empty((0, 2 * image.dims))
        in_mm = np.isfinite(self.world).all(axis=1)
        if in_mm.any() and (image.dims != 3 or not np.isfinite(image.spacing).all()):
            raise ReadError("things in mm must lie in a volume that says its place, this one does not: give them in pixels", "boxes-format")
        if self.corners.shape[1] != 2 * image.dims and not in_mm.all():
            raise ReadError(f"boxes on this scan must have {image.dims} axes, these have {self.corners.shape[1] // 2}: see the forms of boxes", "boxes-format")
        out = np.array(self.corners) if not in_mm.all() else np.empty((len(self), 6))
        if in_mm.any():
            places = np.hstack([self.world[in_mm, :3], np.ones((in_mm.sum(), 1))]) @ np.linalg.inv(image.affine).T
            middle, half = places[:, 2::-1] + 0.5, 0.5 * self.world[in_mm, 3:] / image.spacing
            out[in_mm] = np.hstack([middle - half, middle + half])
        return out


def made(rows: Sequence[tuple[str, Sequence[float], Sequence[float]]], scores: Sequence[float] | None = None) -> Written:
    """From rows of a class, corners ((), where mm are given) and centre with diameter in mm ((), where corners are given).

    Raises:
        ReadError: too many, numbers that are none, or boxes with different numbers of axes.
    """
    if len(rows) > MOST_BOXES:
        raise LimitError(f"a scan must have at most {MOST_BOXES:,} boxes, one has more: split it", "limit-size")
    lengths = {len(c) for _, c, _ in rows if len(c)}
    if lengths - {4, 6} or len(lengths) > 1:
        raise _unlike("boxes of one scan must all have two, or all three axes")
    width = max(lengths, default=6)
    corners = np.array([list(c) if len(c) else [math.nan] * width for _, c, _ in rows], dtype=np.float64).reshape(-1, width)
    world = np.array([list(w) if len(w) else [math.nan] * 4 for _, _, w in rows], dtype=np.float64).reshape(-1, 4)
    if not (np.isfinite(corners).all(axis=1) | np.isfinite(world).all(axis=1)).all():
        raise _unlike("corners, sides and diameters of boxes must be numbers")
    sure = np.ones(len(rows)) if scores is None else np.array(scores, dtype=np.float64)
    if not ((sure >= 0) & (sure <= 1)).all():
        raise _unlike("scores of boxes must lie between 0 and 1")
    return Written(tuple(name for name, _, _ in rows), corners, world, sure)


def _unlike(what: str) -> ReadError:
    return ReadError(f"{what}, these are not: see the forms of boxes", "boxes-format")


# -- Pascal VOC ---------------------------------------------------------------------------------------------------------


def voc(path: Path) -> Written:
    """The objects of a Pascal VOC file; its pixels are counted from 1, and the last one belongs to the box.

    Raises:
        ReadError: it is no such file, or declares a document type or entities. LimitError: it is too large.
    """
    data = contents(path, MOST_BYTES)
    if re.search(rb"<!\s*(DOCTYPE|ENTITY)", data, re.IGNORECASE) or not data.lstrip().startswith(b"<"):
        raise _unlike(f"'{path.name}' must be plain XML without a document type")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:200]:
        raise _unlike(f"'{path.name}' must be XML in UTF-8")
    try:
        root = ElementTree.fromstring(data)
        rows = []
        for thing in root.iter("object"):
            ends = {k: float(thing.findtext(f"bndbox/{k}", "")) for k in ("xmin", "ymin", "xmax", "ymax")}
            corners = (ends["ymin"] - 1, ends["xmin"] - 1, ends["ymax"], ends["xmax"])
            rows.append((thing.findtext("name", THING).strip(), corners, ()))
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise _unlike(f"'{path.name}' must be a Pascal VOC file") from error
    return made(rows)


# -- JSON ---------------------------------------------------------------------------------------------------------------


def listed(text: str | bytes) -> Written:
    """Boxes of a JSON list: `{"box": [x, y, w, h]}` or `[x, y, z, w, h, d]`, `{"corners": [x0, y0, x1, y1]}` (also with z), in pixels counted
    from 0, or `{"centre_mm": [x, y, z], "diameter_mm": d}`; each with a "class" and a "score" or without.

    Raises:
        ReadError, LimitError: it is no such list.
    """
    limits.json_depth(text)
    try:
        found = json.loads(text)
        if not isinstance(found, list):
            raise TypeError
        return made([_item(one) for one in found], [float(one.get("score", 1.0)) for one in found])
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise _unlike("boxes in a cell must be a JSON list of objects") from error


def _item(one: Mapping[str, Any]) -> tuple[str, Sequence[float], Sequence[float]]:
    name = str(one.get("class", THING))
    if "centre_mm" in one:
        return name, (), (*_numbers(one["centre_mm"], (3,)), float(one["diameter_mm"]))
    if "box" in one:
        return name, _corners(_numbers(one["box"], (4, 6))), ()
    ends = _numbers(one["corners"], (4, 6))
    d = len(ends) // 2
    return name, (*ends[:d][::-1], *ends[d:][::-1]), ()


def _numbers(given: Any, lengths: tuple[int, ...]) -> list[float]:
    if not isinstance(given, list) or len(given) not in lengths:
        raise TypeError
    return [float(v) for v in given]


def _corners(box: Sequence[float]) -> tuple[float, ...]:
    """Lowest corner and sides with x first, as corners with x last."""
    d = len(box) // 2
    low, sides = list(box[:d])[::-1], list(box[d:])[::-1]
    return (*low, *(a + s for a, s in zip(low, sides)))


def coco(path: Path, image: str) -> Written:
    """The boxes of one image, by its id or file name, of a COCO file; crowds (`iscrowd`) are left out.

    Raises:
        ReadError: it is no such file, or does not list the image (`read-missing`).
    """
    stat = path.stat()
    ids, by_image = _coco(path, stat.st_mtime_ns, stat.st_size)
    key = ids.get(image)
    if key is None:
        raise ReadError(f"'{path.name}' must list the image that a cell names after #, it does not: write its id or file name", "read-missing")
    return made(by_image.get(key, []))


@lru_cache(maxsize=4)
def _coco(path: Path, changed: int, size: int) -> tuple[dict[str, Any], dict[Any, list[tuple[str, tuple[float, ...], tuple[()]]]]]:
    """Id of each image by id and by name, and the rows of each; read once per state of the file."""
    data = contents(path, MOST_BYTES_OF_MANY)
    limits.json_depth(data)
    try:
        whole = json.loads(data)
        names = {c["id"]: str(c["name"]) for c in whole["categories"]}
        ids: dict[str, Any] = {}
        for image in whole["images"]:
            ids[str(image["id"])] = image["id"]
            ids.setdefault(str(image.get("file_name", image["id"])), image["id"])
        rows: dict[Any, list[tuple[str, tuple[float, ...], tuple[()]]]] = {}
        for one in whole["annotations"]:
            if not one.get("iscrowd"):
                rows.setdefault(one["image_id"], []).append((names[one["category_id"]], _corners(_numbers(one["bbox"], (4, 6))), ()))
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise _unlike(f"'{path.name}' must be a COCO file") from error
    return ids, rows


# -- tables of nodules -----------------------------------------------------------------------------------------------------


def nodules(path: Path, series: str) -> Written:
    """The rows of one series of a table of nodules (`NODULES`, and `class` where it is there); none where it lists none.

    Raises:
        ReadError: it is no such table.
    """
    stat = path.stat()
    return made(_nodules(path, stat.st_mtime_ns, stat.st_size).get(series, []))


@lru_cache(maxsize=4)
def _nodules(path: Path, changed: int, size: int) -> dict[str, list[tuple[str, tuple[()], tuple[float, ...]]]]:
    try:
        lines = csv.DictReader(contents(path, MOST_BYTES_OF_MANY).decode("utf-8-sig").splitlines())
        if not set(NODULES) <= set(lines.fieldnames or ()):
            raise KeyError
        rows: dict[str, list[tuple[str, tuple[()], tuple[float, ...]]]] = {}
        for line in lines:
            place = tuple(float(line[k]) for k in NODULES[1:])
            rows.setdefault(line["seriesuid"].strip(), []).append((line.get("class") or "nodule", (), place))
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise _unlike(f"'{path.name}' must be a table with the columns {', '.join(NODULES)}") from error
    return rows


def contents(path: Path, most: int) -> bytes:
    """A whole file of at most so many bytes.

    Raises:
        LimitError: it is larger.
    """
    if path.stat().st_size > most:
        raise LimitError(f"'{path.name}' must be at most {most >> 20} MiB to be read for its boxes, it is larger: split it")
    return path.read_bytes()
