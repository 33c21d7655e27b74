"""OpenAPI 3.1 for the calls of a model: request rows and prediction columns are typed by the predictor's own
columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from osler.errors import CODES
from osler.service.rowmodel import MOST_ROWS
from osler.service.served import Served

_TYPES = {pl.Float64: ["number", "null"], pl.Boolean: ["boolean", "null"], pl.String: ["string", "null"]}

PROBLEM = {
    "type": "object", "required": ["status", "code", "detail", "request"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
        "code": {"type": "string", "enum": sorted(CODES)}, "detail": {"type": "string"}, "request": {"type": "string"},
    },
}  # fmt: skip

_REFUSAL = {
    "type": "object", "description": "a cell that could not be used and counted as missing",
    "properties": {"column": {"type": "string"}, "reason": {"type": "string"}, "action": {"type": "string"}},
}  # fmt: skip

_PROBLEMS = {
    400: "not strict JSON", 401: "token absent or wrong", 403: "asked by a page of another origin",
    413: "body or rows beyond the limit", 415: "another content type", 422: "a row, column or value that the model does not take",
    429: "too many wrong tokens", 503: "too busy, or the audit file cannot be written",
}  # fmt: skip


def described_by(one: Served, place: str, call: str) -> dict[str, Any]:
    """What FastAPI adds to the description of `call` ("predict" or "explain") of one model."""
    row = one.rows.schema()
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": MOST_ROWS}
    body = {"type": "object", "required": ["rows"], "properties": {"rows": rows}, "additionalProperties": False}
    answer = prediction_schema(one) if call == "predict" else {"type": "object"}
    name = {"predict": "predictions", "explain": "explanations"}[call]
    made = {
        "type": "object", "required": ["model", "request", name],
        "properties": {
            "model": {"type": "string"}, "request": {"type": "string"}, name: {"type": "array", "items": answer},
        },
    }  # fmt: skip
    problems = {
        str(status): {"description": text, "content": {"application/problem+json": {"schema": PROBLEM}}}
        for status, text in _PROBLEMS.items()
    }
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "one answer per row", "content": {"application/json": {"schema": made}}}, **problems},
    }  # fmt: skip


def prediction_schema(one: Served) -> dict[str, Any]:
    """JSON Schema of one row's answer."""
    columns = {name: {"type": _TYPES[type(kind)]} for name, kind in one.answer_names().items()}
    columns["in_domain"] = {
        "type": "boolean", "description": "false where the row is unlike those of training: do not rely on the answer"
    }  # fmt: skip
    columns["refusals"] = {"type": "array", "items": _REFUSAL}
    return {"type": "object", "required": list(columns), "properties": columns}


def secured(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What makes the application's description, once: FastAPI's own, with the bearer token that every call needs."""

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, routes=app.routes)
            made.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            app.openapi_schema = {**made, "security": [{"token": []}]}
        return app.openapi_schema

    return description
