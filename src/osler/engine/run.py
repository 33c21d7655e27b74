"""A finished run: the folder that `osler fit` leaves behind, opened for reading.

    study.json  plan.md  cohort.json  refusals.csv  splits.parquet  predictions.parquet  scores.json  certificate.json
    findings.json  curves.json  explanation.json  predictor/  figures/  report.html  card.md  environment.json
    log.jsonl
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from osler.engine.predictor import Predictor
from osler.engine.study import Study
from osler.errors import InputError

#: Files without which a folder is not a finished run.
NEEDED = ("study.json", "scores.json", "certificate.json", "predictor/manifest.json")


@dataclass(frozen=True)
class Run:
    """A run folder. Files are read when asked for.

    Attributes:
        folder: where it lies.
    """

    folder: Path

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Open a finished run.

        Raises:
            InputError: the folder is absent or not finished (code `run-missing`).
        """
        folder = Path(folder)
        lost = [name for name in NEEDED if not (folder / name).is_file()]
        if lost:
            raise InputError(
                f"run must be a folder that osler fit has finished, '{folder.name}' lacks {lost[0]}", "run-missing"
            )
        return cls(folder)

    def json(self, name: str) -> Any:
        """A JSON member, or {} where this run has none."""
        path = self.folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    @cached_property
    def study(self) -> Study:
        """The question with every default written out."""
        return Study.from_json(self.json("study.json"))

    @cached_property
    def scores(self) -> dict[str, Any]:
        """`{"chosen": MODEL, "parts": {PART: {MODEL: {METRIC: {"value", "low", "high", "n"}}}}}`."""
        return self.json("scores.json")

    @cached_property
    def certificate(self) -> dict[str, Any]:
        """Verdict, unit, checks and fitted states."""
        return self.json("certificate.json")

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """Out-of-fold and hold-out predictions of every model, one row per row, repeat and model."""
        return pl.read_parquet(self.folder / "predictions.parquet")

    @cached_property
    def predictor(self) -> Predictor:
        """The saved predictor, hashes checked."""
        return Predictor.load(self.folder / "predictor")

    @property
    def chosen(self) -> str:
        """Name of the model that answers."""
        return self.scores["chosen"]
