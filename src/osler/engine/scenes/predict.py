"""Drawings for new scans: masks or boxes as files, and a table with how much of what was found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from osler import modalities, models, tasks
from osler.blocks import dense
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.engine.answer import in_domain
from osler.engine.files import write_atomic
from osler.engine.scenes import dicom_masks
from osler.engine.scenes.rows import RowScenes, as_inputs, channel_names, described
from osler.errors import CODES, OslerError, PredictorError
from osler.scenes import Asked, Drawing, Scene

if TYPE_CHECKING:
    from osler.engine.predictor import Predictor


_END = re.compile(r"(?i)(\.nii)?(\.\w{1,5})?(\.gz)?(#.*)?$")
_SAFE = re.compile(r"[^\w.-]")


def asked_of(predictor: Predictor) -> Asked:
    """What a saved predictor draws."""
    return tasks.get(predictor.task).asked(predictor.columns, channel_names(predictor.states))


def target_of(predictor: Predictor) -> Column:
    """The column that says what is drawn and in which numbers."""
    return next(c for c in predictor.columns if c.role == "target")


def draw(predictor: Predictor, scene: Scene, probability: bool = False) -> Drawing:
    """The chosen model's drawing of one scene.

    Raises:
        PredictorError: the saved model answers with something else than a drawing of this scene.
    """
    spec, params = predictor.models[predictor.chosen]
    drawn = models.drawer(spec).draw(params, scene, probability)
    asked = asked_of(predictor)
    if drawn.labels is not None:
        fits = drawn.labels.shape == scene.shape and drawn.labels.dtype.kind in "ui"
        known = asked.instances or int(drawn.labels.max(initial=0)) < max(len(asked.classes), 1)
        if not (fits and known):
            raise PredictorError("a saved model must draw its own classes on every pixel of a scan, this one does not: fit again, or ask who made it")
    if asked.kind == "detection":
        boxes = drawn.boxes
        fits = boxes is not None and boxes.corners.shape == (len(boxes), 2 * asked.dims) and bool(np.isfinite(boxes.corners).all())
        if not (fits and set(boxes.codes.tolist()) <= set(range(len(asked.classes)))):
            raise PredictorError("a saved model must tell boxes of its own classes on a scan, this one does not: fit again, or ask who made it")
    return drawn


def drawn_columns(
    predictor: Predictor, cohort: Cohort, folder: Path | None = None, tell: Callable[[str, int, int], None] | None = None, masks: str = "nifti"
) -> dict[str, pl.Series]:
    """Columns of the answer for every row, and the drawings as files of `folder` where one is given.

    `T_file` (place below the folder, a cell that can be put back in as a mask), `T_volume_CLASS` in mm³ (mm² of pictures; pixels where the
    spacing is unknown) or `T_things` and their volume, `T_refused` (why a row has no answer), and `in_domain`.

    Args:
        masks: form of masks (`dicom_masks.FORMS`): "nifti" (PNG of pictures), or "seg" where scans are DICOM.

    Raises:
        OptionError: there is no such form for these rows.
    """
    if folder is not None:
        dicom_masks.check_form(masks, asked_of(predictor), cohort, next(iter(predictor.states)))
    stems = stems_of(cohort, next(iter(predictor.states)))
    scenes = RowScenes(cohort, asked_of(predictor), predictor.states, np.arange(len(cohort)), with_drawings=False)
    name, answers = predictor.target[0], []
    for i in range(len(scenes)):
        answers.append(_answer(predictor, scenes, i, None if folder is None else folder / stems[i], masks))
        if tell is not None:
            tell("scans", i + 1, len(scenes))
    keys = list(dict.fromkeys(k for a in answers for k in a if k not in ("file", "refused", "seen")))
    columns: dict[str, pl.Series] = {}
    if folder is not None:
        columns[f"{name}_file"] = pl.Series([a.get("file") for a in answers], dtype=pl.String)
    for key in keys:
        columns[f"{name}_{key}"] = pl.Series([a.get(key) for a in answers], dtype=pl.Float64, strict=False)
    columns[f"{name}_refused"] = pl.Series([a.get("refused") for a in answers], dtype=pl.String)
    columns["in_domain"] = pl.Series([_inside(predictor, a.get("seen")) for a in answers], dtype=pl.Boolean)
    return columns


def stems_of(cohort: Cohort, column: str) -> list[str]:
    """What the file of each row's drawing is called: as its scan without its end, so that both lie side by side under one name; with the row's
    number in front where several scans share a name.
    """
    texts = cohort.values(column).to_list() if column in cohort.table.columns else [None] * len(cohort)
    rows, stems = cohort.rows.tolist(), []
    for text, row in zip(texts, rows):
        name = PurePosixPath((text or str(row)).replace("\\", "/")).name
        stems.append(_SAFE.sub("_", _END.sub("", name)).strip("._") or str(row))
    times = Counter(stems)
    return [f"{row}_{s}" if times[s] > 1 else s for row, s in zip(rows, stems)]


def predict_files(
    predictor: Predictor, cohort: Cohort, folder: Path, tell: Callable[[str, int, int], None] | None = None, masks: str = "nifti"
) -> Cohort:
    """`Predictor.predict` with every drawing as a file of `folder`, and the table beside them as `answers.csv`.

    Args:
        masks: as for `drawn_columns`.

    Raises:
        OptionError: as `drawn_columns`.
    """
    from osler.engine.predict import as_trained
    from osler.engine.tables import write_table

    cohort = as_trained(predictor, as_scans(predictor, cohort))
    dicom_masks.check_form(masks, asked_of(predictor), cohort, next(iter(predictor.states)))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    answered = cohort
    for name, values in drawn_columns(predictor, cohort, folder, tell, masks).items():
        kind = {pl.Float64: "number", pl.Boolean: "boolean"}.get(values.dtype, "category")
        answered = answered.with_column(values, Column(name, kind, "prediction", reason="predicted"))
    write_table(answered, folder / "answers.csv")
    if predictor.task == "detection":
        _write_together(predictor, answered, folder)
    return answered


def _write_together(predictor: Predictor, answered: Cohort, folder: Path) -> None:
    """The boxes of all scans as one table and one COCO file."""
    target, scans = target_of(predictor), answered.values(next(iter(predictor.states))).to_list()
    files = {s: folder / f for s, f in zip(scans, answered.values(f"{target.name}_file").to_list()) if f is not None}
    for name, data in modalities.get(target.modality).together(files, target).items():
        write_atomic(folder / name, data)


def _answer(predictor: Predictor, scenes: RowScenes, row: int, place: Path | None, masks: str) -> dict[str, Any]:
    """One row: measures of what was drawn and its file, or why nothing was."""
    target = target_of(predictor)
    try:
        scene = scenes[row]
        drawn = draw(predictor, scene)
        end, data = ("", b"") if place is None else _file_of(drawn, scenes, row, scene, target, masks)
    except PredictorError:
        raise
    except OslerError as error:
        return {"refused": f"{CODES[error.code]} ({error.code})"}
    out = amounts(drawn, scene.spacing, scenes.asked)
    out["seen"] = described_scene(scene)
    if place is not None:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(place.with_name(place.name + end), data)
        out["file"] = place.name + end
    return out


def _file_of(drawn: Drawing, scenes: RowScenes, row: int, scene: Scene, target: Column, masks: str) -> tuple[str, bytes]:
    """End of the name and bytes of the file of a drawing."""
    if masks == "seg" and drawn.labels is not None:
        return ".dcm", dicom_masks.encoded(drawn.labels, scenes.reference(row), scenes.cohort.root, scenes.asked, target.name)
    return modalities.get(target.modality).file_of(drawn, scene.affine, target)


def amounts(drawn: Drawing, spacing: np.ndarray, asked: Asked) -> dict[str, float]:
    """How much was drawn: volume of each class, or number and volume of things, or number of boxes of each class."""
    if drawn.labels is None:
        codes = drawn.boxes.codes if drawn.boxes is not None else np.empty(0, dtype=np.int64)
        return {f"count_{label}": float((codes == k).sum()) for k, label in enumerate(asked.classes)}
    size = float(np.prod(spacing)) if np.isfinite(spacing).all() else 1.0
    if asked.instances:
        return {"things": float(len(np.unique(drawn.labels[drawn.labels > 0]))), "volume": float((drawn.labels > 0).sum() * size)}
    counts = np.bincount(drawn.labels.ravel(), minlength=len(asked.classes))
    return {f"volume_{label}": float(counts[k] * size) for k, label in enumerate(asked.classes) if k}


def described_scene(scene: Scene) -> np.ndarray:
    """`osler.engine.scenes.rows.described` of one scene."""
    return described([scene])[0]


def _inside(predictor: Predictor, seen: np.ndarray | None) -> bool:
    if seen is None:
        return False
    column = next(iter(predictor.states))
    return bool(in_domain(predictor.domain, {column: dense(seen[None], [str(i) for i in range(len(seen))])})[0])


def trial(predictor: Predictor) -> None:
    """Let a predictor draw on a made-up scan, so that a damaged one is found when it is opened.

    Raises:
        PredictorError: it cannot.
    """
    asked = asked_of(predictor)
    shape = (len(asked.channels), *(16,) * asked.dims)
    draw(predictor, Scene(np.zeros(shape, dtype=np.float32), np.ones(asked.dims), np.eye(4)))


def as_scans(predictor: Predictor, cohort: Cohort, with_target: bool = False) -> Cohort:
    """A folder's or a table's rows with the predictor's columns of scans, and with its target if that is asked for.

    A folder of scans calls its one column `image` or `volume` and its masks `mask`; where the predictor knows one column of that kind by another
    name, it is that one.
    """
    inputs, held = as_inputs(predictor.columns), {c.name for c in cohort.columns}
    wanted = [*(inputs if len(inputs) == 1 else ()), *([target_of(predictor)] if with_target else [])]
    for column in wanted:
        if column.name in held:
            continue
        same = [c for c in cohort.columns if c.modality == column.modality]
        if len(same) == 1:
            table = cohort.table.rename({same[0].name: column.name})
            columns = tuple(c.with_(name=column.name) if c.name == same[0].name else c for c in cohort.columns)
            cohort = replace(cohort, table=table, columns=columns)
    return cohort
