"""The network for tables: every kind of target, missing cells, unseen codes, warm start, export, real data."""

from __future__ import annotations

import gzip
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler import models
from osler.blocks import dense
from osler.cohort.split import stratified_group_folds
from osler.errors import MissingExtraError, OptionError
from osler.models.base import Encoded, Params
from osler.models.neural.assembly import Extras, branches_of
from osler.models.neural.layers import layers
from osler.models.neural.network import Network, NetworkOptions
from osler.models.neural.tabular import MLP, MLPOptions
from osler.tasks.base import Target
from tests.models.neural.planted_blocks import auroc, binary, numbers, order_sequences

QUICK = MLPOptions(width=32, members=1, epochs=25, patience=8, batch_size=64, learning_rate=0.008)


def codes(values: np.ndarray, n_levels: int, name: str = "code") -> object:
    """A dense block of one categorical feature."""
    return dense(
        values[:, None].astype(float), [name], kinds=["categorical"], levels=[[f"l{i}" for i in range(n_levels)]]
    )


def rows_of(blocks: dict, kind: str, y: np.ndarray, n_classes: int = 0, **more: object) -> Encoded:
    """Rows with a target of any kind."""
    target = Target(kind, ("t",), y, classes=tuple(f"c{i}" for i in range(n_classes)), **more)
    return Encoded(blocks, target, np.arange(len(y)))


def fitted(rows: Encoded, options: MLPOptions = QUICK) -> tuple[Params, np.ndarray]:
    """Trained on the first two thirds, its answer for the last third."""
    n = len(rows) * 2 // 3
    model = MLP(options)
    params = model.fit(rows.take(np.arange(n)), np.random.default_rng(0))
    return params, model.predict(params, rows.take(np.arange(n, len(rows))).blocks).value


# -- targets --------------------------------------------------------------------------------------------------------


def test_a_number_that_bends_is_predicted_in_its_own_units(rng):
    x = rng.uniform(-3, 3, (600, 2))
    y = 500 + 100 * np.abs(x[:, 0]) + rng.normal(0, 10, 600)
    _, value = fitted(rows_of({"lab": numbers(x)}, "regression", y))
    assert value.shape == (200, 1)
    assert 1 - ((value[:, 0] - y[400:]) ** 2).mean() / y[400:].var() > 0.9


def test_three_classes_in_rings_are_told_apart(rng):
    x = rng.normal(size=(600, 2))
    y = np.digitize(np.hypot(*x.T), [0.8, 1.5])
    _, value = fitted(rows_of({"lab": numbers(x)}, "multiclass", y, 3))
    np.testing.assert_allclose(value.sum(axis=1), 1.0, atol=1e-12)
    assert (value.argmax(axis=1) == y[400:]).mean() > 0.85


def test_labels_are_learnt_from_the_rows_where_they_were_assessed(rng):
    x = rng.normal(size=(450, 2))
    y = (x > 0).astype(float)
    y[rng.random((450, 2)) < 0.5] = np.nan
    _, value = fitted(rows_of({"lab": numbers(x)}, "multilabel", y, 2))
    for label in range(2):
        assert auroc((x[300:, label] > 0).astype(int), value[:, label]) > 0.95


def test_survival_curves_fall_and_order_rows_by_risk(rng):
    x = rng.normal(size=(600, 1))
    time, censored = rng.exponential(np.exp(-x[:, 0])), rng.exponential(2.0, 600)
    rows = rows_of({"lab": numbers(x)}, "survival", np.minimum(time, censored), event=time <= censored, horizon=0.5)
    options = replace(QUICK, learning_rate=0.003, dropout=0.0, epochs=40, patience=15)
    params = MLP(options).fit(rows, np.random.default_rng(0))
    answer = MLP(options).predict(params, {"lab": numbers(np.array([[-1.5], [0.0], [1.5]]))})
    assert (np.diff(answer.value, axis=1) <= 0).all()
    assert (np.diff(answer.risk) > 0).all()
    truth = 1 - np.exp(-0.5 * np.exp([-1.5, 0.0, 1.5]))
    np.testing.assert_allclose(answer.event_probability(0.5), truth, atol=0.1)


