"""Convolutional networks over pictures: what they learn, what must not change their answer, and how pictures are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from osler import models
from osler.adapters import tensors
from osler.blocks import Block
from osler.errors import OptionError
from osler.models.base import Encoded, Params
from osler.models.neural import pictures
from osler.models.neural.assembly import Extras, branches_of, networks
from osler.models.neural.augmenting import augmented
from osler.models.neural.checkpoint import Checkpoint
from osler.models.neural.cnn import Cnn, CnnOptions
from osler.models.neural.convolutions import (
    NETWORKS,
    BatchNorm,
    ChannelWeights,
    ConvolutionalEncoder,
    EfficientNet,
    MobileBlock,
)
from osler.models.neural.heads import head_of
from osler.models.neural.loop import Feed, learning_rate
from osler.models.neural.rows import Rows
from tests.models.neural.planted_blocks import auroc, binary, blob_images, numbers

QUICK = CnnOptions(width=16, filters=8, epochs=8, batch_size=32, learning_rate=0.01)
SHORT = replace(QUICK, epochs=2)


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_a_square_is_told_from_scattered_brightness(rng, kind):
    block, y = blob_images(400, rng)
    rows, model = binary({"scan": block}, y), Cnn(replace(QUICK, kind=kind))
    params = model.fit(rows.take(np.arange(300)), np.random.default_rng(1))
    test = rows.take(np.arange(300, 400))
    assert auroc(test.target.y, model.predict(params, test.blocks).value[:, 1]) > 0.95


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_volumes_are_learnt_from(rng, kind):
    block, y = blob_images(160, rng, dims=3, size=8)
    rows, model = binary({"scan": block}, y), Cnn(replace(QUICK, kind=kind, augment="none"))
    params = model.fit(rows.take(np.arange(120)), np.random.default_rng(1))
    test = rows.take(np.arange(120, 160))
    assert auroc(test.target.y, model.predict(params, test.blocks).value[:, 1]) > 0.8


@pytest.fixture(scope="module")
def small() -> tuple[Encoded, Params]:
    """Pictures, some missing, beside two numbers; a network of two epochs."""
    rng = np.random.default_rng(3)
    block, y = blob_images(60, rng)
    block = replace(block, present=rng.random(60) > 0.2)
    rows = binary({"scan": block, "lab": numbers(rng.normal(size=(60, 2)))}, y)
    return rows, Cnn(SHORT).fit(rows, np.random.default_rng(0))


def test_the_rows_beside_a_picture_change_nothing(small):
    rows, params = small
    every = Cnn(SHORT).predict(params, rows.blocks).value
    for part in (np.array([7]), np.array([40, 3, 22])):
        assert Cnn(SHORT).predict(params, rows.take(part).blocks).value == pytest.approx(every[part], abs=1e-6)


def test_what_a_missing_picture_holds_is_not_seen(small):
    rows, params = small
    scan = rows.blocks["scan"]
    other = scan.values.copy()
    other[~scan.present] = 1e6
    changed = rows.blocks | {"scan": replace(scan, arrays={"values": other})}
    before, after = (Cnn(SHORT).predict(params, b).value for b in (rows.blocks, changed))
    assert np.array_equal(before, after)


def test_training_never_sees_missing_pictures(small):
    rows, params = small
    scan = rows.blocks["scan"]
    other = scan.values.copy()
    other[~scan.present] = -50.0
    changed = replace(rows, blocks=rows.blocks | {"scan": replace(scan, arrays={"values": other})})
    again = Cnn(SHORT).fit(changed, np.random.default_rng(0))
    assert {k: v.tobytes() for k, v in again.arrays.items()} == {k: v.tobytes() for k, v in params.arrays.items()}


def test_one_seed_gives_the_same_bytes_and_another_gives_others(small):
    rows, params = small
    again = Cnn(SHORT).fit(rows, np.random.default_rng(0))
    other = Cnn(SHORT).fit(rows, np.random.default_rng(5))
    assert again.meta == params.meta
    assert {k: v.tobytes() for k, v in again.arrays.items()} == {k: v.tobytes() for k, v in params.arrays.items()}
    name = "member0/encoders.1.last.weight"
    assert not np.array_equal(other.arrays[name], params.arrays[name])


def test_a_training_cut_short_goes_on_to_the_same_weights(small, tmp_path):
    rows, params = small
    seen = []

    class Cut(Exception):
        pass

    def stop(event: dict) -> None:
        seen.append(event["epoch"])
        if len(seen) == 2:  # after the first epoch was saved
            raise Cut

    extras = Extras(checkpoint=Checkpoint(tmp_path, seconds=0.0), progress=stop)
    with pytest.raises(Cut):
        Cnn(SHORT, extras).fit(rows, np.random.default_rng(0))
    whole = Cnn(SHORT, Extras(checkpoint=Checkpoint(tmp_path, seconds=0.0))).fit(rows, np.random.default_rng(0))
    assert {k: v.tobytes() for k, v in whole.arrays.items()} == {k: v.tobytes() for k, v in params.arrays.items()}


def test_kept_rows_and_slices_teach_alike(small, monkeypatch):
    rows, params = small
    plain = replace(SHORT, augment="none")
    kept = Cnn(plain).fit(rows, np.random.default_rng(0))
    monkeypatch.setattr(pictures, "KEPT", 0)
    sliced = Cnn(plain).fit(rows, np.random.default_rng(0))
    values = [Cnn(plain).predict(p, rows.blocks).value for p in (kept, sliced)]
    assert values[0] == pytest.approx(values[1], abs=0.02)  # half precision of the kept ones is all that differs
    assert params.meta["branches"][1]["spec"]["shape"] == [12, 12]


# -- how pictures are kept ------------------------------------------------------------------------------------------


def branch_of(block: Block, **options: object) -> object:
    """The picture branch of a small network over this column."""
    y = np.arange(len(block)) % 2
    made = Cnn(replace(SHORT, epochs=1, **options)).fit(binary({"scan": block}, y), np.random.default_rng(0))
    return branches_of(made)[0]


def test_bytes_are_kept_as_bytes_and_other_values_in_half_precision(rng):
    values = rng.integers(0, 256, (20, 1, 8, 8)).astype(np.float32)
    block = Block("grid", {"values": values}, np.ones(20, dtype=bool), ("v",))
    branch = branch_of(block)
    assert pictures.small(branch, block).values.dtype == np.uint8
    assert np.array_equal(pictures.small(branch, block).values, values)
    half = replace(block, arrays={"values": values + 0.5})
    assert pictures.small(branch, half).values.dtype == np.float16
    assert pictures.small(branch_of(block, normalise="image"), block).values.dtype == np.float16
    for held in (block, half):
        rows = Rows([branch], {"scan": held}, "cpu").take(np.array([3, 1]))[0]
        assert rows["x"].numpy() == pytest.approx(pictures.picture_arrays(branch, held)["x"][[3, 1]], abs=2e-3)


def test_parts_of_bytes_and_of_other_values_become_one(rng):
    values = rng.integers(0, 256, (600, 1, 64, 64)).astype(np.float32)
    values[-1] += 0.25  # the last slice holds no bytes
    block = Block("grid", {"values": values}, np.ones(600, dtype=bool), ("v",))
    branch = branch_of(block.take(np.arange(20)))
    rows = binary({"scan": block}, np.arange(600) % 2)
    held = pictures.gathered(rows, [branch]).blocks["scan"]
    assert held.values.dtype == np.float16
    assert held.values[[0, 599]] == pytest.approx(pictures.picture_arrays(branch, block)["x"][[0, 599]], abs=2e-3)


def test_a_picture_is_normalised_by_itself(rng):
    values = rng.gamma(2.0, 50.0, (3, 2, 16, 16))
    values[1] = 7.0  # one flat picture
    image = pictures.normalised(values, "image")
    assert image[[0, 2]].mean(axis=(2, 3)) == pytest.approx(0.0, abs=1e-5)
    assert image[[0, 2]].std(axis=(2, 3)) == pytest.approx(1.0, abs=1e-5)
    assert np.all(image[1] == 0.0)
    ranks = pictures.normalised(values, "equalise")
    assert ranks[[0, 2]].mean(axis=(2, 3)) == pytest.approx(0.0, abs=1e-3)
    assert ranks[[0, 2]].std(axis=(2, 3)) == pytest.approx(1.0, abs=0.02)  # a uniform spread has standard deviation 1
    assert np.all(ranks[1] == 0.0)
    order = np.argsort(values[0, 0].ravel())
    assert np.all(np.diff(ranks[0, 0].ravel()[order]) >= 0)
    # brightness and contrast of the source mean nothing any more
    assert pictures.normalised(3.0 * values + 20.0, "equalise")[0] == pytest.approx(ranks[0], abs=1e-5)
    assert pictures.normalised(3.0 * values + 20.0, "image")[0] == pytest.approx(image[0], abs=1e-4)


def test_unknown_values_are_left_out_of_the_statistics(rng):
    values = rng.normal(5.0, 2.0, (1, 1, 10, 10))
    values[0, 0, :5] = np.nan
    found = pictures.normalised(values, "image")
    assert found[0, 0, 5:].mean() == pytest.approx(0.0, abs=1e-5)
    assert np.isnan(found[0, 0, :5]).all()
    assert np.isnan(pictures.normalised(values, "equalise")[0, 0, :5]).all()


def test_halvings_by_size():
    # 28 → 14 → 7 → 4; a side of four or less is halved once all the same
    assert [pictures.stages_for(s) for s in ((28, 28), (4, 4), (64, 32), (512, 512), (46, 55, 46))] == [3, 1, 4, 5, 4]


# -- parts ----------------------------------------------------------------------------------------------------------


def test_batch_norm_answers_by_kept_statistics():
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3), torch.nn.BatchNorm2d(3)
    x = torch.randn(8, 3, 5, 5) * 4 + 1
    assert torch.allclose(ours(x), theirs(x))
    assert torch.allclose(ours.eval()(x), theirs.eval()(x))
    lone = torch.randn(1, 3, 1, 1)
    assert torch.allclose(ours.train()(lone), ours.eval()(lone))  # one value has no spread of its own


@pytest.mark.parametrize("shape", [(6, 1, 20, 17), (5, 2, 9, 12, 10)])
@pytest.mark.parametrize("kind", ["none", "light", "full", "strong"])
def test_augmentation_keeps_shapes_and_follows_its_generator(kind, shape):
    torch.manual_seed(1)
    x = torch.randn(shape)
    torch.manual_seed(2)
    first = augmented(x, kind)
    torch.manual_seed(2)
    assert torch.equal(first, augmented(x, kind))
    assert first.shape == x.shape
    assert torch.isfinite(first).all()
    assert torch.equal(first, x) == (kind == "none")


def test_light_augmentation_moves_by_a_fourteenth_at_most():
    x = torch.zeros(200, 1, 28, 28)
    x[:, 0, 14, 14] = 1.0
    torch.manual_seed(0)
    at = augmented(x, "light")[:, 0].flatten(1).argmax(1)
    rows, columns = at // 28 - 14, at % 28 - 14
    for moved in (rows, columns):
        assert sorted(set(moved.tolist())) == [-2, -1, 0, 1, 2]


@pytest.mark.parametrize("kind", ["full", "strong"])
def test_augmentation_leaves_the_middle_about_where_it_was(kind):
    # a turn, stretches about the middle and small moves: on average the bright middle of a row stays the brightest place
    x = torch.zeros(300, 1, 24, 36)
    x[:, :, 9:15, 15:21] = 3.0
    torch.manual_seed(0)
    found = augmented(x, kind).mean(0)[0]
    assert found[11:13, 17:19].mean() > found[:4].mean() + 0.5
    assert found[11:13, 17:19].mean() > found[:, :6].mean() + 0.5


def test_the_published_residual_network_has_its_published_shapes():
    # He et al. 2016, table 1: ResNet-18 has 11.18 million weights before its last layer (11,176,512 with three colours)
    body = NETWORKS["resnet"](2, 3, 64, 4, 2, True)
    assert sum(p.numel() for p in body.parameters()) == 11_176_512
    assert body.state_dict()["layer4.1.conv2.weight"].shape == (512, 512, 3, 3)
    assert body(torch.zeros(1, 3, 224, 224)).shape == (1, 1024)


@pytest.mark.parametrize("dims", [2, 3])
def test_channels_are_weighed_by_all_channels_means(dims):
    torch.manual_seed(0)
    layer, x = ChannelWeights(dims, 6, 2), torch.randn(3, 6, *(5,) * dims)
    means = x.flatten(2).mean(dim=2)
    inner = means @ layer.squeeze.weight.flatten(1).T + layer.squeeze.bias
    outer = (inner * torch.sigmoid(inner)) @ layer.excite.weight.flatten(1).T + layer.excite.bias
    assert torch.allclose(layer(x), x * torch.sigmoid(outer).view(3, 6, *(1,) * dims), atol=1e-6)


def test_an_inverted_residual_block_has_the_parts_of_its_paper():
    # Sandler et al. 2018, table 1: 1 x 1 to t channels each, 3 x 3 for each channel, 1 x 1 down; squeeze and excitation by a
    # quarter of the block's inputs (Tan and Le 2019). Weights counted by hand for 8 → 8 channels and t = 4, biases of two layers
    block = MobileBlock(2, 8, 8, 1, 4)
    convolutions = 8 * 32 + 32 * 9 + 32 * 8
    norms, weighing = 2 * (32 + 32 + 8), 32 * 2 + 2 + 2 * 32 + 32
    assert sum(p.numel() for p in block.parameters()) == convolutions + norms + weighing
    torch.manual_seed(0)
    x = torch.randn(4, 8, 6, 6)
    block.eval()
    torch.nn.init.zeros_(block.narrow[1].weight)
    assert torch.equal(block(x), x)  # the shortcut is bare: no activation after the sum
    assert MobileBlock(2, 8, 8, 2, 4)(x).shape == (4, 8, 3, 3)
    assert not MobileBlock(2, 8, 16, 1, 4).same


def test_stochastic_depth_passes_rows_by_while_learning_alone():
    block = MobileBlock(2, 4, 4, 1, 4, 0.5)
    torch.manual_seed(0)
    x = torch.randn(4, 4, 6, 6).repeat(100, 1, 1, 1)
    changed = (block(x) - x).flatten(1).abs().amax(dim=1) > 0
    assert 0.4 < changed.float().mean() < 0.6
    block.eval()
    assert ((block(x) - x).flatten(1).abs().amax(dim=1) > 0).all()
    depths = [b.skipped for b in EfficientNet(2, 1, 4, 3, 2, False, 0.5).blocks]
    assert depths == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_stochastic_depth_is_learnt_with_and_answers_stay_alone(rng):
    block, y = blob_images(60, rng)
    rows = binary({"scan": block}, y)
    model = Cnn(replace(SHORT, kind="efficientnet", blocks=2, stochastic_depth=0.3))
    params = model.fit(rows, np.random.default_rng(0))
    assert params.meta["architecture"]["stochastic_depth"] == 0.3
    every = model.predict(params, rows.blocks).value
    assert model.predict(params, rows.take(np.array([5])).blocks).value == pytest.approx(every[[5]], abs=1e-6)
    assert np.isfinite(every).all()


def test_a_network_saved_before_there_was_stochastic_depth_still_answers(small):
    rows, params = small
    older = {k: v for k, v in params.meta["architecture"].items() if k != "stochastic_depth"}
    held = replace(params, meta=params.meta | {"architecture": older})
    assert np.array_equal(Cnn(SHORT).predict(held, rows.blocks).value, Cnn(SHORT).predict(params, rows.blocks).value)


def test_rows_without_pictures_are_encoded_as_zeros(small):
    _, params = small
    encoder = networks(params)[0].encoders[1]
    assert isinstance(encoder, ConvolutionalEncoder)
    present = torch.tensor([True, False, True])
    with torch.no_grad():
        found = encoder({"x": torch.randn(3, 1, 12, 12), "present": present})
        none = encoder({"x": torch.randn(2, 1, 12, 12), "present": torch.zeros(2, dtype=torch.bool)})
    assert torch.all(found[1] == 0.0)
    assert torch.any(found[2] != 0.0)
    assert none.shape == (2, 16)


def test_one_cycle_rises_for_a_quarter_and_falls_to_nothing():
    options = replace(QUICK, schedule="one_cycle", epochs=8, learning_rate=0.01)
    rates = [learning_rate(options, step, 10) for step in range(80)]
    assert int(np.argmax(rates)) in (19, 20)
    assert max(rates) == pytest.approx(0.01)
    assert rates[-1] < 1e-4
    assert np.all(np.diff(rates[20:]) < 0)


# -- a start --------------------------------------------------------------------------------------------------------


def test_an_efficient_network_starts_from_another_of_its_kind(rng):
    block, y = blob_images(30, rng)
    rows, options = binary({"scan": block}, y), replace(SHORT, kind="efficientnet", epochs=1, learning_rate=1e-9, weight_decay=0.0)
    first = Cnn(options).fit(rows, np.random.default_rng(0))
    started = Cnn(options, Extras(init=first)).fit(rows, np.random.default_rng(9))
    assert started.meta["warm_start"] == ["scan"]
    assert body(started)["blocks.1.each.0.weight"] == pytest.approx(body(first)["blocks.1.each.0.weight"], abs=1e-6)


def test_a_start_is_taken_over_where_kind_and_halvings_are_the_same(small):
    rows, params = small
    started = Cnn(SHORT, Extras(init=params)).fit(rows, np.random.default_rng(9))
    assert "scan" in started.meta["warm_start"]
    other = Cnn(replace(SHORT, kind="resnet"), Extras(init=params)).fit(rows, np.random.default_rng(9))
    assert "scan" not in other.meta["warm_start"]
    more = Cnn(replace(SHORT, stages=1), Extras(init=params)).fit(rows, np.random.default_rng(9))
    assert "scan" not in more.meta["warm_start"]


# -- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["kind=resnett", "augment=much", "normalise=clahe", "filters=0", "label_smoothing=1", "schedule=onecycle", "stochastic_depth=0.2"]
)
def test_wrong_options_are_named(text):
    with pytest.raises(OptionError, match=text.partition("=")[0]):
        models.get(f"cnn:{text}")


# -- weights of a local folder ----------------------------------------------------------------------------------------

RESIDUAL = replace(SHORT, kind="resnet", epochs=1, learning_rate=1e-9, weight_decay=0.0)


def residual(rng: np.random.Generator) -> tuple[Encoded, Params]:
    block, y = blob_images(24, rng)
    rows = binary({"scan": block}, y)
    return rows, Cnn(RESIDUAL).fit(rows, np.random.default_rng(0))


def body(params: Params) -> dict[str, np.ndarray]:
    """The convolutions' weights of the first member under their own names."""
    head = "member0/encoders.0.body."
    return {k[len(head) :]: v for k, v in params.arrays.items() if k.startswith(head)}


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_folder_of_weights_is_started_from(rng, tmp_path, prefix):
    rows, params = residual(rng)
    held = {f"{prefix}{k}": v for k, v in body(params).items()}
    held[f"{prefix}conv1.weight"] = np.repeat(body(params)["conv1.weight"] / 3, 3, axis=1)  # a network for colours
    held[f"{prefix}fc.weight"] = np.zeros((10, 64), dtype=np.float32)
    tensors.write(tmp_path / "model.safetensors", held, {})
    started = Cnn(replace(RESIDUAL, weights=str(tmp_path))).fit(rows, np.random.default_rng(5))
    fresh = Cnn(RESIDUAL).fit(rows, np.random.default_rng(5))
    for name in ("conv1.weight", "layer1.0.conv2.weight"):
        assert body(started)[name] == pytest.approx(body(params)[name], abs=1e-6)
        assert np.abs(body(fresh)[name] - body(params)[name]).max() > 0.01
    assert str(tmp_path) not in str(started.meta)


