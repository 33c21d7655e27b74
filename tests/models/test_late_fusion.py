"""Late fusion: evidence adds up, whatever is missing is done without, and models can be confined to some columns."""

from __future__ import annotations

import numpy as np
import pytest

from osler import models
from osler.blocks import Block, dense
from osler.errors import ColumnError, OptionError
from osler.evaluation import metrics
from osler.models.base import Encoded, groups_of, inputs_of
from osler.models.fusion import MOST, default_members, evidence, for_scans
from osler.tasks.base import Prediction, Target
from tests.models.tables import table, target_of

#: A fusion that needs no network.
FUSION = "fusion:members=logistic:inputs=table+spline:inputs=table+pls:inputs=picture"


def both(kind: str = "binary", n: int = 300, seed: int = 0, gone: float = 0.0) -> Encoded:
    """Two numbers and a small picture that each know another half of the signal; a share of the pictures is missing."""
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(2, n))
    values = 0.5 * rng.normal(size=(n, 1, 6, 6)).astype(np.float32)
    values[:, 0, 1:4, 1:4] += right[:, None, None].astype(np.float32)
    present = rng.random(n) >= gone
    values[~present] = 0.0
    signal = left + right + 0.7 * rng.normal(size=n)
    blocks = {
        "left": dense((left + 0.3 * rng.normal(size=n))[:, None], ["left"]),
        "noise": dense(rng.normal(size=(n, 1)), ["noise"]),
        "picture": Block("grid", {"values": values}, present, ("grey",)),
    }
    return Encoded(blocks, target_of(kind, signal, rng), np.arange(n))


def auroc(spec: str, train: Encoded, test: Encoded) -> float:
    model = models.get(spec)
    params = model.fit(model.confined(train), np.random.default_rng(0))
    return float(metrics.auroc(test.target.y, model.predict(params, test.blocks).value[:, 1]))


def test_two_halves_of_the_signal_are_worth_more_than_either():
    train, test = both(), both(seed=1)
    fused = auroc(FUSION, train, test)
    assert fused > auroc("logistic:inputs=table", train, test) + 0.05
    assert fused > auroc("pls:inputs=picture", train, test) + 0.05


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression", "multilabel"])
def test_every_kind_of_answer_has_its_shape(kind):
    data = both(kind, n=160)
    model = models.get(f"{FUSION},repeats=1")
    value = model.predict(model.fit(data, np.random.default_rng(0)), data.blocks).value
    assert value.shape == (160, data.target.n_outputs)
    assert np.isfinite(value).all()
    if kind in ("binary", "multiclass"):
        assert value.sum(axis=1) == pytest.approx(1.0)


def without(blocks: dict[str, Block], *names: str) -> dict[str, Block]:
    """Blocks with some columns wholly missing."""
    gone = {}
    for name in names:
        block = blocks[name]
        value = np.full_like(block.values, np.nan) if block.layout == "dense" else np.zeros_like(block.values)
        gone[name] = Block(block.layout, {"values": value}, np.zeros(len(block), bool), block.names, block.kinds, block.levels)
    return {**blocks, **gone}


def test_a_row_without_its_picture_is_answered_as_by_the_table_alone():
    train, test = both(n=600), both(seed=1)
    model, alone = models.get("fusion:members=logistic:inputs=table+pls:inputs=picture"), models.get("logistic:inputs=table")
    params = model.fit(train, np.random.default_rng(0))
    half = model.predict(params, without(test.blocks, "picture")).value[:, 1]
    table_alone = alone.predict(alone.fit(alone.confined(train), np.random.default_rng(0)), test.blocks).value[:, 1]
    assert half == pytest.approx(table_alone, abs=0.06)
    assert np.corrcoef(half, table_alone)[0, 1] > 0.999
    nothing = model.predict(params, without(test.blocks, "picture", "left", "noise")).value[:, 1]
    assert nothing == pytest.approx(train.target.y.mean(), abs=1e-6)


def test_training_with_missing_pictures_uses_the_rows_that_have_them():
    train, test = both(n=400, gone=0.3), both(seed=1)
    fused = auroc(FUSION, train, test)
    assert fused > auroc("logistic:inputs=table", train, test) + 0.04
    empty = both(n=120, gone=1.0)
    assert auroc(f"{FUSION},repeats=1", empty, test) > 0.7


def test_rows_are_answered_by_themselves_and_seeds_repeat():
    data, model = both(n=150, gone=0.2), models.get(FUSION)
    params = model.fit(data, np.random.default_rng(3))
    again = model.fit(data, np.random.default_rng(3))
    assert all(np.array_equal(params.arrays[k], again.arrays[k]) for k in params.arrays)
    every = model.predict(params, data.blocks).value
    rows = np.array([5, 77, 140])
    assert model.predict(params, data.take(rows).blocks).value == pytest.approx(every[rows], abs=1e-12)
    assert set(model.predict_members(params, data.blocks)) == {"logistic:inputs=table", "spline:inputs=table", "pls:inputs=picture"}


