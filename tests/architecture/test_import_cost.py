"""`import osler` and `osler --help` are quick and load nothing heavy."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "torch",
    "sklearn",
    "lightgbm",
    "scipy",
    "matplotlib",
    "shap",
    "duckdb",
    "fastapi",
    "pandas",
    "numpy",
    "polars",
)


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `code`."""
    probe = f"{code}\nimport sys; print('|' + ' '.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(answer.stdout.rsplit("|", 1)[1].split())


def cpu_seconds(code: str) -> float:
    """Least CPU time of three fresh interpreters that run `code`, less that of an empty one."""

    def once(text: str) -> float:
        probe = f"{text}\nimport resource as r; u = r.getrusage(r.RUSAGE_SELF); print('|', u.ru_utime + u.ru_stime)"
        answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
        return float(answer.stdout.rsplit("|", 1)[1])

    return min(once(code) for _ in range(3)) - min(once("pass") for _ in range(2))


def test_import_osler_loads_nothing_heavy():
    assert loaded_by("import osler") & set(HEAVY) == set()


def test_help_loads_nothing_heavy():
    assert loaded_by("from osler.cli import main; main(['--help'])") & set(HEAVY) == set()


def test_import_osler_is_quick():
    assert cpu_seconds("import osler") <= 0.4


def test_help_is_quick():
    assert cpu_seconds("from osler.cli import main; main(['--help'])") <= 0.5
