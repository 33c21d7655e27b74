"""Rows of a cohort as scenes: scans are read when they are asked for, through the cache, and nothing is held but what the cache holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from osler import modalities
from osler.adapters.imaging import bias, cache, labels, scan
from osler.adapters.imaging.scan import Scan
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.errors import CODES, InputError, ReadError
from osler.modalities.image import texts_of
from osler.scenes import Asked, Scene
from osler.tasks.drawn import SCANS, Drawn

#: Training scans whose headers are looked at to learn how many channels a column has.
SAMPLE = 256
_COLOUR = "a colour picture stands among grey ones; channels=grey of the column makes it one"
#: Share of red, green and blue in grey (ITU-R BT.601).
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class RowScenes:
    """The scans of some rows (`osler.scenes.Scenes`).

    Attributes:
        cohort: the rows; their input columns name the scans, the first of which is drawn on.
        asked: what is to be drawn.
        states: input column → its entry as a predictor keeps it.
        groups: (n,) int codes of the unit of independence.
        with_drawings: whether a scene brings what is drawn on it (not where it is only to be answered for).
    """

    cohort: Cohort
    asked: Asked
    states: Mapping[str, Mapping[str, Any]]
    groups: np.ndarray
    with_drawings: bool = True

    def __len__(self) -> int:
        return len(self.cohort)

    def __iter__(self) -> Iterator[Scene]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, row: int) -> Scene:
        """One row's scans as channels on the voxels of the first, and what is drawn on it.

        Raises:
            ReadError, InputError: a scan or drawing cannot be read, is missing, or does not belong to the others.
        """
        first = self.first(row)
        values = [scan_of(self._scan(row, name, entry), entry, first) for name, entry in self.states.items()]
        stacked = np.concatenate(values) if len(values) > 1 else values[0]
        return Scene(stacked, first.spacing, first.affine, self._drawn(row, first) if self.with_drawings else None)

    def first(self, row: int) -> Scan:
        """The scan that the answer is drawn on, as it is in its file."""
        return labels.kept(self.reference(row), self.cohort.root or Path.cwd(), self.asked.dims)

    def reference(self, row: int) -> str:
        """What names the scan that the answer is drawn on.

        Raises:
            ReadError: nothing does.
        """
        return self._reference(next(iter(self.states)), row)

    def take(self, rows: np.ndarray) -> RowScenes:
        """Some rows (positions or mask)."""
        which = np.arange(len(self))[rows]
        return replace(self, cohort=self.cohort.take(which), groups=self.groups[which])

    def _scan(self, row: int, name: str, entry: Mapping[str, Any]) -> Scan:
        """One column's scan at its own resolution, its shading evened out where the column asks for that."""
        root, reference = self.cohort.root or Path.cwd(), self._reference(name, row)
        found = labels.kept(reference, root, self.asked.dims)
        if entry["state"].get("bias") != "n4":
            return found
        path, fragment = scan.parts(reference, root)
        asked = {"whole": 1, "bias": "n4", "part": fragment, "dims": self.asked.dims}
        return replace(found, values=cache.store().get(path, asked, lambda: {"values": bias.n4(found).values})["values"])

    def _drawn(self, row: int, first: Scan) -> Any:
        target = self.cohort.role("target")[0]
        return modalities.get(target.modality).drawing(self._reference(target.name, row), first, target, self.cohort.root)

    def _reference(self, name: str, row: int) -> str:
        value = texts_of(self.cohort.values(name)[row : row + 1])[0] if name in self.cohort.table.columns else None
        if value is None:
            raise ReadError(f"every row must name its scan in column '{name}', one names none: fill in the cell", "read-missing")
        return value


def scan_of(found: Scan, entry: Mapping[str, Any], first: Scan) -> np.ndarray:
    """Values (c, ...) of a scan on the voxels of the first, with as many channels as its column has.

    Raises:
        InputError: there is no way to that number of channels (`image-dims`), or as `labels.onto`.
    """
    values, wanted = labels.onto(found, first).values, entry["state"]["n_channels"]
    if len(values) == wanted:
        return values
    if wanted == 1 and len(values) == 3:
        return np.tensordot(_GREY, values, axes=1)[None]
    if wanted == 3 and len(values) == 1:
        return np.repeat(values, 3, axis=0)
    raise InputError(f"a scan must have {wanted} channels as the others of its column, it has {len(values)}: leave its row out", "image-dims")


