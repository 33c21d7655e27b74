"""Inner folds used twice: their held-out losses choose an option, and their held-out answers weigh an ensemble's
members.

A model whose only choice is a step along a path (rounds of boosting, a falling penalty) walks the path once per fold.
The step of the model itself has the least mean loss over all folds; the step behind a fold's own answers is chosen by
the folds that share no row with it. So an ensemble needs one walk per fold and member and no folds within folds (van
der Laan, Polley and Hubbard 2007 describe the cross-validation that both uses share).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from osler.models import choice
from osler.models.base import Encoded
from osler.models.choice import Problem
from osler.models.labels import probabilities
from osler.tasks.base import Prediction

#: Training and test positions of every fold, whole groups on one side.
Plan = Sequence[tuple[np.ndarray, np.ndarray]]

#: Training and test rows of a fold → their problems, and how many of the last columns are bends.
Parts = Callable[[Encoded, Encoded], tuple[Problem, Problem, int]]


@dataclass(frozen=True)
class Chosen:
    """What the folds say of a ridge path.

    Attributes:
        step: position of the penalty. bend: position of the bend. facts: JSON facts about the choice.
        answers: for the test rows, one fold after the other.
    """

    step: int
    bend: int
    facts: dict[str, Any]
    answers: Prediction


def best_steps(
    losses: np.ndarray, share: np.ndarray, tests: Sequence[np.ndarray], pick: Callable[[np.ndarray], Any] = np.argmin
) -> tuple[int, list[int]]:
    """The step with the least mean held-out loss, and for every fold the step that the folds of other rows choose.

    Args:
        losses: (folds, steps) mean held-out loss, infinite at steps that were not walked.
        share: (folds,) weight of each fold in the mean.
        tests: the rows that each fold held out.
        pick: (steps,) weighted losses → the step; without it the least.
    """
    own = []
    for test in tests:
        other = [j for j, rows in enumerate(tests) if not len(np.intersect1d(rows, test, assume_unique=True))]
        own.append(int(pick(share[other] @ losses[other])) if other else 0)
    return int(pick(share @ losses)), own


def covers_classes(y: np.ndarray, classes: int, plan: Plan) -> bool:
    """Whether every fold has rows to answer for and every class to learn from."""
    return all(len(test) and (not classes or len(np.unique(y[train])) == classes) for train, test in plan)


def ridge_walks(
    parts: Sequence[tuple[Problem, Problem]], penalties: Sequence[np.ndarray], patience: int = 3
) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    """Walk every fold's ridge path side by side until the mean held-out loss has risen `patience` times in a row.

    Args:
        parts: (training, test) problem of every fold.
        penalties: (m,) falling penalties of every fold.

    Returns:
        (folds, m) mean held-out losses, infinite beyond the last step; and fold → step → answers for its test rows.
    """
    walks = [choice.ridge_path(train, p, 1e-5) for (train, _), p in zip(parts, penalties, strict=True)]
    losses = np.full((len(parts), len(penalties[0])), np.inf)
    answers: list[list[np.ndarray]] = [[] for _ in parts]
    size = np.array([test.w.sum() for _, test in parts])
    for step, coefs in enumerate(zip(*walks, strict=True)):
        for k, ((_, test), coef) in enumerate(zip(parts, coefs, strict=True)):
            losses[k, step] = choice.loss(test, coef) / max(size[k], 1e-300)
            answers[k].append(choice.answer(coef, test.X, test.classes))
        if step - int(np.argmin(size @ losses[:, : step + 1])) >= patience:
            break
    return losses, answers


def choose_penalty(
    data: Encoded, plan: Plan, parts: Parts, penalties: Callable[[Problem], np.ndarray], bends: Sequence[float]
) -> Chosen | None:
    """Penalty and bend with the least held-out loss, and every fold's answers at those that the other folds choose.

    Args:
        penalties: problem → (m,) falling penalties.
        bends: relative penalties of the bends that are tried.

    Returns:
        None where a fold lacks rows or a class.
    """
    target = data.target
    classes = len(target.classes) if target.kind in ("binary", "multiclass") else 0
    if not covers_classes(target.y, classes, plan):
        return None
    pairs = [parts(data.take(train), data.take(test)) for train, test in plan]
    tried = bends if any(extra for *_, extra in pairs) else bends[:1]
    losses, answers = [], []
    for weight in tried:
        both = [(bent(train, extra, weight), bent(test, extra, weight)) for train, test, extra in pairs]
        walked = ridge_walks(both, [penalties(train) for train, _ in both])
        losses.append(walked[0])
        answers.append(walked[1])
    table, m = np.hstack(losses), losses[0].shape[1]
    share = np.array([test.w.sum() for _, test, _ in pairs])
    best, own = best_steps(table, share, [test for _, test in plan])
    said = np.concatenate([answers[at // m][k][at % m] for k, at in enumerate(own)])
    prediction = probabilities(said) if classes == 2 else Prediction(said if classes else said[:, None])
    facts = {"inner_loss": float(share @ table[:, best] / share.sum()), "inner_folds": len(plan)}
    return Chosen(best % m, best // m, facts, prediction)


def bent(problem: Problem, extra: int, weight: float) -> Problem:
    """The problem with its last `extra` columns penalised `weight` times as much as the others."""
    return replace(problem, factor=np.append(np.ones(problem.X.shape[1] - extra), np.full(extra, weight)))
