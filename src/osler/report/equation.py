"""The full model, so that others can compute it: terms in the units of the data for straight-line models, else the
hash of the bundle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from osler.engine.predictor import Predictor
from osler.errors import OslerError
from osler.models.design import Design


@dataclass(frozen=True)
class Term:
    """One term of a linear predictor: coefficient × value, in the units of the data (levels and indicators are 0 or 1).

    Attributes:
        name: column, "column = level" or "column is missing". coefficient: one per class, or one.
        if_missing: the value that stands for a missing number; None where a missing category has no term of its own.
    """

    name: str
    coefficient: tuple[float, ...]
    if_missing: float | None = None


@dataclass(frozen=True)
class Equation:
    """A model written out.

    Attributes:
        form: how the answer follows from the sum, in words. intercept: one per class, or one. classes: their names.
        terms: see `Term`. absent: column → what a missing or unseen category adds, one per class.
        baseline: (time, survival) of a row whose sum is 0; survival models only.
    """

    form: str
    intercept: tuple[float, ...]
    terms: tuple[Term, ...]
    classes: tuple[str, ...] = ()
    absent: dict[str, tuple[float, ...]] = field(default_factory=dict)
    baseline: tuple[tuple[float, float], ...] = ()


def digest(folder: Path) -> str:
    """SHA-256 of the predictor's manifest, which names the hash of every member; "" without one."""
    path = folder / "predictor" / "manifest.sha256"
    return path.read_text(encoding="ascii", errors="replace").strip()[:64] if path.is_file() else ""


def equation(folder: Path) -> Equation | None:
    """The chosen model's equation; None where it is not a straight line or the predictor cannot be read."""
    if not (folder / "predictor" / "manifest.json").is_file():
        return None
    try:
        predictor = Predictor.load(folder / "predictor")
    except OslerError:
        return None
    return of_predictor(predictor)


def of_predictor(predictor: Predictor) -> Equation | None:
    """As `equation`, of a predictor at hand."""
    spec, params = predictor.models[predictor.chosen]
    name = spec.partition(":")[0]
    arrays, meta = params.arrays, params.meta
    if name not in ("logistic", "linear", "elastic", "cox") or "design" not in meta or "knots" in arrays:
        return None
    design = Design.from_params(params)
    if name == "cox":
        weights, intercept = arrays["coefficient"][None, :], np.zeros(1)
    else:
        weights, intercept = arrays["coef"][:, :-1], arrays["coef"][:, -1]
    return _written(design, np.asarray(weights, dtype=float), np.asarray(intercept, dtype=float), predictor, arrays)


def _written(
    design: Design, weights: np.ndarray, intercept: np.ndarray, predictor: Predictor, arrays: dict[str, Any]
) -> Equation:
    """Take centre and scale out of standardised weights (k, p)."""
    _, scale, centre = design.natural(np.zeros((1, len(design.names))))
    natural = weights / scale
    a = design.arrays
    numbers, before = len(a["number"]), len(design.names) - len(a["category"])
    terms = tuple(
        Term(n, tuple(natural[:, i].tolist()), float(a["fill"][i]) if i < numbers else None)
        for i, n in enumerate(design.names)
    )
    absent: dict[str, np.ndarray] = {}
    for i in range(before, len(design.names)):
        column = design.names[i].rpartition(" = ")[0]
        absent[column] = absent.get(column, np.zeros(len(natural))) + natural[:, i] * centre[i]
    constant = intercept - natural @ centre
    kind, classes = predictor.task, predictor.classes if len(weights) > 1 else predictor.classes[-1:]
    form = {
        "binary": "probability = 1 / (1 + exp(−sum))", "regression": "prediction = sum",
        "multiclass": "probability of a class = exp(its sum) / sum over classes of exp(their sums)",
        "survival": "survival at time t = S0(t) ^ exp(sum)",
    }.get(kind, "")  # fmt: skip
    baseline: tuple[tuple[float, float], ...] = ()
    if kind == "survival":
        baseline = tuple(zip(arrays["times"].tolist(), np.exp(-arrays["baseline"]).tolist()))
    return (
        Equation(
            form,
            tuple(constant.tolist()),
            terms,
            tuple(classes),
            {k: tuple(v.tolist()) for k, v in absent.items()},
            baseline,
        )
        if form
        else None
    )  # type: ignore[return-value]
