"""Every estimator of INDEX through its contract: plain params, the same answers anywhere, whatever is missing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from osler import models
from osler.models.base import Encoded, Params
from tests.models.tables import table

#: Options that keep an estimator quick here.
QUICK = {
    "forest": "n_trees=20",
    "boosting": "rounds=20",
    "ebm": "bags=2,max_rounds=40",
    "elastic": "steps=8",
}

#: Tested with what they need by their own tests: they work on several estimators or on other layouts.
ELSEWHERE = {"affinity", "affinity_network", "ensemble", "fusion", "pls", "network", "cnn", "dmpnn", "smiles_rnn", "pretrained"}


def present(name: str) -> bool:
    """Whether the module of an INDEX entry is in this checkout."""
    module = models.INDEX[name].partition(":")[0]
    return importlib.util.find_spec(module) is not None


def cases() -> list[tuple[str, str]]:
    """(estimator, task kind) of every pair in INDEX whose module is there."""
    found = []
    for name in sorted(set(models.INDEX) - ELSEWHERE):
        if present(name):
            found += [(name, kind) for kind in sorted(get(name).answers)]
    return found


def get(name: str) -> models.Estimator:
    """The estimator with quick options."""
    return models.get(f"{name}:{QUICK.get(name, '')}")


def saved(params: Params, folder: Path) -> Params:
    """Params written as JSON and npz and read back."""
    (folder / "meta.json").write_text(json.dumps(params.meta, allow_nan=False), encoding="utf-8")
    np.savez(folder / "arrays.npz", **{k.replace("/", "|"): v for k, v in params.arrays.items()})
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        loaded = {k.replace("|", "/"): arrays[k] for k in arrays.files}
    return Params(json.loads((folder / "meta.json").read_text(encoding="utf-8")), loaded)


_FITTED: dict[tuple[str, str], tuple[Encoded, Params]] = {}


def fitted(name: str, kind: str) -> tuple[Encoded, Params]:
    """A small table and the params learnt from it, once per process."""
    if (name, kind) not in _FITTED:
        data = table(kind)
        _FITTED[name, kind] = (data, get(name).fit(data, np.random.default_rng(11)))
    return _FITTED[name, kind]


@pytest.mark.parametrize(("name", "kind"), cases())
def test_params_are_plain_and_survive_saving(name, kind, tmp_path):
    data, params = fitted(name, kind)
    assert all(a.dtype.kind in "biuf" for a in params.arrays.values())
    before = get(name).predict(params, data.blocks)
    after = get(name).predict(saved(params, tmp_path), data.blocks)
    assert np.array_equal(before.value, after.value)


@pytest.mark.parametrize(("name", "kind"), cases())
def test_prediction_has_the_shape_of_its_task(name, kind):
    data, params = fitted(name, kind)
    prediction = get(name).predict(params, data.blocks)
    value = prediction.value
    assert value.shape[0] == len(data)
    assert np.isfinite(value).all()
    if kind == "survival":
        assert value.shape[1] == len(prediction.times)
        assert np.all(np.diff(prediction.times) > 0)
        assert np.all(np.diff(value, axis=1) <= 1e-9)
    else:
        assert value.shape[1] == data.target.n_outputs
    if kind != "regression":
        assert value.min() >= 0
        assert value.max() <= 1
    if kind in ("binary", "multiclass"):
        assert np.allclose(value.sum(axis=1), 1.0)


@pytest.mark.parametrize(("name", "kind"), cases())
def test_prediction_is_row_wise(name, kind):
    data, params = fitted(name, kind)
    model = get(name)
    every = model.predict(params, data.blocks).value
    rows = np.random.default_rng(0).permutation(len(data))[:40]
    close = 1e-6 if name == "mlp" else 1e-12
    assert model.predict(params, data.take(rows).blocks).value == pytest.approx(every[rows], abs=close)
    one = np.array([7])
    assert model.predict(params, data.take(one).blocks).value == pytest.approx(every[one], abs=close)


@pytest.mark.parametrize(("name", "kind"), cases())
def test_missing_cells_and_rows_are_answered(name, kind):
    data, params = fitted(name, kind)
    blocks = data.take(np.arange(3)).blocks
    for block in blocks.values():
        block.values[:] = np.nan
        block.present[:] = False
    value = get(name).predict(params, blocks).value
    assert np.isfinite(value).all()
    assert value[0] == pytest.approx(value[1])


@pytest.mark.parametrize(("name", "kind"), cases())
def test_the_same_seed_gives_the_same_bytes(name, kind):
    _data, params = fitted(name, kind)
    again = get(name).fit(table(kind), np.random.default_rng(11))
    assert json.dumps(again.meta) == json.dumps(params.meta)
    assert {k: v.tobytes() for k, v in again.arrays.items()} == {k: v.tobytes() for k, v in params.arrays.items()}


@pytest.mark.parametrize(("name", "kind"), cases())
def test_it_learns_the_signal(name, kind):
    _, params = fitted(name, kind)
    fresh = table(kind, seed=21)
    prediction = get(name).predict(params, fresh.blocks)
    if kind == "survival":
        assert np.corrcoef(prediction.risk, fresh.target.y)[0, 1] < -0.1
        return
    y = np.nan_to_num(fresh.target.y if kind != "multilabel" else fresh.target.y[:, 0])
    score = prediction.value[:, 0] if kind == "multilabel" else prediction.value[:, -1]
    assert np.corrcoef(score, y)[0, 1] > 0.3


SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from osler import models
from osler.models.base import Params
from tests.models.tables import table
name, folder = sys.argv[1], Path(sys.argv[2])
with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
    loaded = {k.replace("|", "/"): arrays[k] for k in arrays.files}
params = Params(json.loads((folder / "meta.json").read_text()), loaded)
kind = sys.argv[3]
model = models.get(name)
value = model.predict(params, table(kind).blocks).value
np.save(folder / "value.npy", value)
print(",".join(m for m in ("sklearn", "interpret") if m in sys.modules))
"""


@pytest.mark.parametrize("name", ["logistic", "spline", "svm", "tree", "forest", "boosting", "ebm"])
def test_a_fresh_process_gives_the_same_numbers_without_what_fitted_them(name, tmp_path):
    data, params = fitted(name, "binary")
    saved(params, tmp_path)
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    command = [sys.executable, "-c", SCRIPT, name, str(tmp_path), "binary"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    value = get(name).predict(params, data.blocks).value
    assert np.array_equal(np.load(tmp_path / "value.npy"), value)
    if name != "boosting":  # LightGBM imports scikit-learn for its own classes
        assert done.stdout.strip() == ""


def test_every_index_entry_has_a_page():
    pages = Path(__file__).parents[2] / "docs" / "reference" / "models"
    lacking = [name for name in models.INDEX if present(name) and not (pages / f"{name}.md").is_file()]
    assert lacking == []
