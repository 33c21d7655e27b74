"""The HTTP application: per model a form page, predict, explain, card and health; its OpenAPI is made from the columns.

    GET  /  POST /            form of the first model            /models/NAME/ ...   the same for every model
    POST /predict             rows → prediction columns, in_domain, refusals
    POST /explain             rows → what every column contributed
    GET  /card  GET /health  GET /models  GET /openapi.json  POST /logout
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from osler.errors import OslerError
from osler.service.audit import Audit
from osler.service.guard import COOKIE, Guard
from osler.service.openapi import described_by, secured
from osler.service.pages import Drawing, form_page, viewer_policy
from osler.service.problems import Problem
from osler.service.served import Served
from osler.service.strict_json import parse
from osler.service.tokens import Doorkeeper
from osler.service.uploads import BODY_SECONDS, MOST_BODY, fields_of

#: Rows that one call of /explain takes: an explanation asks the model many times per row.
MOST_EXPLAINED = 100

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Settings:
    """How the service is opened.

    Attributes:
        token: `osler.service.tokens.digest` of the token.
        hosts: names by which it may be called.
        secure: whether TLS is on.
    """

    token: bytes
    hosts: frozenset[str]
    secure: bool = False


def create_app(served: Sequence[Served], audit: Audit, settings: Settings) -> FastAPI:
    """The application that serves these models; the first is also served without its name in the address."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        for one in served:
            one.batcher.close()
        audit.close()

    app = FastAPI(title="Osler", version="1", docs_url=None, redoc_url=None, lifespan=lifespan, redirect_slashes=False)
    door = Doorkeeper(settings.token)
    direct: dict[str, Handler] = {}
    for place, one in (("", served[0]), *((f"/models/{s.name}", s) for s in served)):
        calls = _Calls(one, served, audit, door)
        _add_model(app, place, one, calls)
        direct[f"{place}/predict"] = calls.predict
    app.add_api_route("/models", _models(served), methods=["GET"], summary="Names of the models")
    app.add_api_route("/logout", _logout(door), methods=["POST"], include_in_schema=False)
    app.openapi = secured(app)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(Problem, _own_problem)
    app.add_exception_handler(OslerError, _error_problem)
    app.add_middleware(Guard, door=door, audit=audit, hosts=settings.hosts, secure=settings.secure, direct=direct)
    return app


def _add_model(app: FastAPI, place: str, one: Served, calls: _Calls) -> None:
    about = {"tags": [one.name if place else "default"]}
    app.add_api_route(f"{place}/", calls.form, methods=["GET"], include_in_schema=False)
    app.add_api_route(f"{place}/", calls.submit, methods=["POST"], include_in_schema=False)
    app.add_api_route(f"{place}/health", calls.health, methods=["GET"], summary="Whether the model answers", **about)
    app.add_api_route(f"{place}/card", calls.card, methods=["GET"], summary="The model card", **about)
    app.add_api_route(
        f"{place}/predict", calls.predict, methods=["POST"], summary=f"Predict {one.predictor.target[-1]}",
        operation_id=f"predict{place.replace('/', '_')}", openapi_extra=described_by(one, place, "predict"), **about,
    )  # fmt: skip
    if importlib.util.find_spec("osler.engine.explain"):
        app.add_api_route(
            f"{place}/explain", calls.explain, methods=["POST"], summary="What every column contributed",
            operation_id=f"explain{place.replace('/', '_')}", openapi_extra=described_by(one, place, "explain"), **about,
        )  # fmt: skip


