"""JSON from strangers: depth and size are known before parsing; doubled keys, NaN and numbers beyond a double are
refused.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np

from osler.service.problems import Problem

MOST_DEPTH = 64
MOST_KEYS = 10_000
MOST_DIGITS = 30

#: A whole string, or an unfinished one to the end: always matches at a quote, so the scan is linear.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)


def depth(body: bytes) -> int:
    """How deep brackets and braces nest, strings aside, without parsing."""
    marks = np.frombuffer(_STRING.sub(b"", body), dtype=np.uint8)
    step = ((marks == 0x5B) | (marks == 0x7B)).astype(np.int64) - ((marks == 0x5D) | (marks == 0x7D))
    return int(np.cumsum(step).max(initial=0))


def parse(body: bytes) -> Any:
    """The JSON value of a body.

    Raises:
        Problem: 400 `limit-depth` or `json`.
    """
    if body.count(b"[") + body.count(b"{") > MOST_DEPTH and depth(body) > MOST_DEPTH:
        raise Problem(400, "limit-depth", f"JSON must be nested at most {MOST_DEPTH} levels deep, it is deeper")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair is no character
    except Problem:
        raise
    except (ValueError, RecursionError, OverflowError) as error:
        raise Problem(400, "json", "the body must be JSON in UTF-8, it cannot be parsed") from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Problem(400, "json", "every key of a JSON object must occur once, one is doubled")
    if len(made) > MOST_KEYS:
        raise Problem(400, "json", f"a JSON object must have at most {MOST_KEYS} keys, one has more")
    return made


def _int(text: str) -> int | float:
    if len(text) > MOST_DIGITS:
        raise Problem(400, "json", f"a whole number must have at most {MOST_DIGITS} digits, one has more")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Problem(400, "json", "a number must fit a double, one does not")
    return value


def _constant(name: str) -> float:
    raise Problem(400, "json", f"JSON has no {name.strip('-')}: send null for a value that is not known")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant)
