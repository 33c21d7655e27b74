"""Why, within a picture or volume: where the evidence for an answer lies, on the scan's own grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from osler import models
from osler.adapters.imaging import overlay, scan
from osler.adapters.imaging.geometry import to_patient_axes
from osler.blocks import Block
from osler.cohort.cohort import Cohort
from osler.engine.batches import encode
from osler.engine.explain import SEED
from osler.engine.predictor import Predictor
from osler.engine.validate import typed
from osler.errors import ColumnError, OptionError, nearest
from osler.explanation.occlusion import occlusion_maps
from osler.explanation.scales import Scale
from osler.models.base import Params

#: Ways that a person may ask for; "auto" is gradients where a network reads the column, otherwise occlusion.
WAYS = ("auto", "gradients", "smooth", "path-cam", "fused", "layer-cam", "grad-cam", "grad-cam++", "occlusion")
#: Slices of a volume that are drawn, and the least side of a drawing in pixels.
SLICES, SIDE = 9, 224
#: A voxel of a scan this far outside of the centres that the model saw was not seen by it.
_EDGE = 0.5 + 1e-6


@dataclass(frozen=True)
class Heat:
    """Where the evidence for one answer lies.

    Attributes:
        row: the row's number. column: of the picture or volume.
        way: one of `WAYS` but "auto". output: class or label that it is evidence for; "" where the answer is a number.
        answer: its probability, or the number.
        values: ([z,] y, x) float32 from 0 to 1 on the scan's own grid; 0 where the model did not look (cropped away).
        scan: the picture or volume.
    """

    row: int
    column: str
    way: str
    output: str
    answer: float
    values: np.ndarray
    scan: scan.Scan

    @property
    def peak(self) -> tuple[int, ...]:
        """(x, y) or (x, y, z) of the hottest voxel, counted from 0."""
        return tuple(int(i) for i in np.unravel_index(int(self.values.argmax()), self.values.shape)[::-1])

    def narrow(self) -> float:
        """Share of all voxels that holds the hotter half of the map's sum; 0 of an empty map."""
        ordered = np.sort(self.values, axis=None)[::-1].cumsum(dtype=np.float64)
        return 0.0 if ordered[-1] <= 0 else float(np.searchsorted(ordered, ordered[-1] / 2) + 1) / self.values.size

    def to_json(self) -> dict[str, Any]:
        """Everything but the values, as JSON values."""
        return {"way": self.way, "of": self.output, "answer": self.answer, "peak": list(self.peak), "narrow": self.narrow()}

    def share_inside(self, mask: np.ndarray) -> float:
        """Share of the map's sum inside of a mask (bool, the scan's shape); NaN of an empty map.

        Raises:
            ColumnError: the mask has another shape than the scan.
        """
        if mask.shape != self.values.shape:
            raise ColumnError(f"a mask must have the shape of its scan, {_by(self.values.shape)}, it has {_by(mask.shape)}: draw it on this scan")
        total = float(self.values.sum(dtype=np.float64))
        return float(self.values[mask].sum(dtype=np.float64)) / total if total else float("nan")


def heat_of_rows(predictor: Predictor, cohort: Cohort) -> list[dict[str, Any]]:
    """`{"heat": {column: Heat.to_json}}` per row, {} where no column holds a scan that can be read."""
    found = {column: heat_of(predictor, cohort, column) for column in scan_columns(predictor)}
    rows = [{c: maps[i].to_json() for c, maps in found.items() if maps[i] is not None} for i in range(len(cohort))]
    return [{"heat": row} if row else {} for row in rows]


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def scan_columns(predictor: Predictor) -> list[str]:
    """The input columns that hold pictures or volumes."""
    return [name for name, entry in predictor.states.items() if entry["modality"] in ("image", "volume")]


