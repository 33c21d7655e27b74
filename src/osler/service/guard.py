"""What stands before every route: names, tokens, origins, sizes and times are checked before anything is parsed.

Order: Host header, right to be heard (throttle), token or session, origin of browser requests, then the route. A
stranger
learns nothing but 401: not which routes, models or methods there are.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from osler.errors import OslerError
from osler.service.addresses import same_origin, split_host
from osler.service.audit import Audit
from osler.service.pages import login_page
from osler.service.problems import Problem
from osler.service.tokens import Doorkeeper

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Handler = Callable[[Request], Awaitable[Response]]

LOG = logging.getLogger("osler.service")

#: Bytes of a body, seconds in which it must have come, and requests that are worked on at once.
MOST_BODY, BODY_SECONDS, MOST_AT_ONCE = 2**20, 10.0, 1024

COOKIE = "osler_session"

#: On every response; pages replace the policy by one that allows their own style sheet and form.
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """ASGI middleware.

    Args:
        app: what answers those who may ask.
        door: tokens and sessions.
        audit: where predictions and refused tokens are written down.
        hosts: names by which the server may be called.
        secure: whether TLS is on.
        direct: path → what answers its POST without the application's routing, which costs more than a prediction.
    """

    def __init__(
        self,
        app: Any,
        door: Doorkeeper,
        audit: Audit,
        hosts: frozenset[str],
        secure: bool,
        direct: Mapping[str, Handler],
    ) -> None:
        self.app, self.door, self.audit, self.hosts, self.secure, self.direct = app, door, audit, hosts, secure, direct
        self._at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = secrets.token_hex(8)
        scope["osler.request"] = request
        reply = _Reply(send, request)
        self._at_once += 1
        try:
            await self._admit(scope, receive, reply)
        except Problem as problem:
            await reply.problem(problem)
        except OslerError as error:
            await reply.problem(Problem.of(error))
        except Exception as error:
            # The text of a foreign error may hold a value: only its kind is written down.
            LOG.error("request %s failed with %s", request, type(error).__name__)
            await reply.problem(Problem(500, "internal", "the server failed; its log names the request"))
        finally:
            self._at_once -= 1

    async def _admit(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        if self._at_once > MOST_AT_ONCE:
            raise Problem(
                503, "busy", "more requests are waiting than the server holds: try again", {"retry-after": "1"}
            )
        headers = _headers(scope)
        host = headers.get(b"host", "")
        name = split_host(host)
        if name is None or name[0] not in self.hosts:
            raise Problem(
                421, "host", "the Host header must name this server, it names another: use the address it printed"
            )
        address = scope["client"][0] if scope.get("client") else ""
        if self.door.throttled(address):
            raise Problem(
                429, "throttled", "too many wrong tokens came from this address: wait a minute", {"retry-after": "60"}
            )
        body = Body(receive, headers.get(b"content-length", ""))
        if scope["path"] == "/login" and scope["method"] == "POST":
            await self._login(scope, headers, host, address, body, reply)
            return
        session = self._session(headers, address)
        if session is None:
            self.audit.write(request=scope["osler.request"], route="", status=401, code="token", address=address)
            await reply.stranger("text/html" in headers.get(b"accept", ""))
            return
        self._check_origin(scope, headers, host, bool(session))
        scope["osler.session"] = session
        scope["osler.body"] = body
        answer = self.direct.get(scope["path"]) if scope["method"] == "POST" else None
        if answer is None:
            await self.app(scope, body.receive, reply.send)
        else:
            response = await answer(Request(scope, body.receive))
            await response(scope, body.receive, reply.send)

    def _session(self, headers: dict[bytes, str], address: str) -> str | None:
        """The session's secret, "" for a bearer of the token, None for a stranger."""
        kind, _, token = headers.get(b"authorization", "").partition(" ")
        if kind and kind.lower() != "bearer":
            self.door.count_failure(address)
            return None
        if kind:
            return "" if self.door.accepts(token.strip(), address) else None
        secret = cookie_of(headers)
        if secret and self.door.knows_session(secret):
            return secret
        if secret:
            self.door.count_failure(address)
        return None

    def _check_origin(self, scope: Scope, headers: dict[bytes, str], host: str, by_cookie: bool) -> None:
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        scheme = "https" if self.secure else "http"
        if origin is not None and not same_origin(origin, scheme, host):
            raise Problem(403, "origin", "requests of pages must come from this server's own pages, this one does not")
        changes = scope["method"] not in ("GET", "HEAD")
        if changes and site not in (None, "same-origin", "none"):
            raise Problem(403, "origin", "requests of pages must come from this server's own pages, this one does not")
        if by_cookie and changes and origin is None and site != "same-origin":
            raise Problem(
                403, "origin", "a form must be sent by a browser from this server's own page, this one was not"
            )

    async def _login(
        self, scope: Scope, headers: dict[bytes, str], host: str, address: str, body: Body, reply: _Reply
    ) -> None:
        """Exchange the token for a session cookie; the token itself is not kept by the browser."""
        from urllib.parse import parse_qs

        given = parse_qs((await body.read(4096)).decode("ascii", "replace"), max_num_fields=4)
        token = given.get("token", [""])[0].strip()
        scheme = "https" if self.secure else "http"
        foreign = b"origin" in headers and not same_origin(headers[b"origin"], scheme, host)
        if foreign or not token or not self.door.accepts(token, address):
            self.audit.write(request=scope["osler.request"], route="/login", status=401, code="token", address=address)
            await reply.stranger("text/html" in headers.get(b"accept", ""))
            return
        secret = self.door.open_session()
        flags = "HttpOnly; SameSite=Strict; Path=/; Max-Age=43200" + ("; Secure" if self.secure else "")
        await reply.plain(303, b"", {"location": "/", "set-cookie": f"{COOKIE}={secret}; {flags}"})


