"""Curves of one class against the rest: rows that were assessed, and no curve of a class with few rows."""

from __future__ import annotations

import numpy as np

from osler.engine.curves import FEWEST, part_curves
from osler.tasks.base import Prediction, Target


def drawn(kind: str, y: np.ndarray, p: np.ndarray, classes: tuple[str, ...]) -> dict:
    """Calibration of each class, for answers p (n, k)."""
    target = Target(kind, ("stage",) if kind == "multiclass" else classes, y, classes=classes)
    found = part_curves(target, {"m": Prediction(p)}, np.arange(len(y)), np.random.default_rng(0), "m")
    return found["calibration_by_class"]


def test_a_class_below_ten_rows_has_no_curve():
    rng = np.random.default_rng(3)
    for few, is_hidden in ((FEWEST - 1, True), (FEWEST, False)):
        y = np.repeat([0, 1, 2], [60, 50, few])
        p = rng.dirichlet(np.ones(3), len(y))
        found = drawn("multiclass", y, p, ("I", "II", "III"))
        assert "curve" in found["I"]
        assert "curve" in found["II"]
        assert ("hidden" in found["III"]) is is_hidden
        assert ("curve" in found["III"]) is not is_hidden
        assert found["I"]["slope"]["n"] == len(y)


def test_a_label_that_nearly_all_have_has_no_curve_and_absent_cells_do_not_count():
    rng = np.random.default_rng(4)
    x = rng.random((80, 2))
    y = (rng.random((80, 2)) < x).astype(float)
    y[:, 1] = 1.0
    y[:5, 1] = 0.0
    y[70:, 0] = np.nan
    found = drawn("multilabel", y, x, ("a", "b"))
    assert found["b"] == {"hidden": "fewer than 10 rows with or without it"}
    assert found["a"]["slope"]["n"] == 70


def test_true_probabilities_lie_on_the_diagonal():
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.ones(3), 6000)
    y = np.array([rng.choice(3, p=row) for row in p])
    for held in drawn("multiclass", y, p, ("I", "II", "III")).values():
        at, seen = np.array(held["curve"]["predicted"]), np.array(held["curve"]["observed"])
        middle = (at > 0.1) & (at < 0.8)
        assert np.abs(seen - at)[middle].max() < 0.05
        assert held["slope"]["low"] < 1 < held["slope"]["high"]
