"""Who may call: a 256-bit token kept as its SHA-256 only, sessions of the form page, and a brake on guessing."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path

from osler.errors import InputError

#: Wrong tokens that one address may send in a minute before it is refused unheard.
MOST_FAILURES = 10
WINDOW_SECONDS = 60.0

#: An address that has shown the right token is heard for this long even after others behind it have guessed.
TRUSTED_SECONDS = 3600.0

SESSION_SECONDS = 12 * 3600.0
_MOST_KEPT = 10_000


def new_token() -> str:
    """256 random bits as 43 characters."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """SHA-256 of a token: what is kept instead of it. A token has 256 random bits, so it needs no salt or slow hash."""
    return hashlib.sha256(token.encode()).digest()


def token_of(file: Path | None) -> tuple[bytes, str]:
    """The digest to compare with, and the new token to print once ("" where the file held a digest already).

    The file holds `sha256:HEX` and is made, private to the user, where it is not there yet.

    Raises:
        InputError: the file is readable by others or holds something else (code `token`).
    """
    if file is not None and file.exists():
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise InputError(f"token file '{file.name}' must be readable by you only: chmod 600 it", "token")
        text = file.read_text(encoding="ascii", errors="replace").strip() if file.stat().st_size < 200 else ""
        found = re.fullmatch(r"sha256:([0-9a-f]{64})", text)
        if not found:
            raise InputError(
                f"token file '{file.name}' must hold one line sha256:HEX of a token, it "
                f"does not: delete it and a new token is made",
                "token",
            )
        return bytes.fromhex(found.group(1)), ""
    token = new_token()
    if file is not None:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(f"sha256:{digest(token).hex()}\n")
    return digest(token), token


class Doorkeeper:
    """Compares tokens and sessions in constant time and counts failures per address.

    Args:
        expected: `digest` of the token.
        clock: seconds that only rise (tests give their own).
    """

    def __init__(self, expected: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._expected = expected
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._trusted: OrderedDict[str, float] = OrderedDict()
        self._sessions: OrderedDict[bytes, float] = OrderedDict()
        self._form_key = secrets.token_bytes(32)

    def throttled(self, address: str) -> bool:
        """Whether this address has guessed wrong too often in the last minute and never right."""
        failed = self._failures.get(address)
        if failed is None or self._trusted.get(address, -1.0) > self._clock():
            return False
        while failed and failed[0] <= self._clock() - WINDOW_SECONDS:
            failed.popleft()
        return len(failed) >= MOST_FAILURES

    def accepts(self, token: str, address: str) -> bool:
        """Whether the token is right; a wrong one counts against the address."""
        right = hmac.compare_digest(digest(token), self._expected)
        if right:
            _keep(self._trusted, address, self._clock() + TRUSTED_SECONDS)
        else:
            self.count_failure(address)
        return right

    def count_failure(self, address: str) -> None:
        """Remember a wrong token or session."""
        failed = self._failures.get(address) or deque(maxlen=MOST_FAILURES)
        failed.append(self._clock())
        _keep(self._failures, address, failed)

    # -- sessions of the form page -----------------------------------------------------------------------------------

    def open_session(self) -> str:
        """A new session's secret for a cookie; only its digest is kept."""
        secret = new_token()
        _keep(self._sessions, digest(secret), self._clock() + SESSION_SECONDS)
        return secret

    def knows_session(self, secret: str) -> bool:
        """Whether a cookie holds a session that has not expired."""
        return self._sessions.get(digest(secret), -1.0) > self._clock()

    def close_session(self, secret: str) -> None:
        """Forget a session."""
        self._sessions.pop(digest(secret), None)

    def form_key(self, session: str) -> str:
        """What a form of this session must carry."""
        return hmac.new(self._form_key, session.encode(), hashlib.sha256).hexdigest()

    def is_form_key(self, session: str, given: str) -> bool:
        """Whether a form was made by this server for this session."""
        return hmac.compare_digest(self.form_key(session).encode(), given.encode())


def _keep(store: OrderedDict, key: str | bytes, value: object) -> None:
    """Put a key last and let the oldest go beyond 10,000, so that strangers cannot fill the memory."""
    store[key] = value
    store.move_to_end(key)
    while len(store) > _MOST_KEPT:
        store.popitem(last=False)
