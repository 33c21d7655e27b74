"""Several kinds of columns in one study: a fusion's members written out, each column's own model beside it, and which is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from osler import modalities, models
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.evaluation.compare import compare, delong_test
from osler.evaluation.intervals import normal_quantile
from osler.models.base import TABLE
from osler.models.fusion import FOR_LAYOUT, FOR_TABLE, Fusion, for_scans

if TYPE_CHECKING:
    from osler.engine.assess import Pooled
    from osler.engine.prepare import Prepared

#: Plain columns that each get a model of their own beside a fusion, at most.
MOST_SINGLE = 12
#: The measure by which a fusion and its columns are compared, and whether more of it is better.
MEASURE = {"binary": ("auroc", True), "multiclass": ("auroc", True), "multilabel": ("auroc", True), "regression": ("rmse", False)}


def is_plain(column: Column) -> bool:
    """Whether a column is one of a table, and not a scan, a molecule or a series."""
    modality = modalities.get(column.modality)
    return modality.emits == "dense" and not modality.also and not modality.is_thing


def is_mixed(cohort: Cohort, kind: str) -> bool:
    """Whether scans stand beside other inputs, so that a fusion is what to learn where no model is named."""
    inputs = cohort.role("input")
    scans = [c for c in inputs if modalities.get(c.modality).emits == "grid"]
    return bool(scans) and len(inputs) > 1 and kind in Fusion.answers


def for_scans_alone(cohort: Cohort, kind: str) -> tuple[str, ...]:
    """The usual models of the scans that are all there is: convolutions for pictures, a map over voxels for volumes, and
    convolutions for a task that neither answers otherwise; () where there are no scans.
    """
    scans = [modalities.get(c.modality) for c in cohort.role("input") if modalities.get(c.modality).emits == "grid"]
    names = dict.fromkeys(for_scans(scan.dims) for scan in scans)
    return tuple(n for n in names if kind in models.get(n).answers) or (("cnn",) if scans else ())


def with_singles(specs: tuple[str, ...], cohort: Cohort, kind: str) -> tuple[str, ...]:
    """The specifications with a fusion's members written out and, before it, each member and each plain column by itself.

    A column whose name a specification cannot hold has no model of its own.
    """
    made: list[str] = []
    for spec in specs:
        if spec.partition(":")[0] != Fusion.name:
            made.append(spec)
            continue
        named = models.get(spec).options.members or _members(cohort, kind)
        made += [*named, *_singles(cohort, kind), _with_members(spec, named)]
    return tuple(dict.fromkeys(made))


def _members(cohort: Cohort, kind: str) -> tuple[str, ...]:
    """A fusion's usual members: for all plain columns together, and one for each other; () where a name cannot be written."""
    plain = [c for c in cohort.role("input") if is_plain(c)]
    others = [c for c in cohort.role("input") if not is_plain(c)]
    if not all(_writable(c.name) for c in others):
        return ()
    own = [f"{_usual(c)}:inputs={c.name}" for c in others]
    return (*(f"{name}:inputs={TABLE}" for name in FOR_TABLE[kind] if plain), *own)


def _usual(column: Column) -> str:
    modality = modalities.get(column.modality)
    return for_scans(modality.dims) if modality.emits == "grid" else FOR_LAYOUT[modality.emits]


def _singles(cohort: Cohort, kind: str) -> list[str]:
    plain = [c for c in cohort.role("input") if is_plain(c)]
    if not 1 < len(plain) <= MOST_SINGLE:
        return []
    return [f"{FOR_TABLE[kind][0]}:inputs={c.name}" for c in plain if _writable(c.name)]


def _writable(name: str) -> bool:
    return not set(name) & set(",+:;=")


def _with_members(spec: str, members: tuple[str, ...]) -> str:
    """The specification of a fusion that names these members."""
    name, _, text = spec.partition(":")
    rest = [part for part in text.split(",") if part and not part.startswith("members=")]
    written = [m.replace(",", ";") for m in members]
    options = [f"members={'+'.join(written)}"] * bool(written) + rest
    return f"{name}:{','.join(options)}" if options else name


def is_single(model: str) -> bool:
    """Whether a model is confined to some of the columns."""
    return any(option.startswith("inputs=") for option in model.partition(":")[2].split(","))


def kept(prepared: Prepared, pooled: dict[str, Pooled], fused: str) -> tuple[str, dict[str, Any]]:
    """The fused model, or the best of the single ones where that is better in cross-validation, and how they compare.

    Returns:
        The name, and {"fused", "kept", "measure", "singles": {model: {"value" of the model, "difference": fused minus it, with
        "low", "high", "p_value" and "n"}}}; {} where there is no single model beside it.
    """
    singles = [m for m in pooled if is_single(m)]
    if not singles or is_single(fused) or prepared.target.kind not in MEASURE:
        return fused, {}
    measure, more = MEASURE[prepared.target.kind]
    compared = {m: paired(prepared, pooled, fused, m, measure) for m in singles}
    worst = min(singles, key=lambda m: compared[m]["value"] * (1 if more else -1))
    behind = compared[worst]["value"] < 0 if more else compared[worst]["value"] > 0
    name = worst if behind else fused
    return name, {"fused": fused, "kept": name, "best_single": worst, "measure": measure, "singles": compared}


def paired(prepared: Prepared, pooled: dict[str, Pooled], first: str, second: str, measure: str) -> dict[str, Any]:
    """First minus second on the same rows, units kept together: DeLong's test of two AUROCs, otherwise a paired bootstrap. Value
    and limits are means over repeats, and the p-value is that of the mean within its mean interval.
    """
    target, groups = prepared.target.take(pooled[first].rows), prepared.groups[pooled[first].rows]
    found = []
    for i, (a, b) in enumerate(zip(pooled[first].repeats, pooled[second].repeats)):
        if target.kind == "binary" and target.weight is None:
            found.append(delong_test(target.y, a.value[:, 1], b.value[:, 1], groups))
            continue
        rng = prepared.study.rng("fused", first, second, str(i))
        found.append(compare(target, {"first": a, "second": b}, groups, rng, reference="second", n_boot=500)["first"][measure])
    mean = {k: float(np.mean([f[k] for f in found])) for k in ("value", "low", "high")}
    return {**mean, "p_value": _p_value(mean), "n": len(target)}


def _p_value(mean: dict[str, float]) -> float:
    from scipy.special import ndtr

    error = (mean["high"] - mean["low"]) / (2 * normal_quantile())
    return float(2 * ndtr(-abs(mean["value"]) / error)) if error > 1e-12 else 1.0
