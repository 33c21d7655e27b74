"""One parity test over the estimators: what must not matter does not, and whole params survive JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from osler import models
from osler.blocks import dense
from osler.models.base import Encoded, Params
from osler.registry import load
from tests.models.tables import table

QUICK = {
    "linear": ("regression",), "logistic": ("binary", "multiclass", "multilabel"), "elastic": ("binary", "regression"),
    "tree": ("binary", "regression"), "forest": ("binary",), "boosting": ("binary", "regression"), "cox": ("survival",), "svm": ("binary",),
}  # fmt: skip
CASES = [(name, kind) for name, kinds in QUICK.items() if name in models.INDEX for kind in kinds]
#: Models that see a number only through comparisons or after standardising it.
UNITLESS = [(name, kind) for name, kind in CASES if name not in ("boosting",)]
_FITTED: dict[tuple[str, str], tuple[Encoded, Params, np.ndarray]] = {}


def fit(name: str, data: Encoded, seed: int = 0) -> Params:
    return load(models.INDEX, "models", name)().fit(data, np.random.default_rng(seed))


def answers(name: str, params: Params, data: Encoded) -> np.ndarray:
    return load(models.INDEX, "models", name)().predict(params, data.blocks).value


def fitted(name: str, kind: str) -> tuple[Encoded, Params, np.ndarray]:
    if (name, kind) not in _FITTED:
        data = table(kind, 120)
        params = fit(name, data)
        _FITTED[name, kind] = data, params, answers(name, params, data)
    return _FITTED[name, kind]


def test_the_cases_are_models_that_exist() -> None:
    assert len(CASES) >= 8


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_answers_have_the_shape_of_their_kind(name: str, kind: str) -> None:
    data, _, value = fitted(name, kind)
    assert value.shape[0] == len(data)
    assert np.isfinite(value).all()
    if kind in ("binary", "multiclass"):
        np.testing.assert_allclose(value.sum(axis=1), 1.0)
    if kind != "regression":
        assert (value >= 0).all()
        assert (value <= 1).all()
    if kind == "survival":
        assert (np.diff(value, axis=1) <= 1e-12).all()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_params_are_json_and_arrays(name: str, kind: str) -> None:
    data, params, value = fitted(name, kind)
    again = Params(json.loads(json.dumps(params.meta)), {k: v.copy() for k, v in params.arrays.items()})
    np.testing.assert_array_equal(answers(name, again, data), value)
    assert all(v.dtype.kind in "biuf" for v in params.arrays.values())


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_row_is_answered_by_itself(name: str, kind: str) -> None:
    data, params, value = fitted(name, kind)
    rows = np.array([7, 3, 3, 100])
    np.testing.assert_allclose(answers(name, params, data.take(rows)), value[rows], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_one_seed_one_model(name: str, kind: str) -> None:
    data, _, value = fitted(name, kind)
    np.testing.assert_array_equal(answers(name, fit(name, data), data), value)


@pytest.mark.parametrize(("name", "kind"), UNITLESS)
def test_the_unit_of_a_number_does_not_matter(name: str, kind: str) -> None:
    """A power of two keeps every bit of every number."""
    data, _, value = fitted(name, kind)
    scaled = replace(
        data, blocks={k: dense(b.values * 1024.0, b.names) if k == "x1" else b for k, b in data.blocks.items()}
    )
    np.testing.assert_allclose(answers(name, fit(name, scaled), scaled), value, atol=1e-4)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_names_of_columns_do_not_matter(name: str, kind: str) -> None:
    data, _, value = fitted(name, kind)
    renamed = replace(data, blocks={f"other {k}": replace(b, names=(f"other {k}",)) for k, b in data.blocks.items()})
    np.testing.assert_allclose(answers(name, fit(name, renamed), renamed), value, atol=1e-9)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_row_of_missing_values_is_answered(name: str, kind: str) -> None:
    data, params, _ = fitted(name, kind)
    empty = {
        k: replace(b.take(np.array([0])), arrays={"values": np.full((1, 1), np.nan)}, present=np.array([False]))
        for k, b in data.blocks.items()
    }
    value = load(models.INDEX, "models", name)().predict(params, empty).value
    assert np.isfinite(value).all()


@pytest.mark.parametrize(("name", "kind"), [c for c in CASES if c[1] in ("binary", "regression")])
def test_the_signal_is_found(name: str, kind: str) -> None:
    _data, params, _ = fitted(name, kind)
    new = table(kind, 400, seed=9, missing=0.0)
    got, true = answers(name, params, new)[:, -1], new.target.y
    assert np.corrcoef(got, true)[0, 1] > 0.35
