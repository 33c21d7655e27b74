"""Heat maps of networks: what gradients must add up to, where features lie, and that planted squares are pointed at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from osler.blocks import Block
from osler.engine import heat as engine_heat
from osler.errors import OptionError
from osler.explanation import heat
from osler.explanation.heat import PictureNets, heat_maps, integrated_gradients, placed, scaled
from osler.explanation.scales import Scale
from osler.models.base import Encoded, Params
from osler.models.neural.cnn import Cnn, CnnOptions
from osler.models.neural.convolutions import NETWORKS, ChannelWeights, Stage
from osler.models.neural.encoders import ENCODERS
from osler.models.neural.inputs import Branch
from tests.models.neural.planted_blocks import binary, blob_images, numbers

ODDS = Scale("log-odds", 1)


def learnt(dims: int, kind: str = "resnet", n: int = 220, epochs: int = 6, **more: Block) -> tuple[Params, Encoded]:
    """A network of pictures with a planted square, and 40 rows that it has not seen."""
    block, y = blob_images(n, np.random.default_rng(5), dims, 16 if dims == 2 else 10)
    rows = binary({"scan": block, **{k: b.take(np.arange(n)) for k, b in more.items()}}, y)
    options = CnnOptions(width=16, filters=8, epochs=epochs, batch_size=32, learning_rate=0.01, kind=kind, augment="none")
    return Cnn(options).fit(rows.take(np.arange(n - 40)), np.random.default_rng(1)), rows.take(np.arange(n - 40, n))


@pytest.fixture(scope="module")
def flat() -> tuple[Params, Encoded]:
    return learnt(2)


@pytest.fixture(scope="module")
def deep() -> tuple[Params, Encoded]:
    return learnt(3)


def hits(maps: np.ndarray, rows: Encoded, within: int) -> float:
    """Share of rows with a square (3 wide, brightest in the mean) whose hottest voxel is at most so far from its middle."""
    from scipy.ndimage import uniform_filter

    found = []
    for i in np.flatnonzero(rows.target.y):
        values = rows.blocks["scan"].values[i, 0]
        middle = np.unravel_index(uniform_filter(values, 3).argmax(), values.shape)
        at = np.unravel_index(maps[i].argmax(), values.shape)
        found.append(np.abs(np.subtract(at, middle)).max() <= within)
    return float(np.mean(found))


def test_the_engine_and_the_command_know_the_same_ways():
    assert engine_heat.WAYS[1:-1] == heat.METHODS


@pytest.mark.parametrize("dims", [2, 3])
def test_planted_squares_are_pointed_at(flat, deep, dims):
    params, rows = (flat, deep)[dims - 2]
    nets = PictureNets(params, rows.blocks, "scan", ODDS)
    assert hits(heat_maps(nets, "gradients"), rows, 1) >= 0.9
    assert hits(heat_maps(nets, "smooth", np.random.default_rng(0)), rows, 1) >= 0.9
    assert hits(heat_maps(nets, "fused"), rows, 2) >= 0.8
    assert hits(heat_maps(nets, "path-cam"), rows, 1) >= 0.8
    for method in ("path-cam", "layer-cam", "grad-cam++"):
        assert hits(heat_maps(nets, method), rows, 2) >= 0.9


@pytest.mark.parametrize("dims", [2, 3])
def test_an_efficient_network_points_at_planted_squares(dims):
    params, rows = learnt(dims, "efficientnet", epochs=8)
    nets = PictureNets(params, rows.blocks, "scan", ODDS)
    for method in ("gradients", "path-cam", "grad-cam++"):
        assert hits(heat_maps(nets, method), rows, 2) >= 0.9


@pytest.mark.parametrize("method", heat.METHODS)
def test_maps_lie_between_0_and_1_and_missing_pictures_have_none(flat, method):
    params, rows = flat
    block = rows.blocks["scan"].take(np.arange(6))
    block = replace(block, present=np.array([True, True, False, True, True, False]))
    maps = heat_maps(PictureNets(params, {"scan": block}, "scan", ODDS), method)
    assert maps.shape == (6, 16, 16) and maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert not maps[~block.present].any()
    assert all(m.max() == 1 or not m.any() for m in maps)


def test_integrated_gradients_add_up_to_the_answer_less_that_for_an_empty_picture(flat, deep):
    for params, rows in (flat, deep):
        nets = PictureNets(params, rows.blocks, "scan", ODDS)
        at = torch.arange(12)
        x = nets.x[at]
        values = integrated_gradients(nets, 0, x, at, 200)
        with torch.no_grad():
            change = (nets.answer(0, x, at) - nets.answer(0, torch.zeros_like(x), at)).numpy()
        assert np.allclose(values.reshape(12, -1).sum(axis=1), change, atol=0.03 * np.abs(change).max())


@pytest.mark.parametrize("method", ["grad-cam", "layer-cam"])
def test_maps_of_features_are_what_their_papers_say(flat, method):
    """Written again with autograd alone: features times mean gradients (grad-cam) or positive gradients (layer-cam), their sum
    without its negative part; of one of the stages.
    """
    params, rows = flat
    nets = PictureNets(params, rows.blocks, "scan", ODDS)
    at, body = torch.arange(5), nets.encoder(0).body
    expected = []
    for k in range(body.stages):
        kept = []
        hook = getattr(body, f"layer{k + 1}").register_forward_hook(lambda _, __, out, kept=kept: kept.append(out))
        said = nets.answer(0, nets.x[at].clone().requires_grad_(), at)
        hook.remove()
        (gradient,) = torch.autograd.grad(said.sum(), kept[0])
        weights = gradient.mean(dim=(2, 3), keepdim=True) if method == "grad-cam" else gradient.clamp(min=0)
        values = torch.relu((weights * kept[0]).sum(dim=1)).detach().numpy()
        expected.append(scaled(placed(values, nets.encoder(0).features()[k], (16, 16))))
    found = heat_maps(nets, method)[:5]
    for i in range(5):
        assert min(np.abs(e[i] - found[i]).max() for e in expected) < 1e-5


def test_the_rise_of_features_times_their_gradients_adds_up_where_the_network_is_a_line(flat):
    """For an answer w * features, and features a * picture: the rise times w, at every place (by hand)."""
    x = torch.randn(3, 1, 4, 4)

    class Line(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = torch.nn.Conv2d(1, 2, 1, bias=False)
            with torch.no_grad():
                self.part.weight.copy_(torch.tensor([2.0, -1.0]).view(2, 1, 1, 1))

        def features(self) -> list[Stage]:
            return [Stage(self.part, 1)]

    class Nets:
        def __init__(self) -> None:
            self.x, self.line = x, Line()

        def answer(self, member: int, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return (self.line.part(x) * torch.tensor([3.0, 1.0]).view(1, 2, 1, 1)).sum(dim=(1, 2, 3))

    nets = Nets()
    (found,) = heat._risen(nets, 0, torch.arange(3), nets.line.features())
    assert np.allclose(found, np.maximum((3 * 2 - 1) * x[:, 0].numpy(), 0), atol=1e-5)


def test_of_several_maps_the_one_is_kept_that_points_at_what_the_answer_hangs_on(flat):
    params, rows = flat
    nets = PictureNets(params, rows.blocks, "scan", ODDS)
    sick = np.flatnonzero(rows.target.y)
    right = heat_maps(nets, "gradients")[sick]
    wrong = np.zeros_like(right)
    for one, other in zip(wrong, right):  # as far away from the square as can be
        y, x = np.unravel_index(other.argmax(), other.shape)
        one[15 - y if abs(15 - 2 * y) > 6 else 0, 15 - x if abs(15 - 2 * x) > 6 else 0] = 1.0
    kept = heat.dearest(nets, 0, torch.from_numpy(sick), np.stack([wrong, right]))
    assert kept.mean() >= 0.9
    assert (heat.dearest(nets, 0, torch.from_numpy(sick), np.stack([right, wrong])) == 1 - kept).all()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", [*NETWORKS, "large", "grid"])
def test_places_of_features_lie_in_the_middle_of_what_they_see(kind, dims):
    """With equal weights the gradient of one place with respect to the picture is symmetric about `start + step * place`."""
    side = 48 if dims == 2 else 40
    if kind == "grid":
        spec = {"dims": dims, "channels": 1}
        body = ENCODERS["grid"](Branch("scan", "grid", ("scan",), spec, {}), {"width": 8})
        for module in body.modules():
            if isinstance(module, torch.nn.GroupNorm):
                module.forward = lambda x: x
    else:
        body = NETWORKS["resnet" if kind == "large" else kind](dims, 1, 4, 3, 1, kind == "large").eval()
    for module in body.modules():  # the weights of channels hang on every place
        if isinstance(module, ChannelWeights):
            module.forward = lambda x: x
    if kind == "large":  # a maximum of equal values would be that of the first
        body.pool = torch.nn.functional.avg_pool2d if dims == 2 else torch.nn.functional.avg_pool3d
    for parameter in body.parameters():
        torch.nn.init.constant_(parameter, 0.05)
    x = torch.ones(1, 1, *(side,) * dims, requires_grad=True)
    looked = 0
    for stage in body.features():
        kept = []
        hook = stage.module.register_forward_hook(lambda _, __, out, kept=kept: kept.append(out))
        body({"x": x} if kind == "grid" else x)
        hook.remove()
        place = kept[0].shape[-1] // 2
        (seen,) = torch.autograd.grad(kept[0][(0, 0, *(place,) * dims)], x)
        along = seen[0, 0].abs().sum(dim=tuple(range(dims - 1))).numpy()
        if along[0] == 0 and along[-1] == 0:
            middle = float((along * np.arange(side)).sum() / along.sum())
            assert middle == pytest.approx(stage.start + stage.step * place, abs=0.26)
            looked += 1
    assert looked >= 1


def test_a_map_is_placed_linearly_between_the_centres_of_its_places():
    stage = Stage(torch.nn.Identity(), 4, 1.0)
    found = placed(np.array([[0.0, 4.0]]), stage, (8,))
    assert found.tolist() == [[0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 4.0]]
    assert placed(np.array([[2.0]]), stage, (3,)).tolist() == [[2.0, 2.0, 2.0]]


def test_other_columns_keep_their_values_and_are_not_looked_at(flat):
    lab = numbers(np.random.default_rng(0).normal(size=(220, 2)))
    params, rows = learnt(2, "plain", epochs=2, lab=lab)
    nets = PictureNets(params, rows.blocks, "scan", ODDS)
    model = Cnn(CnnOptions())
    p = model.predict(params, rows.blocks).value[:, 1]
    with torch.no_grad():
        odds = nets.answer(0, nets.x, torch.arange(len(rows.target))).numpy()
    assert np.allclose(odds, np.log(p / (1 - p)), atol=1e-4)
    assert heat.has_heat(params, "scan")
    assert not heat.has_heat(params, "lab")


def test_an_unknown_way_is_refused(flat):
    params, rows = flat
    with pytest.raises(OptionError, match="layer-cam"):
        heat_maps(PictureNets(params, rows.blocks, "scan", ODDS), "layer-came")
