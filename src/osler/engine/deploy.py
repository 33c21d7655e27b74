"""Export: a predictor as one ONNX file, or as a folder that MLflow serves. What is written is checked before it is
left behind.
"""

from __future__ import annotations

import json
import platform
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.adapters import onnx_graph
from osler.adapters.onnx_session import Session
from osler.cohort import dates
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.numbers import floats
from osler.engine.files import whole_folder, write_atomic
from osler.engine.graphs.whole import graph_of
from osler.engine.predict import answers_in_numbers, rows_cohort
from osler.engine.predictor import MEMBERS, Predictor, seal, unseal
from osler.engine.run import Run
from osler.errors import InternalError, OptionError, nearest
from osler.modalities.boolean import zero_one
from osler.tasks.base import Prediction

FORMATS = ("onnx", "mlflow")

#: What ONNX Runtime and Python may differ by, relative to the size of the answer.
TOLERANCE = 1e-6

#: Rows that a fresh ONNX model is tried on.
PROBES = 200

_DAY = 86_400e6


def export(run: Run | str | Path, format: str = "onnx", out: str | Path | None = None) -> Path:
    """Write a predictor in another format.

    Args:
        run: a run, its folder, or a predictor folder.
        format: `onnx` (one file) or `mlflow` (a folder).
        out: where; None puts `model.onnx` into the predictor's own folder and seals it anew.

    Returns:
        What was written.

    Raises:
        OptionError: an unknown format, a place that holds something else, or something that cannot be exported (code
            `export`; the message names it).
        MissingExtraError: onnx or onnxruntime is not installed.
        InternalError: ONNX Runtime and Python disagree; nothing is written.
    """
    if format not in FORMATS:
        raise OptionError(f"format must be onnx or mlflow, was '{format}': {nearest(format, FORMATS)}")
    home = _home(run)
    predictor = Predictor.load(home)
    answers_in_numbers(predictor, "exported")
    if format == "mlflow":
        if out is None:
            raise OptionError("an MLflow model must be given a folder: name it with --out")
        return _write_mlflow(predictor, home, Path(out))
    data = onnx_bytes(predictor)
    path = home / "model.onnx" if out is None else Path(out)
    if path.is_dir():
        path = path / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
    if path.resolve().parent == home.resolve():
        seal(home)
    return path


def _home(run: Run | str | Path) -> Path:
    folder = run.folder if isinstance(run, Run) else Path(run)
    return folder if (folder / "manifest.json").is_file() else Run.load(folder).folder / "predictor"


# -- ONNX ------------------------------------------------------------------------------------------------------------


def onnx_bytes(predictor: Predictor) -> bytes:
    """The whole path as an ONNX model, tried on `PROBES` made-up rows before it is handed out.

    Raises:
        OptionError: a column or model cannot be written (code `export`).
        InternalError: it gives other answers than Python.
    """
    graph = graph_of(predictor)
    data = onnx_graph.to_bytes(graph.inputs, graph.nodes, graph.arrays, graph.outputs, graph.facts)
    cohort = rows_cohort(predictor, probes(predictor, np.random.default_rng(20240229)))
    expected = predictor.raw(cohort)
    found = onnx_answer(Session(data), cohort)
    off = float(np.max(np.abs(found.value - expected.value) / np.maximum(1.0, np.abs(expected.value)), initial=0.0))
    if not off <= TOLERANCE:
        raise InternalError(
            f"the ONNX model differs from Python by {off:.1e} on made-up rows, more than {TOLERANCE:g}: report it"
        )
    return data


def onnx_answer(session: Session, cohort: Cohort) -> Prediction:
    """What an exported model answers for the rows of a cohort; columns that the cohort lacks are missing."""
    kinds = {c["name"]: c["modality"] for c in json.loads(session.facts["columns"])}
    out = session.run(onnx_inputs(cohort, kinds))
    if "survival" in out:
        return Prediction(out["survival"], np.array(json.loads(session.facts["times"])))
    return Prediction(out["probabilities"] if "probabilities" in out else out["mean"])


def onnx_inputs(cohort: Cohort, kinds: dict[str, str]) -> dict[str, np.ndarray]:
    """Columns as an exported model takes them.

    Args:
        kinds: column → modality; numbers and booleans become doubles, dates days since 1970-01-01, categories texts.

    Returns:
        (n,) float64 with NaN, or (n,) texts with "" where missing, per column.
    """
    held = {c.name: c for c in cohort.columns}
    made = {}
    for name, modality in kinds.items():
        values = cohort.table[name] if name in held else pl.Series(name, [None] * len(cohort), dtype=pl.String)
        made[name] = _onnx_input(values, modality, held.get(name))
    return made


