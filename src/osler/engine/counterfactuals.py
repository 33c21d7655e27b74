"""What would change an answer: the nearest changes of one row within what training rows held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from osler.blocks import Block
from osler.cohort.cohort import Cohort
from osler.engine.batches import encode
from osler.engine.explain import answer_on, chosen_rows, table_of
from osler.engine.predict import open_predictor
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.errors import ColumnError, OptionError, nearest
from osler.explanation.counterfactual import Choice, Found, choices_of, immutable_reason, search, to_json
from osler.explanation.scales import SCALES, scale_of

#: Ways a number may be told to move.
DIRECTIONS = ("up", "down", "fixed", "free")


def counterfactuals(
    run: Run | Predictor | str | Path,
    source: Cohort | str | Path,
    row: int,
    want: float,
    *,
    limits: Mapping[str, str] | None = None,
    answers: int = 3,
    most_changes: int = 3,
) -> dict[str, Any]:
    """The nearest changes that bring one row's prediction across `want`.

    Args:
        run: a run, its folder, or a predictor. source: a table or cohort. row: its row number (1 = first data row).
        want: wanted probability of the positive class, of the event until the horizon, or wanted mean. A prediction
            above it must come down to it, one below must come up to it.
        limits: column → "up" or "down" (the only way it may move), "fixed", or "free" (also where its name says that
            nobody can change it).
        answers: most answers, each of another set of columns. most_changes: most columns that change at once.

    Returns:
        `{"row", "prediction", "want", "scale", "answers": [{"changes": [{"column", "from", "to"}], "size",
        "prediction"}], "held": {column: reason}, "search", "message"}`; `message` is "" where there is an answer.

    Raises:
        OptionError: a row, direction or wanted value that cannot be, or a task with several outputs.
        ColumnError: a limit names no input column.
    """
    predictor = open_predictor(run)
    if predictor.task in ("multiclass", "multilabel"):
        raise OptionError(
            f"counterfactuals need a task with one answer, this run has the task {predictor.task}: "
            "fit one class against the rest"
        )
    limits = dict(limits or {})
    _check(predictor, limits, want)
    one = chosen_rows(table_of(predictor, source), [row])
    blocks = encode(one, predictor.states)
    code = 1 if predictor.task == "binary" else 0
    scale = scale_of(predictor.task, SCALES[predictor.task][-1], code, predictor.horizon)
    answer = answer_on(predictor, scale)
    now = float(answer(blocks)[0])
    choices, held, names = _choices(predictor, blocks, limits)
    found = search(answer, blocks, choices, want, now > want, answers, most_changes)
    current = {c.column: _held_now(predictor, one, blocks, c.column, names[c.column]) for c in choices}
    return {
        "row": row, "prediction": now, "want": want, "scale": scale.name,
        "answers": [to_json(a, names, current) for a in found.answers], "held": held,
        "search": f"{'every' if found.whole else 'the strongest'} combination{'' if found.whole else 's'} of up to "
        f"{found.columns} columns",
        "message": _message(found),
    }  # fmt: skip


def _held_now(
    predictor: Predictor, one: Cohort, blocks: dict[str, Block], name: str, written: Callable[[float], Any]
) -> Any:
    """What the row holds: a number as it stands in the table, a level or flag as the answers write it."""
    if predictor.states[name]["modality"] == "number":
        return one.table[name][0]
    return written(float(blocks[name].values[0, 0]))


def _message(found: Found) -> str:
    if found.answers:
        return ""
    if not found.tried:
        return "nothing is left that may change"
    sure = "there is no such change" if found.whole else "no such change was found"
    return f"{sure}: {found.tried} combinations of up to {found.columns} columns within the training ranges were tried"


def _check(predictor: Predictor, limits: Mapping[str, str], want: float) -> None:
    inputs = [c.name for c in predictor.inputs]
    for name, direction in limits.items():
        if name not in inputs:
            raise ColumnError(f"a limited column must be an input of the run, was '{name}': {nearest(name, inputs)}")
        if direction not in DIRECTIONS:
            raise OptionError(f"limit of column '{name}' must be up, down, fixed or free, was '{direction}'")
    if not np.isfinite(want) or (predictor.task != "regression" and not 0.0 <= want <= 1.0):
        raise OptionError("want must be a probability between 0 and 1 (a finite number for regression), it was not")


def _choices(
    predictor: Predictor, blocks: dict[str, Block], limits: Mapping[str, str]
) -> tuple[list[Choice], dict[str, str], dict[str, Callable[[float], Any]]]:
    """What may change, why the other columns may not, and how a block's value is written."""
    choices, held, names = [], {}, {}
    for column in predictor.inputs:
        limit = limits.get(column.name, "")
        reason = "" if limit in ("up", "down", "free") else immutable_reason(column.name)
        if limit == "fixed":
            reason = "held fixed as asked"
        values, width, name = _candidates(column.modality, predictor.states[column.name]["state"], dict(column.coding))
        if not reason and not len(values):
            reason = f"a {column.modality} column has no list of values to try"
        current = blocks[column.name].values[0, 0] if blocks[column.name].layout == "dense" and len(values) else np.nan
        if not reason and np.isnan(current):
            reason = "not known for this row"
        if reason:
            held[column.name] = reason
            continue
        kept, cost = choices_of(float(current), values, width, limit if limit in ("up", "down") else "")
        choices.append(Choice(column.name, kept, cost))
        names[column.name] = name
    return choices, held, names


def _candidates(
    modality: str, state: Mapping[str, Any], coding: Mapping[str, str]
) -> tuple[np.ndarray, float, Callable[[float], Any]]:
    """Values that training rows held, the change that costs 1 (0: any), and how one is written."""
    if modality == "number" and state["knots"]:
        knots = np.array(state["knots"])
        whole = bool((knots == np.round(knots)).all())
        return knots, max(float(knots[-1] - knots[0]) / 2.0, 1e-12), lambda v: int(v) if whole else v
    if modality == "category":
        levels = state["levels"]
        return np.arange(len(levels) - 1, dtype=float), 0.0, lambda v: coding.get(levels[int(v)], levels[int(v)])
    if modality == "boolean":
        return np.array([0.0, 1.0]), 0.0, lambda v: "yes" if v else "no"
    return np.empty(0), 0.0, lambda v: v
