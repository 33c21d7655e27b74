"""Raw columns become features inside the graph: what a modality's `encode` does, in operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.cohort.column import Column
from osler.cohort.facts import MISSING_WORDS
from osler.engine.graphs.graph import Graph
from osler.errors import OptionError

_EPOCH_2000, _YEAR = 10_957.0, 365.2425
#: Days since 1970 of the years that `osler.cohort.dates` takes: 1800-01-01 up to, not including, 2301-01-01.
_FIRST_DAY, _AFTER_LAST_DAY = -62_091.0, 120_895.0


def number(graph: Graph, column: Column, state: dict[str, Any]) -> str:
    """(n, 1) the value; NaN where it is infinite, a missing code or impossible; winsorised as in training."""
    x = _input(graph, column, "double")
    lost = graph.node("IsInf", x)
    codes = sorted({*map(float, state["missing_codes"]), *map(float, column.options.get("missing_codes", ()))})
    if codes:
        equal = graph.node("Equal", x, np.array([codes]))
        found = graph.node("ReduceMax", graph.double(equal), np.array([1], dtype=np.int64), keepdims=1)
        lost = graph.node("Or", lost, graph.node("Greater", found, 0.5))
    possible = state["possible"]
    if not possible and column.options.get("impossible", "missing") == "missing":
        possible = list(column.options.get("possible") or ())
    if possible:
        outside = graph.node(
            "Or", graph.node("Less", x, float(possible[0])), graph.node("Greater", x, float(possible[1]))
        )
        lost = graph.node("Or", lost, outside)
    x = graph.emptied(lost, x)
    if state["limits"]:
        held = graph.node("Min", graph.node("Max", x, float(state["limits"][0])), float(state["limits"][1]))
        x = graph.emptied(graph.missing(x), held)
    return x


def boolean(graph: Graph, column: Column, state: dict[str, Any]) -> str:
    """(n, 1) 1 yes, 0 no, NaN for any other number."""
    x = _input(graph, column, "double")
    known = graph.node("Or", graph.node("Equal", x, 0.0), graph.node("Equal", x, 1.0))
    return graph.emptied(graph.node("Not", known), x)


def category(graph: Graph, column: Column, state: dict[str, Any]) -> str:
    """(n, 1) the level's position, the last where it is new, NaN where the text is a word for "not known".

    Upper and lower case count as one where they do in training; a whole number may be written "3" or "3.0".
    """
    text = _input(graph, column, "string")
    if state["fold_case"]:
        flat = graph.node("Reshape", text, np.array([-1], dtype=np.int64))
        flat = graph.node("StringNormalizer", flat, case_change_action="LOWER", is_case_sensitive=1, locale="C")
        text = graph.node("Reshape", flat, np.array([-1, 1], dtype=np.int64))
    other = len(state["levels"]) - 1
    code = {}
    for place, level in enumerate(state["levels"][:-1]):
        for spelled in _spellings(level, state["fold_case"]):
            code.setdefault(spelled, float(place))
    lost = {w for word in (*MISSING_WORDS, *state["missing_codes"]) for w in _spellings(word, True)}
    code.update({word: -1.0 for word in lost})
    found = graph.node(
        "LabelEncoder", text, domain="ai.onnx.ml", keys_tensor=np.array(list(code), dtype=object),
        values_tensor=np.array(list(code.values())), default_tensor=np.array([float(other)]),
    )  # fmt: skip
    return graph.emptied(graph.node("Less", found, 0.0), found)


def _spellings(level: str, fold_case: bool) -> set[str]:
    """How a level may be written after ASCII letters were put into lower case (or as they are)."""
    forms = {level, f"{level}.0"} if level.lstrip("-").isdigit() else {level}
    if not fold_case:
        return forms
    folded = {f for form in forms for f in (form, form.lower(), form.upper(), form.title())}
    return folded | {"".join(c.lower() if c.isascii() else c for c in form) for form in folded}


def date(graph: Graph, column: Column, state: dict[str, Any]) -> str:
    """(n, 3) or (n, 1) of days since 1970-01-01: years since 2000, and sine and cosine of the day of the year.

    The day of the year comes from the civil calendar: http://howardhinnant.github.io/date_algorithms.html, in doubles.
    """
    days = _input(graph, column, "double")
    lost = graph.node(
        "Or", graph.node("Less", days, _FIRST_DAY), graph.node("Not", graph.node("Less", days, _AFTER_LAST_DAY))
    )
    days = graph.emptied(lost, days)
    years = graph.node("Div", graph.node("Sub", days, _EPOCH_2000), _YEAR)
    if not state["season"]:
        return years
    angle = graph.node("Mul", day_of_year(graph, days), 2.0 * np.pi / _YEAR)
    return graph.side_by_side([years, graph.node("Sin", angle), graph.node("Cos", angle)])


def day_of_year(graph: Graph, days: str) -> str:
    """(n, 1) 1 to 366 for days (n, 1) since 1970-01-01."""

    def floor_of(value: str, by: float) -> str:
        return graph.node("Floor", graph.node("Div", value, by))

    def minus(value: str, *rest: tuple[str, float]) -> str:
        for other, times in rest:
            value = graph.node("Sub", value, graph.node("Mul", other, times))
        return value

    z = graph.node("Add", graph.node("Floor", days), 719_468.0)  # days since 0000-03-01
    era = floor_of(z, 146_097.0)
    day = minus(z, (era, 146_097.0))
    rest = minus(day, (floor_of(day, 1460.0), 1.0), (floor_of(day, 36_524.0), -1.0), (floor_of(day, 146_096.0), 1.0))
    year = floor_of(rest, 365.0)  # of the era, beginning in March
    march = minus(day, (year, 365.0), (floor_of(year, 4.0), 1.0), (floor_of(year, 100.0), -1.0))
    full = graph.node("Add", year, graph.node("Mul", era, 400.0))
    leap = _is_leap(graph, full)
    before = graph.node("Add", graph.node("Add", march, 60.0), leap)  # March to December
    after = graph.node("Sub", march, 305.0)  # January and February, of the year that follows
    return graph.node("Where", graph.node("Less", march, 306.0), before, after)


def _is_leap(graph: Graph, year: str) -> str:
    def divides(by: float) -> str:
        whole = graph.node("Mul", graph.node("Floor", graph.node("Div", year, by)), by)
        return graph.node("Equal", whole, year)

    century = graph.node("And", divides(100.0), graph.node("Not", divides(400.0)))
    return graph.double(graph.node("And", divides(4.0), graph.node("Not", century)))


_MADE = {"number": number, "boolean": boolean, "category": category, "date": date}


def features(graph: Graph, columns: tuple[Column, ...], states: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Column → its features (n, p), for every column of the states.

    Raises:
        OptionError: a column's modality has no graph (code `export`).
    """
    made = {}
    for column in columns:
        entry = states[column.name]
        if entry["modality"] not in _MADE:
            raise OptionError(
                f"column '{column.name}' ({entry['modality']}) cannot be written as "
                f"ONNX: fit without it, or use --format mlflow",
                "export",
            )
        made[column.name] = _MADE[entry["modality"]](graph, column, entry["state"])
    return made


def _input(graph: Graph, column: Column, kind: str) -> str:
    graph.inputs[column.name] = kind
    return column.name