def test_weights_that_do_not_fit_are_named(rng, tmp_path):
    rows, params = residual(rng)
    with pytest.raises(OptionError, match="must be a folder with a safetensors file"):
        Cnn(replace(RESIDUAL, weights=str(tmp_path))).fit(rows, np.random.default_rng(0))
    held = body(params) | {"layer1.0.conv2.weight": np.zeros((4, 4, 3, 3), dtype=np.float32)}
    tensors.write(tmp_path / "model.safetensors", held, {})
    with pytest.raises(OptionError, match=r"'layer1.0.conv2.weight' of shape \[8, 8, 3, 3\], it is of shape \[4, 4, 3, 3\]"):
        Cnn(replace(RESIDUAL, weights=str(tmp_path))).fit(rows, np.random.default_rng(0))
    (tmp_path / "model.safetensors").write_bytes(b"\x10\0\0\0")
    with pytest.raises(OptionError, match="whole safetensors"):
        Cnn(replace(RESIDUAL, weights=str(tmp_path))).fit(rows, np.random.default_rng(0))
    table = binary({"lab": numbers(rng.normal(size=(24, 2)))}, np.arange(24) % 2)
    tensors.write(tmp_path / "model.safetensors", body(params), {})
    with pytest.raises(OptionError, match="there is none"):
        Cnn(replace(RESIDUAL, weights=str(tmp_path))).fit(table, np.random.default_rng(0))


