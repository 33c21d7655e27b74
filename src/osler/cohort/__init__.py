"""The table: columns with meaning, rows with an account of every one."""

from osler.cohort.cohort import Cohort
from osler.cohort.column import ROLES, ROW, Column
from osler.cohort.lineage import Step

__all__ = ["ROLES", "ROW", "Cohort", "Column", "Step"]
