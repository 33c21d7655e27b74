"""A small table written without the library under test, so that a process that only forks has used no threads."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

#: A fit of a few seconds.
QUICK = [
    "--target", "died", "--model", "logistic", "--folds", "2", "--repeats", "1", "--boot", "200", "--workers", "1", "--quiet",
]  # fmt: skip


def write(path: Path, n: int) -> Path:
    """n visits of about 0.6 n patients: age, creatinine (some missing), ward, died."""
    rng = np.random.default_rng(5)
    patient = np.sort(rng.integers(0, int(n * 0.6), n))
    age, creatinine = np.round(rng.normal(62, 12, n), 1), np.round(np.exp(rng.normal(0.1, 0.4, n)), 2)
    ward = rng.choice(["north", "south", "east"], n)
    died = rng.random(n) < 1 / (1 + np.exp(-((age - 62) / 10 + 1.5 * np.log(creatinine))))
    with path.open("w", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(["patient_id", "age", "creatinine", "ward", "died"])
        for i in range(n):
            lines.writerow(
                [f"P{patient[i]:04d}", age[i], "" if i % 9 == 4 else creatinine[i], ward[i], "yes" if died[i] else "no"]
            )
    return path
