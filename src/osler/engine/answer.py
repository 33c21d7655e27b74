"""From a predictor's numbers to the columns a person asked for: probabilities, intervals, sets, and whether a row is in domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from osler.blocks import Block
from osler.cohort.cohort import Cohort
from osler.engine import familiar
from osler.engine.batches import encode
from osler.evaluation.conformal import Conformal
from osler.models.rank import is_deficient
from osler.tasks.base import DRAWN, Prediction

if TYPE_CHECKING:
    from osler.engine.predictor import Predictor


def answer_columns(predictor: Predictor, cohort: Cohort) -> dict[str, pl.Series]:
    """Prediction columns for every row, by the contract of the doors: what CLI, Python, HTTP and MLflow all print.

    binary, multiclass: `T_pred` (class), `T_prob_CLASS`, `T_set` (conformal set) · regression: `T_pred`, `T_low`, `T_high` ·
    multilabel: `LABEL_prob_1`, `LABEL_pred` · survival: `T_pred` (event probability at the horizon), `T_risk` ·
    masks and boxes: `osler.engine.scenes.predict.drawn_columns` · all: `in_domain`; `T_least`, `T_most` for a straight line whose columns cannot be told apart.
    """
    if predictor.task in DRAWN:
        from osler.engine.scenes.predict import as_scans, drawn_columns

        return drawn_columns(predictor, as_scans(predictor, cohort))
    blocks = encode(cohort, predictor.states)
    return answer_blocks(predictor, blocks, predictor.answer(blocks))


def answer_blocks(predictor: Predictor, blocks: dict[str, Block], prediction: Prediction) -> dict[str, pl.Series]:
    """The columns of `answer_columns` for rows that are encoded and answered already."""
    columns = {**_COLUMNS[predictor.task](predictor, prediction), **width_columns(predictor, blocks)}
    columns["in_domain"] = pl.Series(in_domain(predictor.domain, blocks))
    return columns


def _class_columns(predictor: Predictor, prediction: Prediction) -> dict[str, pl.Series]:
    name, classes = predictor.target[0], predictor.classes
    if predictor.task == "binary":
        best = (prediction.value[:, 1] >= predictor.card.get("threshold", 0.5)).astype(int)
    else:
        best = prediction.value.argmax(axis=1)
    columns = {f"{name}_pred": pl.Series(np.array(classes, dtype=object)[best].tolist(), dtype=pl.String)}
    for k, label in enumerate(classes):
        columns[f"{name}_prob_{label}"] = pl.Series(prediction.value[:, k])
    if predictor.conformal:
        inside = Conformal.from_json(predictor.conformal).sets(prediction.value)
        columns[f"{name}_set"] = pl.Series(["|".join(c for c, i in zip(classes, row) if i) for row in inside])
    return columns


def _label_columns(predictor: Predictor, prediction: Prediction) -> dict[str, pl.Series]:
    columns = {}
    for k, label in enumerate(predictor.classes):
        columns[f"{label}_pred"] = pl.Series(prediction.value[:, k] >= 0.5)
        columns[f"{label}_prob_1"] = pl.Series(prediction.value[:, k])
    return columns


def _number_columns(predictor: Predictor, prediction: Prediction) -> dict[str, pl.Series]:
    name, mean = predictor.target[0], prediction.value[:, 0]
    columns = {f"{name}_pred": pl.Series(mean)}
    if predictor.conformal:
        held = Conformal.from_json(predictor.conformal)
        low, high = held.interval(mean, scale=_scale(held, prediction))
        for end, values in (("low", low), ("high", high)):
            columns[f"{name}_{end}"] = pl.Series(np.where(np.isfinite(values), values, np.nan)).fill_nan(None)
    return columns


def _scale(held: Conformal, prediction: Prediction) -> np.ndarray | None:
    """What intervals that were calibrated in spreads are multiplied with; without end where the model gave no spread."""
    if held.method != "normalised":
        return None
    return np.full(len(prediction), np.inf) if prediction.spread is None else prediction.spread


def width_columns(predictor: Predictor, blocks: dict[str, Block]) -> dict[str, pl.Series]:
    """`T_least`, `T_most`: where columns of a straight line cannot be told apart, the range of all least-squares answers;
    nothing where the design has full rank or the model is another.
    """
    from osler.models.linear import linear_width

    spec, params = predictor.models[predictor.chosen]
    if spec.partition(":")[0] != "linear" or not is_deficient(params.meta):
        return {}
    width = linear_width(params, blocks)
    return {
        f"{predictor.target[0]}_least": pl.Series(width[:, 0]),
        f"{predictor.target[0]}_most": pl.Series(width[:, 1]),
    }


def _survival_columns(predictor: Predictor, prediction: Prediction) -> dict[str, pl.Series]:
    name = predictor.target[-1]
    return {
        f"{name}_pred": pl.Series(prediction.event_probability(predictor.horizon)),
        f"{name}_risk": pl.Series(prediction.risk),
    }


_COLUMNS = {
    "binary": _class_columns, "multiclass": _class_columns, "multilabel": _label_columns,
    "regression": _number_columns, "survival": _survival_columns,
}  # fmt: skip


# -- domain ---------------------------------------------------------------------------------------------------------


def learn_domain(blocks: dict[str, Block], margin: float = 0.05) -> dict[str, Any]:
    """What training rows looked like: per continuous feature its range widened by `margin` of itself, and the largest
    share of missing inputs that one training row in a hundred had.

    Ranges leave out the outermost rows where there are enough (0.5 % at each end of 200 or more), so that no single
    person's extreme is stored.
    """
    ranges, counts = {}, {}
    for name, block in blocks.items():
        if block.layout != "dense":
            continue
        values = block.values
        if "count" in block.kinds:
            counts[name] = familiar.learn(block)
        for j, kind in enumerate(block.kinds):
            seen = values[:, j][~np.isnan(values[:, j])]
            if kind != "continuous" or len(seen) < 20:
                continue
            low, high = np.quantile(seen, [0.005, 0.995])
            width = max(high - low, 1e-12)
            ranges.setdefault(name, {})[str(j)] = [float(low - margin * width), float(high + margin * width)]
    absent = np.mean([~b.present for b in blocks.values()], axis=0) if blocks else np.zeros(1)
    more = {"counts": counts} if counts else {}
    return {"ranges": ranges, **more, "missing_share": float(np.quantile(absent, 0.99)), "inputs": len(blocks)}


def in_domain(domain: dict[str, Any], blocks: dict[str, Block]) -> np.ndarray:
    """(n,) true where no number is outside its training range, no category is new, and not more is missing than in training."""
    n = len(next(iter(blocks.values()))) if blocks else 0
    inside = np.ones(n, dtype=bool)
    if not domain:
        return inside
    for name, block in blocks.items():
        if block.layout != "dense":
            continue
        if name in domain.get("counts", {}):
            inside &= familiar.seen(block, domain["counts"][name])
        for j, (kind, levels) in enumerate(zip(block.kinds, block.levels)):
            values = block.values[:, j]
            if kind == "categorical" and levels and levels[-1] == "(other)":
                inside &= ~(values == len(levels) - 1) | (name in domain.get("pooled", ()))
            elif str(j) in domain["ranges"].get(name, {}):
                low, high = domain["ranges"][name][str(j)]
                inside &= np.isnan(values) | ((values >= low) & (values <= high))
    absent = np.mean([~b.present for b in blocks.values()], axis=0)
    return inside & (absent <= max(domain["missing_share"], 1.0 / max(domain["inputs"], 1)) + 1e-12)