class _Calls:
    """The routes of one model."""

    def __init__(self, one: Served, served: Sequence[Served], audit: Audit, door: Doorkeeper) -> None:
        self.one, self.served, self.audit, self.door = one, served, audit, door

    async def predict(self, request: Request) -> Response:
        """Rows in, prediction columns out."""

        async def work(rows: list[dict[str, Any]]) -> dict[str, Any]:
            return {"predictions": await self.one.batcher.submit(rows)}

        return await self._audited(request, "predict", work)

    async def explain(self, request: Request) -> Response:
        """Rows in, what every column contributed out."""

        async def work(rows: list[dict[str, Any]]) -> dict[str, Any]:
            if len(rows) > MOST_EXPLAINED:
                raise Problem(
                    413, "limit-size", f"at most {MOST_EXPLAINED} rows are explained at once, these are {len(rows)}"
                )
            return {"explanations": await self.one.explained(rows)}

        return await self._audited(request, "explain", work)

    async def _audited(
        self, request: Request, route: str, work: Callable[[list[dict[str, Any]]], Awaitable[dict[str, Any]]]
    ) -> Response:
        """Parse, work, write the audit line, answer: no answer leaves without its line."""
        line = {"request": request.scope["osler.request"], "route": route, "model": self.one.name, "rows": 0}
        try:
            body = await self._body(request)
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                raise Problem(415, "media-type", "the body must be sent as application/json, it was not")
            rows = self.one.rows.rows(parse(body))
            line["rows"] = len(rows)
            made = await work(rows)
        except OslerError as error:
            problem = Problem.of(error)
            self.audit.write(**line, status=problem.status, code=problem.code)
            raise problem from None
        except Problem as problem:
            self.audit.write(**line, status=problem.status, code=problem.code)
            raise
        except Exception:
            self.audit.write(**line, status=500, code="internal")
            raise
        self.audit.write(**line, status=200, code="")
        return _json({"model": self.one.name, "request": line["request"], **made})

    async def _body(self, request: Request) -> bytes:
        """The whole body; a larger one where the model takes files."""
        return await request.scope["osler.body"].read(*((MOST_BODY, BODY_SECONDS) if self.one.takes_files else ()))

    async def card(self) -> Response:
        """Facts about the model."""
        return _json(self.one.card())

    async def health(self) -> Response:
        """The model answers."""
        return _json({"status": "ok", "model": self.one.name, "task": self.one.predictor.task})

    async def form(self, request: Request) -> Response:
        """The empty form."""
        return self._page(request, {}, None, "")

    async def submit(self, request: Request) -> Response:
        """The form with its answer."""
        fields = await _form(request, self.door, await self._body(request))
        names = [c.name for c in self.one.predictor.inputs]
        given = {name: fields.get(f"c{i}", "").strip() for i, name in enumerate(names, 1)}
        line = {"request": request.scope["osler.request"], "route": "form", "model": self.one.name, "rows": 1}
        try:
            row = {
                c.name: _typed(given[c.name], c.modality, c.name) for c in self.one.predictor.inputs if given[c.name]
            }
            rows = self.one.rows.rows({"rows": [row]})
            answer = (await self.one.batcher.submit(rows))[0]
            viewed = await self.one.viewed(rows) if fields.get("show") == "scans" and self.one.takes_files else ""
            drawings = [] if viewed else await self.one.drawn(rows)
        except Problem as problem:
            self.audit.write(**line, status=problem.status, code=problem.code)
            return self._page(request, given, None, problem.message, problem.status)
        self.audit.write(**line, status=200, code="")
        if viewed:
            return Response(viewed, 200, {"content-security-policy": viewer_policy()}, "text/html; charset=utf-8")
        return self._page(request, given, answer, "", drawings=drawings)

    def _page(
        self, request: Request, given: dict[str, str], answer: dict[str, Any] | None, problem: str, status: int = 200,
        drawings: Sequence[Drawing] = (),
    ) -> Response:
        key = self.door.form_key(request.scope["osler.session"])
        others = {s.name: f"/models/{s.name}/" for s in self.served if s is not self.one}
        page, policy = form_page(self.one.predictor, request.scope["path"], key, given, answer, problem, others, drawings)
        return Response(page, status, {"content-security-policy": policy}, "text/html; charset=utf-8")


async def _form(request: Request, door: Doorkeeper, body: bytes) -> dict[str, str]:
    """The fields of a form that this server made; a file is its base64."""
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    boundary = rest.strip().removeprefix("boundary=").strip('"')
    if kind.strip().lower() not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise Problem(415, "media-type", "a form must be sent as application/x-www-form-urlencoded or multipart/form-data, it was not")
    try:
        if kind.strip().lower() == "multipart/form-data":
            fields = fields_of(body, boundary.encode("ascii"))
        else:
            fields = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=5000, errors="strict"))
    except ValueError as error:
        raise Problem(400, "input", "the form must be URL-encoded or multipart, in UTF-8, it is not") from error
    if not door.is_form_key(request.scope["osler.session"], fields.get("form key", "")):
        raise Problem(403, "origin", "the form was made by another session: open the page again")
    return fields


def _typed(text: str, modality: str, name: str) -> Any:
    """What was typed, as the JSON value it stands for."""
    if modality == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if modality != "number":
        return text
    try:
        value = float(text.replace(",", ".")) if len(text) < 40 else float("nan")
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise Problem(422, "column-kind", f"'{name}' must be a number, it is not")
    return value


def _models(served: Sequence[Served]) -> Handler:
    async def models() -> Response:
        return _json(
            {"default": served[0].name, "models": [{"name": s.name, "path": f"/models/{s.name}"} for s in served]}
        )

    return models


def _logout(door: Doorkeeper) -> Handler:
    async def logout(request: Request) -> Response:
        await _form(request, door, await request.scope["osler.body"].read())
        door.close_session(request.scope["osler.session"])
        return Response(status_code=303, headers={"location": "/", "set-cookie": f"{COOKIE}=; Path=/; Max-Age=0"})

    return logout


def _json(data: Any) -> Response:
    return Response(json.dumps(data, ensure_ascii=False, allow_nan=False), media_type="application/json")


async def _http_problem(request: Request, error: HTTPException) -> Response:
    code = {404: "route", 405: "method"}.get(error.status_code, "input")
    says = {
        "route": "the server has no such call: see /openapi.json",
        "method": "the call has other methods: see /openapi.json",
    }
    problem = Problem(error.status_code, code, says.get(code, "the request is not what it must be"), error.headers)
    return await _own_problem(request, problem)


async def _own_problem(request: Request, problem: Problem) -> Response:
    body = problem.body(request.scope["osler.request"])
    return Response(body, problem.status, problem.headers, "application/problem+json")


async def _error_problem(request: Request, error: OslerError) -> Response:
    return await _own_problem(request, Problem.of(error))
