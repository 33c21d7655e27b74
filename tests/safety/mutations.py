"""Saved predictors with one value changed at random and sealed again: they answer as they should, or are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from osler.errors import OslerError
from tests.safety.hostile import body_of, reseal

#: What a mutation puts in place of a value.
ODD: list[Any] = [None, True, "", "os:system", "x" * 3000, -1, 0, 3, 10**9, 2**62, 1.5, -1e300, [], {}, [[]], {"a": 1}, ["a", 1], "%Y", "\0"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [p for k, v in inner for p in places(v, (*path, k))]


def mutate(body: Any, rng: np.random.Generator) -> None:
    """Change one place of a body: replace, delete, double, empty or swap; shallow places as often as deep ones."""
    all_places = places(body)
    depth = int(rng.integers(1, max(map(len, all_places)) + 1))
    path = [p for p in all_places if len(p) == depth][int(rng.integers(sum(len(p) == depth for p in all_places)))]
    parent = body
    for key in path[:-1]:
        parent = parent[key]
    key, deed = path[-1], int(rng.integers(5))
    if deed == 0 and isinstance(parent, dict):
        del parent[key]
    elif deed == 1 and isinstance(parent, list):
        parent.insert(key, parent[key])
    elif deed == 2 and isinstance(parent[key], (int, float)):
        parent[key] = parent[key] * -7 + 1
    elif deed == 3 and isinstance(parent, dict):
        other = list(parent)[int(rng.integers(len(parent)))]
        parent[key], parent[other] = parent[other], parent[key]
    else:
        parent[key] = ODD[int(rng.integers(len(ODD)))]


def mutated(good: Path, copy: Path, rng: np.random.Generator, times: int, answer: Callable[[Path], str]) -> tuple[list[str], int]:
    """Copies of a predictor, each changed in one place and sealed again, and asked: what went wrong ("NUMBER: why"), and how many answered.

    Args:
        copy: where they are made, one after the other. answer: asks a predictor; returns what is wrong with its answer, "" for nothing.
    """
    wrong, answered = [], 0
    shutil.copytree(good, copy)
    for number in range(times):
        changed = body_of(good)
        mutate(changed, rng)
        reseal(copy, changed)
        try:
            why = answer(copy)
            answered += 1
        except OslerError:
            why = ""
        except BaseException as error:
            why = f"{type(error).__name__}: {error}"
        wrong += [f"{number}: {why}"] if why else []
    return wrong, answered
