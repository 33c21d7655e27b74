"""Networks that draw masks: what they learn, and what must not change their answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from osler import models
from osler.errors import ColumnError, OptionError
from osler.models.neural.segmentation.cleaning import dice
from osler.models.neural.segmentation.drawers import UNet
from osler.models.neural.segmentation.options import UNetOptions
from osler.scenes import Drawing, HeldScenes
from tests.models.neural.segmentation.planted_scenes import balls

QUICK = UNetOptions(width=8, steps=100, batch_size=2, augment="light", precision="float32", learning_rate=0.03)


def mean_dice(model, params, scenes) -> float:
    return float(np.nanmean([dice(s.drawn.labels, model.draw(params, s).labels, 3) for s in scenes]))


@pytest.mark.parametrize("shape", [(20, 24, 22), (44, 50)])
def test_planted_balls_are_drawn(shape):
    scenes = balls(12, np.random.default_rng(0), shape)
    model = UNet(QUICK)
    params = model.fit(scenes.take(np.arange(8)), np.random.default_rng(1))
    test = scenes.take(np.arange(8, 12))
    assert mean_dice(model, params, test) > 0.85
    # bfloat16 leaves at least 99.5 % of the labels, and windows and views change little
    plain = [model.draw(params, s).labels for s in test]
    for other in (UNet(replace(QUICK, precision="bf16")), UNet(replace(QUICK, views="shifted"))):
        same = np.mean([(other.draw(params, s).labels == labels).mean() for s, labels in zip(test, plain)])
        assert same > 0.995 if other.options.precision == "bf16" else same > 0.97


def test_the_same_seed_gives_the_same_bytes():
    scenes = balls(3, np.random.default_rng(0))
    model = UNet(replace(QUICK, steps=3, augment="full"))
    first, second, other = (model.fit(scenes, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.meta == second.meta
    assert all(v.tobytes() == second.arrays[k].tobytes() for k, v in first.arrays.items())
    assert any(v.tobytes() != other.arrays[k].tobytes() for k, v in first.arrays.items())


def test_probabilities_are_shares_on_the_scan_s_own_grid():
    scenes = balls(3, np.random.default_rng(0))
    model = UNet(replace(QUICK, steps=2, spacing=("2",)))
    params = model.fit(scenes, np.random.default_rng(1))
    found = model.draw(params, scenes[0], probability=True)
    assert found.labels.shape == scenes[0].shape and found.labels.dtype == np.uint16
    assert found.probability.shape == (3, *scenes[0].shape)
    np.testing.assert_allclose(found.probability.sum(axis=0), 1.0, atol=1e-4)
    assert model.draw(params, scenes[0]).probability is None


def test_a_scan_of_other_channels_is_refused():
    scenes = balls(2, np.random.default_rng(0))
    model = UNet(replace(QUICK, steps=2))
    params = model.fit(scenes, np.random.default_rng(1))
    with pytest.raises(ColumnError, match="channels"):
        model.draw(params, replace(scenes[0], values=np.repeat(scenes[0].values, 2, axis=0)))


def test_training_scans_without_a_fitting_mask_are_refused():
    scenes = balls(2, np.random.default_rng(0))
    model = UNet(QUICK)
    with pytest.raises(ColumnError, match="mask"):
        model.plan(replace(scenes, scenes=(replace(scenes[0], drawn=None),), groups=np.zeros(1)))
    small = Drawing(scenes[0].drawn.labels[:-1])
    with pytest.raises(ColumnError, match="shape"):
        model.plan(HeldScenes((replace(scenes[0], drawn=small),), scenes.asked))
    beyond = Drawing(scenes[0].drawn.labels + 5)
    with pytest.raises(ColumnError, match="classes"):
        model.plan(HeldScenes((replace(scenes[0], drawn=beyond),), scenes.asked))


def test_drawers_are_found_by_name_and_options_by_text():
    model = models.drawer("unet:patch=16+24+24,residual=true,minutes=1.5")
    assert isinstance(model, UNet) and model.options.numbers("patch") == (16.0, 24.0, 24.0) and model.options.residual
    for wrong in ("norm=layer", "patch=0", "spacing=a", "overlap=0.95", "steps=-1", "blocks=0", "members=0", "minutes=0"):
        with pytest.raises(OptionError):
            models.drawer(f"unet:{wrong}")