def heat_of(predictor: Predictor, cohort: Cohort, column: str = "", way: str = "auto", output: str = "") -> list[Heat | None]:
    """A map for every row of a cohort in the predictor's terms; None where there is no picture that can be read.

    Args:
        column: of pictures or volumes; "" takes the first. way: one of `WAYS`.
        output: class or label; "" takes the predicted class, or the likeliest label.

    Raises:
        ColumnError: no such column. OptionError: a way or class that is none, or that the model has not.
    """
    known = scan_columns(predictor)
    if not known or column not in ("", *known):
        raise ColumnError(f"column must be one of pictures or volumes, was '{column}': the predictor has {', '.join(known) or 'none'}")
    column = column or known[0]
    with typed("explaining"):
        blocks = encode(cohort, predictor.states)
        said, codes = _answers(predictor, blocks, output)
        maps, used = maps_of(predictor.models[predictor.chosen], blocks, column, way, scales(predictor, codes))
    references = cohort.table[column].to_list() if column in cohort.table.columns else [None] * len(cohort)
    found: list[Heat | None] = []
    for i, reference in enumerate(references):
        if reference is None or not blocks[column].present[i]:
            found.append(None)
            continue
        whole = scan.read(reference.strip(), cohort.root, blocks[column].values.ndim - 2)
        values = on_grid_of(whole, maps[i], blocks[column].geometry["affine"][i])
        name = predictor.classes[codes[i]] if predictor.classes else ""
        found.append(Heat(int(cohort.rows[i]), column, used, str(name), float(said[i]), values, whole))
    return found


def heat_frame(predictor: Predictor, cohort: Cohort, way: str, output: str) -> pl.DataFrame:
    """The maps of every column of pictures or volumes in a few columns, see `osler.engine.explain.explain`; null where there is none."""
    data: dict[str, pl.Series] = {}
    for column in scan_columns(predictor):
        found = heat_of(predictor, cohort, column, way, output)
        data[f"why_peak:{column}"] = pl.Series([h and " ".join(map(str, h.peak)) for h in found], dtype=pl.String)
        data[f"why_narrow:{column}"] = pl.Series([h and h.narrow() for h in found], dtype=pl.Float64)
        data[f"why_of:{column}"] = pl.Series([h and h.output for h in found], dtype=pl.String)
        data[f"why_way:{column}"] = pl.Series([h and h.way for h in found], dtype=pl.String)
    return pl.DataFrame(data)


def _answers(predictor: Predictor, blocks: dict[str, Block], output: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) probabilities (or numbers), and the classes or labels (codes) that they are of."""
    if output and output not in predictor.classes:
        raise OptionError(f"output must be a class or label of the run, was '{output}': {nearest(output, predictor.classes)}")
    spec, params = predictor.models[predictor.chosen]
    answer = models.get(spec).predict(params, blocks)
    if predictor.task == "survival":
        return answer.event_probability(predictor.horizon), np.ones(len(answer.value), dtype=np.int64)
    if predictor.task == "regression":
        return answer.value[:, 0], np.zeros(len(answer.value), dtype=np.int64)
    wanted = predictor.classes.index(output) if output else answer.value.argmax(axis=1)
    codes = np.broadcast_to(np.asarray(wanted), len(answer.value)).astype(np.int64)
    return np.take_along_axis(answer.value, codes[:, None], axis=1)[:, 0], codes


def scales(predictor: Predictor, codes: np.ndarray) -> list[Scale]:
    """(n,) what each row's map is of: the log odds of its class, the number, or the hazard until the horizon."""
    if predictor.task == "survival":
        return [Scale("log-hazard", 1, predictor.horizon)] * len(codes)
    return [Scale("mean" if predictor.task == "regression" else "log-odds", int(code)) for code in codes]


def maps_of(
    model: tuple[str, Params], blocks: dict[str, Block], column: str, way: str, of: Sequence[Scale]
) -> tuple[np.ndarray, str]:
    """(n, [z,] y, x) maps from 0 to 1 on the grid that the model sees, and the way they were made.

    Args:
        model: specification and params. blocks: column → block of n rows. column: of the pictures.
        way: one of `WAYS`. of: (n,) what each row's map is evidence for.

    Raises:
        OptionError: there is no such way, or the model has no gradients.
    """
    if way not in WAYS:
        raise OptionError(f"heat must be one of {', '.join(WAYS)}, was '{way}': {nearest(way, WAYS)}")
    spec, params = model
    by_gradients = _has_gradients(params, column, of)
    if not by_gradients and way not in ("auto", "occlusion"):
        raise OptionError(f"heat must be one that the model {spec.partition(':')[0]} has, was '{way}': take auto or occlusion")
    used = ("gradients" if by_gradients else "occlusion") if way == "auto" else way
    out = np.zeros((len(of), *blocks[column].values.shape[2:]), dtype=np.float32)
    for one in dict.fromkeys(of):
        rows = np.array([i for i, s in enumerate(of) if s == one])
        part = {name: block.take(rows) for name, block in blocks.items()}
        out[rows] = _by_occlusion(model, part, column, one) if used == "occlusion" else _by_network(model, part, column, used, one)
    return out, used


