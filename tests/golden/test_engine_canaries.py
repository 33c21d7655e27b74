"""The two permanent canaries: on tables that hold nothing, the engine must find nothing.

An AUROC from 200 independent patients has a standard error of 0.041, one from 100 rows of 0.058: a single table's
honest 95 % interval is about as wide as 0.40 to 0.60, or wider. So each canary is drawn several times; the interval of
the mean over the draws must lie inside 0.40 to 0.60, and the single intervals must do what they promise and hold 0.5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osler.cohort.read import read
from osler.engine.fit import fit
from osler.errors import ViolationError
from tests.golden import canaries


def aurocs(tables: list, folder: Path, **options: object) -> list[dict]:
    """The engine's cross-validated AUROC of each table."""
    found = []
    for i, table in enumerate(tables):
        run = fit(table, folder / str(i), repeats=1, explain=False, workers=1, silent=True, **options)
        assert run.certificate["verdict"] == "clean"
        found.append(run.scores["parts"]["cv"][run.chosen]["auroc"])
    return found


def mean_interval(scores: list[dict]) -> tuple[float, float]:
    """95 % interval of the mean of independent draws, from the draws' own intervals."""
    values = np.array([s["value"] for s in scores])
    errors = np.array([(s["high"] - s["low"]) / 3.92 for s in scores])
    half = 1.96 * np.sqrt(np.mean(errors**2) / len(scores))
    return float(values.mean() - half), float(values.mean() + half)


def test_patients_with_random_labels_are_not_recognised(tmp_path: Path):
    tables = [
        read(canaries.identity(np.random.default_rng(s)), unit="patient", target="label") for s in range(104, 108)
    ]
    scores = aurocs(tables, tmp_path, model=("forest:n_trees=60",), folds=5)
    low, high = mean_interval(scores)
    assert 0.40 < low < high < 0.60
    assert scores[0]["low"] > 0.40
    assert scores[0]["high"] < 0.60
    assert sum(s["low"] < 0.5 < s["high"] for s in scores) >= 3


def test_selection_among_noise_finds_nothing(tmp_path: Path):
    tables = [read(canaries.noise(np.random.default_rng(s), features=5000), target="label") for s in (1, 2)]
    scores = aurocs(tables, tmp_path, model=("logistic:select=20",), folds=5)
    low, high = mean_interval(scores)
    assert 0.34 < low < high < 0.64
    assert 0.40 < np.mean([s["value"] for s in scores]) < 0.60
    assert all(s["low"] < 0.5 < s["high"] for s in scores)


def test_a_forced_row_split_is_refused_naming_rows(tmp_path: Path):
    table = canaries.identity(np.random.default_rng(1))
    half = np.where(np.random.default_rng(2).random(len(table)) < 0.5, "test", "train")
    cohort = read(table.with_columns(half=half), unit="patient", target="label", ignore=["half"])
    with pytest.raises(ViolationError, match=r"units have rows on both: \(rows \d+") as caught:
        fit(cohort, tmp_path / "run", model=("logistic",), holdout="half=test", silent=True, workers=1)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "run").exists()
