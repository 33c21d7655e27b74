"""Averages, neighbours and the ridge over pairs: small tables worked out by hand, and the dense solution of the ridge."""

from __future__ import annotations

import numpy as np
import pytest

from osler.models import neighbours
from osler.models.neighbours import SETTINGS, Table, features, kernels, profiles, ridge
from osler.models.pairs import Asked

NAN = np.nan
#: Three molecules by two proteins; the pair (2, 1) was not measured.
I, J, Y = np.array([0, 0, 1, 1, 2, 0]), np.array([0, 1, 0, 1, 0, 0]), np.array([5.0, 7.0, 6.0, 8.0, 9.0, 6.0])
ALIKE = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.2], [0.1, 0.2, 1.0]])


def seen(alike: np.ndarray = ALIKE) -> Asked:
    """The things of training themselves."""
    return Asked(alike, np.arange(len(alike)))


def named(setting: str, i: list[int], j: list[int], first: Asked, second: Asked) -> list[dict[str, float]]:
    """Features by name."""
    table = Table.of(I, J, Y, (3, 2))
    duals = np.zeros((3, 2))
    values, names = features(table, duals, (first, second), (np.array(i), np.array(j)), setting)
    return [dict(zip(names, row, strict=True)) for row in values.tolist()]


def test_a_table_holds_means_and_counts() -> None:
    table = Table.of(I, J, Y, (3, 2))
    assert table.value.tolist() == [[5.5, 7.0], [6.0, 8.0], [9.0, 0.0]]
    assert table.count.tolist() == [[2, 1], [1, 1], [1, 0]]
    assert table.mean == pytest.approx((5.5 + 7 + 6 + 8 + 9) / 5)
    assert table.turned.value.tolist() == table.value.T.tolist()
    assert Table.of(I[:0], J[:0], Y[:0], (3, 2)).mean == 0.0


def test_features_of_a_seen_pair_by_hand() -> None:
    (found,) = named("seen", [2], [1], seen(), seen(np.array([[1.0, 0.5], [0.5, 1.0]])))
    mean = 35.5 / 5
    assert found["ridge"] == pytest.approx(mean), "no duals: the grand mean"
    assert np.isnan(found["same pair"])
    assert found["first mean"] == pytest.approx((9 + 3 * mean) / 4)
    assert found["second mean"] == pytest.approx((15 + 3 * mean) / 5)
    assert (found["first measurements"], found["second measurements"]) == (1, 2)
    assert (found["first most"], found["second most"]) == (9.0, 8.0)
    assert found["second spread"] == pytest.approx(0.5)
    assert found["second upper fifth"] == pytest.approx(7.8)
    assert [found[f"like first value {k}"] for k in (1, 2)] == [8.0, 7.0], "molecule 1 is more alike than molecule 0"
    assert [found[f"like first likeness {k}"] for k in (1, 2)] == [0.2, 0.1]
    assert np.isnan(found["like first value 3"])
    weights = np.array([0.2, 0.1]) ** 2 + 1e-6
    assert found["like first average"] == pytest.approx(weights @ [8, 7] / weights.sum())
    assert found["like second value 1"] == 9.0, "of the same molecule with the other protein"


def test_a_pair_is_not_its_own_neighbour() -> None:
    (found,) = named("seen", [0], [0], seen(), seen(np.eye(2)))
    assert found["same pair"] == 5.5
    assert [found[f"like first value {k}"] for k in (1, 2)] == [6.0, 9.0]


def test_new_things_have_only_their_likenesses() -> None:
    new = Asked(np.array([[0.9, 0.3, 0.0]]), np.array([-1]))
    (found,) = named("new_first", [0], [1], new, seen(np.eye(2)))
    assert not any(name.startswith(("first ", "profile", "same", "like second")) for name in found)
    assert found["like first value 1"] == 7.0
    assert found["second most"] == 8.0
    (found,) = named("new_second", [1], [0], seen(), Asked(np.array([[0.3, 0.6]]), np.array([-1])))
    assert [found["like second value 1"], found["like second value 2"]] == [8.0, 6.0]
    assert not any(name.startswith(("second ", "like first")) for name in found)
    assert list(named("new_both", [0], [0], new, new_second())[0]) == ["ridge"]


def new_second() -> Asked:
    """A protein that training did not have."""
    return Asked(np.array([[0.3, 0.6]]), np.array([-1]))


def test_profiles_are_shrunk_correlations() -> None:
    rng = np.random.default_rng(0)
    value = rng.normal(size=(4, 30))
    found = profiles(Table(value, np.ones((4, 30))))
    centred = value - value.mean(axis=0)
    size = np.linalg.norm(centred, axis=1)
    np.testing.assert_allclose(found, centred @ centred.T / np.outer(size, size) * 30 / 35)
    assert profiles(Table(np.zeros((2, 3)), np.zeros((2, 3)))).tolist() == [[0, 0], [0, 0]]


def test_the_ridge_is_the_dense_solution(monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "ENOUGH", 1e-9)
    rng = np.random.default_rng(0)
    shape = (6, 5)
    asked = []
    for n in shape:
        x = rng.normal(size=(n, 3))
        asked.append(Asked(np.exp(-((x[:, None] - x) ** 2).sum(axis=2)), np.arange(n)))
    i, j = (rng.integers(0, n, 25) for n in shape)
    y = rng.normal(size=25)
    one, other = kernels((asked[0], asked[1]), shape)
    duals = ridge(i, j, y, (one, other), steps=300)
    kernel = one[np.ix_(i, i)].astype(float) * other[np.ix_(j, j)] + neighbours.NOISE * np.eye(25)
    dense = np.linalg.solve(kernel, y)
    expected = one.astype(float)[:, i] @ (dense[:, None] * other.astype(float)[j])
    found = neighbours.answers(duals, (asked[0], asked[1]), (np.repeat(np.arange(6), 5), np.tile(np.arange(5), 6)))
    np.testing.assert_allclose(found, expected.ravel(), atol=2e-4)


def test_the_ridge_of_nothing_is_nothing() -> None:
    kernel = (np.ones((2, 2), np.float32), np.ones((3, 3), np.float32))
    assert ridge(np.array([0]), np.array([1]), np.zeros(1), kernel).tolist() == np.zeros((2, 3)).tolist()


@pytest.mark.parametrize("setting", SETTINGS)
def test_features_are_row_wise_and_named_once(setting: str) -> None:
    rng = np.random.default_rng(0)
    i, j = np.nonzero(rng.random((40, 30)) < 0.5)
    table = Table.of(i, j, rng.normal(size=len(i)), (40, 30))
    own = np.arange(40) if setting in ("seen", "new_second") else np.full(40, -1)
    kin = np.arange(30) if setting in ("seen", "new_first") else np.full(30, -1)
    asked = Asked(rng.random((40, 40)), own), Asked(rng.random((30, 30)), kin)
    duals = rng.normal(size=(40, 30))
    pairs = rng.integers(0, 40, 50), rng.integers(0, 30, 50)
    whole, names = features(table, duals, asked, pairs, setting)
    assert len(set(names)) == len(names) == whole.shape[1]
    some = np.array([3, 41, 7])
    part, _ = features(table, duals, asked, (pairs[0][some], pairs[1][some]), setting)
    np.testing.assert_allclose(part, whole[some], rtol=1e-6)
