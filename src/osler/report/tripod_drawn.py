"""What TRIPOD+AI sub-items say of a run that draws masks or boxes, where it differs from a run that answers in numbers."""

from __future__ import annotations

from collections.abc import Callable

from osler.report.material import Material
from osler.report.words import count, label, listed, plural

#: Tasks whose answer is drawn.
KINDS = ("segmentation", "detection")


def _what(m: Material) -> str:
    return "masks" if m.kind == "segmentation" else "boxes"


def _title(m: Material) -> str:
    how = "Development and hold-out evaluation" if m.part == "holdout" else "Development and internal validation"
    return f"Draft title: {how} of a model that draws {_what(m)} of {m.target} on scans ({plural(m.cases(), 'case')})."


def _size(m: Material) -> str:
    return f"{plural(m.cases('cv'), 'scan')} of {plural(int(m.get('facts', 'units', default=0)), 'unit')}; no formula for this task. The size was that of the data at hand."


def _missing(m: Material) -> str:
    refused = m.get("facts", "rows_refused", default=0)
    return (
        f"Nothing was filled in. {count(refused)} rows were refused, each with its reason in refusals.csv: a scan or its {_what(m)} missing, not readable, "
        "or not of one shape and place."
    )


def _handling(m: Material) -> str:
    return (
        "Scans entered in their own units and resolution, several sequences as channels on the voxels of the first. Scaling, resampling and whatever "
        "else a model chooses were learnt inside each training part, and are in plan.md."
    )


def _building(m: Material) -> str:
    models = [str(x) for x in m.get("study", "model", default=[])]
    chosen = f"; the one that answers is {m.chosen}, the best out of fold" if len(models) > 1 else ""
    return f"Models: {listed(models)}; configured from each training part's scans, no other tuning{chosen}. The plan was written before training (plan.md)."


def _measures(m: Material) -> str:
    held = [k for k in m.parts.get(m.part, {}).get(m.chosen, {}) if "[" not in k]
    beside = " A plain method was judged beside the model on the same scans." if "baseline" in m.models else ""
    return f"{listed([label(k) for k in held], 30)}, of all and of each class, with 95% intervals from resampled units.{beside}"


def _computed(m: Material) -> str:
    return (
        "Every scan was drawn on by a model that had not seen it (drawings/, measures in predictions.parquet); afterwards: osler predict RUN FOLDER --out "
        "FOLDER, with the saved predictor (predictor/, with SHA-256 per member)."
    )


def _imbalance(m: Material) -> str:
    return "No scan was left out or doubled; how a model weighs rare classes inside a scan is its own choice (plan.md)."


def _output(m: Material) -> str:
    return f"Output: {_what(m)} on the scan's own pixels, as files, and how much of each class was found; no threshold is left to the user."


def _poor_inputs(m: Material) -> str:
    return "The predictor refuses a scan that cannot be read or lacks a channel, with the reason in the answer's table, and marks scans unlike those of training (in_domain)."


DRAWN: dict[str, Callable[[Material], str]] = {
    "1": _title, "10": _size, "11": _missing, "12b": _handling, "12c": _building, "12e": _measures, "12g": _computed, "13": _imbalance, "15": _output,
    "27a": _poor_inputs,
}  # fmt: skip
