"""A killed training goes on to the same bytes; a checkpoint that is broken or of another question is not used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osler.adapters import tensors
from osler.errors import PredictorError
from osler.models.neural.assembly import Extras
from osler.models.neural.checkpoint import FILE, Checkpoint, fingerprint
from osler.models.neural.tabular import MLP, MLPOptions
from tests.models.neural.training_killed import digest, rows, train

ROOT = Path(__file__).parents[3]
SCRIPT = ["-m", "tests.models.neural.training_killed"]


@pytest.fixture(scope="module")
def uninterrupted() -> str:
    """What a training gives that nobody stops."""
    return digest(train(None))


def kill_after(folder: Path, line: str) -> None:
    """Start a real training process and kill -9 it once it has printed this line."""
    process = subprocess.Popen([sys.executable, *SCRIPT, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for printed in process.stdout:
        if printed.strip() == line:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL, f"the training ended before it printed '{line}'"


@pytest.mark.parametrize("line", ["0 4", "1 3"])
def test_a_training_killed_in_either_member_goes_on_to_the_same_bytes(tmp_path, uninterrupted, line, capsys):
    kill_after(tmp_path, line)
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == [FILE]
    capsys.readouterr()
    params = train(tmp_path)
    first = capsys.readouterr().out.split("\n")[0]
    member, epoch = (int(t) for t in line.split())
    assert first in (f"{member} {epoch}", f"{member} {epoch + 1}"), "it went on, it did not start again"
    assert digest(params) == uninterrupted


def test_a_finished_training_is_not_done_twice_and_clear_forgets_it(tmp_path, uninterrupted, capsys):
    train(tmp_path)
    capsys.readouterr()
    assert digest(train(tmp_path)) == uninterrupted
    assert capsys.readouterr().out == ""
    Checkpoint(tmp_path).clear()
    assert list(tmp_path.iterdir()) == []
    Checkpoint(tmp_path).clear()


@pytest.mark.parametrize("change", ["seed", "option", "target"])
def test_a_checkpoint_of_another_question_is_not_used(tmp_path, change):
    options = MLPOptions(width=8, members=1, epochs=2)
    base = rows()
    kept = Checkpoint(tmp_path, 0.0)
    MLP(options, Extras(checkpoint=kept)).fit(base, np.random.default_rng(0))
    if change == "target":
        base = replace(base, target=replace(base.target, y=1 - base.target.y))
    options = replace(options, dropout=0.4) if change == "option" else options
    seed = 1 if change == "seed" else 0
    seen: list[dict] = []
    again = MLP(options, Extras(checkpoint=kept, progress=seen.append)).fit(base, np.random.default_rng(seed))
    assert len(seen) == 2
    assert digest(again) == digest(MLP(options).fit(base, np.random.default_rng(seed)))


def test_a_broken_checkpoint_does_not_stop_a_training(tmp_path):
    options, kept = MLPOptions(width=8, members=1, epochs=1), Checkpoint(tmp_path, 0.0)
    params = MLP(options, Extras(checkpoint=kept)).fit(rows(), np.random.default_rng(0))
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = MLP(options, Extras(checkpoint=kept)).fit(rows(), np.random.default_rng(0))
    assert digest(again) == digest(params)


def test_arrays_and_json_come_back_as_they_were_written(tmp_path, rng):
    arrays = {
        "a/b": rng.normal(size=(2, 3)).astype(np.float32),
        "empty": np.zeros((0, 4)),
        "n": np.array([1, 2], dtype=np.uint8),
    }
    meta = {"big": 2**127 + 1, "text": "Größe", "none": None}
    read, told = tensors.read(tensors.write(tmp_path / "x.safetensors", arrays, meta))
    assert told == meta
    for key, value in arrays.items():
        assert read[key].dtype == value.dtype
        np.testing.assert_array_equal(read[key], value)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"], "no temporary file is left"


@pytest.mark.parametrize("data", [b"", b"not a tensor file", b"\x80\x04\x95pickle"])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, data):
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(PredictorError, match=r"'w\.safetensors'"):
        tensors.read(tmp_path / "w.safetensors")


def test_the_fingerprint_sees_values_shapes_types_and_names():
    base = fingerprint({"a": 1}, {"x": np.zeros(4)})
    others = [
        fingerprint({"a": 2}, {"x": np.zeros(4)}), fingerprint({"a": 1}, {"y": np.zeros(4)}),
        fingerprint({"a": 1}, {"x": np.zeros((2, 2))}), fingerprint({"a": 1}, {"x": np.zeros(4, dtype=np.int64)}),
        fingerprint({"a": 1}, {"x": np.array([0.0, 0, 0, 1])}),
    ]  # fmt: skip
    assert len({base, *others}) == 6
    assert fingerprint({"a": 1}, {"x": np.zeros(4)}) == base
