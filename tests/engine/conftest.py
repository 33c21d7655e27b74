"""One small finished run, shared by the tests of the verbs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cohort.cohort import Cohort
from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.run import Run


def clinic(n: int = 180, seed: int = 5) -> pl.DataFrame:
    """A made-up clinic: 60 % of patients have two visits, the outcome follows age, creatinine and ward."""
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, int(n * 0.7), n))
    age = np.round(rng.normal(62, 12, n), 1)
    creatinine = np.round(np.exp(rng.normal(0.1, 0.4, n)), 2)
    ward = rng.choice(["north", "south", "east"], n)
    logit = (age - 62) / 10 + 1.5 * np.log(creatinine) + (ward == "south") * 0.8 - 0.3
    died = rng.random(n) < 1 / (1 + np.exp(-logit))
    creatinine[rng.random(n) < 0.1] = np.nan
    return pl.DataFrame(
        {
            "patient_id": [f"P{p:04d}" for p in patient],
            "age": age,
            "creatinine": pl.Series(creatinine).fill_nan(None),
            "ward": ward,
            "died": np.where(died, "yes", "no"),
        }
    )


@pytest.fixture(scope="session")
def clinic_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up clinic as a CSV file."""
    path = tmp_path_factory.mktemp("clinic") / "clinic.csv"
    clinic().write_csv(path)
    return path


@pytest.fixture(scope="session")
def clinic_cohort(clinic_csv: Path) -> Cohort:
    """The made-up clinic as a cohort."""
    return read(clinic_csv, unit="patient_id", target="died")


@pytest.fixture(scope="session")
def run(clinic_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on it."""
    out = tmp_path_factory.mktemp("runs") / "clinic"
    return fit(
        clinic_csv,
        out,
        target="died",
        unit="patient_id",
        model=("logistic", "tree"),
        repeats=2,
        boot=200,
        workers=1,
        silent=True,
    )
