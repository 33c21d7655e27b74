"""A small good predictor to damage, and the table it learnt from."""

from __future__ import annotations

from pathlib import Path

import pytest

from osler.engine.fit import fit
from osler.engine.run import Run
from tests.engine.conftest import clinic


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up clinic, 120 rows."""
    path = tmp_path_factory.mktemp("safety") / "clinic.csv"
    clinic(120).write_csv(path)
    return path


@pytest.fixture(scope="session")
def good_run(table: Path) -> Run:
    """A run whose predictor holds a line, trees, and a LightGBM text."""
    model = ("ensemble:members=logistic+tree+boosting:rounds=6",)
    return fit(
        table,
        table.parent / "good",
        target="died",
        unit="patient_id",
        model=model,
        folds=2,
        repeats=1,
        boot=200,
        explain=False,
        workers=1,
        silent=True,
    )


@pytest.fixture(scope="session")
def good(good_run: Run) -> Path:
    """Its predictor folder."""
    return good_run.folder / "predictor"
