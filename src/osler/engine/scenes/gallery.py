"""Scans that a report shows: the worst drawings and the usual ones, one slice each, with outlines of what is true and what was drawn."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from osler import modalities
from osler.adapters.imaging import pictures
from osler.adapters.imaging.kept import kept
from osler.adapters.skimage_surface import outlines
from osler.engine.prepare import Prepared
from osler.engine.scenes.assess import pooled
from osler.engine.scenes.folds import FoldDrawings, judge_of, place_of
from osler.engine.scenes.rows import RowScenes, scenes_of
from osler.scenes import Boxes, Drawing, Scene

#: Longest side of a shown slice in pixels; larger ones are thinned out.
SIDE = 320
#: Most things of one slice that are outlined.
MOST_THINGS = 300


def gallery(prepared: Prepared, results: list[FoldDrawings], states: dict[str, Any], chosen: str, drawings: Path) -> dict[str, Any]:
    """What the report draws, as JSON; {} where the study asks for no examples.

    Returns:
        `model`, `measure` (by which scans are ordered), `classes` (names by code from 1) and `worst` and `usual`:
        lists of `{"row", "measures", "slice", "image" (PNG in base64),
        "size" (y, x in pixels), "pixel" (mm per y and x, or 1), "truth", "answer"}`, the last two as `[{"name", "lines"}]` of closed lines of (x, y)
        in pixels of the image; of volumes with masks also `scan`, `wanted`, `drawn` and `at` (see `adapters.imaging.kept`), which the page of
        scans shows. Drawings are out of fold.
    """
    count, judge = prepared.study.examples, judge_of(prepared)
    rows, records = pooled([r for r in results if r.split.part == "cv"], chosen)
    values = np.array([np.nan if r.get(judge.primary) is None else r[judge.primary] for r in records], dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    if count < 1 or not len(known):
        return {}
    order = known[np.argsort(values[known] if judge.bigger_is_better else -values[known], kind="stable")]
    middle = max(0, (len(order) - count) // 2)
    scenes = scenes_of(prepared.cohort, prepared.task, states, prepared.groups)
    groups = {"worst": order[:count], "usual": order[middle : middle + count] if len(order) >= 2 * count else order[:0]}
    least = least_score(judge.curves(records, scenes.asked))
    made = {name: [_example(scenes, int(rows[i]), records[i], chosen, drawings, least) for i in picked] for name, picked in groups.items()}
    return {"model": chosen, "measure": judge.primary, "classes": list(scenes.asked.classes[1:]), **made}


def least_score(curves: dict[str, Any]) -> float:
    """The lowest score that gives at most one false box per scan; 0 where nothing has a score."""
    held = next(iter(curves.get("found", {}).values()), None)
    if held is None:
        return 0.0
    return min((s for s, f in zip(held["score"], held["false_per_scan"]) if f <= 1.0), default=1.0)


def _example(scenes: RowScenes, row: int, record: dict[str, Any], model: str, drawings: Path, least: float) -> dict[str, Any]:
    scene, target = scenes[row], scenes.cohort.role("target")[0]
    number = int(scenes.cohort.rows[row])
    place = next(p for p in (drawings / place_of(model, number)).parent.iterdir() if p.name.partition(".")[0] == str(number))
    found = modalities.get(target.modality).drawing(place.relative_to(drawings).as_posix(), scenes.first(row), target, drawings)
    if found.boxes is not None:
        found = replace(found, boxes=found.boxes.take(found.boxes.scores >= least))
    at = _slice(scene.drawn, found, scene)
    step = max(1, -(-max(scene.shape[-2:]) // SIDE))
    picture = _picture(scene, at, step)
    pixel = scene.spacing[-2:] if np.isfinite(scene.spacing[-2:]).all() else np.ones(2)
    names = scenes.asked.classes
    return {
        "row": number, "measures": {k: v for k, v in record.items() if not isinstance(v, list)},
        "slice": None if scene.dims == 2 else {"at": at, "of": scene.shape[0]},
        "image": base64.b64encode(pictures.png_of_labels(picture)).decode(), "size": list(picture.shape[:2]), "pixel": [float(p) for p in pixel],
        "truth": _lines(scene.drawn, at, step, names), "answer": _lines(found, at, step, names),
        **(_volumes(scene, found) if scene.dims == 3 else {}),
    }  # fmt: skip


def _volumes(scene: Scene, answer: Drawing) -> dict[str, Any]:
    """The volume with both masks, for the page of scans: codes of classes, and 1 for things; {} of boxes."""
    if scene.drawn is None or scene.drawn.labels is None or answer.labels is None:
        return {}
    masks = {name: (d.labels > 0 if d.instances else d.labels).astype(np.uint8) for name, d in (("wanted", scene.drawn), ("drawn", answer))}
    return kept(scene.values[0], scene.affine, masks)


def _slice(truth: Drawing, answer: Drawing, scene: Scene) -> int:
    """The slice in which truth and answer differ most; 0 of a picture."""
    if scene.dims == 2:
        return 0
    if truth.labels is not None and answer.labels is not None:
        wrong = (truth.labels != answer.labels) if not truth.instances else ((truth.labels > 0) != (answer.labels > 0))
        marked = (truth.labels > 0).sum(axis=(1, 2))
        return int(np.argmax(wrong.sum(axis=(1, 2)) + marked / (marked.sum() + 1)))
    count = np.zeros(scene.shape[0])
    for boxes in (truth.boxes, answer.boxes):
        for low, high in zip(boxes.corners[:, 0], boxes.corners[:, 3]):
            count[int(low) : int(np.ceil(high))] += 1
    return int(count.argmax())


def _picture(scene: Scene, at: int, step: int) -> np.ndarray:
    """(y, x) or (y, x, 3) uint8 of one slice: grey between its 1st and 99th percentile, colours as they are."""
    values = scene.values if scene.dims == 2 else scene.values[:, at]
    values = values[:, ::step, ::step]
    if len(values) == 3 and values.min() >= 0 and values.max() <= 255:
        return np.moveaxis(values, 0, -1).astype(np.uint8)
    low, high = np.percentile(values[0], (1, 99))
    return np.clip((values[0] - low) / max(float(high - low), 1e-9) * 255, 0, 255).astype(np.uint8)


def _lines(drawn: Drawing, at: int, step: int, names: tuple[str, ...]) -> list[dict[str, Any]]:
    if drawn.labels is None:
        return _frames(drawn.boxes, at, step, names)
    labels = (drawn.labels if drawn.labels.ndim == 2 else drawn.labels[at])[::step, ::step]
    if drawn.instances:
        things = np.unique(labels[labels > 0])[:MOST_THINGS]
        return [{"name": names[1], "lines": [line for k in things for line in _outlines(labels == k)]}]
    return [{"name": names[k], "lines": _outlines(labels == k)} for k in range(1, len(names))]


def _outlines(mask: np.ndarray) -> list[list[list[float]]]:
    """Closed lines (x, y) around a mask; looked for only where it is."""
    if not mask.any():
        return []
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    found = outlines(mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1])
    return [np.round(line + np.array([xs[0] + 0.5, ys[0] + 0.5]), 1).tolist() for line in found]


def _frames(boxes: Boxes, at: int, step: int, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Boxes of each class that cross a slice, as closed lines."""
    lines: dict[str, list[list[list[float]]]] = {name: [] for name in names}
    for corners, code in zip(boxes.corners, boxes.codes):
        d = len(corners) // 2
        if d == 3 and not corners[0] <= at < corners[3]:
            continue
        (y0, x0), (y1, x1) = corners[d - 2 : d] / step, corners[-2:] / step
        lines[names[int(code)]].append(np.round([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], 1).tolist())
    return [{"name": name, "lines": found} for name, found in lines.items()]
