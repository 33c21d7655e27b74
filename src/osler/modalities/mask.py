"""Masks: a cell names a label map, what a person or a model drew on the scan beside it."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from osler.adapters.imaging import labels, nifti, pictures, scan
from osler.adapters.imaging.scan import Scan
from osler.blocks import Block, dense
from osler.cohort.column import Column
from osler.errors import CODES, InputError, OptionError
from osler.modalities.base import Modality
from osler.modalities.image import Image, texts_of
from osler.scenes import Drawing

#: Most classes of one column; a mask with more different numbers most likely numbers things.
MOST_CLASSES = 64
#: What the class of things without a name is called.
THING = "thing"


@dataclass(frozen=True)
class MaskOptions:
    """Options of a column of masks.

    Attributes:
        names: what the numbers above 0 mean, in rising order, joined by +; by default the numbers themselves. Of `instances` one name.
        numbers: the numbers that have these names, joined by +, all others counting as background; by default those that the masks hold.
        instances: every number is a thing of its own, and all things are of one class.
        tolerance: how far a drawn surface may lie beside the true one and still count as right in the measure nsd, in mm (pixels, where a scan
            does not say its spacing).
    """

    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    instances: bool = False
    tolerance: float = 1.0


class Mask(Modality):
    """A label map by its path. Emits a dense block: how much of each class there is, and of things apart how many."""

    name = "mask"
    asks = "the path of a mask in the folder that the rows come from, or null"
    extra = "imaging"
    Options = MaskOptions
    #: Ends of names of files that can be masks.
    ends: ClassVar[tuple[str, ...]] = (*scan.VOLUMES, *scan.PICTURES, *scan.DICOM, *scan.STACKS)

    def sniff(self, values: pl.Series) -> float:
        """Share of a sample of 200 values that end as names of such files do; names alone do not tell a mask from its scan."""
        texts = texts_of(values).drop_nulls().head(200)
        if not len(texts):
            return 0.0
        return float(np.mean([(t.rpartition("#")[0] or t).lower().endswith(self.ends) for t in texts.to_list()]))

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but can be no path below the table's folder."""
        return Image().check(values, column)

    def reasons(self, values: pl.Series, root: Path | None) -> dict[str, str]:
        """Distinct reference → the code of why no label map can be read from it; those that can be are left out."""
        wrong: dict[str, str] = {}
        for reference in texts_of(values).drop_nulls().unique(maintain_order=True).to_list():
            try:
                labels.held(reference, _base(root))
            except InputError as error:
                wrong[reference] = error.code
        return wrong

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Learn which numbers there are in training masks, where the column's options do not say."""
        column = self.settled(values, column, root)
        options = self._options(column)
        return {
            "modality": self.name, "version": self.version, "column": column.name, "names": list(options.names),
            "numbers": list(options.numbers), "instances": options.instances, "n": len(values),
        }  # fmt: skip

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """Volume (mm³, or pixels where the spacing is unknown) of each class, and of things apart their number; NaN where unreadable."""
        things = ["number of things"] if state["instances"] else []
        names = [f"{state['column']}: volume of {n}" for n in state["names"]] + [f"{state['column']}: {t}" for t in things]
        table = np.full((len(values), len(names)), np.nan)
        for i, reference in enumerate(texts_of(values).to_list()):
            if reference is None:
                continue
            try:
                numbers, counts = labels.held(reference, _base(root))
                size = _voxel(scan.header(reference, _base(root)).spacing)
            except InputError:
                continue
            if state["instances"]:
                table[i] = [counts.sum() * size, len(numbers)]
            else:
                table[i] = [counts[numbers == k].sum() * size for k in state["numbers"]]
        return dense(table, names)

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Counts, and in how many masks each class is, where there are at least ten masks."""
        texts = texts_of(values)
        facts: dict[str, Any] = {"n": len(values), "missing": int(texts.null_count())}
        if len(values) - facts["missing"] < 10:
            return facts
        options = self._options(column)
        found = [f for f in self.found(values, root) if f is not None]
        facts["masks_with_nothing"] = sum(not len(numbers) for numbers, _ in found)
        if options.instances:
            return facts | {"things": int(sum(len(numbers) for numbers, _ in found))}
        named = dict(zip(options.numbers, options.names))
        held = np.concatenate([numbers for numbers, _ in found]) if found else np.empty(0, dtype=int)
        return facts | {"classes": {named.get(int(k), str(k)): int((held == k).sum()) for k in np.unique(held)[:MOST_CLASSES]}}

    # -- as a target -----------------------------------------------------------------------------------------------

    def settled(self, values: pl.Series, column: Column, root: Path | None = None) -> Column:
        """The column with `names` and `numbers` of its classes written into its options, so that they mean the same everywhere.

        Raises:
            OptionError: names and numbers do not agree, or masks hold more different numbers than there can be classes (`mask-labels`).
        """
        options = self._options(column)
        if options.instances:
            found = {"names": [*options.names[:1]] or [THING], "numbers": [1]}
            return column.with_(options={**column.options, **found})
        numbers = list(options.numbers) or _union(self.found(values, root))
        if len(numbers) > MOST_CLASSES:
            raise OptionError(
                f"masks of column '{column.name}' must hold at most {MOST_CLASSES} classes, they hold {len(numbers)} different numbers: "
                f"if each number is a thing of its own, say --column {column.name}=mask:instances=true",
                "mask-labels",
            )
        names = list(options.names) or [str(k) for k in numbers]
        if len(names) != len(numbers) or len(set(names)) != len(names):
            raise OptionError(
                f"names of column '{column.name}' must be one per number above 0 in its masks, there are {len(names)} names and "
                f"{len(numbers)} numbers: join the names by +, or say its option numbers too",
                "mask-labels",
            )
        return column.with_(options={**column.options, "names": names, "numbers": numbers})

    def found(self, values: pl.Series, root: Path | None = None) -> list[tuple[np.ndarray, np.ndarray] | None]:
        """Per row the numbers above 0 of its mask, rising, and how many voxels have each; None where there is no mask to read."""
        out = []
        for reference in texts_of(values).to_list():
            try:
                out.append(None if reference is None else labels.held(reference, _base(root)))
            except InputError:
                out.append(None)
        return out

    def voxels(self, values: pl.Series, root: Path | None = None) -> list[int]:
        """Per row how many voxels its mask has, marked or not; 0 where there is no mask to read."""
        out = []
        for reference in texts_of(values).to_list():
            try:
                out.append(0 if reference is None else int(np.prod(scan.header(reference, _base(root)).shape[1:])))
            except InputError:
                out.append(0)
        return out

    def unfit(self, values: pl.Series, beside: pl.Series, root: Path | None = None) -> list[str]:
        """Per row why its mask cannot be learnt from with the scan beside it, "" where it can."""
        out = []
        for reference, image in zip(texts_of(values).to_list(), texts_of(beside).to_list()):
            if reference is None or image is None:
                out.append("")
                continue
            try:
                labels.upon(reference, labels.kept(image, _base(root)), _base(root))
                out.append("")
            except InputError as error:
                out.append(f"{CODES[error.code]} ({error.code})")
        return out

    def drawing(self, reference: str, image: Scan, column: Column, root: Path | None = None) -> Drawing:
        """What a mask says about the scan beside it, on its voxels: codes 1, 2, ... in the order of the classes, or things numbered from 1.

        Raises:
            ReadError, InputError: as `labels.upon`.
        """
        options = self._options(column)
        marked = labels.upon(reference, image, _base(root))
        wanted = np.unique(marked[marked > 0]) if options.instances else np.array(options.numbers, dtype=np.int64)
        code = np.zeros(labels.LARGEST + 1, dtype=np.uint16)
        code[wanted] = np.arange(1, len(wanted) + 1)
        return Drawing(code[marked], instances=options.instances)

    def numbered(self, drawn: Drawing, column: Column) -> np.ndarray:
        """The labels of a drawing in the numbers that the column's own masks have, uint16."""
        options = self._options(column)
        if options.instances:
            return drawn.labels
        return np.array([0, *options.numbers], dtype=np.uint16)[drawn.labels]

    def file_of(self, drawn: Drawing, affine: np.ndarray, column: Column) -> tuple[str, bytes]:
        """A drawing as a file that can be put back in as a cell of this column: its end (".nii.gz" of a volume, ".png" of a picture) and bytes.

        Args:
            affine: (4, 4) of the scan that it is drawn on.
        """
        values = self.numbered(drawn, column)
        values = values.astype(np.uint8) if values.max(initial=0) < 256 else values
        if values.ndim == 3:
            return ".nii.gz", gzip.compress(nifti.encoded(values, affine), mtime=0)
        return ".png", pictures.png_of_labels(values)

    def classes(self, column: Column) -> tuple[str, ...]:
        """Names by code, the background first, of a column that is settled."""
        return ("background", *self._options(column).names)

    def is_apart(self, column: Column) -> bool:
        """Whether every thing is wanted apart."""
        return self._options(column).instances

    def _options(self, column: Column) -> MaskOptions:
        found = self.options_of(column)
        try:
            numbers = tuple(int(k) for k in found.numbers)
            tolerance = float(found.tolerance)
        except (TypeError, ValueError) as error:
            raise OptionError(f"numbers and tolerance of column '{column.name}' must be numbers, they are not: write 1+2") from error
        if not all(0 < k <= labels.LARGEST for k in numbers) or len(set(numbers)) != len(numbers) or not 0 < tolerance < np.inf:
            raise OptionError(f"numbers of column '{column.name}' must be different whole numbers from 1 to {labels.LARGEST}, tolerance above 0")
        return replace(found, names=tuple(map(str, found.names)), numbers=numbers, tolerance=tolerance)


def _base(root: Path | None) -> Path:
    return root if root is not None else Path.cwd()


def _voxel(spacing: Sequence[float]) -> float:
    """Size of a voxel in mm³ (mm² of a picture), 1 where the spacing is unknown."""
    size = float(np.prod(spacing))
    return size if np.isfinite(size) else 1.0


def _union(found: Sequence[tuple[np.ndarray, np.ndarray] | None]) -> list[int]:
    numbers = [numbers for numbers in (f[0] for f in found if f is not None) if len(numbers)]
    return np.unique(np.concatenate(numbers)).astype(int).tolist() if numbers else []
