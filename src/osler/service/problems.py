"""What the service says when it cannot answer: problem documents (RFC 9457) with Osler's own error codes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from osler.errors import CODES, OslerError

#: HTTP status of an `OslerError` that a verb raises while it answers; anything else of the user's is 422.
STATUS = {
    "limit-size": 413,
    "limit-depth": 400,
    "json": 400,
    "column-unknown": 422,
    "extra-missing": 501,
    "internal": 500,
}


class Problem(Exception):
    """An answer that is not the one asked for.

    Args:
        status: HTTP status.
        code: a key of `osler.errors.CODES`.
        message: one sentence without any value of a request.
        headers: further response headers.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        if code not in CODES:
            raise AssertionError(f"error code {code!r} is not in osler.errors.CODES")
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: OslerError) -> Problem:
        """The problem that an error of a verb is."""
        return cls(STATUS.get(error.code, 422 if error.exit_code == 2 else 500), error.code, error.message)

    def document(self, request: str) -> dict[str, Any]:
        """The JSON body; `request` is the request's id."""
        return {
            "type": "about:blank", "title": HTTPStatus(self.status).phrase, "status": self.status, "code": self.code,
            "detail": self.message, "request": request,
        }  # fmt: skip

    def body(self, request: str) -> bytes:
        """The document as bytes."""
        return json.dumps(self.document(request), ensure_ascii=False).encode()
