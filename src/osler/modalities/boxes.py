"""Boxes: a cell says which things lie where on the scan beside it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from osler.adapters.imaging import labels, scan
from osler.adapters.imaging.scan import Scan
from osler.blocks import Block, dense
from osler.cohort.column import Column
from osler.errors import CODES, InputError, OptionError, ReadError
from osler.modalities import boxforms
from osler.modalities.base import Modality
from osler.modalities.image import Image, texts_of
from osler.scenes import Boxes as Marked
from osler.scenes import Drawing, boxes_of

#: Most classes of one column.
MOST_CLASSES = 1000
#: What the numbers of a mask in a cell are: things, or classes whose connected parts are things.
MASKS = ("things", "components")
#: What is wrong with single boxes, which are left out: the rest of their scan is kept.
EMPTY, OUTSIDE, UNKNOWN = "a box has no area", "a box lies outside of the scan", "a box is of a class that the column does not name"


@dataclass(frozen=True)
class BoxesOptions:
    """Options of a column of boxes.

    Attributes:
        names: classes that are asked for, joined by +; by default all that there are, in the order of the alphabet.
        masks: where cells name masks, their numbers are `things`, or classes whose connected parts are things (`components`).
        hit: what a found box must do to count: `overlap` (intersection over union above `least`) or `centre` (its centre in the thing, as LUNA16).
        least: overlap that a hit needs.
    """

    names: tuple[str, ...] = ()
    masks: str = "things"
    hit: str = "overlap"
    least: float = 0.5


class Boxes(Modality):
    """Things on a scan, by their boxes. Emits a dense block: how many of each class there are."""

    name = "boxes"
    asks = "a list of boxes in JSON, or the path of a file of boxes in the folder that the rows come from, or null"
    extra = "imaging"
    Options = BoxesOptions
    #: Ends of names of files that hold boxes.
    ends: ClassVar[tuple[str, ...]] = (".xml", ".json", ".csv")

    def sniff(self, values: pl.Series) -> float:
        """Share of a sample of 200 values that are JSON lists, or end as names of such files do."""
        texts = texts_of(values).drop_nulls().head(200)
        if not len(texts):
            return 0.0
        return float(np.mean([t.startswith("[") or (t.partition("#")[0]).lower().endswith(self.ends) for t in texts.to_list()]))

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but is neither a JSON list nor a path below the table's folder."""
        if values.dtype != pl.String:
            return values.is_not_null()
        written = texts_of(values).str.starts_with("[").fill_null(False)
        return Image().check(values, column) & ~written

    def reasons(self, values: pl.Series, root: Path | None) -> dict[str, str]:
        """Distinct cell → the code of why no boxes can be read from it; those that can be are left out. Masks are looked at later."""
        wrong: dict[str, str] = {}
        for cell in texts_of(values).drop_nulls().unique(maintain_order=True).to_list():
            try:
                if _form(cell) == "mask":
                    scan.parts(cell, _base(root))
                else:
                    _written(cell, root)
            except InputError as error:
                wrong[cell] = error.code
        return wrong

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Learn which classes there are, where the column's options do not say."""
        options = self._checked(self.settled(values, column, root))
        return {"modality": self.name, "version": self.version, "column": column.name, "names": list(options.names), "masks": options.masks, "n": len(values)}

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """How many boxes of each class; NaN where they cannot be read."""
        table = np.full((len(values), len(state["names"])), np.nan)
        for i, cell in enumerate(texts_of(values).to_list()):
            classes = None if cell is None else self._classes(cell, state["masks"], root)
            if classes is not None:
                table[i] = [classes.count(name) for name in state["names"]]
        return dense(table, [f"{state['column']}: number of {name}" for name in state["names"]])

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Counts, and how many boxes of each class there are, where at least ten scans have any."""
        texts, options = texts_of(values), self._checked(column)
        facts: dict[str, Any] = {"n": len(values), "missing": int(texts.null_count())}
        found = [c for c in (self._classes(t, options.masks, root) for t in texts.drop_nulls().to_list()) if c is not None]
        if len(found) < 10:
            return facts
        every = [name for classes in found for name in classes]
        return facts | {"boxes": len(every), "scans_without": sum(not c for c in found), "classes": {k: every.count(k) for k in sorted(set(every))[:64]}}

    # -- as a target -----------------------------------------------------------------------------------------------

    def settled(self, values: pl.Series, column: Column, root: Path | None = None) -> Column:
        """The column with the `names` of its classes written into its options.

        Raises:
            OptionError: an option has a value that it cannot have, or there are too many classes.
        """
        options = self._checked(column)
        names = list(options.names)
        if not names:
            found = (self._classes(t, options.masks, root) for t in texts_of(values).drop_nulls().unique(maintain_order=True).to_list())
            names = sorted({name for classes in found if classes for name in classes})
        if len(names) > MOST_CLASSES:
            raise OptionError(f"column '{column.name}' must have at most {MOST_CLASSES} classes of boxes, it has {len(names)}: name some with names")
        return column.with_(options={**column.options, "names": names})

    def unfit(self, values: pl.Series, beside: pl.Series, root: Path | None = None) -> list[str]:
        """Per row why its boxes cannot be learnt from with the scan beside them, "" where they can."""
        out = []
        for cell, reference in zip(texts_of(values).to_list(), texts_of(beside).to_list()):
            try:
                if cell is not None and reference is not None:
                    self._upon(cell, reference, Column(values.name, self.name), root)
                out.append("")
            except InputError as error:
                out.append(f"{CODES[error.code]} ({error.code})")
        return out

    def doubts(self, values: pl.Series, beside: pl.Series, column: Column, root: Path | None = None) -> list[tuple[str, ...]]:
        """Per row what is wrong with single boxes (`EMPTY`, `OUTSIDE`, `UNKNOWN`), which are left out."""
        out = []
        for cell, reference in zip(texts_of(values).to_list(), texts_of(beside).to_list()):
            try:
                out.append(() if cell is None or reference is None else self._upon(cell, reference, column, root)[1])
            except InputError:
                out.append(())
        return out

    def drawing(self, reference: str, image: Scan, column: Column, root: Path | None = None) -> Drawing:
        """The boxes of a cell on the scan beside it, cut off at its edges.

        Raises:
            ReadError, InputError: they cannot be read, or do not belong to such a scan.
        """
        return self._drawn(reference, image, column, root)[0]

    def file_of(self, drawn: Drawing, affine: np.ndarray, column: Column) -> tuple[str, bytes]:
        """Boxes as a JSON list that can be put back in as a cell of this column: its end (".json") and bytes, the surest first."""
        names = self._checked(column).names
        lines = []
        for corners, code, score in zip(drawn.boxes.corners, drawn.boxes.codes, drawn.boxes.scores):
            d = len(corners) // 2
            box = [round(float(v), 3) for v in (*corners[:d][::-1], *(corners[d:] - corners[:d])[::-1])]
            lines.append({"box": box, "class": names[code], "score": round(float(score), 6)})
        return ".json", json.dumps(lines).encode()

    def together(self, files: Mapping[str, Path], column: Column) -> dict[str, bytes]:
        """Files of many scans (`file_of`) as one table of boxes and one COCO file: name → bytes.

        Args:
            files: reference of each scan → its file.
        """
        names, table = self._checked(column).names, io.StringIO()
        lines = csv.writer(table, lineterminator="\n")
        whole: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": [{"id": i + 1, "name": n} for i, n in enumerate(names)]}
        for number, (reference, path) in enumerate(files.items(), start=1):
            whole["images"].append({"id": number, "file_name": reference})
            for one in json.loads(path.read_bytes()):
                axes = "xyz"[: len(one["box"]) // 2]
                if table.tell() == 0:
                    lines.writerow(["scan", "class", "score", *axes, *(f"size_{a}" for a in axes)])
                lines.writerow([reference, one["class"], one["score"], *one["box"]])
                whole["annotations"].append({
                    "id": len(whole["annotations"]) + 1, "image_id": number, "category_id": names.index(one["class"]) + 1, "bbox": one["box"],
                    "area": float(np.prod(one["box"][len(axes) :])), "score": one["score"], "iscrowd": 0,
                })  # fmt: skip
        return {"boxes.csv": table.getvalue().encode() or b"scan,class,score\n", "coco.json": json.dumps(whole).encode()}

    def classes(self, column: Column) -> tuple[str, ...]:
        """Names by code, of a column that is settled."""
        return tuple(self._checked(column).names)

    def is_apart(self, column: Column) -> bool:
        """Whether labels of things are wanted: no, boxes are."""
        return False

    def _checked(self, column: Column) -> BoxesOptions:
        """The column's options.

        Raises:
            OptionError: one has a value that it cannot have.
        """
        found = self.options_of(column)
        for name, known in (("masks", MASKS), ("hit", ("overlap", "centre"))):
            if getattr(found, name) not in known:
                raise OptionError(f"{name} of column '{column.name}' must be one of {', '.join(known)}, was '{getattr(found, name)}'")
        try:
            least = float(found.least)
        except (TypeError, ValueError) as error:
            raise OptionError(f"least of column '{column.name}' must be a number, it is not: write 0.5") from error
        names = tuple(map(str, found.names))
        if not 0 < least <= 1 or len(set(names)) != len(names):
            raise OptionError(f"least of column '{column.name}' must lie above 0 and up to 1, and its names must differ")
        return replace(found, names=names, least=least)

    # -- reading ---------------------------------------------------------------------------------------------------

    def found(self, values: pl.Series, column: Column, root: Path | None = None) -> list[np.ndarray | None]:
        """Per row the codes (from 0) of its boxes of known classes; None where there are no boxes to read."""
        options = self._checked(column)
        codes = {name: i for i, name in enumerate(options.names)}
        cells = (None if t is None else self._classes(t, options.masks, root) for t in texts_of(values).to_list())
        return [None if c is None else np.array([codes[n] for n in c if n in codes], dtype=np.int64) for c in cells]

    def _classes(self, cell: str, masks: str, root: Path | None) -> list[str] | None:
        """The class of each box of a cell, or None where it cannot be read."""
        try:
            if _form(cell) != "mask":
                return list(_written(cell, root).classes)
            return _of_mask(labels.read(cell, _base(root)).values[0].astype(np.uint16), masks)[1]
        except InputError:
            return None

    def _upon(self, cell: str, reference: str, column: Column, root: Path | None) -> tuple[Drawing, tuple[str, ...]]:
        return self._drawn(cell, labels.kept(reference, _base(root)), column, root)

    def _drawn(self, cell: str, image: Scan, column: Column, root: Path | None) -> tuple[Drawing, tuple[str, ...]]:
        """The boxes that can be asked for, and what is wrong with the others."""
        options = self._checked(column)
        if _form(cell) == "mask":
            corners, classes = _of_mask(labels.upon(cell, image, _base(root)), options.masks)
            scores = np.ones(len(classes))
        else:
            written = _written(cell, root)
            corners, classes, scores = written.upon(image), list(written.classes), written.scores
        d = image.dims
        shape = np.array(image.values.shape[1:], dtype=np.float64)
        empty = (corners[:, d:] <= corners[:, :d]).any(axis=1)
        cut = np.clip(corners, 0, np.tile(shape, 2))
        outside = ~empty & (cut[:, d:] <= cut[:, :d]).any(axis=1)
        codes = np.array([options.names.index(c) if c in options.names else -1 for c in classes], dtype=np.int64)
        unknown = (codes < 0) & bool(options.names)
        fine = ~(empty | outside | unknown)
        doubts = tuple(why for why, which in ((EMPTY, empty), (OUTSIDE, outside), (UNKNOWN, unknown)) for _ in range(int(which.sum())))
        boxes = Marked(cut[fine], np.maximum(codes[fine], 0), scores[fine])
        return Drawing(boxes=boxes), doubts


def _of_mask(mask: np.ndarray, masks: str) -> tuple[np.ndarray, list[str]]:
    """Corners and classes of the things of a mask: each number, or each connected part of each number, which is then its class."""
    if masks == "things":
        boxes = boxes_of(mask)[0]
        return boxes.corners, [boxforms.THING] * len(boxes)
    from scipy.ndimage import label

    corners, classes = [np.empty((0, 2 * mask.ndim))], []
    for number in np.unique(mask[mask > 0]).tolist():
        boxes = boxes_of(label(mask == number)[0])[0]
        corners.append(boxes.corners)
        classes += [str(number)] * len(boxes)
    return np.concatenate(corners), classes


def _form(cell: str) -> str:
    """How the boxes of a cell are written down: "list", "coco", "voc", "nodules" or "mask"."""
    if cell.startswith("["):
        return "list"
    name, mark, _ = cell.rpartition("#")
    end = (name if mark else cell).lower()
    if end.endswith(".json"):
        return "coco" if mark else "list"
    return "voc" if end.endswith(".xml") else "nodules" if end.endswith(".csv") else "mask"


def _written(cell: str, root: Path | None) -> boxforms.Written:
    """The boxes of a cell that is no mask.

    Raises:
        ReadError, LimitError: they cannot be read.
    """
    form = _form(cell)
    if cell.startswith("["):
        return boxforms.listed(cell)
    path, part = scan.parts(cell, _base(root))
    if not path.is_file() or (form in ("coco", "nodules")) != bool(part):
        raise ReadError("a cell must name a file of boxes, and of a file of many scans which one after #: see the forms of boxes", "boxes-format")
    if form == "list":
        return boxforms.listed(boxforms.contents(path, boxforms.MOST_BYTES))
    if form == "voc":
        return boxforms.voc(path)
    return boxforms.coco(path, part) if form == "coco" else boxforms.nodules(path, part)


def _base(root: Path | None) -> Path:
    return root if root is not None else Path.cwd()