# -- who augments ---------------------------------------------------------------------------------------------------


class Watched:
    """Rows that note how they were asked for; a generator asks a column to augment."""

    def __init__(self, rows: Encoded, seen: list[bool]) -> None:
        self.rows, self.seen = rows, seen
        self.target, self.groups = rows.target, rows.groups

    def __len__(self) -> int:
        return len(self.rows)

    def all(self) -> Encoded:
        return self.rows

    def take(self, rows: np.ndarray) -> Watched:
        return Watched(self.rows.take(rows), self.seen)

    def slices(self, size: int, rng: np.random.Generator | None = None) -> object:
        self.seen.append(rng is not None)
        return self.rows.slices(size, rng)


def test_pictures_too_large_to_keep_are_changed_once_and_not_by_their_column(small, monkeypatch):
    rows, _ = small
    monkeypatch.setattr(pictures, "KEPT", 0)
    seen: list[bool] = []
    branch = branches_of(small[1])
    feed = Feed(Watched(rows, seen), branch, head_of(rows.target, "none", 0.0, 1), torch.device("cpu"), False)
    drawn = [len(target["y"]) for _, target in feed.slices(16, np.random.default_rng(0))]
    assert drawn == [16, 16, 16, 12]
    assert seen == []
    assert [len(t["y"]) for _, t in feed.slices(32, None)] == [32, 28]
    assert seen == [False]