# -- cells ----------------------------------------------------------------------------------------------------------


def test_that_a_number_is_missing_can_be_the_signal(rng):
    x = rng.normal(size=(450, 2))
    y = rng.integers(0, 2, 450)
    x[(y == 1) & (rng.random(450) < 0.9), 0] = np.nan
    _, value = fitted(binary({"lab": numbers(x)}, y))
    gone = np.isnan(x[300:, 0])
    assert value[gone, 1].min() > 0.95
    assert 0.03 < value[~gone, 1].mean() < 0.2, "one in eleven of these is a yes"


def test_codes_and_missing_codes_are_learnt_and_an_unknown_code_is_the_last_level(rng):
    code = rng.integers(0, 4, 600)
    y = (rng.random(600) < np.where(code % 2, 0.9, 0.1)).astype(int)
    given = np.where(rng.random(600) < 0.25, np.nan, code)
    model = MLP(QUICK)
    params = model.fit(binary({"code": codes(given, 6)}, y), np.random.default_rng(0))
    p = model.predict(params, {"code": codes(np.array([0, 1, 2, 3, 5, 99, np.nan]), 6)}).value[:, 1]
    assert (p[[1, 3]] > 0.75).all()
    assert (p[[0, 2]] < 0.25).all()
    assert p[4] == p[5], "a code beyond the levels is the last level"
    assert 0.3 < p[6] < 0.7


def test_constant_empty_and_absent_features_do_no_harm(rng):
    n = 150
    x = np.column_stack([rng.normal(size=n), np.full(n, 7.0), np.full(n, np.nan)])
    rows = binary({"lab": numbers(x), "none": dense(np.zeros((n, 0)), [])}, (x[:, 0] > 0).astype(int))
    params, value = fitted(rows)
    assert auroc(rows.target.y[100:], value[:, 1]) > 0.9
    far = numbers(np.array([[1e9, -1e9, 3.0], [np.nan, np.nan, np.nan]]))
    assert np.isfinite(MLP(QUICK).predict(params, {"lab": far}).value).all()


def test_a_wide_table_enters_without_bins(rng):
    x = rng.normal(size=(240, 600))
    rows = binary({"expression": numbers(x)}, (x[:, :20].sum(axis=1) > 0).astype(int))
    params, value = fitted(rows, replace(QUICK, members=1, epochs=15))
    assert branches_of(params)[0].spec["bins"] == 0
    assert auroc(rows.target.y[160:], value[:, 1]) > 0.6


# -- warm start -----------------------------------------------------------------------------------------------------


def test_a_warm_start_takes_over_scales_and_encoders_of_columns_of_the_same_shape(rng):
    sequence, y = order_sequences(200, rng)
    lab = numbers(rng.normal(size=(200, 2)))
    options = NetworkOptions(width=32, epochs=15, learning_rate=0.004, dropout=0.0, batch_size=32)
    source = Network(options).fit(binary({"visits": sequence, "lab": lab}, y), np.random.default_rng(0))
    wider = numbers(rng.normal(size=(60, 3)) * 9)
    fresh, answer = order_sequences(60, rng)
    rows = binary({"lab": wider, "visits": fresh}, answer)
    few = replace(options, epochs=1, learning_rate=1e-6)
    model = Network(few, Extras(init=source))
    params = model.fit(rows, np.random.default_rng(1))
    assert params.meta["warm_start"] == ["visits"], "the table has another shape now"
    mine = {k: v for k, v in params.arrays.items() if k.startswith("member0/encoders.1.")}
    assert len(mine) == 8
    for key, value in mine.items():
        np.testing.assert_allclose(value, source.arrays[key.replace(".1.", f".{1}.")], atol=1e-4)
    np.testing.assert_array_equal(params.arrays["branch1/values_center"], source.arrays["branch1/values_center"])
    other = Network(replace(few, width=16), Extras(init=source)).fit(rows, np.random.default_rng(1))
    assert other.meta["warm_start"] == []
    with pytest.raises(OptionError, match="init must be the params of a network"):
        Network(few, Extras(init=Params({"coefficients": []}))).fit(rows, rng)


