"""One fit, four doors: the same rows of a real table get the same probabilities from the command line, Python, HTTP and ONNX."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import osler
from osler.adapters.onnx_session import Session
from osler.catalogue import path as data_path
from osler.engine.deploy import onnx_answer
from tests.service.conftest import Start

COLUMNS = ["num_prob_<=0", "num_prob_>0"]


def cli(*words: str | Path) -> str:
    """Run a command of Osler as a person would; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "osler", *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def heart(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run on the first 283 patients of Cleveland, and the file of the other 20, some cells missing or new."""
    place = tmp_path_factory.mktemp("heart")
    table = pl.read_csv(data_path("heart_cleveland"), infer_schema_length=None)
    table.head(-20).write_csv(place / "known.csv")
    new = table.tail(20).with_columns(
        pl.when(pl.int_range(20) == 3).then(None).otherwise("chol").alias("chol"),
        pl.when(pl.int_range(20) == 7).then(None).otherwise("thal").alias("thal"),
    )
    new.drop("num").write_csv(place / "new.csv")
    osler.fit(place / "known.csv", place / "run", target="num", positive=">0", model=("logistic",), folds=2, repeats=1,
              boot=200, explain=False, workers=1, silent=True)  # fmt: skip
    return place / "run", place / "new.csv"


@pytest.fixture(scope="module")
def by_command(heart: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """What `osler predict` writes."""
    out = tmp_path_factory.mktemp("answers") / "answers.csv"
    cli("predict", *heart, "--out", out)
    return pl.read_csv(out)


def test_python_says_what_the_command_line_says(heart: tuple[Path, Path], by_command: pl.DataFrame):
    answered = osler.predict(*heart).table
    assert by_command.height == answered.height == 20
    shares = by_command.select(COLUMNS).to_numpy()
    assert np.abs(shares.sum(axis=1) - 1).max() <= 1e-9
    assert np.ptp(shares[:, 1]) > 0.3
    assert np.abs(shares - answered.select(COLUMNS).to_numpy()).max() <= 1e-6
    assert by_command["num_pred"].cast(pl.String).to_list() == answered["num_pred"].cast(pl.String).to_list()


def test_the_service_says_what_the_command_line_says(heart: tuple[Path, Path], by_command: pl.DataFrame, start: Start):
    server = start(heart[0])
    rows = pl.read_csv(heart[1], infer_schema_length=None).to_dicts()
    with server.client() as client:
        answer = client.post("/predict", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    served = [[one[c] for c in COLUMNS] for one in answer.json()["predictions"]]
    assert np.abs(by_command.select(COLUMNS).to_numpy() - np.array(served)).max() <= 1e-6


def test_the_exported_file_says_what_the_command_line_says(
    heart: tuple[Path, Path], by_command: pl.DataFrame, tmp_path: Path
):
    cli("export", heart[0], "--format", "onnx", "--out", tmp_path / "heart.onnx")
    cohort = osler.predict(*heart)
    exported = onnx_answer(Session((tmp_path / "heart.onnx").read_bytes()), cohort)
    assert np.abs(by_command.select(COLUMNS).to_numpy() - exported.value).max() <= 1e-6
