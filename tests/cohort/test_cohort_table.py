"""The central table: row numbers survive everything, roles are exclusive where they must be, nothing joins in
silence.
"""

from __future__ import annotations

import json
import stat

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort.cohort import Cohort
from osler.cohort.column import ROLES, ROW, Column
from osler.cohort.lineage import ACTIONS, REFUSAL_SCHEMA, Step, no_refusals, refusals
from osler.errors import ColumnError, OptionError, OslerError


def people() -> Cohort:
    table = pl.DataFrame(
        {
            "patient": ["a", "b", "a", "c"],
            "age": [50.0, 61.0, None, 70.0],
            "site": ["x", "x", "y", "y"],
            "ill": [0, 1, 0, 1],
        }
    )
    columns = (
        Column("patient", "category", "unit"),
        Column("age", "number"),
        Column("site", "category", "site"),
        Column("ill", "boolean", "target"),
    )
    return Cohort(table, columns)


# -- one column's meaning ------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_every_role_survives_json(role: str) -> None:
    column = Column("x", "number", role, "mg/dL", {"1": "yes"}, {"missing_codes": [9]}, "because")
    assert Column.from_json(json.loads(json.dumps(column.to_json()))) == column


@pytest.mark.parametrize(
    ("role", "hint"), [("inputs", "input"), ("Target", "target"), ("tim", "time"), ("unitt", "unit")]
)
def test_a_wrong_role_is_refused_with_the_nearest(role: str, hint: str) -> None:
    with pytest.raises(OptionError, match=f"did you mean '{hint}'") as error:
        Column("x", "number", role)
    assert error.value.code == "option"


def test_unknown_keys_of_a_stored_column_are_refused() -> None:
    with pytest.raises(TypeError):
        Column.from_json({**Column("x", "number").to_json(), "colour": "red"})


def test_changing_a_column_leaves_the_first_alone() -> None:
    first = Column("x", "number")
    assert first.with_(role="ignore").role == "ignore"
    assert first.role == "input"


# -- the ledger ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("rows", [[], [3], [1, 2, 9]])
def test_ledger_lists_each_row_once(action: str, rows: list[int]) -> None:
    ledger = refusals(rows, "age", "why", action)
    assert ledger.schema == pl.Schema(REFUSAL_SCHEMA)
    assert ledger["row"].to_list() == rows
    assert set(ledger["action"]) <= {action}
    assert pl.concat([no_refusals(), ledger]).equals(ledger)


def test_an_unknown_action_is_a_fault() -> None:
    with pytest.raises(AssertionError):
        refusals([1], "age", "why", "forget")


def test_step_as_json() -> None:
    assert Step("where", 4, 2, {"by": "age"}).to_json() == {
        "name": "where", "rows_before": 4, "rows_after": 2, "detail": {"by": "age"},
    }  # fmt: skip


# -- looking things up ---------------------------------------------------------------------------------------


def test_rows_are_numbered_from_one() -> None:
    assert people().rows.tolist() == [1, 2, 3, 4]
    assert people().rows.dtype == np.int64


def test_given_row_numbers_are_kept() -> None:
    table = pl.DataFrame({ROW: pl.Series([7, 9], dtype=pl.Int64), "age": [1.0, 2.0]})
    assert Cohort(table, (Column("age", "number"),)).rows.tolist() == [7, 9]


@pytest.mark.parametrize("names", [[], ["age"], ["age", "patient", "site", "ill", "more"]])
def test_columns_and_table_must_agree(names: list[str]) -> None:
    with pytest.raises(ColumnError, match="must name the same columns"):
        Cohort(people().table, tuple(Column(n, "number") for n in names))


@pytest.mark.parametrize(("name", "hint"), [("Age", "age"), ("sit", "site"), ("il", "ill")])
def test_an_unknown_column_is_refused_with_the_nearest(name: str, hint: str) -> None:
    for ask in (people().column, people().values):
        with pytest.raises(ColumnError, match=f"did you mean '{hint}'") as error:
            ask(name)
        assert error.value.code == "column-unknown"


# -- declaring -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "roles"),
    [
        ({"target": "age"}, {"age": "target", "ill": "ignore"}),
        ({"unit": "site"}, {"site": "unit", "patient": "id"}),
        ({"site": "patient"}, {"patient": "site", "site": "input"}),
        ({"unit": ["patient", "site"]}, {"patient": "unit", "site": "unit"}),
        ({"target": None}, {"ill": "target"}),
        ({"target": []}, {"ill": "target"}),
        ({"columns": {"age": {"role": "ignore"}}}, {"age": "ignore"}),
        ({"columns": None}, {"age": "input"}),
        ({"time": "age", "columns": {"age": {"unit": "years"}}}, {"age": "time"}),
    ],
)
def test_declaring_moves_roles(declared: dict, roles: dict[str, str]) -> None:
    cohort = people().declare(**declared)
    assert {name: cohort.column(name).role for name in roles} == roles
    assert [c.name for c in cohort.columns] == [c.name for c in people().columns]


@pytest.mark.parametrize("declared", [{"target": "agee"}, {"columns": {"agee": {}}}, {"unit": ["patient", "agee"]}])
def test_declaring_an_unknown_column_is_refused(declared: dict) -> None:
    with pytest.raises(ColumnError, match="agee"):
        people().declare(**declared)


def test_the_first_cohort_is_unchanged_by_declaring() -> None:
    first = people()
    first.declare(target="age")
    assert first.column("ill").role == "target"


# -- making another ------------------------------------------------------------------------------------------


def test_select_keeps_row_numbers_and_order() -> None:
    part = people().select(["ill", "age"])
    assert [c.name for c in part.columns] == ["ill", "age"]
    assert part.table.columns == [ROW, "ill", "age"]
    assert part.lineage[-1].detail == {"columns": ["ill", "age"]}


