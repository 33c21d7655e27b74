"""Real right-censored tables that come with lifelines (test install), as plain arrays, blocks and targets."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
import polars as pl

from osler.blocks import dense
from osler.models.base import Encoded
from osler.tasks.base import Target
from osler.tasks.survival import default_horizon

COLUMNS = {"lung": ("time", "status"), "rossi": ("week", "arrest"), "gbsg2": ("time", "cens")}


@lru_cache
def table(name: str) -> pl.DataFrame:
    """The table as it ships."""
    path = resources.files("lifelines.datasets") / f"{name}.csv"
    return pl.read_csv(path.read_bytes(), null_values=["NA", ""])


def times(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Durations (n,) and events (n,) bool."""
    frame, (duration, event) = table(name), COLUMNS[name]
    return frame[duration].to_numpy().astype(float), frame[event].to_numpy() > 0


def target(name: str, horizon: float | None = None) -> Target:
    """All rows of a table as a target."""
    time, event = times(name)
    return Target("survival", COLUMNS[name], time, event, horizon=horizon or default_horizon(time, event))


@lru_cache
def encoded(name: str) -> Encoded:
    """All rows as blocks: numbers as they are, texts as codes."""
    blocks = {}
    for column in table(name).drop(*COLUMNS[name]).iter_columns():
        if column.dtype == pl.String:
            levels = sorted(column.drop_nulls().unique())
            codes = column.replace_strict(levels, list(range(len(levels))), return_dtype=pl.Float64)
            blocks[column.name] = dense(
                codes.to_numpy()[:, None], [column.name], kinds=["categorical"], levels=[levels]
            )
        else:
            blocks[column.name] = dense(column.cast(pl.Float64).to_numpy()[:, None], [column.name])
    return Encoded(blocks, target(name), np.arange(len(table(name))))


def score_of(name: str) -> np.ndarray:
    """(n,) a fixed risk, rounded so that it has ties; the reference numbers were computed for the same one."""
    t = table(name)
    raw = {
        "lung": lambda: 0.02 * t["age"] - 0.5 * t["sex"] + 0.3 * t["ph.ecog"].fill_null(1),
        "rossi": lambda: -0.06 * t["age"] + 0.1 * t["prio"] - 0.4 * t["fin"],
        "gbsg2": lambda: 0.05 * t["pnodes"].clip(upper_bound=20) - 0.3 * (t["progrec"] + 1).log() + 0.01 * t["tsize"],
    }[name]()
    return np.round(raw.to_numpy().astype(float), 1)