# -- plain operations -----------------------------------------------------------------------------------------------


def onnx_model(description: dict) -> bytes:
    """The description as an ONNX file."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    types = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64}
    nodes = []
    for node in description["nodes"]:
        attributes = dict(node["attributes"])
        if node["op"] == "Cast":
            attributes["to"] = types[attributes["to"]]
        nodes.append(helper.make_node(node["op"], node["inputs"], [node["output"]], **attributes))
    inputs = [
        helper.make_tensor_value_info(i["name"], TensorProto.DOUBLE, ["n", i["features"]])
        for i in description["inputs"]
    ]
    outputs = [helper.make_tensor_value_info(description["output"], TensorProto.DOUBLE, ["n", None])]
    arrays = [numpy_helper.from_array(v, k) for k, v in description["arrays"].items()]
    graph = helper.make_graph(nodes, "network", inputs, outputs, arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression", "survival"])
def test_the_plain_operations_give_the_same_answer_in_onnx_runtime(rng, kind):
    runtime = pytest.importorskip("onnxruntime")
    n = 120
    x = rng.normal(50, 10, (n, 3))
    x[rng.random((n, 3)) < 0.2] = np.nan
    code = np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 4, n))
    blocks = {"lab": numbers(x), "code": codes(code, 5)}
    blocks = (
        {"code": blocks["code"]} if kind == "multilabel" else {"lab": blocks["lab"]} if kind == "survival" else blocks
    )
    y = {
        "binary": rng.integers(0, 2, n), "multiclass": rng.integers(0, 3, n), "regression": rng.normal(size=n),
        "multilabel": rng.integers(0, 2, (n, 2)).astype(float), "survival": rng.exponential(1.0, n),
    }[kind]  # fmt: skip
    event = rng.random(n) < 0.8 if kind == "survival" else None
    rows = rows_of(blocks, kind, y, {"binary": 2, "multiclass": 3, "multilabel": 2}.get(kind, 0), event=event)
    options = replace(QUICK, members=2, epochs=2, class_weight="balanced" if kind == "binary" else "none")
    params = MLP(options).fit(rows, np.random.default_rng(0))
    description = layers(params)
    session = runtime.InferenceSession(onnx_model(description), providers=["CPUExecutionProvider"])
    (value,) = session.run(None, {name: b.values for name, b in blocks.items()})
    answer = MLP(options).predict(params, blocks)
    np.testing.assert_allclose(value, answer.value, atol=1e-6)
    assert description["times"] == ([] if answer.times is None else answer.times.tolist())


def test_a_network_of_other_columns_has_no_plain_operations(rng):
    sequence, y = order_sequences(30, rng)
    params = Network(NetworkOptions(width=16, epochs=1)).fit(binary({"visits": sequence}, y), rng)
    with pytest.raises(OptionError, match=r"'visits' \(sequence\)"):
        layers(params)


# -- the door -------------------------------------------------------------------------------------------------------


def test_options_come_from_text_and_nothing_loads_torch_before_fit():
    code = (
        "import sys; from osler import models; m = models.get('mlp:depth=3,members=2'); "
        "assert (m.options.depth, m.options.members) == (3, 2); n = models.get('network:fusion=gated,joined=no'); "
        "assert n.options.joined is False; assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", ["mlp", "network"])
def test_without_torch_the_extra_is_named(monkeypatch, rng, name):
    monkeypatch.setitem(sys.modules, "torch", None)
    model = models.get(name)
    rows = binary({"lab": numbers(rng.normal(size=(20, 1)))}, np.arange(20) % 2)
    with pytest.raises(MissingExtraError, match=r"osler\[neural\]"):
        model.fit(rows, rng)
    with pytest.raises(MissingExtraError, match=r"osler\[neural\]"):
        model.predict(Params(), rows.blocks)


def test_params_are_json_and_plain_arrays_that_a_new_process_predicts_from(tmp_path, rng):
    from osler.adapters import tensors

    rows = binary({"lab": numbers(rng.normal(size=(60, 2)))}, np.arange(60) % 2)
    params = MLP(replace(QUICK, epochs=2)).fit(rows, rng)
    tensors.write(tmp_path / "p.safetensors", params.arrays, params.meta)
    np.save(tmp_path / "x.npy", rows.blocks["lab"].values)
    code = (
        "import sys, numpy as np; from osler import models; from osler.adapters import tensors; "
        "from osler.blocks import dense; "
        "folder = sys.argv[1]; arrays, meta = tensors.read(folder + '/p.safetensors'); x = np.load(folder + '/x.npy'); "
        "p = models.get('mlp').predict(models.Params(meta, arrays), {'lab': dense(x, ['x0', 'x1'])}); "
        "np.save(folder + '/p.npy', p.value)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), MLP(QUICK).predict(params, rows.blocks).value)


# -- real data ------------------------------------------------------------------------------------------------------


def heart(mirror: Path) -> tuple[dict, np.ndarray]:
    """UCI heart disease, Cleveland: 13 columns, four of them codes; disease yes or no."""
    with gzip.open(mirror / "clinical" / "heart_cleveland.csv.gz") as file:
        table = pl.read_csv(file.read(), null_values=["?", "NA", ""]).cast(pl.Float64)
    blocks = {}
    for name in table.columns[:-1]:
        values = table[name].to_numpy().astype(float)
        if name in ("cp", "restecg", "slope", "thal"):
            known = np.unique(values[~np.isnan(values)])
            at = np.where(np.isnan(values), np.nan, np.searchsorted(known, values))
            blocks[name] = codes(at, len(known) + 1, name)
        else:
            blocks[name] = dense(values[:, None], [name])
    return blocks, (table["num"].to_numpy() > 0).astype(int)


def test_cleveland_is_learnt_as_well_as_by_other_good_models(mirror):
    """A logistic model gets 0.914 and a random forest 0.910 in repeated cross-validation."""
    blocks, y = heart(mirror)
    rows = binary(blocks, y)
    folds = stratified_group_folds(rows.groups, y, 5, np.random.default_rng(0))
    model, each = MLP(MLPOptions(members=3)), []
    for k in range(5):
        train, test = rows.take(folds != k), rows.take(folds == k)
        params = model.fit(train, np.random.default_rng(k))
        each.append(auroc(test.target.y, model.predict(params, test.blocks).value[:, 1]))
    assert np.mean(each) >= 0.90


def test_breast_cancer_survival_is_ordered(rng):
    """GBSG2 (Schumacher et al. 1994): a Cox model gets a C-index near 0.68."""
    load = pytest.importorskip("lifelines.datasets")
    concordance = pytest.importorskip("lifelines.utils").concordance_index
    frame = load.load_gbsg2()
    blocks = {c: numbers(frame[[c]].to_numpy(dtype=float)) for c in ("age", "estrec", "pnodes", "progrec", "tsize")}
    for name in ("horTh", "menostat", "tgrade"):
        levels, at = np.unique(frame[name].astype(str).to_numpy(), return_inverse=True)
        blocks[name] = codes(at, len(levels) + 1, name)
    time, event = frame["time"].to_numpy(dtype=float), frame["cens"].to_numpy() == 1
    rows = rows_of(blocks, "survival", time, event=event)
    folds = stratified_group_folds(rows.groups, rows.target.strata, 3, rng)
    model, each = MLP(MLPOptions(members=2)), []
    for k in range(3):
        params = model.fit(rows.take(folds != k), np.random.default_rng(k))
        risk = model.predict(params, rows.take(folds == k).blocks).risk
        each.append(concordance(time[folds == k], -risk, event[folds == k]))
    assert np.mean(each) >= 0.66