def _has_gradients(params: Params, column: str, of: Sequence[Scale]) -> bool:
    if "branches" not in params.meta or any(s.horizon is not None for s in of):
        return False
    from osler.explanation.heat import has_heat

    return has_heat(params, column)


def _by_network(model: tuple[str, Params], blocks: dict[str, Block], column: str, way: str, scale: Scale) -> np.ndarray:
    from osler.explanation.heat import heat_maps

    return heat_maps(nets_of(model, blocks, column, scale), way, np.random.default_rng(SEED))


def nets_of(model: tuple[str, Params], blocks: dict[str, Block], column: str, scale: Scale) -> Any:
    """`osler.explanation.heat.PictureNets` of a network and some rows."""
    from osler.explanation.heat import PictureNets

    spec, params = model
    prefers = models.get(spec).prefers
    return PictureNets(params, {name: block.seen_as(prefers) for name, block in blocks.items()}, column, scale)


def _by_occlusion(model: tuple[str, Params], blocks: dict[str, Block], column: str, scale: Scale) -> np.ndarray:
    spec, params = model
    estimator = models.get(spec)
    lost = occlusion_maps(lambda b: scale.of(estimator.predict(params, b)), blocks, column)
    kept = np.maximum(lost, 0.0)
    most = kept.reshape(len(kept), -1).max(axis=1, initial=0.0).reshape(-1, *(1,) * (kept.ndim - 1))
    return kept / np.where(most > 0, most, 1.0)


def on_grid_of(whole: scan.Scan, heat: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """A map ([z,] y, x) whose voxels lie by `affine`, on the grid of a scan; 0 outside of it.

    Args:
        affine: (4, 4) voxel (x, y, z) of the map to the millimetres of the scan's own affine.
    """
    from scipy.ndimage import affine_transform

    dims = heat.ndim
    to_map = np.linalg.inv(affine) @ whole.affine
    turn, start = to_map[:dims, :dims][::-1, ::-1], to_map[:dims, 3][::-1]
    shape = whole.values.shape[1:]
    found = affine_transform(heat.astype(np.float64), turn, start, shape, order=1, mode="nearest")
    seen = np.ones(shape, dtype=bool)
    for axis, length in enumerate(heat.shape):
        at = start[axis] + sum(turn[axis, k] * places for k, places in enumerate(np.ogrid[tuple(map(slice, shape))]) if turn[axis, k])
        seen &= (at > -_EDGE) & (at < length - 1 + _EDGE)
    return np.clip(found * seen, 0.0, 1.0).astype(np.float32)


def drawn(heat: Heat, mask: np.ndarray | None = None, count: int = SLICES) -> np.ndarray:
    """(y, x, 3) uint8: the picture with its map, or the slices of the volume where most of it is, seen from below the feet."""
    dims = heat.values.ndim
    values, hot, affine = heat.scan.values, heat.values[None], heat.scan.affine
    inside = None if mask is None else mask[None]
    if dims == 3:
        turned = [None if v is None else to_patient_axes(v, affine) for v in (values, hot, inside)]
        values, hot, inside = (None if t is None else t[0] for t in turned)
        affine = turned[0][1]
    whole = overlay.overlaid(overlay.grey(values), hot[0], None if inside is None else inside[0])
    sides = np.linalg.norm(affine[:2, :2], axis=0)[::-1]
    wide = np.array(whole.shape[-3:-1]) * sides / sides.min()
    size = tuple(round(s) for s in wide * max(1.0, (SIDE if dims == 2 else SIDE * 2 / 3) / wide.max()))
    if dims == 2:
        return overlay.sized(whole, size)
    slices = [overlay.sized(whole[k], size) for k in overlay.fullest(hot[0], count)]
    return overlay.montage(slices, math.ceil(math.sqrt(len(slices))))