def _onnx_input(values: pl.Series, modality: str, column: Column | None) -> np.ndarray:
    options = column.options if column else {}
    if modality == "number":
        return floats(values, str(options.get("decimal", ".")))
    if modality == "boolean":
        return zero_one(values, [str(options.get("positive", ""))], [str(options.get("negative", ""))])
    if modality == "date":
        formats = list(options.get("formats", ())) or (dates.formats_of(values)[0] if values.dtype == pl.String else [])
        when = dates.parse(values, formats)
        return np.array(when.dt.epoch("us").cast(pl.Float64).to_numpy(), dtype=np.float64) / _DAY
    from osler.modalities.category import texts

    return np.array([t or "" for t in texts(values).to_list()], dtype=object)


def probes(predictor: Predictor, rng: np.random.Generator, n: int = PROBES) -> list[dict[str, Any]]:
    """Made-up rows that reach every part of a predictor: numbers inside and outside the ranges of training, every
    level, new words, impossible values, and missing cells.
    """
    columns: dict[str, list[Any]] = {}
    for column in predictor.inputs:
        state = predictor.states[column.name]["state"]
        kind = predictor.states[column.name]["modality"]
        if kind == "number":
            low, high = state["min"] or 0.0, state["max"] or 1.0
            values = rng.uniform(low - 0.2 * (high - low), high + 0.2 * (high - low), n).tolist()
            far = [low - 3 * (high - low), high + 3 * (high - low)]
            knots = [*far, *state["knots"], *map(float, state["missing_codes"]), *map(float, state["possible"]), 0.0]
            values[: len(knots)] = knots[:n]
        elif kind == "boolean":
            values = rng.choice([True, False], n).tolist()
        elif kind == "date":
            days = rng.integers(-30_000, 60_000, n).astype("datetime64[D]")
            values = [str(d) for d in days]
        else:
            values = rng.choice([*state.get("levels", ["a"]), "a new word", "UNKNOWN", "12345"], n).tolist()
        rng.shuffle(values)
        lost = rng.random(n) < 0.15
        columns[column.name] = [None if gone else v for v, gone in zip(values, lost)]
    return [{name: values[i] for name, values in columns.items()} for i in range(n)]


# -- MLflow ------------------------------------------------------------------------------------------------------------


def _write_mlflow(predictor: Predictor, home: Path, out: Path) -> Path:
    """An MLflow model folder: our own predictor inside, read by `osler.engine.mlflow_flavor`; no pickle anywhere."""
    import yaml

    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "MLmodel").is_file())):
        raise OptionError(
            f"out must be a new folder or an earlier MLflow model, '{out.name}' holds something else: name another"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.with_name(f".{out.name}.partial-{secrets.token_hex(4)}")
    inside = work / "predictor"
    inside.mkdir(parents=True, mode=0o700)
    unseal(home)
    for name in (*MEMBERS, "manifest.json", "manifest.sha256"):
        if (home / name).is_file():
            shutil.copyfile(home / name, inside / name)
    version, python = _own_version(), platform.python_version()
    need = f"osler=={version}"
    python_env = {"python": python, "dependencies": ["-r requirements.txt"]}
    conda = {
        "name": "osler",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": [need, "mlflow"]}],
    }
    with whole_folder(out, work):
        write_atomic(work / "requirements.txt", f"mlflow\n{need}\n".encode())
        write_atomic(work / "python_env.yaml", yaml.safe_dump(python_env, sort_keys=False).encode())
        write_atomic(work / "conda.yaml", yaml.safe_dump(conda, sort_keys=False).encode())
        write_atomic(work / "MLmodel", yaml.safe_dump(_mlmodel(predictor, version, python), sort_keys=False).encode())
    return out


def _mlmodel(predictor: Predictor, version: str, python: str) -> dict[str, Any]:
    kinds = {"number": "double", "boolean": "boolean", "category": "string", "date": "string", "text": "string"}
    inputs = [{"name": c.name, "type": kinds[c.modality], "required": False} for c in predictor.inputs]
    empty = predictor.predict(rows_cohort(predictor, [{}]))
    types = {pl.Float64: "double", pl.Boolean: "boolean", pl.String: "string"}
    outputs = [
        {"name": c.name, "type": types[type(empty.table[c.name].dtype)], "required": False}
        for c in empty.role("prediction")
    ]
    return {
        "flavors": {
            "python_function": {
                "loader_module": "osler.engine.mlflow_flavor", "data": "predictor", "python_version": python,
                "env": {"virtualenv": "python_env.yaml", "conda": "conda.yaml"},
            },
            "osler": {"osler_version": version, "predictor": "predictor", "task": predictor.task},
        },
        "model_uuid": secrets.token_hex(16),
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None},
    }  # fmt: skip


def _own_version() -> str:
    from importlib.metadata import version

    return version("osler")
