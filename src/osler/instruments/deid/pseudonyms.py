"""Replacements that only the holder of a secret key can repeat: UIDs, names of patients, spans of time.

Everything is HMAC-SHA256 (RFC 2104) under a key of 32 random bytes, so the same value gets the same replacement in
every file and in every later run with the same key, and nothing can be traced back without it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import uuid
from datetime import timedelta
from pathlib import Path

from osler.cohort.atomic import write_atomic
from osler.errors import OptionError, ReadError

#: Spans reach from 30 days to ten years into the past, in minutes where times move too.
_LEAST_DAYS, _MOST_DAYS = 30, 3650
#: UIDs under this root are registered by DICOM: classes, syntaxes, well-known frames; they name nobody.
_STANDARD = "1.2.840.10008."


class Pseudonyms:
    """Replacements under one key.

    Args:
        key: 32 secret bytes.
        weekdays: spans are whole weeks, so that a Monday stays a Monday.
        times: times of day move too.
    """

    def __init__(self, key: bytes, weekdays: bool = False, times: bool = False) -> None:
        self._key = key
        self._weekdays, self.times = weekdays, times

    def _digest(self, kind: str, value: str) -> bytes:
        return hmac.new(self._key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def uid(self, value: str) -> str:
        """A UID for a UID: `2.25.` and a UUID as a decimal number (PS3.5 B.2); registered ones stay."""
        text = value.strip().strip("\0")
        if text.startswith(_STANDARD):
            return text
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', text)[:16], version=4).int}"

    def patient(self, value: str) -> str:
        """A name for a patient: `P` and 16 letters and digits."""
        return f"P{self._digest('patient', value).hex()[:16].upper()}"

    def mark(self, value: str) -> str:
        """An identifier of a source file for the journal: 24 hexadecimal digits."""
        return self._digest("file", value).hex()[:24]

    def span(self, patient: str) -> timedelta:
        """How far the dates of a patient move: into the past, the same for all of them."""
        number = int.from_bytes(self._digest("span", patient)[:8], "big")
        days = _LEAST_DAYS + number % (_MOST_DAYS - _LEAST_DAYS)
        days = 7 * (days // 7) if self._weekdays else days
        minutes = number // _MOST_DAYS % (24 * 60) if self.times else 0
        return timedelta(days=-days, minutes=-minutes)


def key_at(path: Path) -> bytes:
    """The key of a file, made there (mode 0600) if the file does not exist.

    Raises:
        OptionError: others may read the file.
        ReadError: it is no key file.
    """
    if not path.exists():
        return _made(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise OptionError(f"key file '{path.name}' must be readable by you alone, others may read it: chmod 600 it")
    try:
        read = json.loads(path.read_bytes()[:4096])
        key = bytes.fromhex(read["key"])
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError(f"key file '{path.name}' must be one that osler deid wrote, it is not: name another") from error
    if len(key) != 32:
        raise ReadError(f"key file '{path.name}' must hold 32 bytes, it holds {len(key)}: name another")
    return key


def _made(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_bytes(32)
    text = json.dumps(
        {"format": 1, "purpose": "osler deid: whoever has this can link files to patients", "key": key.hex()}
    )
    write_atomic(path, text.encode())
    return key
