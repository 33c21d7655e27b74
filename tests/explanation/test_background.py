"""What a predictor keeps to compare with: averages of at least five units, and the shares of training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler.blocks import dense
from osler.explanation.background import FEW_VALUES, LEAST_HOLDERS, MOST_ROWS, MOST_UNITS, learn_background
from tests.explanation.games import background_of, numbers


def clinic(n: int = 500, seed: int = 0) -> dict:
    """An age to nine digits, a lab value that is often missing, a flag and a ward of three levels and a rare one."""
    rng = np.random.default_rng(seed)
    age, lab = rng.normal(60, 12, n), np.exp(rng.normal(size=n))
    lab[rng.random(n) < 0.3] = np.nan
    ward = rng.choice(3, n, p=[0.6, 0.3, 0.1]).astype(float)
    ward[:3] = 3.0
    return {
        "age": dense(age[:, None], ["age"]),
        "lab": dense(lab[:, None], ["lab"]),
        "flag": dense((rng.random(n) < 0.2).astype(float)[:, None], ["flag"]),
        "ward": dense(ward[:, None], ["ward"], kinds=["categorical"], levels=[("a", "b", "c", "d", "(other)")]),
    }


@pytest.mark.parametrize("n", [5, 19, 45, 100, 500, 2000, 7000])
def test_every_row_stands_for_at_least_five_units(n: int):
    stored = learn_background(clinic(n), np.arange(n))
    assert sum(stored["units"]) == min(n, MOST_UNITS)
    assert min(stored["units"]) >= LEAST_HOLDERS
    assert len(stored["units"]) <= MOST_ROWS
    assert sum(stored["weights"]) == pytest.approx(1.0)


def test_a_patient_with_many_rows_counts_once():
    n = 400
    groups = np.where(np.arange(n) < 300, 0, np.arange(n))  # one patient has three quarters of the rows
    stored = learn_background(clinic(n), groups)
    assert sum(stored["units"]) == 101
    assert min(stored["units"]) >= LEAST_HOLDERS


def test_fewer_than_five_units_leave_nothing():
    assert learn_background(clinic(40), np.repeat(np.arange(4), 10)) == {}


def test_no_patients_measured_value_is_kept():
    blocks = clinic()
    text = json.dumps(learn_background(blocks, np.arange(500)))
    for name in ("age", "lab"):
        seen = blocks[name].values[:, 0]
        assert not any(repr(float(v)) in text for v in seen[~np.isnan(seen)])


def test_a_value_that_few_hold_is_not_kept():
    stored = learn_background(clinic(), np.arange(500))
    wards = {row[0] for row in stored["columns"]["ward"]}
    assert wards == {0.0, 1.0, 2.0}  # level 3 was held by three rows


def test_means_are_means_of_their_units():
    """One number, distinct values: halving along it gives consecutive runs of the sorted values."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=160)
    stored = learn_background(numbers(x[:, None]), np.arange(160))
    expected = [float(f"{part.mean():.4g}") for part in np.sort(x).reshape(16, 10)]
    assert sorted(row[0] for row in stored["columns"]["x0"]) == pytest.approx(sorted(expected))


def test_shares_and_means_are_those_of_training():
    blocks = clinic(2000)
    background = background_of(blocks, np.arange(2000))
    w = background.weights
    step = w.max() + 0.005
    for code in (0.0, 1.0, 2.0):
        share = (blocks["ward"].values == code).mean()
        assert w @ (background.blocks["ward"].values[:, 0] == code) == pytest.approx(share, abs=step)
    assert w @ background.blocks["flag"].values[:, 0] == pytest.approx(blocks["flag"].values.mean(), abs=step)
    absent = np.isnan(blocks["lab"].values).mean()
    assert w @ np.isnan(background.blocks["lab"].values[:, 0]) == pytest.approx(absent, abs=step)
    assert w @ background.blocks["age"].values[:, 0] == pytest.approx(blocks["age"].values.mean(), abs=0.05)


def test_features_of_few_values_keep_their_own_values():
    rng = np.random.default_rng(2)
    x = rng.integers(0, FEW_VALUES, 300).astype(float)
    background = background_of(numbers(x[:, None]), np.arange(300))
    assert set(background.blocks["x0"].values[:, 0]) <= set(x)


def test_rows_in_another_order_leave_the_same_background():
    blocks, order = clinic(), np.random.default_rng(3).permutation(500)
    shuffled = {name: b.take(order) for name, b in blocks.items()}
    first, second = learn_background(blocks, np.arange(500)), learn_background(shuffled, order)
    assert first["units"] == second["units"]
    np.testing.assert_allclose(
        np.array(first["columns"]["age"], dtype=float), np.array(second["columns"]["age"], dtype=float), rtol=1e-3
    )
