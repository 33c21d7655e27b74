"""What would have to be different: the nearest changes that take a prediction across a wanted value.

Every candidate value lies within what training rows held. Fewest columns first, then the smallest change (a number
counts 1 for half the range of the middle 94 % of training rows, a category 1, added up); a further answer must change
another set of columns, those that share fewest columns with the answers before. Sets of columns are walked whole
where that is affordable, and the answer says so; otherwise only the columns that move the prediction most on their
own take part. Nothing is drawn at random. Sources: Wachter, Mittelstadt and Russell 2018; Ustun, Spangher and Liu
2019 (actionable recourse); Mothilal, Sharma and Tan 2020 (diversity).

A counterfactual says what the model would answer, not what would happen to the patient.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from osler.blocks import Block
from osler.explanation.effects import with_value
from osler.explanation.shapley import Answer

#: Words in a column's name that nobody can change, and why.
IMMUTABLE = {
    "age": "a person's age", "birth": "a date of birth", "sex": "a person's sex", "gender": "a person's gender",
    "race": "a person's origin", "ethnic": "a person's origin", "ethnicity": "a person's origin",
    "family": "a family's history", "menopause": "a course of life", "menostat": "a course of life",
}  # fmt: skip

#: Combinations of values that are tried per number of changed columns.
MOST_TRIED = 20_000


@dataclass(frozen=True)
class Choice:
    """What one column could be instead.

    Attributes:
        column: its name. values: (k,) candidates as the block holds them. cost: (k,) size of each change, above 0.
    """

    column: str
    values: np.ndarray
    cost: np.ndarray


@dataclass(frozen=True)
class Change:
    """One counterfactual: column → value as the block holds it, the size of the change and the new answer."""

    changes: dict[str, float]
    cost: float
    prediction: float


@dataclass(frozen=True)
class Found:
    """The counterfactuals of one row.

    Attributes:
        answers: nearest first; empty where none was found.
        whole: whether every combination of candidates up to `columns` columns was walked.
        tried: combinations that the model answered for.
        columns: most columns that were changed at once.
    """

    answers: tuple[Change, ...]
    whole: bool
    tried: int
    columns: int


def immutable_reason(name: str) -> str:
    """Why a column of this name cannot be acted on, or ""."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.split(r"[^a-zA-Z]+", split)
    return next((f"{IMMUTABLE[w.lower()]} cannot be changed" for w in words if w.lower() in IMMUTABLE), "")


def choices_of(current: float, values: np.ndarray, scale: float, direction: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Candidates that differ from the current value and lie in the allowed direction, and their costs.

    Args:
        current: what the row holds. values: (k,) candidates. scale: change that costs 1; 0: every change costs 1
            (levels).
        direction: "up", "down" or "" for both.
    """
    allowed = {"up": values > current, "down": values < current, "": values != current}[direction]
    kept = np.unique(values[allowed])
    return kept, np.abs(kept - current) / scale if scale > 0 else np.ones(len(kept))


def thinned(choice: Choice, most: int) -> Choice:
    """At most that many candidates, evenly from the smallest to the largest cost on each side."""
    if len(choice.values) <= most:
        return choice
    pick = np.unique(np.linspace(0, len(choice.values) - 1, most).round().astype(int))
    return Choice(choice.column, choice.values[pick], choice.cost[pick])


def search(
    answer: Answer,
    row: dict[str, Block],
    choices: list[Choice],
    want: float,
    below: bool,
    n_answers: int = 3,
    max_changes: int = 3,
    most_tried: int = MOST_TRIED,
) -> Found:
    """The nearest changes of one row.

    Args:
        answer: blocks → (n,). row: column → block of one row. choices: what may change.
        want: the value to cross. below: whether the answer must come to `want` or below it, else to it or above.
        n_answers: how many, of different sets of columns. max_changes: most columns that change at once.
        most_tried: combinations per number of columns.
    """
    answers: list[Change] = []
    choices = [c for c in choices if len(c.values)]
    strength: dict[str, float] = {}
    tried, whole, k = 0, True, 0
    for k in range(1, min(max_changes, len(choices)) + 1):
        usable, complete = _affordable(choices, strength, k, most_tried)
        whole &= complete
        for group in combinations(usable, k):
            if any(set(a.changes) <= {c.column for c in group} for a in answers):
                continue
            grids = np.meshgrid(*(np.arange(len(c.values)) for c in group), indexing="ij")
            at = np.column_stack([g.ravel() for g in grids])
            found = _answers(answer, row, group, at)
            tried += len(at)
            if k == 1:
                strength[group[0].column] = float(found.min() if below else -found.max())
            hit = np.flatnonzero(found <= want if below else found >= want)
            if len(hit):
                cost = sum(c.cost[at[hit, j]] for j, c in enumerate(group))
                best = hit[int(np.argmin(np.round(cost, 12)))]
                values = {c.column: float(c.values[at[best, j]]) for j, c in enumerate(group)}
                answers.append(Change(values, float(np.min(cost)), float(found[best])))
        if len(answers) >= n_answers:
            break
    return Found(tuple(_diverse(answers, n_answers)), whole, tried, k)


def _diverse(found: list[Change], n: int) -> list[Change]:
    """The nearest answer, then again and again the one that shares fewest columns with those taken; nearest first."""

    def near(change: Change) -> tuple:
        return len(change.changes), round(change.cost, 12), tuple(change.changes)

    left, taken = sorted(found, key=near), []
    while left and len(taken) < n:
        shared = [sum(len(set(a.changes) & set(t.changes)) for t in taken) for a in left]
        taken.append(left.pop(int(np.argmin(shared))))
    return sorted(taken, key=near)


def _affordable(choices: list[Choice], strength: dict[str, float], k: int, most: int) -> tuple[list[Choice], bool]:
    """Choices whose sets of k are at most `most` combinations: all of them, or the strongest with thinner grids."""
    if _combinations(choices, k) <= most:
        return choices, True
    order = {name: i for i, name in enumerate(sorted(strength, key=lambda s: (strength[s], s)))}
    ranked = sorted(choices, key=lambda c: order.get(c.column, 0))
    for width in (15, 9, 5):
        thin = [thinned(c, width) for c in ranked]
        if _combinations(thin, k) <= most:
            return thin, False
    while _combinations(thin, k) > most and len(thin) > k:
        thin = thin[:-1]
    return thin, False


def _combinations(choices: list[Choice], k: int) -> int:
    """How many combinations of values k columns have, summed over sets of columns (elementary symmetric polynomial)."""
    sums = [1] + [0] * k
    for c in choices:
        for j in range(k, 0, -1):
            sums[j] += sums[j - 1] * len(c.values)
    return sums[k]


def _answers(answer: Answer, row: dict[str, Block], group: tuple[Choice, ...], at: np.ndarray) -> np.ndarray:
    """(N,) the model's answers when the columns of a group hold the candidates at (N, k)."""
    copies = np.zeros(len(at), dtype=np.int64)
    changed = {name: block.take(copies) for name, block in row.items()}
    for j, choice in enumerate(group):
        changed[choice.column] = with_value(changed[choice.column], 0, choice.values[at[:, j]])
    return answer(changed)


def to_json(change: Change, names: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """A change for people.

    Args:
        names: column → function from the block's value to what a person would write. current: column → what the row
            holds.
    """
    moves = [{"column": c, "from": current[c], "to": names[c](v)} for c, v in change.changes.items()]
    return {"changes": moves, "size": change.cost, "prediction": change.prediction}
