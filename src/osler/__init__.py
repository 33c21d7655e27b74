"""Osler: precision medicine from typed tables, with a proof that nothing leaked.

    cohort = osler.read("patients.csv", unit="patient_id", target="died")
    run = osler.fit(cohort, out="runs/first")          # Run: predictor, scores, certificate, report
    run.predictor.predict(osler.read("new.csv"))       # a cohort with prediction columns
    osler.evaluate(run, "other_hospital.csv")          # external validation
    osler.verify("runs/first")                         # the certificate, recomputed

Everything is loaded on first use, so that `import osler` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public name → the module that holds it.
_WHERE = {
    "Cohort": "osler.cohort.cohort",
    "Column": "osler.cohort.column",
    "Predictor": "osler.engine.predictor",
    "Run": "osler.engine.run",
    "Study": "osler.engine.study",
    "evaluate": "osler.engine.external",
    "explain": "osler.engine.explain",
    "fit": "osler.engine.fit",
    "look": "osler.cohort.profile",
    "predict": "osler.engine.predict",
    "read": "osler.cohort.read",
    "verify": "osler.engine.verify",
}

__all__ = [*_WHERE, "__version__"]

if TYPE_CHECKING:
    from osler.cohort.cohort import Cohort as Cohort
    from osler.cohort.column import Column as Column
    from osler.cohort.read import read as read
    from osler.engine.fit import fit as fit
    from osler.engine.predictor import Predictor as Predictor
    from osler.engine.run import Run as Run
    from osler.engine.study import Study as Study


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'osler' has no attribute '{name}'")
    return getattr(importlib.import_module(_WHERE[name]), "profile" if name == "look" else name)


def __dir__() -> list[str]:
    return sorted(__all__)