def test_weights_are_not_negative_and_an_idle_member_gets_little():
    data = both(n=400)
    params = models.get("fusion:members=logistic:inputs=left+logistic:inputs=noise").fit(data, np.random.default_rng(0))
    weights = dict(zip(params.meta["members"], params.meta["weights"]))
    assert (params.arrays["stack/weights"] >= 0).all()
    assert weights["logistic:inputs=left"] > 0.6


def test_evidence_is_log_odds_and_is_kept_in_bounds():
    p = Prediction(np.array([[0.5, 0.5], [0.2, 0.8], [0.0, 1.0]]))
    assert evidence(p, "binary")[:, 0] == pytest.approx([0.0, np.log(4), np.log((1 - np.exp(-6)) / np.exp(-6))])
    assert evidence(Prediction(np.array([[0.25, 0.25, 0.5]])), "multiclass").sum() == pytest.approx(0.0)
    assert evidence(Prediction(np.array([[3.5]])), "regression") == pytest.approx(np.array([[3.5]]))


def test_groups_and_inputs_are_found_by_name():
    blocks = both(n=10).blocks
    counts = dense(np.zeros((10, 2)), ["bit 1", "bit 2"], kinds=["count", "count"])
    assert groups_of({**blocks, "drug": counts}) == {"table": ("left", "noise"), "picture": ("picture",), "drug": ("drug",)}
    assert inputs_of(("picture", "left"), blocks) == ("left", "picture")
    assert inputs_of(("table",), blocks) == ("left", "noise")
    assert default_members({**blocks, "drug": counts}, "regression") == (
        "linear:inputs=table", "spline:inputs=table", f"{for_scans(2)}:inputs=picture", "boosting:inputs=drug",
    )  # fmt: skip
    with pytest.raises(ColumnError, match="left"):
        inputs_of(("lift",), blocks)


def test_any_model_can_be_confined_and_members_may_have_options():
    data = table("binary")
    model = models.get("logistic:inputs=x0+x1,penalty=1")
    assert tuple(model.confined(data).blocks) == ("x0", "x1")
    params = model.fit(model.confined(data), np.random.default_rng(0))
    assert params.meta["design"]["sources"] == [["x0", 1], ["x1", 1]]
    alone = {name: data.blocks[name] for name in ("x0", "x1")}
    assert np.array_equal(model.predict(params, data.blocks).value, model.predict(params, alone).value)
    ensemble = models.get("ensemble:members=forest:n_trees=5;inputs=x0+logistic")
    assert ensemble.options.members == ("forest:n_trees=5,inputs=x0", "logistic")


def test_too_many_groups_are_refused():
    data = table("binary")
    members = "+".join(f"logistic:inputs={name}" for name in ("x0", "x1", "x2", "x3", "x4", "site"))
    models.get(f"fusion:repeats=1,members={members}").fit(data, np.random.default_rng(0))
    with pytest.raises(OptionError, match=f"at most {MOST}"):
        models.get(f"fusion:repeats=1,members={members}+logistic:inputs=table").fit(data, np.random.default_rng(0))


def test_labels_of_a_single_class_do_not_break_the_sum():
    data = both(n=60)
    one = Encoded(data.blocks, Target("multilabel", ("a", "b"), np.column_stack([np.ones(60), data.target.y]).astype(float), classes=("a", "b")), data.groups)
    model = models.get(f"{FUSION},repeats=1")
    value = model.predict(model.fit(one, np.random.default_rng(0)), one.blocks).value
    assert value[:, 0].min() > 0.9


def test_a_group_that_says_nothing_is_left_out_and_members_of_one_group_are_averaged():
    data = both(n=300)
    shuffled = data.blocks["picture"].take(np.random.default_rng(1).permutation(300))
    noise = Encoded({**data.blocks, "picture": shuffled}, data.target, data.groups)
    params = models.get(FUSION).fit(noise, np.random.default_rng(0))
    assert params.meta["group"] == [0, 0, 1]
    assert params.meta["columns"] == [["left", "noise"], ["picture"]]
    weights = params.arrays["stack/weights"][-1]
    assert weights[0] == pytest.approx(1.0, abs=0.2)
    assert weights[1] < 0.35
    assert params.meta["weights"][0] == params.meta["weights"][1]


def test_pictures_get_convolutions_where_there_is_torch_and_volumes_a_map(monkeypatch):
    assert for_scans(3) == "pls"
    monkeypatch.setattr("osler.models.fusion.find_spec", lambda name: None)
    assert for_scans(2) == "pls"
    monkeypatch.setattr("osler.models.fusion.find_spec", lambda name: name)
    assert for_scans(2) == "cnn"
