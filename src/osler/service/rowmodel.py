"""What one row of a request may be: a typed model and its JSON Schema, made from the predictor's columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import polars as pl
from pydantic import (
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    create_model,
)  # fmt: skip

from osler import modalities
from osler.cohort.column import Column
from osler.cohort.facts import is_missing_word
from osler.engine.predict import read_dates
from osler.engine.predictor import Predictor
from osler.errors import nearest
from osler.modalities.category import OTHER
from osler.service.problems import Problem

MOST_ROWS = 10_000

#: Texts of a boolean or date column that are remembered as readable.
_MOST_READABLE = 4096

_TEXT = StrictStr | None
_KINDS: dict[str, Any] = {
    "number": Annotated[float, Field(strict=True, allow_inf_nan=False)] | None,
    "boolean": StrictBool | StrictInt | StrictFloat | StrictStr | None,
    "category": StrictStr | StrictInt | StrictBool | StrictFloat | None,
}
_WORDS = {
    "number": "a number or null", "boolean": "true, false or null", "category": "a text, a number or null",
    "date": "a date such as 2024-02-29 or null",
}  # fmt: skip


class RowModel:
    """The rows that a predictor answers.

    Args:
        predictor: whose columns are asked for.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.columns = {c.name: c for c in predictor.inputs}
        self.states = {name: entry["state"] for name, entry in predictor.states.items()}
        fields = {
            f"column_{i}": (_KINDS.get(c.modality, _TEXT), Field(None, alias=c.name, **described(c, self.states[c.name])))
            for i, c in enumerate(predictor.inputs)
        }
        self.row = create_model("Row", __config__=ConfigDict(extra="forbid", strict=True), **fields)
        self._rows = TypeAdapter(list[self.row])
        self._readable: dict[str, set[str]] = {c.name: set() for c in predictor.inputs}
        self._words = {
            c.name: modalities.get(c.modality)
            for c in predictor.inputs
            if c.modality in ("boolean", "date") or modalities.get(c.modality).is_thing
        }

    def schema(self) -> dict[str, Any]:
        """JSON Schema of one row."""
        return {
            **self.row.model_json_schema(by_alias=True),
            "title": "Row",
            "description": "one row; absent columns and null are not known",
        }

    def rows(self, body: Any) -> list[dict[str, Any]]:
        """The checked rows of a parsed body: `{"rows": [...]}`, or one row as an object.

        Raises:
            Problem: 413 too many rows; 422 `input`, `column-unknown` or `column-kind`, naming row and column.
        """
        rows = body.get("rows") if isinstance(body, dict) and "rows" not in self.columns else body
        if rows is None and isinstance(body, dict):
            rows = [body]
        if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
            raise Problem(
                422, "input", 'the body must be {"rows": [{column: value, ...}, ...]} with at least one row, it is not'
            )
        if isinstance(body, dict) and "rows" in body and "rows" not in self.columns and len(body) > 1:
            raise Problem(422, "input", "the body must hold nothing beside 'rows', it holds more")
        if len(rows) > MOST_ROWS:
            raise Problem(413, "limit-size", f"a request must hold at most {MOST_ROWS} rows, it holds {len(rows)}")
        try:
            self._rows.validate_python(rows)
        except ValidationError as error:
            raise self._explained(error, rows) from None
        if not all(rows):
            raise Problem(
                422, "input", f"row {rows.index({}) + 1} must hold at least one column of the model, it is empty"
            )
        self._check_words(rows)
        return rows

    def _explained(self, error: ValidationError, rows: list[dict[str, Any]]) -> Problem:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = first["loc"]
        row, name = int(where[0]) + 1, str(where[1]) if len(where) > 1 else ""
        if name in self.columns:
            kind = self.columns[name].modality
            return Problem(422, "column-kind", f"row {row}, column '{name}' must be {_words(kind)}, it is not")
        hint = nearest(name, self.columns)
        return Problem(
            422, "column-unknown", f"row {row} must hold columns of the model only, one key is none of them: {hint}"
        )

    def _check_words(self, rows: list[dict[str, Any]]) -> None:
        """Booleans and dates that are there can be read; texts that were read before are known to be readable."""
        for name, modality in self._words.items():
            known = self._readable[name]
            texts = [
                (i, str(row[name]))
                for i, row in enumerate(rows)
                if row.get(name) is not None and row[name] not in (True, False)
            ]
            odd = [(i, text) for i, text in texts if text not in known]
            if not odd:
                continue
            values = pl.Series([text for _, text in odd], dtype=pl.String)
            if modality.name == "date":
                bad = read_dates(values.to_list(), self.states[name]).is_null() & ~is_missing_word(values)
            else:
                bad = modality.check(values, self.columns[name])
            if bad.any():
                row = odd[bad.to_list().index(True)][0] + 1
                raise Problem(
                    422, "column-kind", f"row {row}, column '{name}' must be {_words(modality.name)}, it is not"
                )
            if len(known) < _MOST_READABLE:
                known.update(text for _, text in odd if len(text) <= 32)


def _words(modality: str) -> str:
    if modalities.get(modality).by_reference:
        return "the base64 of a file, or null"
    return _WORDS.get(modality) or modalities.get(modality).asks


def described(column: Column, state: Mapping[str, Any]) -> dict[str, Any]:
    """Description, unit, range and known levels of a column, for its schema and its form field."""
    extra: dict[str, Any] = {"x-modality": column.modality}
    text = [column.options.get("quantity", ""), f"in {unit_of(column)}" if unit_of(column) else ""]
    if column.modality == "number" and state.get("min") is not None:
        extra["x-seen"] = [state["min"], state["max"]]
        text.append(f"seen in training from {state['min']:g} to {state['max']:g}")
    if column.options.get("possible"):
        extra["x-possible"] = list(column.options["possible"])
    if column.modality == "category":
        levels = [level for level in state["levels"] if level != OTHER]
        extra["x-levels"] = levels
        extra["examples"] = levels[:20]
        text.append("known: " + ", ".join(levels[:20]))
    if column.modality == "date":
        extra["format"] = "date"
    if modalities.get(column.modality).by_reference:
        extra["contentEncoding"] = "base64"
        text.append("the base64 of one file")
    if unit_of(column):
        extra["x-unit"] = unit_of(column)
    return {"description": "; ".join(t for t in text if t) or column.modality, "json_schema_extra": extra}


def unit_of(column: Column) -> str:
    """The unit of measurement as declared, or as inferred for a known quantity."""
    return column.unit or str(column.options.get("quantity_unit", ""))

