"""The saved thing: columns, states, params, calibration and certificate, as JSON and arrays that outlive libraries.

    predictor/
      manifest.json      format version, SHA-256 and size of every other member
      manifest.sha256    SHA-256 of manifest.json: a change of any byte anywhere is seen
      predictor.json     everything that is not an array
      arrays.safetensors params
      card.md            for people
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import models
from osler.blocks import Block
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.engine.batches import encode
from osler.engine.files import write_atomic
from osler.engine.validate import check_answer, check_body, parse, trial, typed
from osler.engine.validate_onnx import is_self_contained
from osler.errors import PredictorError
from osler.models.base import Params
from osler.tasks.base import Prediction

FORMAT = 1
MEMBERS = ("predictor.json", "arrays.safetensors", "card.md", "model.onnx")
LARGEST = 4 * 2**30


@dataclass(frozen=True)
class Predictor:
    """What a run learnt, ready to answer for new rows.

    Attributes:
        columns: the meaning of every column it was trained with (inputs first in use).
        states: input column → modality name, version and fitted state.
        task: a name of `osler.tasks.INDEX`.
        target: names of the target columns.
        classes: class or label names in code order.
        horizon: survival: time at which a probability is quoted.
        models: model name → (specification, params); `chosen` is the one that answers.
        chosen: the answering model's name.
        conformal: what `osler.evaluation.conformal` needs for sets and intervals.
        domain: input column → range or levels seen in training, and the largest share of missing inputs.
        certificate: the run's certificate (JSON).
        card: facts for the model card (JSON).
        background: averages of training rows that explanations compare with (`osler.explanation.background`).
    """

    columns: tuple[Column, ...]
    states: dict[str, dict[str, Any]]
    task: str
    target: tuple[str, ...]
    classes: tuple[str, ...]
    horizon: float | None
    models: dict[str, tuple[str, Params]]
    chosen: str
    conformal: dict[str, Any] = field(default_factory=dict)
    domain: dict[str, Any] = field(default_factory=dict)
    certificate: dict[str, Any] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    background: dict[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The predictors, in the order of training."""
        return tuple(c for c in self.columns if c.name in self.states)

    def raw(self, cohort: Cohort, model: str | None = None) -> Prediction:
        """The chosen (or named) model's answer for every row."""
        return self.answer(encode(cohort, self.states), model)

    def answer(self, blocks: dict[str, Block], model: str | None = None) -> Prediction:
        """The chosen (or named) model's answer for rows that are blocks already.

        Raises:
            PredictorError: a saved model's params do not belong together, so that it cannot answer in finite numbers.
        """
        spec, params = self.models[model or self.chosen]
        with typed("answering"):
            answer = models.get(spec).predict(params, blocks)
            return check_answer(self, answer, len(next(iter(blocks.values()))))

    def predict(self, cohort: Cohort) -> Cohort:
        """The cohort with prediction columns: `TARGET_pred`, `TARGET_prob_CLASS`, `TARGET_low`, `TARGET_high`,
        `in_domain`.
        """
        from osler.engine.answer import answer_columns

        result = cohort
        with typed("answering"):
            columns = answer_columns(self, cohort)
        for name, values in columns.items():
            kind = {pl.Float64: "number", pl.Boolean: "boolean"}.get(values.dtype, "category")
            result = result.with_column(values, Column(name, kind, "prediction", reason="predicted"))
        return result

    # -- to and from disk ------------------------------------------------------------------------------------------

    def save(self, folder: str | Path, card_text: str = "") -> Path:
        """Write the members, then the manifest that names their hashes."""
        from safetensors.numpy import save

        folder = Path(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        nested = Params.nest({str(i): p for i, (_, p) in enumerate(self.models.values())})
        arrays = {k: np.ascontiguousarray(v) for k, v in nested.arrays.items()}
        body = {
            "format": f"osler.predictor/{FORMAT}",
            "columns": [c.to_json() for c in self.columns],
            "states": self.states, "task": self.task, "target": list(self.target), "classes": list(self.classes),
            "horizon": self.horizon, "chosen": self.chosen,
            "models": [[name, spec] for name, (spec, _) in self.models.items()],
            "params": nested.meta["parts"],
            "conformal": self.conformal, "domain": self.domain, "certificate": self.certificate, "card": self.card,
            "background": self.background,
        }  # fmt: skip
        write_atomic(folder / "predictor.json", json.dumps(body, ensure_ascii=False, allow_nan=False).encode())
        write_atomic(folder / "arrays.safetensors", save(arrays))
        write_atomic(folder / "card.md", card_text.encode())
        seal(folder)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Predictor:
        """Read a saved predictor after every member's hash was checked; nothing in it is ever executed.

        Raises:
            PredictorError: not a predictor, changed, of a later format, or with a member that does not belong.
        """
        members = unseal(Path(folder))
        body = parse(members["predictor.json"])
        arrays = _arrays(members["arrays.safetensors"])
        if "model.onnx" in members and not is_self_contained(members["model.onnx"]):
            raise PredictorError(
                "model.onnx must be an ONNX file that keeps its numbers inside "
                "itself, it is not: remove it or save again"
            )
        with typed("checking it"):
            check_body(body, arrays)
            nested = Params({"parts": body["params"]}, arrays)
            held = {name: (spec, nested.part(str(i))) for i, (name, spec) in enumerate(body["models"])}
            predictor = cls(
                tuple(Column.from_json(c) for c in body["columns"]), body["states"], body["task"], tuple(body["target"]),
                tuple(body["classes"]), body["horizon"], held, body["chosen"], body["conformal"], body["domain"],
                body["certificate"], body["card"], body.get("background", {}),
            )  # fmt: skip
            trial(predictor)
        return predictor


def seal(folder: Path) -> None:
    """Write manifest.json with the SHA-256 of every member, and manifest.sha256 with the manifest's own."""
    files = {}
    for name in MEMBERS:
        path = folder / name
        if path.is_file():
            data = path.read_bytes()
            files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    manifest = json.dumps({"format": f"osler.predictor/{FORMAT}", "members": files}, indent=1, sort_keys=True).encode()
    write_atomic(folder / "manifest.json", manifest)
    write_atomic(folder / "manifest.sha256", (hashlib.sha256(manifest).hexdigest() + "\n").encode())


def unseal(folder: Path) -> dict[str, bytes]:
    """Every member's bytes, after all hashes were found right. Links, strangers and missing members are refused."""
    if not (folder / "manifest.json").is_file():
        raise PredictorError(f"a saved predictor must hold manifest.json, '{folder.name}' does not")
    for path in folder.iterdir():
        if path.is_symlink() or not path.is_file() or path.name not in (*MEMBERS, "manifest.json", "manifest.sha256"):
            raise PredictorError(
                f"a saved predictor must hold nothing but its members, '{folder.name}' holds something else: remove it"
            )
    manifest = _bytes(folder / "manifest.json", 2**20)
    sealed = _bytes(folder / "manifest.sha256", 256)
    if not hmac.compare_digest(sealed, (hashlib.sha256(manifest).hexdigest() + "\n").encode()):
        raise PredictorError(
            "manifest.json does not match manifest.sha256: the predictor was changed", "predictor-changed"
        )
    body = parse(manifest)
    form = body.get("format", "") if isinstance(body, dict) else ""
    if form != f"osler.predictor/{FORMAT}":
        raise PredictorError(
            f"predictor format must be osler.predictor/{FORMAT}, was another: use the release that saved it",
            "predictor-version",
        )
    listed = body.get("members")
    if not isinstance(listed, dict) or not {"predictor.json", "arrays.safetensors"} <= set(listed) <= set(MEMBERS):
        raise PredictorError("manifest.json must list the members of a predictor, it does not")
    found = {p.name for p in folder.iterdir()} - {"manifest.json", "manifest.sha256"}
    if found != set(listed):
        raise PredictorError(
            "the members of the predictor must be those of its manifest, one is missing or extra", "predictor-changed"
        )
    return {name: _checked(folder / name, entry) for name, entry in listed.items()}


def _checked(path: Path, entry: Any) -> bytes:
    size = entry.get("bytes") if isinstance(entry, dict) else None
    if not isinstance(size, int) or size < 0 or path.stat().st_size != size:
        raise PredictorError(f"member {path.name} must have the size in the manifest, it does not", "predictor-changed")
    data = _bytes(path, LARGEST)
    if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
        raise PredictorError(
            f"member {path.name} does not match its SHA-256: the predictor was changed", "predictor-changed"
        )
    return data


def _bytes(path: Path, most: int) -> bytes:
    if not path.is_file() or path.stat().st_size > most:
        raise PredictorError(f"member {path.name} must be a file of at most {most} bytes, it is not")
    return path.read_bytes()


def _arrays(data: bytes) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise PredictorError("arrays.safetensors must hold arrays, it cannot be parsed") from error
