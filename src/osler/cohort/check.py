"""What is wrong with a table, before anything is learnt from it."""

from __future__ import annotations

from osler.cohort.cohort import Cohort
from osler.cohort.finding import Finding

__all__ = ["Finding", "check", "clean"]


def check(cohort: Cohort) -> list[Finding]:
    """All findings about a cohort."""
    return []


def clean(cohort: Cohort) -> Cohort:
    """The cohort with impossible values set missing and each written into the ledger."""
    return cohort
