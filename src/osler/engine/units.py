"""Units of independence that a modality derives from its cells: the scaffold of a molecule, the family of a protein."""

from __future__ import annotations

from osler import modalities
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.engine.study import Study
from osler.errors import ColumnError, nearest


def with_units(cohort: Cohort, study: Study) -> tuple[Cohort, tuple[str, ...]]:
    """The cohort with a column for every derived unit that the study names, and the names of all its unit columns.

    A name that no column has may be a kind of unit (`scaffold`), or a column and a kind joined by a dot (`smiles.scaffold`)
    where several columns know the kind. It is derived from the cells alone, before any split and without any target.

    Raises:
        ColumnError: no column and no kind of unit has the name, or several columns know the kind.
    """
    held, names = {c.name for c in cohort.columns}, []
    for asked in study.unit:
        if asked in held:
            names.append(asked)
            continue
        column, kind = _source(cohort, asked, study)
        name = f"{column.name} {kind}"
        if name not in held:
            values = modalities.get(column.modality).units(kind, cohort.table[column.name])
            made = Column(name, "category", "unit", reason=f"the {kind} of each {column.modality} in '{column.name}'")
            cohort = cohort.with_column(values.alias(name), made)
        names.append(name)
    return cohort, tuple(names)


def _source(cohort: Cohort, asked: str, study: Study) -> tuple[Column, str]:
    """The column and the kind of unit that a name asks for."""
    known = {}
    for column in cohort.columns:
        if column.role in ("input", "ignore") and column.name not in study.target:
            for kind in modalities.get(column.modality).unit_kinds:
                known.setdefault(kind, []).append(column)
                known[f"{column.name}.{kind}"] = [column]
    if asked not in known:
        raise ColumnError(
            f"unit must be a column or a kind of unit, was '{asked}': {nearest(asked, [*(c.name for c in cohort.columns), *known])}"
        )
    if len(known[asked]) > 1:
        several = ", ".join(f"{c.name}.{asked}" for c in known[asked])
        raise ColumnError(
            f"unit '{asked}' must be of one column, {len(known[asked])} columns have it: name one of {several}",
            "column-kind",
        )
    return known[asked][0], asked.rpartition(".")[2]
