"""What the report says about why: held-out importance, effects of the strongest predictors, and how much each moves
answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.blocks import Block
from osler.engine.batches import encode
from osler.engine.explain import answer_on, background_of, explain_blocks, family_of, is_molecules_alone, is_scans_alone
from osler.engine.predictor import Predictor
from osler.engine.prepare import Prepared
from osler.engine.train import FoldResult
from osler.errors import OptionError
from osler.explanation.effects import accumulated_effect, level_effect, partial_dependence
from osler.explanation.permutation import importance_intervals
from osler.explanation.scales import SCALES, scale_of
from osler.explanation.shapley import MOST_SAMPLED

#: Columns whose effects are worked out; training rows behind effects and behind mean attributions; answers to pay for
#: them.
EFFECTS, EFFECT_ROWS, ATTRIBUTION_ROWS, ANSWERS = 8, 1000, 200, 50_000

#: Training rows behind partial dependence; columns whose mean attribution is kept, the largest first.
DEPENDENCE_ROWS, MOST_SHOWN = 200, 50


def interpret(
    prepared: Prepared, folds: list[FoldResult], predictor: Predictor, rng: np.random.Generator
) -> dict[str, Any]:
    """Everything that `explanation.json` holds.

    Returns:
        `importance`: column → {"value", "low", "high", "n"}, from the cross-validation's test rows (first repeat), the
        strongest first; `effects` and `attribution` of the final model on training rows, with `effects_of` and
        `attribution_of` saying on which scale, rows and way; `molecules` where rows are molecules (see `examples`);
        `scans` where networks looked at scans (see `looks`).
    """
    found = _importance(prepared, folds, predictor, rng)
    train = prepared.splits[-1].train
    if prepared.study.examples and any(c.modality == "molecule" for c in predictor.inputs):
        from osler.engine.examples import molecule_examples

        found |= {"molecules": molecule_examples(prepared, folds, predictor, prepared.study.examples)}
    if prepared.study.examples and any(f.looks for f in folds):
        from osler.engine.looks import scan_examples

        found |= {"scans": scan_examples(prepared, folds, predictor.chosen, prepared.study.examples)}
    if not predictor.background:
        alone = "molecules" if is_molecules_alone(predictor) else "scans" if is_scans_alone(predictor) else ""
        note = {"reason": f"not computed: {alone} have no averages" if alone else "not computed: fewer than 5 units"}
        return {**found, "effects": {}, "effects_of": note, "attribution": {}, "attribution_of": note}
    rows = np.sort(rng.permutation(len(train))[:EFFECT_ROWS])
    blocks = encode(prepared.cohort.take(train[rows]), predictor.states)
    groups = prepared.groups[train[rows]]
    attribution = mean_attribution(predictor, blocks, groups, rng)
    order = list(found["importance"]) or list(attribution["attribution"])
    return {**found, **effects_of(predictor, blocks, groups, order[:EFFECTS], rng), **attribution}


def _importance(
    prepared: Prepared, folds: list[FoldResult], predictor: Predictor, rng: np.random.Generator
) -> dict[str, Any]:
    of_first = [f for f in folds if f.split.part == "cv" and f.split.repeat == 0 and f.increases]
    if not of_first:
        reason = "not computed: more columns than can be shuffled one by one, or explanation was turned off"
        return {"importance": {}, "reason": reason}
    rows = np.concatenate([f.split.test for f in of_first])
    groups = prepared.groups[rows]
    names = list(of_first[0].increases)
    table = np.column_stack([np.concatenate([f.increases[name] for f in of_first]) for name in names])
    seen = ~np.isnan(table).any(axis=1)
    importance = dict(zip(names, importance_intervals(table[seen], groups[seen], rng), strict=True))
    ordered = dict(sorted(importance.items(), key=lambda item: -item[1]["value"]))
    return {"importance": ordered, "model": predictor.chosen, "loss": prepared.task.loss.__qualname__.split(".")[0]}


def effects_of(
    predictor: Predictor, blocks: dict[str, Block], groups: np.ndarray, columns: list[str], rng: np.random.Generator
) -> dict[str, Any]:
    """Accumulated local effects of numbers, mean effects of levels, as changes of the probability or the mean.

    Beside the first stands `dependence`, the partial dependence at the same grid: the mean answer, not a change. Where
    the two run apart the column hangs together with others, and the first is to be believed.

    Args:
        blocks: column → block of n training rows. groups: (n,) units. columns: which, in this order.
    """
    code = 1 if predictor.task == "binary" else max(len(predictor.classes) - 1, 0)
    scale = scale_of(predictor.task, SCALES[predictor.task][-1], code, predictor.horizon)
    answer = answer_on(predictor, scale)
    effects = {}
    for name in columns:
        column, block = next(c for c in predictor.inputs if c.name == name), blocks[name]
        if column.modality == "number":
            found = accumulated_effect(answer, blocks, name, groups, rng)
            if found is not None:
                few = {k: b.take(np.arange(min(len(groups), DEPENDENCE_ROWS))) for k, b in blocks.items()}
                found["dependence"] = partial_dependence(answer, few, name, np.array(found["grid"])).tolist()
        elif column.modality in ("category", "boolean"):
            levels = {"no": 0.0, "yes": 1.0}
            if column.modality == "category":
                levels = {level: float(i) for i, level in enumerate(block.levels[0])}
            found = level_effect(answer, blocks, name, levels, groups, rng)
        else:
            found = None
        if found is not None:
            effects[name] = found
    about: dict[str, Any] = {
        "scale": scale.name, "rows": "training rows, final model", "n": len(groups),
        "interval": "bootstrap over units, 95 %",
    }  # fmt: skip
    if predictor.classes:
        about["output"] = predictor.classes[code]
    if predictor.horizon is not None:
        about["horizon"] = predictor.horizon
    return {"effects": effects, "effects_of": about}


def mean_attribution(
    predictor: Predictor, blocks: dict[str, Block], groups: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    """Mean absolute attribution of every column over a sample of training rows, the largest first.

    Args:
        blocks: column → block of n training rows. groups: (n,) units.
    """
    background, p = background_of(predictor), len(blocks)
    code = 1 if predictor.task == "binary" else max(len(predictor.classes) - 1, 0)
    scale = scale_of(predictor.task, "auto", code, predictor.horizon, family_of(predictor))
    size = min(len(groups), ATTRIBUTION_ROWS, max(20, ANSWERS // (2 * p * len(background))))
    rows = np.sort(rng.permutation(len(groups))[:size])
    try:
        found = explain_blocks(predictor, {k: b.take(rows) for k, b in blocks.items()}, background, scale, rounds=1)
    except OptionError:
        return {"attribution": {}, "attribution_of": {"reason": f"not computed: more than {MOST_SAMPLED} columns"}}
    size_of = np.abs(found.values).mean(axis=0)
    strongest = np.argsort(-size_of, kind="stable")[:MOST_SHOWN]
    intervals = importance_intervals(np.abs(found.values[:, strongest]), groups[rows], rng)
    means = dict(zip((found.columns[j] for j in strongest), intervals, strict=True))
    ordered = dict(sorted(means.items(), key=lambda item: -item[1]["value"]))
    about = {
        "scale": scale.name, "rows": "training rows, final model", "n": size, "way": found.way,
        "adds_up": bool(found.adds_up(scale).all()),
    }  # fmt: skip
    if predictor.classes:
        about["output"] = predictor.classes[code]
    return {"attribution": ordered, "attribution_of": about}
