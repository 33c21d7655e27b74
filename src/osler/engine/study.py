"""The question, with every default written out: what `study.json` holds and where the flags of `osler fit` come
from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from osler.errors import OptionError, ReadError, nearest


def _flag(default: Any, help: str, **more: Any) -> Any:
    factory = {"default_factory": default} if callable(default) else {"default": default}
    return field(**factory, metadata={"help": help, **more})


@dataclass(frozen=True)
class Study:
    """What is asked and how it will be answered. Every field is a flag of `osler fit` and a key of `--config`."""

    target: tuple[str, ...] = _flag((), "column to predict; give several for multilabel")
    task: str = _flag("auto", "binary, multiclass, multilabel, regression or survival; auto reads it off the target")
    duration: str = _flag("", "survival: column of follow-up time")
    event: str = _flag("", "survival: column that says whether the event was seen")
    horizon: float = _flag(0.0, "survival: time at which a probability is quoted; 0 chooses one")
    positive: str = _flag("", "the value that counts as positive, or a rule such as '>0'")
    unit: tuple[str, ...] = _flag((), "column of what must never be on both sides of a split: the patient, the family")
    site: str = _flag("", "column of the hospital or centre; adds leave-one-site-out")
    time: str = _flag("", "column of the prediction time; later predictors are refused")
    weight: str = _flag("", "column of case weights")
    input: tuple[str, ...] = _flag((), "predictors to use; default all that are left")
    ignore: tuple[str, ...] = _flag((), "columns to leave out")
    column: tuple[str, ...] = _flag((), "NAME=MODALITY or NAME=MODALITY:option=value,..., to overrule what was inferred")
    labels: str = _flag("", "second table, joined on the column that both share")
    model: tuple[str, ...] = _flag(
        (), "model, or model:option=value; repeat to compare; default a set and their ensemble"
    )
    holdout: str = _flag("", "file, folder of scans, COLUMN=VALUE, COLUMN>=VALUE or a share such as 0.3, kept for the end")
    folds: int = _flag(0, "folds of the cross-validation; 0 chooses")
    repeats: int = _flag(0, "repeats of the cross-validation; 0 chooses")
    init: str = _flag(
        "", "run or predictor whose network an mlp or network starts from; its rows must not be in this table"
    )
    imbalance: str = _flag("none", "none, or balanced: classes weighted inversely to their size")
    threshold: str = _flag(
        "0.5", "what counts as a positive answer: a probability, youden, sensitivity=0.9 or specificity=0.9"
    )
    sensitivity: float = _flag(
        0.0, "wanted share of the positives called positive, such as 0.9; the same as threshold sensitivity=0.9"
    )
    tune: int = _flag(0, "trials of tuning per model inside every training part; 0 for none")
    scores: bool = _flag(True, "put published scores whose inputs are there (framingham, news2 ...) beside the models")
    explain: bool = _flag(True, "compute importances and effects for the report")
    examples: int = _flag(4, "molecules or scans that the report draws per group, where rows are molecules alone or scans are drawn on; 0 draws none")
    coverage: float = _flag(0.90, "wanted coverage of prediction sets and intervals")
    boot: int = _flag(
        1000, "bootstrap samples behind the interval of every score; comparisons and curves draw up to 300 of their own"
    )
    seed: int = _flag(0, "one number from which every random choice follows")
    missing_zero: bool = _flag(True, "a physically impossible zero (a cholesterol of 0) counts as not measured")
    source: str = _flag("", "the table", hidden=True)
    source_sha256: str = _flag("", "hash of the table", hidden=True)
    files_sha256: str = _flag("", "hash of the files that its cells name", hidden=True)

    def to_json(self) -> dict[str, Any]:
        """Every field, lists for tuples, and the key that row numbers are hashed with."""
        data = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"format": "osler.study/1", **data, "key": self.key.hex()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Study:
        """The inverse of `to_json`; unknown keys are refused with the nearest known one."""
        known = {f.name: f for f in fields(cls)}
        given = {}
        for name, value in data.items():
            if name in ("format", "key"):
                continue
            if name not in known:
                raise OptionError(f"key of a study must be one it has, was '{name}': {nearest(name, known)}")
            given[name] = _coerced(name, value, known[name].default)
        return cls(**given)

    @property
    def key(self) -> bytes:
        """32 bytes that row numbers and identifiers are hashed with: fixed by data and seed, so that runs repeat."""
        return hashlib.sha256(f"osler.key/{self.source_sha256}/{self.seed}".encode()).digest()

    @property
    def digest(self) -> str:
        """Names the study: two runs with the same digest give the same bytes."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def with_(self, **changes: Any) -> Study:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def rng(self, *names: str) -> np.random.Generator:
        """The generator of one named stage: independent of the order and number of workers."""
        text = "/".join(names).encode()
        words = np.frombuffer(hashlib.sha256(text).digest()[:16], dtype=np.uint32)
        return np.random.default_rng(np.random.SeedSequence([self.seed, *words.tolist()]))


def _coerced(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        return (value,) if isinstance(value, str) else tuple(str(v) for v in value)
    if isinstance(default, bool) and not isinstance(value, bool):
        raise OptionError(f"key '{name}' of a study must be true or false, was of type {type(value).__name__}")
    if isinstance(default, (int, float)) and (
        isinstance(value, bool) != isinstance(default, bool) or not isinstance(value, (int, float))
    ):
        raise OptionError(f"key '{name}' of a study must be a number, was of type {type(value).__name__}")
    if isinstance(default, str) and not isinstance(value, str):
        return str(value)
    return type(default)(value) if isinstance(default, float) else value


def read_config(path: str | Path, what: str = "study file") -> dict[str, Any]:
    """A file in JSON or YAML with a flat mapping, such as of the fields of `Study`; `what` names it in errors.

    Raises:
        ReadError: absent, over 1 MiB, not a mapping, or not parseable; the line is named.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise ReadError(f"{what} must exist, was '{path.name}'", "read-missing")
    if path.stat().st_size > 2**20:
        raise ReadError(f"{what} '{path.name}' must be at most 1 MiB", "limit-size")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ReadError(
            f"study file '{path.name}' must be text in UTF-8, it is not: save it as that", "read-encoding"
        ) from error
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        raise ReadError(f"{what} '{path.name}' must be YAML or JSON, line {line} is not") from error
    if not isinstance(values, dict):
        raise ReadError(f"{what} '{path.name}' must hold 'key: value' lines, it does not")
    return {str(k): v for k, v in values.items() if v is not None}
