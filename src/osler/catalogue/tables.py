"""From a data set's name to its file, its table, or a cohort whose roles are declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from osler.catalogue import places
from osler.catalogue.index import entry
from osler.catalogue.recipes import RECIPES, Recipe
from osler.cohort.cohort import Cohort
from osler.cohort.lineage import Step, no_refusals, refusals
from osler.errors import InputError, ReadError

ROLES = ("unit", "site", "target", "duration", "event", "treatment")


def path(name: str, *, allow_network: bool = False) -> Path:
    """The file of a data set, its SHA-256 checked.

    Raises:
        InputError: codes `data-unknown`, `data-absent`.
        ReadError: code `data-hash`.
    """
    return places.find(entry(name), allow_network=allow_network)


def table(name: str, *, allow_network: bool = False) -> pl.DataFrame:
    """The raw table of a data set (CSV and TSV, gzipped or not), n rows as published.

    Raises:
        InputError, ReadError: as `path`; ReadError also for a file that is not a table (use `path`).
    """
    recipe = RECIPES.get(name, Recipe())
    if recipe.parts:
        parts = [table(p, allow_network=allow_network).with_columns(site=pl.lit(p)) for p in recipe.parts]
        return pl.concat(parts, how="vertical_relaxed")
    known = entry(name)
    if known.package == "sklearn":
        return _from_sklearn(name, allow_network)
    plain = known.file.removesuffix(".gz")
    if not plain.endswith((".csv", ".tsv")):
        raise ReadError(
            f"data set '{name}' must be a CSV or TSV table to be read as one, it is "
            f"{known.file}: use its path"
        )
    options = {"separator": "\t"} if plain.endswith(".tsv") else {}
    header = {"has_header": False, "new_columns": list(recipe.header)} if recipe.header else {}
    source = path(name, allow_network=allow_network)
    return pl.read_csv(source, infer_schema_length=None, null_values=["", "NA"], **options, **header)


def read(name: str, *, allow_network: bool = False) -> Cohort:
    """A cohort of a data set: missing codes emptied (and in the ledger), target derived, roles declared.

    Raises:
        InputError: also where the catalogue has no recipe for the name (read the file with `osler.read`
            instead).
        ReadError: as `table`.
    """
    from osler.cohort.read import read as read_cohort

    if name not in RECIPES:
        entry(name)
        raise InputError(
            f"data set '{name}' must have a recipe to become a cohort, it has none: read "
            f"its file with osler.read"
        )
    recipe = RECIPES[name]
    raw = table(name, allow_network=allow_network)
    frame, ledger = prepare(raw, recipe)
    roles = {role: getattr(recipe, role) for role in ROLES if getattr(recipe, role)}
    at_door = {role: roles[role] for role in ("unit", "site", "target") if role in roles}
    cohort = read_cohort(frame.drop("_row"), **at_door)
    cohort = _with_rows(cohort, frame["_row"], ledger)
    cohort = cohort.declare(**{role: column for role, column in roles.items() if role not in at_door})
    dropped = [c for c in recipe.ignore if c in frame.columns]
    if dropped:
        cohort = cohort.declare(columns={c: {"role": "ignore"} for c in dropped})
    step = Step(f"catalogue:{name}", raw.height, frame.height, {"note": recipe.note} if recipe.note else {})
    return replace(cohort, lineage=(step, *cohort.lineage))


def prepare(raw: pl.DataFrame, recipe: Recipe) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A raw table after its recipe, with `_row` (row number in the raw table), and the ledger of emptied
    cells."""
    text = [c for c, kind in raw.schema.items() if kind == pl.String]
    frame = raw.with_columns(pl.col(text).str.strip_chars()).with_columns(pl.col(text).replace({"": None}))
    frame = frame.with_row_index("_row", offset=1).with_columns(pl.col("_row").cast(pl.Int64))
    if recipe.where is not None:
        frame = frame.filter(recipe.where())
    ledger = [no_refusals()]
    for column, codes in recipe.missing.items():
        for name in text if column == "*" else [column]:
            stands_for_missing = pl.any_horizontal(pl.col(name) == code for code in codes)
            rows = frame.filter(stands_for_missing)["_row"].to_list()
            if rows:
                ledger.append(refusals(rows, name, "the value stands for 'not measured'", "set missing"))
                frame = frame.with_columns(
                    pl.when(stands_for_missing).then(None).otherwise(pl.col(name)).alias(name)
                )
                frame = frame.with_columns(_as_numbers(frame[name]))
    for name, expression in recipe.derive.items():
        frame = frame.with_columns(expression().alias(name))
    if recipe.inputs:
        named = [getattr(recipe, role) for role in ROLES if getattr(recipe, role)]
        frame = frame.select("_row", *dict.fromkeys([*named, *recipe.inputs]))
    return frame, pl.concat(ledger)


def _as_numbers(values: pl.Series) -> pl.Series:
    """Numbers, if every text that is left reads as one; else the same values."""
    numbers = values.cast(pl.Float64, strict=False)
    return numbers if values.dtype == pl.String and numbers.null_count() == values.null_count() else values


def _with_rows(cohort: Cohort, rows: pl.Series, ledger: pl.DataFrame) -> Cohort:
    """The cohort with the raw table's row numbers in place of the prepared table's."""
    to_raw = dict(enumerate(rows.to_list(), start=1))
    renumbered = cohort.table.with_columns(pl.col("_row").replace_strict(to_raw, return_dtype=pl.Int64))
    earlier = cohort.refusals.with_columns(
        pl.col("row").replace_strict(to_raw, default=pl.col("row"), return_dtype=pl.Int64)
    )
    return replace(cohort, table=renumbered, refusals=pl.concat([ledger, earlier]))


def _from_sklearn(name: str, allow_network: bool) -> pl.DataFrame:
    """scikit-learn's own sets, read by scikit-learn after the hash of the file was checked."""
    from sklearn import datasets

    path(name, allow_network=allow_network)
    if name == "breast_cancer":
        bunch = datasets.load_breast_cancer()
        frame = pl.DataFrame(bunch.data, schema=[str(f) for f in bunch.feature_names])
        return frame.with_columns(
            diagnosis=pl.Series([str(bunch.target_names[code]) for code in bunch.target])
        )
    path("diabetes_target", allow_network=allow_network)
    bunch = datasets.load_diabetes(scaled=False)
    frame = pl.DataFrame(bunch.data, schema=list(bunch.feature_names))
    return frame.with_columns(progression=pl.Series(bunch.target))