def test_select_of_an_unknown_column_is_refused() -> None:
    with pytest.raises(ColumnError):
        people().select(["age", "weight"])


@pytest.mark.parametrize(
    "mask",
    [np.array([True, False, False, True]), pl.Series([True, False, False, True]), pl.col("age").is_in([50.0, 70.0])],
)
def test_where_takes_arrays_series_and_expressions(mask: object) -> None:
    part = people().where(mask, "some")
    assert part.rows.tolist() == [1, 4]
    assert (part.lineage[-1].name, part.lineage[-1].rows_before, part.lineage[-1].rows_after) == ("some", 4, 2)


@given(st.lists(st.integers(0, 3), max_size=12))
def test_take_keeps_order_and_repeats(positions: list[int]) -> None:
    part = people().take(np.array(positions, dtype=np.int64))
    assert part.rows.tolist() == [p + 1 for p in positions]
    assert part.values("patient").to_list() == [["a", "b", "a", "c"][p] for p in positions]


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_taking_twice_is_taking_once(order: list[int], positions: list[int]) -> None:
    twice = people().take(np.array(order)).take(np.array(positions))
    once = people().take(np.array(order)[positions])
    assert twice.table.equals(once.table)


@pytest.mark.parametrize("name", ["patient", "age", "site", "ill"])
def test_replacing_a_column_keeps_its_place(name: str) -> None:
    """`columns` are in table order, whatever is replaced."""
    cohort = people().with_column(pl.Series("other name", [1, 2, 3, 4]), Column(name, "number"))
    assert [c.name for c in cohort.columns] == [c for c in cohort.table.columns if c != ROW]
    assert cohort.values(name).to_list() == [1, 2, 3, 4]


def test_adding_a_column_puts_it_last() -> None:
    cohort = people().with_column(pl.Series([1.0, 2.0, 3.0, 4.0]), Column("weight", "number", "weight"))
    assert [c.name for c in cohort.role("weight")] == ["weight"]
    assert cohort.columns[-1].name == "weight"
    assert len(people().columns) == 4


# -- joining -------------------------------------------------------------------------------------------------


def labels(**columns: list) -> Cohort:
    table = pl.DataFrame(columns)
    return Cohort(table, tuple(Column(n, "category") for n in table.columns))


def test_join_keeps_every_row_and_its_order() -> None:
    joined = people().join(labels(patient=["c", "a"], group=["p", "q"]), "patient")
    assert joined.rows.tolist() == [1, 2, 3, 4]
    assert joined.values("group").to_list() == ["q", None, "q", "p"]
    assert joined.lineage[-1].detail == {"on": "patient", "how": "left"}


def test_inner_join_drops_rows_without_a_partner() -> None:
    joined = people().join(labels(patient=["c", "a"], group=["p", "q"]), "patient", how="inner")
    assert joined.rows.tolist() == [1, 3, 4]


def test_a_missing_key_meets_nobody() -> None:
    left = labels(patient=["a", None], x=["1", "2"])
    joined = left.join(labels(patient=["a", None], group=["p", "q"]), "patient")
    assert joined.values("group").to_list() == ["p", None]


@pytest.mark.parametrize(
    ("other", "on", "code"),
    [
        (labels(patient=["a", "a"], group=["p", "q"]), "patient", "column-kind"),
        (labels(patient=["a"], age=["p"]), "patient", "column-kind"),
        (labels(patient=["a"], group=["p"]), "group", "column-unknown"),
        (labels(group=["p"], other=["q"]), "patient", "column-unknown"),
    ],
)
def test_joins_that_would_double_or_guess_are_refused(other: Cohort, on: str, code: str) -> None:
    with pytest.raises(ColumnError) as error:
        people().join(other, on)
    assert error.value.code == code


def test_a_key_of_another_type_is_refused_and_not_a_crash() -> None:
    left = Cohort(pl.DataFrame({"key": [1, 2]}), (Column("key", "category"),))
    with pytest.raises(OslerError) as error:
        left.join(labels(key=["1", "2"], group=["p", "q"]), "key")
    assert error.value.code == "column-kind"
    assert "'key'" in error.value.message


# -- to disk -------------------------------------------------------------------------------------------------


def test_written_folder_holds_table_meaning_and_ledger(tmp_path) -> None:
    ledger = pl.concat([refusals([2, 2], "age", "why", "set missing"), refusals([5, 5], "", "why", "row refused")])
    cohort = Cohort(people().table, people().columns, (Step("read", 5, 4),), None, ledger)
    folder = cohort.write(tmp_path / "deep" / "er")
    meaning = json.loads((folder / "cohort.json").read_text())
    assert (meaning["rows"], meaning["rows_refused"]) == (4, 1)
    assert [Column.from_json(c) for c in meaning["columns"]] == list(cohort.columns)
    assert meaning["lineage"] == [Step("read", 5, 4).to_json()]
    assert pl.read_parquet(folder / "cohort.parquet").equals(cohort.table)
    assert pl.read_csv(folder / "refusals.csv", schema=REFUSAL_SCHEMA).equals(ledger)


def test_written_files_are_private_and_replace_older_ones(tmp_path) -> None:
    (tmp_path / "cohort.json").write_text("old")
    (tmp_path / "cohort.json").chmod(0o644)
    people().write(tmp_path)
    for name in ("cohort.json", "cohort.parquet", "refusals.csv"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert json.loads((tmp_path / "cohort.json").read_text())["rows"] == 4


def test_meaning_on_disk_holds_no_value() -> None:
    text = json.dumps(people().to_json())
    assert "61" not in text
    assert '"b"' not in text
