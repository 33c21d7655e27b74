"""Where the networks looked: heat maps of held-out rows by the model that did not see them, for the report.

Each fold keeps the maps of a few of its own test rows, those that its model was most wrong about and surest of; when all folds are
done the worst and the surest of all of them are drawn. Whether the maps depend on what was learnt is checked in the first fold.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from osler.adapters.imaging import overlay, scan
from osler.adapters.imaging.kept import kept
from osler.blocks import Block
from osler.engine.heat import Heat, drawn, maps_of, nets_of, on_grid_of
from osler.errors import InputError
from osler.explanation.scales import Scale
from osler.models.base import Params
from osler.tasks.base import Prediction, Target

#: Tasks whose rows can be right or wrong, or farther off than others.
TASKS = ("binary", "multiclass", "regression")
#: Voxels of a scan from which on the way that needs one backward pass is taken instead of many.
LARGE = 1 << 18
#: Of the check with random weights, for pictures and for volumes: scans, states that are looked at, and draws.
CHECKED = {2: (4, 4, 2), 3: (2, 2, 1)}
#: Volumes of each group that are kept for the viewer, and slices in the report's picture of a volume.
KEPT_VOLUMES, SLICES = 3, 4
#: Longest side of a picture in the report, in pixels.
SIDE = 300


def looked(model: tuple[str, Params], blocks: dict[str, Block], truth: Target, answer: Prediction, count: int) -> dict[str, np.ndarray]:
    """Maps of the rows that a model was most wrong about and surest of; {} where it reads no scans, or `count` is 0.

    Args:
        model: specification and params. blocks: column → block of n rows that it did not see.
        truth: what was asked for. answer: what it said. count: rows of each group.

    Returns:
        `rows` (k,) positions among the n, `maps` (k, [z,] y, x) uint8, `affine` (k, 4, 4) and `code` (k,) of the class that each is for.
    """
    column = scanned(model, blocks)
    if count < 1 or not column or truth.kind not in TASKS:
        return {}
    off = distance(truth, answer)
    fine = np.flatnonzero(blocks[column].present & np.isfinite(off))
    order = fine[np.argsort(-off[fine], kind="stable")]
    rows = np.unique(np.concatenate([order[:count], order[-count:]])) if len(order) else order
    if not len(rows):
        return {}
    part = {name: block.take(rows) for name, block in blocks.items()}
    codes = np.zeros(len(rows), dtype=np.int64) if truth.kind == "regression" else answer.value[rows].argmax(axis=1)
    scales = [Scale("mean" if truth.kind == "regression" else "log-odds", int(code)) for code in codes]
    maps, _ = maps_of(model, part, column, way_for(part[column]), scales)
    return {
        "rows": rows, "maps": np.rint(255 * maps).astype(np.uint8), "affine": np.asarray(part[column].geometry["affine"], dtype=np.float64),
        "code": codes.astype(np.int64),
    }  # fmt: skip


def scanned(model: tuple[str, Params], blocks: dict[str, Block]) -> str:
    """The first column of scans that a network reads; "" where there is none."""
    _, params = model
    grids = [name for name, block in blocks.items() if block.layout == "grid"]
    if not grids or "branches" not in params.meta:
        return ""
    from osler.explanation.heat import has_heat

    return next((name for name in grids if has_heat(params, name)), "")


def way_for(block: Block) -> str:
    """How maps for a report are made."""
    return "gradients" if math.prod(block.values.shape[2:]) <= LARGE else "fused"


def distance(truth: Target, answer: Prediction) -> np.ndarray:
    """(n,) how wrong each answer is: one less the probability of what is true, or the distance of a number."""
    if truth.kind == "regression":
        return np.abs(answer.value[:, 0] - truth.y)
    return 1.0 - answer.value[np.arange(len(truth.y)), truth.y.astype(np.int64)]


def checked(model: tuple[str, Params], blocks: dict[str, Block], truth: Target, rng: np.random.Generator) -> dict[str, Any]:
    """Whether maps of some held-out rows change when the weights are made random, layer by layer (see `explanation.sanity`), as JSON;
    {} where the model reads no scans.
    """
    column = scanned(model, blocks)
    if not column or truth.kind not in TASKS:
        return {}
    from osler.explanation.sanity import check

    n, places, draws = CHECKED[blocks[column].values.ndim - 2]
    present = np.flatnonzero(blocks[column].present)[:n]
    if not len(present):
        return {}
    part = {name: block.take(present) for name, block in blocks.items()}
    scale = Scale("mean") if truth.kind == "regression" else Scale("log-odds", min(1, len(truth.classes) - 1))
    return check(nets_of(model, part, column, scale), way_for(part[column]), rng, places, draws).to_json()


# -- all folds together -----------------------------------------------------------------------------------------------


def scan_examples(prepared: Any, folds: list[Any], chosen: str, count: int) -> dict[str, Any]:
    """What the report shows, as JSON; {} where no fold looked at scans.

    Args:
        prepared: `osler.engine.prepare.Prepared`. folds: `osler.engine.train.FoldResult`. chosen: the model.
        count: scans of each group.

    Returns:
        `model`, `column`, `way`, `sanity`, and `mistakes` and `surest`: lists of `{"row", "true", "said", "sure", "peak", "narrow", "image"
        (JPEG in base64), "size"}`, of some volumes also `scan` and `heat` (NIfTI, gzip, base64) and `at` (shares of the axes). All maps
        are by the model of the row's fold.
    """
    of_first = [f for f in folds if f.looks and chosen in f.predictions]
    if not of_first:
        return {}
    column = next(c.name for c in prepared.cohort.role("input") if c.modality in ("image", "volume"))
    entries = []
    for fold in of_first:
        off = distance(prepared.target.take(fold.split.test), fold.predictions[chosen])
        entries += [(float(off[row]), fold, k) for k, row in enumerate(fold.looks["rows"].tolist())]
    entries.sort(key=lambda e: -e[0])
    wrong = [e for e in entries if not _is_right(prepared.target, e, chosen)][:count]
    right = [e for e in reversed(entries) if _is_right(prepared.target, e, chosen)][:count]
    groups = {name: [_example(prepared, column, e, chosen, i) for i, e in enumerate(some)] for name, some in (("mistakes", wrong), ("surest", right))}
    sanity = next((f.facts[chosen]["sanity"] for f in folds if f.facts.get(chosen, {}).get("sanity")), {})
    kept = {name: [e for e in some if e] for name, some in groups.items()}
    way = "gradients" if math.prod(of_first[0].looks["maps"].shape[1:]) <= LARGE else "fused"
    return {"model": chosen, "column": column, "way": way, "sanity": sanity, **kept} if any(kept.values()) else {}


def _is_right(target: Target, entry: tuple[float, Any, int], chosen: str) -> bool:
    """Whether the likeliest class is the true one; of a number whether it is nearer than half of all spread."""
    off, fold, k = entry
    row = int(fold.looks["rows"][k])
    if target.kind == "regression":
        return off < 0.5 * float(np.std(target.y))
    return int(fold.predictions[chosen].value[row].argmax()) == int(target.y[fold.split.test[row]])


def _example(prepared: Any, column: str, entry: tuple[float, Any, int], chosen: str, place: int) -> dict[str, Any]:
    """One row; {} where its scan cannot be read any more."""
    _, fold, k = entry
    looks, inner = fold.looks, int(fold.looks["rows"][k])
    row = int(fold.split.test[inner])
    maps = looks["maps"][k]
    try:
        whole = scan.read(prepared.cohort.table[column][row].strip(), prepared.cohort.root, maps.ndim)
    except (InputError, AttributeError):
        return {}
    classes, code, value = prepared.target.classes, int(looks["code"][k]), fold.predictions[chosen].value[inner]
    number = prepared.target.kind == "regression"
    said = {"true": float(prepared.target.y[row]), "said": float(value[0])} if number else {
        "true": str(classes[int(prepared.target.y[row])]), "said": str(classes[code]), "sure": float(value[code]),
    }  # fmt: skip
    values = on_grid_of(whole, maps.astype(np.float32) / 255, looks["affine"][k])
    heat = Heat(int(prepared.cohort.rows[row]), column, "", "", 0.0, values, whole)
    picture = drawn(heat, None, SLICES)
    scale = min(1.0, SIDE / picture.shape[0])
    picture = overlay.sized(picture, (max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))))
    found = {
        "row": heat.row, **said, "peak": list(heat.peak), "narrow": heat.narrow(), "size": list(picture.shape[:2]),
        "image": base64.b64encode(overlay.jpeg(picture)).decode(),
    }  # fmt: skip
    return found | (
        kept(whole.values.mean(axis=0), whole.affine, {"heat": np.rint(255 * values).astype(np.uint8)}) if values.ndim == 3 and place < KEPT_VOLUMES else {}
    )
