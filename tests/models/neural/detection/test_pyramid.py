"""The pyramid: ranks beside numbers, levels of the wanted strides, and a stem that looks at every voxel where things are small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from osler.models.neural.detection import one_stage, sampling
from osler.models.neural.detection.plan import SHORTEST, VOXELS
from osler.models.neural.detection.preparing import Prepared
from osler.models.neural.detection.pyramid import Pyramid, Ranks
from osler.models.neural.detection.retina import Retina
from osler.scenes import Asked, Boxes, Drawing, HeldScenes, Scene
from tests.models.neural.detection.planted_things import blocks


def test_ranks_are_those_of_linear_interpolation():
    known = [-1.5, -0.4, 0.0, 0.1, 2.0]
    x = np.random.default_rng(0).normal(0, 2, (2, 3, 4, 5)).astype(np.float32)
    seen = Ranks(known)(torch.from_numpy(x)).numpy()
    assert seen.shape == (2, 6, 4, 5)
    assert np.array_equal(seen[:, :3], x)
    assert seen[:, 3:] == pytest.approx(np.interp(x, known, np.linspace(-1, 1, 5)), abs=1e-6)


def test_one_known_value_tells_nothing_and_equal_ones_divide_by_nothing():
    x = torch.linspace(-1, 1, 8).reshape(1, 1, 8)
    assert Ranks([0.5])(x)[:, 1].abs().max() == 0
    assert torch.isfinite(Ranks([0.5, 0.5, 0.5])(x)).all()


def test_ranks_are_part_of_the_plan_and_not_of_the_weights():
    assert not Ranks([0.0, 1.0]).state_dict()
    plan = Retina().plan(lesions(6, np.random.default_rng(0)))
    net = one_stage.pyramid_of(plan)
    known = next(m for m in net.modules() if isinstance(m, Ranks)).known
    assert (known * plan["spread"] + plan["centre"]).tolist() == pytest.approx(plan["ranks"], abs=0.01)


@pytest.mark.parametrize(("dims", "strides"), [(2, (4, 8)), (3, (2, 4)), (3, (4,))])
def test_levels_have_the_strides_that_are_asked_for(dims, strides):
    levels = Pyramid(dims, 1, 4, 6, strides, 1)(torch.zeros(2, 1, *(16,) * dims))
    assert [tuple(level.shape) for level in levels] == [(2, 6, *(16 // s,) * dims) for s in strides]


def test_small_things_in_volumes_get_a_stem_that_looks_at_every_voxel():
    strides = {
        (dims, first): [m.stride[0] for m in Pyramid(dims, 1, 4, 6, (first,), 1).stem.modules() if hasattr(m, "stride")]
        for dims, first in ((2, 2), (3, 2), (3, 4))
    }
    assert strides == {(2, 2): [2], (3, 2): [1, 2], (3, 4): [2]}


# -- lesions of a few voxels --------------------------------------------------------------------------------------------


def lesions(n: int, rng: np.random.Generator) -> HeldScenes:
    """Soft tissue of 40 HU with noise of 12, air round it, a bar of bone, and up to three balls of 4 to 6 voxels, 90 to 150 HU off."""
    at, scenes = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij")), []
    for _ in range(n):
        x, corners = np.full((24,) * 3, 40.0), []
        x[:, :, :4], x[:, 18:21, 6:20] = -1000.0, 600.0
        for _ in range(int(rng.integers(1, 4))):
            radius, middle = rng.uniform(2, 3), np.array([rng.uniform(4, 20), rng.uniform(4, 13), rng.uniform(8, 20)])
            ball = np.sqrt(((at - middle.reshape(3, 1, 1, 1)) ** 2).sum(axis=0)) < radius
            x[ball] = 40.0 + rng.choice([-1, 1]) * rng.uniform(90, 150)
            corners.append([*(middle + 0.5 - radius), *(middle + 0.5 + radius)])
        drawn = Drawing(boxes=Boxes(np.array(corners), np.zeros(len(corners), np.int64), np.ones(len(corners))))
        scenes.append(Scene((x + rng.normal(0, 12, x.shape))[None].astype(np.float32), np.full(3, 2.0), np.eye(4), drawn))
    return HeldScenes(tuple(scenes), Asked("detection", ("lesion",), 3, ("HU",)))


def test_lesions_of_a_few_voxels_beside_bone_and_air_are_learnt():
    model = Retina(Retina.Options(steps=70, batch_size=16, filters=8, width=16, depth=1, learning_rate=0.005))
    params = model.fit(lesions(40, np.random.default_rng(0)), np.random.default_rng(1))
    assert params.meta["plan"]["normalise"] == "set"
    hits = []
    for scene in lesions(20, np.random.default_rng(2)):
        found, true = model.draw(params, replace(scene, drawn=None)).boxes, scene.drawn.boxes
        middle = (found.corners[:1, :3] + found.corners[:1, 3:]) / 2
        hits.append(((middle >= true.corners[:, :3]) & (middle < true.corners[:, 3:])).all(axis=1).any())
    assert np.mean(hits) >= 0.5  # things fill about 1 % of a scan


def test_patches_of_volumes_are_small_and_many():
    plan = Retina().plan(lesions(6, np.random.default_rng(0)))
    assert plan["patch"] == [SHORTEST] * 3
    assert plan["batch"] == 32
    assert plan["batch"] * np.prod(plan["patch"]) == VOXELS
    asked_for = Retina(Retina.Options(patch=24, batch_size=3)).plan(lesions(6, np.random.default_rng(0)))
    assert (asked_for["patch"], asked_for["batch"]) == ([24] * 3, 3)
    large = Retina().plan(blocks(5, 3, 64, np.random.default_rng(0), spacing=1.0))
    assert SHORTEST < max(large["patch"]) <= 48  # blocks of up to 16


def test_scans_on_one_scale_change_more_in_brightness():
    scan, middles = Prepared(torch.ones(1, 8, 8, 8).half(), torch.empty(0, 6), torch.empty(0, dtype=torch.long), np.ones(3)), {}
    for kind, (contrast, brightness) in sampling.TONES.items():
        rng = np.random.default_rng(0)
        made = [float(sampling.patch(scan, [6] * 3, False, rng, (contrast, brightness))["x"][0, 3, 3, 3]) for _ in range(200)]
        assert 1 - contrast - brightness <= min(made) < max(made) <= 1 + contrast + brightness
        middles[kind] = np.std(made)
    assert middles["set"] > 1.5 * middles["scan"]
