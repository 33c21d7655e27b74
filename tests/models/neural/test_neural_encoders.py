"""Each encoder learns what it is for, and a row's answer depends on that row alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from osler.blocks import Block, dense
from osler.errors import ColumnError
from osler.models.neural.encoders import DenseEncoder
from osler.models.neural.inputs import plan_branches, tensors
from osler.models.neural.network import Network, NetworkOptions
from tests.models.neural.planted_blocks import auroc, binary, blob_images, motif_graphs, numbers, order_sequences

QUICK = NetworkOptions(width=32, epochs=25, patience=25, learning_rate=0.004, dropout=0.0, batch_size=32)


def learnt(block: Block, y: np.ndarray, n_train: int, options: NetworkOptions = QUICK) -> float:
    """AUROC on the rows after the first `n_train`, which are trained on."""
    rows = binary({"c": block}, y)
    model = Network(options)
    params = model.fit(rows.take(np.arange(n_train)), np.random.default_rng(1))
    test = rows.take(np.arange(n_train, len(y)))
    return auroc(test.target.y, model.predict(params, test.blocks).value[:, 1])


def test_the_order_of_two_spikes_in_a_ragged_sequence_is_learnt(rng):
    block, y = order_sequences(500, rng)
    assert learnt(block, y, 350) > 0.97


def test_a_blob_in_an_image_is_told_from_the_same_brightness_scattered(rng):
    block, y = blob_images(600, rng)
    assert learnt(block, y, 450) > 0.97


def test_a_blob_in_a_volume_is_told_from_the_same_brightness_scattered(rng):
    block, y = blob_images(160, rng, dims=3, size=7)
    assert learnt(block, y, 110, replace(QUICK, epochs=12)) > 0.9


@pytest.mark.parametrize("by_edge", [False, True])
def test_a_motif_in_a_graph_is_learnt_from_nodes_and_from_edges(rng, by_edge):
    block, y = motif_graphs(400, rng, by_edge)
    assert learnt(block, y, 300) > 0.97


def four_layouts(rng: np.random.Generator, n: int = 40) -> tuple[dict[str, Block], np.ndarray]:
    """One column of each layout, some cells missing."""
    blocks = {
        "lab": numbers(rng.normal(size=(n, 3))),
        "visits": order_sequences(n, rng)[0],
        "scan": blob_images(n, rng, size=6)[0],
        "drug": motif_graphs(n, rng)[0],
    }
    gone = {name: replace(b, present=rng.random(n) > 0.3) for name, b in blocks.items()}
    return gone, rng.integers(0, 2, n)


def test_a_rows_answer_does_not_depend_on_the_rows_beside_it(rng):
    blocks, y = four_layouts(rng)
    model = Network(replace(QUICK, epochs=2, joined=False))
    params = model.fit(binary(blocks, y), np.random.default_rng(0))
    whole = model.predict(params, blocks).value
    order = rng.permutation(len(y))
    mixed = model.predict(params, {k: b.take(order) for k, b in blocks.items()}).value
    np.testing.assert_allclose(mixed, whole[order], atol=1e-6)
    for i in (0, 7, 21):
        alone = model.predict(params, {k: b.take(np.array([i])) for k, b in blocks.items()}).value
        np.testing.assert_allclose(alone[0], whole[i], atol=1e-6)


def test_what_a_missing_cell_holds_is_never_seen(rng):
    blocks, y = four_layouts(rng)
    model = Network(replace(QUICK, epochs=2))
    params = model.fit(binary(blocks, y), np.random.default_rng(0))
    before = model.predict(params, blocks).value
    scan, visits = blocks["scan"], blocks["visits"]
    values = scan.values.copy()
    values[~scan.present] = 1e6
    steps = visits.values.copy()
    hidden = np.repeat(~visits.present, np.diff(visits.arrays["offsets"]))
    steps[hidden] = -1e6
    changed = blocks | {
        "scan": replace(scan, arrays={"values": values}),
        "visits": replace(visits, arrays=visits.arrays | {"values": steps}),
    }
    np.testing.assert_array_equal(model.predict(params, changed).value, before)


def test_padded_and_ragged_sequences_give_the_same_tensors(rng):
    ragged, _ = order_sequences(20, rng)
    offsets = ragged.arrays["offsets"]
    lengths = np.diff(offsets)
    padded = np.full((20, lengths.max() + 3, 2), 99.0)
    for i in range(20):
        padded[i, : lengths[i]] = ragged.values[offsets[i] : offsets[i + 1]]
    other = Block("sequence", {"values": padded, "lengths": lengths}, ragged.present, ragged.names)
    rows = binary({"c": ragged}, np.arange(20) % 2)
    branches = plan_branches(rows, 8, True, 5, rng)
    twin = plan_branches(binary({"c": other}, np.arange(20) % 2), 8, True, 5, rng)
    np.testing.assert_allclose(twin[0].arrays["values_spread"], branches[0].arrays["values_spread"])
    first, second = tensors(branches, {"c": ragged})[0], tensors(branches, {"c": other})[0]
    assert first["x"].shape[1] == 5, "only the last max_length steps are kept"
    for key in first:
        assert torch.equal(first[key], second[key])
    last = (ragged.values[offsets[1] - 1] - branches[0].arrays["values_center"]) / branches[0].arrays["values_spread"]
    np.testing.assert_allclose(first["x"][0, first["lengths"][0] - 1], last, rtol=1e-6)


def test_the_piecewise_linear_encoding_is_equation_1(rng):
    values = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 8.0, 16.0, np.nan])[:, None]
    rows = binary({"c": dense(values, ["age"])}, np.arange(8) % 2)
    branch = plan_branches(rows, 2, True, 1, rng)[0]
    encoder = DenseEncoder(branch, {"width": 4, "embedding": 2, "depth": 1, "dropout": 0.0})
    seen = {}
    encoder.first.register_forward_hook(lambda _m, inputs, _o: seen.update(flat=inputs[0].detach()))
    with torch.no_grad():
        encoder.slope.zero_()
        encoder.shift.zero_()
        encoder.bins.copy_(torch.eye(2)[None])
        encoder.missing.fill_(7.0)
        encoder(tensors([branch], rows.blocks)[0])
    center, spread = branch.arrays["center"][0], branch.arrays["spread"][0]
    scaled = np.clip((values[:7, 0] - center) / spread, branch.arrays["low"][0], branch.arrays["high"][0])
    low, mid, high = np.quantile(scaled, [0.0, 0.5, 1.0])
    hand = np.stack([np.clip((scaled - low) / (mid - low), 0, 1), np.clip((scaled - mid) / (high - mid), 0, 1)], axis=1)
    np.testing.assert_allclose(seen["flat"][:7].numpy(), hand, atol=1e-6)
    np.testing.assert_array_equal(seen["flat"][7].numpy(), [7.0, 7.0])


def test_dates_in_seconds_keep_their_precision(rng):
    values = 1.7e9 + np.arange(50.0)[:, None]
    branch = plan_branches(binary({"c": dense(values, ["t"])}, np.arange(50) % 2), 8, True, 1, rng)[0]
    x = tensors([branch], {"c": dense(values, ["t"])})[0]["x"][:, 0].numpy()
    assert (np.diff(x) > 0.05).all()


@pytest.mark.parametrize(("block", "word"), [
    (dense(np.zeros((4, 2)), ["a", "b"]), "dense with 3 features"),
    (blob_images(4, np.random.default_rng(0))[0], "was grid"),
])  # fmt: skip
def test_a_column_of_another_shape_is_refused_by_name(rng, block, word):
    model = Network(replace(QUICK, epochs=1))
    params = model.fit(binary({"lab": numbers(rng.normal(size=(30, 3)))}, np.arange(30) % 2), rng)
    with pytest.raises(ColumnError, match="'lab'") as caught:
        model.predict(params, {"lab": block})
    assert word in str(caught.value)
    with pytest.raises(ColumnError, match="'lab' must be there"):
        model.predict(params, {"age": block})


def test_wrong_channels_of_a_volume_are_refused(rng):
    scan, y = blob_images(24, rng, size=6)
    model = Network(replace(QUICK, epochs=1))
    params = model.fit(binary({"scan": scan}, y), rng)
    with pytest.raises(ColumnError, match="'scan' must be grid with 1 features"):
        model.predict(params, {"scan": replace(scan, arrays={"values": np.repeat(scan.values, 2, axis=1)})})
    with pytest.raises(ColumnError, match="2 axes"):
        model.predict(params, {"scan": replace(scan, arrays={"values": scan.values[:, :, None]})})
