"""Counterfactuals: the same as trying everything, on small grids; sparse, diverse, within limits, and honest when
there is none.
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from osler.explanation.counterfactual import Choice, choices_of, immutable_reason, search, thinned
from tests.explanation.games import answer_of, numbers

GRID = np.linspace(-2, 2, 6)


def brute(function, x, grids, want: float, below: bool, most: int) -> dict[tuple[int, ...], float]:
    """Set of changed columns → least cost, by trying every value of every set of columns."""
    best: dict[tuple[int, ...], float] = {}
    for k in range(1, most + 1):
        for group in combinations(range(len(x)), k):
            for values in product(*(grids[j] for j in group)):
                new = x.copy()
                new[list(group)] = values
                out = function(new[None])[0]
                if (out <= want if below else out >= want) and all(new[j] != x[j] for j in group):
                    cost = sum(abs(new[j] - x[j]) for j in group)
                    best[group] = min(best.get(group, np.inf), cost)
        # a set that holds a smaller solved set is no answer of its own
    return {g: c for g, c in best.items() if not any(set(s) < set(g) for s in best)}


def bent(X: np.ndarray) -> np.ndarray:
    return np.tanh(X[:, 0] * X[:, 1]) + 0.5 * X[:, 2] - 0.3 * X[:, 3] ** 2


@pytest.mark.parametrize("seed", range(12))
def test_search_is_trying_everything(seed: int):
    rng = np.random.default_rng(seed)
    x = rng.choice(GRID, 4)
    now = bent(x[None])[0]
    want = now + rng.choice([-1.2, -0.5, 0.5, 1.2])
    grids = [GRID] * 4
    choices = [Choice(f"x{j}", *choices_of(x[j], GRID, 1.0)) for j in range(4)]
    found = search(answer_of(bent), numbers(x[None]), choices, want, want < now, n_answers=99, max_changes=3)
    expected = brute(bent, x, grids, want, want < now, 3)
    got = {tuple(int(c[1:]) for c in a.changes): a.cost for a in found.answers}
    assert got == pytest.approx(expected)
    assert found.whole
    order = [(len(a.changes), round(a.cost, 9)) for a in found.answers]
    assert order == sorted(order)
    for a in found.answers:
        new = x.copy()
        for name, value in a.changes.items():
            new[int(name[1:])] = value
        assert bent(new[None])[0] == pytest.approx(a.prediction)
        assert a.prediction <= want if want < now else a.prediction >= want


def test_answers_change_different_columns():
    x = np.zeros(3)
    choices = [Choice(f"x{j}", *choices_of(0.0, GRID, 1.0)) for j in range(3)]
    found = search(answer_of(lambda X: X.sum(axis=1)), numbers(x[None]), choices, 1.0, False, n_answers=3)
    assert [set(a.changes) for a in found.answers] == [{"x0"}, {"x1"}, {"x2"}]


def test_further_answers_share_as_few_columns_as_can_be():
    """x0 is needed with one of the others, or x2 and x3 do it alone: the second answer is the one without x0."""
    function = lambda X: np.maximum(2 * X[:, 0] + X[:, 1:].max(axis=1), 1.2 * X[:, 2] + 1.2 * X[:, 3] + 0.1)  # noqa: E731
    choices = [Choice(f"x{j}", np.array([1.0]), np.array([c])) for j, c in enumerate([0.1, 0.1, 0.2, 0.9])]
    found = search(answer_of(function), numbers(np.zeros((1, 4))), choices, 2.4, False, n_answers=2)
    assert [set(a.changes) for a in found.answers] == [{"x0", "x1"}, {"x2", "x3"}]


def test_none_is_said_after_everything_was_tried():
    choices = [Choice(f"x{j}", *choices_of(0.0, GRID, 1.0)) for j in range(3)]
    found = search(answer_of(lambda X: X.sum(axis=1)), numbers(np.zeros((1, 3))), choices, 100.0, False)
    assert found.answers == ()
    assert found.whole
    k = len(choices[0].values)
    assert found.tried == 3 * k + 3 * k**2 + k**3


def test_a_wide_table_is_searched_in_part_and_says_so():
    rng = np.random.default_rng(0)
    slopes = np.r_[np.full(3, 1.0), np.full(27, 0.01)]
    choices = [Choice(f"x{j}", *choices_of(0.0, np.linspace(-1, 1, 31), 1.0)) for j in range(30)]
    shuffled = [choices[i] for i in rng.permutation(30)]
    answer, row = answer_of(lambda X: X @ slopes), numbers(np.zeros((1, 30)))
    found = search(answer, row, shuffled, 2.5, False, n_answers=1, most_tried=3000)
    assert not found.whole
    assert found.tried <= 3 * 3000
    assert set(found.answers[0].changes) == {"x0", "x1", "x2"}


def test_directions_and_costs():
    up, cost = choices_of(1.0, np.array([0.0, 1.0, 2.0, 3.0]), 2.0, "up")
    assert up.tolist() == [2.0, 3.0]
    assert cost.tolist() == [0.5, 1.0]
    assert choices_of(1.0, np.array([0.0, 1.0, 2.0]), 2.0, "down")[0].tolist() == [0.0]
    assert choices_of(1.0, np.array([0.0, 1.0, 2.0]), 0.0)[1].tolist() == [1.0, 1.0]


def test_thinning_keeps_the_ends():
    choice = thinned(Choice("x", np.arange(31.0), np.arange(31.0) + 1), 5)
    assert choice.values.tolist() == [0.0, 8.0, 15.0, 22.0, 30.0]
    assert choice.cost.tolist() == [1.0, 9.0, 16.0, 23.0, 31.0]


@pytest.mark.parametrize(
    "name", ["age", "Age at entry", "SEX", "patientGender", "birth_year", "family history", "race", "age_years"]
)
def test_what_nobody_can_change(name: str):
    assert "cannot be changed" in immutable_reason(name)


@pytest.mark.parametrize("name", ["dosage", "stage", "creatinine", "percentage", "trestbps", "trace", "average"])
def test_what_only_sounds_like_it(name: str):
    assert immutable_reason(name) == ""