class Body:
    """A request's body that is never larger or slower than allowed.

    Args:
        receive: ASGI's.
        declared: the Content-Length header, "" if there is none.
    """

    def __init__(self, receive: Receive, declared: str) -> None:
        self._receive, self._declared = receive, declared

    async def read(self, most: int = MOST_BODY, seconds: float = BODY_SECONDS) -> bytes:
        """The whole body, of at most so many bytes and come within so many seconds.

        Raises:
            Problem: 413 `limit-size` (before reading, where the length is declared), 408 `timeout`.
        """
        too_large = Problem(
            413, "limit-size", f"a body must have at most {most} bytes, this one has more", {"connection": "close"}
        )
        if self._declared and (not self._declared.isdigit() or int(self._declared[:20]) > most):
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(408, "timeout", "the client went away before the body was whole")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise too_large
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError as error:
            late = f"a body must come within {seconds:g} seconds, this one did not"
            raise Problem(408, "timeout", late, {"connection": "close"}) from error

    async def receive(self) -> MutableMapping[str, Any]:
        """For the application: only that the client went away; bodies are read by `read`."""
        return await self._receive()


class _Reply:
    """Sends responses with the headers that every response has."""

    def __init__(self, send: Send, request: str) -> None:
        self._send, self._request, self._started = send, request, False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Pass a message of the application on."""
        if message["type"] == "http.response.start":
            self._started = True
            own = list(message.get("headers", ()))
            held = {name for name, _ in own}
            own += [h for h in HEADERS if h[0] not in held]
            own.append((b"x-request-id", self._request.encode()))
            message = {**message, "headers": own}
        await self._send(message)

    async def plain(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """A whole response."""
        raw = [(k.encode(), v.encode()) for k, v in headers.items()] + [(b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    async def problem(self, problem: Problem) -> None:
        """A problem document, unless a response has begun."""
        if not self._started:
            body = problem.body(self._request)
            await self.plain(problem.status, body, {"content-type": "application/problem+json", **problem.headers})

    async def stranger(self, wants_page: bool) -> None:
        """401, as a page with a field for the token where a person is looking."""
        problem = Problem(401, "token", "a token must be sent as 'Authorization: Bearer TOKEN', it was absent or wrong")
        if not wants_page:
            problem.headers["www-authenticate"] = 'Bearer realm="osler"'
            await self.problem(problem)
            return
        page, policy = login_page()
        headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": policy}
        await self.plain(401, page.encode(), {**headers, "www-authenticate": 'Bearer realm="osler"'})


def cookie_of(headers: dict[bytes, str]) -> str:
    """The session secret of a Cookie header, "" if there is none."""
    try:
        found = SimpleCookie(headers.get(b"cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _headers(scope: Scope) -> dict[bytes, str]:
    """Header values by lower-case name.

    Raises:
        Problem: 400 `host`: Host, Authorization or Content-Length is given twice.
    """
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in found and name in (b"host", b"authorization", b"content-length", b"origin"):
            raise Problem(
                400, "host", "a request must have one Host, Origin and Authorization header at most, it has more"
            )
        found[name] = value.decode("latin-1")
    return found