def learn_states(cohort: Cohort) -> dict[str, dict[str, Any]]:
    """What is learnt of each column of scans from training rows: its number of channels, the commonest unless its options say "grey" or "rgb"."""
    states = {}
    for column in Drawn.scans(cohort):
        texts = sorted(set(texts_of(cohort.values(column.name)).drop_nulls().to_list()))
        texts = texts[:: max(1, len(texts) // SAMPLE)]
        counts = [c for c in (_channels(t, cohort.root) for t in texts) if c]
        usual = max(sorted(set(counts)), key=counts.count) if counts else 1
        n_channels = {"grey": 1, "rgb": 3}.get(str(column.options.get("channels", "")), usual)
        version = modalities.get(column.modality).version
        state = {"modality": column.modality, "column": column.name, "n_channels": n_channels, "bias": str(column.options.get("bias", "none"))}
        states[column.name] = {"modality": column.modality, "version": version, "state": state}
    return states


def misfits(cohort: Cohort) -> dict[str, np.ndarray]:
    """Reason → (n,) rows whose scans do not go with those of the other rows, or not with one another."""
    columns, found = Drawn.scans(cohort), {}
    states = learn_states(cohort)
    texts = {c.name: texts_of(cohort.values(c.name)).to_list() for c in columns}
    first = columns[0].name
    for column in columns:
        for i in range(len(cohort)):
            reference, ground = texts[column.name][i], texts[first][i]
            if reference is None or ground is None:
                continue
            reason = _misfit(reference, ground if column.name != first else "", states[column.name], cohort.root or Path.cwd())
            if reason == _COLOUR and column.options.get("channels") == "grey":
                continue
            if reason:
                found.setdefault(f"'{column.name}': {reason}", np.zeros(len(cohort), dtype=bool))[i] = True
    return found


def _misfit(reference: str, first: str, entry: Mapping[str, Any], root: Path) -> str:
    """Why a scan cannot stand in its column or beside the first one of its row, "" where it can."""
    wanted = entry["state"]["n_channels"]
    dims = SCANS[entry["modality"]]
    try:
        found = labels.kept(reference, root, dims)
        if first:
            labels.onto(found, labels.kept(first, root, dims))
    except InputError as error:
        return f"{CODES[error.code]} ({error.code})"
    if len(found.values) == 3 and wanted == 1 and not (np.array_equal(found.values[0], found.values[1]) and np.array_equal(found.values[0], found.values[2])):
        return _COLOUR
    return "" if len(found.values) == wanted or {len(found.values), wanted} == {1, 3} else "a scan has another number of channels than the others"


def _channels(reference: str, root: Path | None) -> int:
    try:
        return scan.header(reference, root or Path.cwd()).shape[0]
    except InputError:
        return 0


def channel_names(states: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of the channels of a scene."""
    names = []
    for name, entry in states.items():
        n = entry["state"]["n_channels"]
        names += [name] if n == 1 else [f"{name}: channel {k + 1}" for k in range(n)]
    return tuple(names)


def scenes_of(cohort: Cohort, task: Drawn, states: Mapping[str, Mapping[str, Any]], groups: np.ndarray) -> RowScenes:
    """Rows with their drawings, to learn from or to be judged by."""
    return RowScenes(cohort, task.asked(cohort.columns, channel_names(states)), states, groups)


def described(scenes: Iterable[Scene]) -> np.ndarray:
    """(n, 2d + 3c) numbers by which a scan is told from the usual: spacing and length of each axis, and percentiles 1, 50 and 99 of each channel."""
    rows = []
    for scene in scenes:
        levels = [np.percentile(c[..., :: max(1, c.shape[-1] // 64)], (1, 50, 99)) for c in scene.values]
        rows.append(np.concatenate([scene.spacing, scene.shape, *levels]))
    return np.array(rows, dtype=np.float64).reshape(len(rows), -1)


def as_inputs(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns of scans among a predictor's."""
    return tuple(c for c in columns if c.role == "input" and c.modality in SCANS)


__all__ = ["RowScenes", "as_inputs", "channel_names", "described", "learn_states", "scan_of", "scenes_of"]
