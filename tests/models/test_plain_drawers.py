"""The simple models that draw: where things usually lie, and what a threshold finds."""

from __future__ import annotations

import numpy as np
import pytest

from osler import models
from osler.adapters.skimage_regions import otsu, parted
from osler.errors import ColumnError, OptionError
from osler.evaluation.masks import things
from osler.scenes import Asked, Drawing, HeldScenes, Scene
from tests.drawn_scans import ball, brain, cells

BRAINS = Asked("segmentation", ("background", "core", "rim"), 3, ("mr",))
CELLS = Asked("segmentation", ("background", "thing"), 2, ("light",), instances=True)


def made_brains(n: int = 6, seed: int = 0) -> HeldScenes:
    rng = np.random.default_rng(seed)
    made = [brain(rng) for _ in range(n)]
    return HeldScenes(tuple(Scene(v[None], np.ones(3), np.eye(4), Drawing(m.astype(np.uint16))) for v, m in made), BRAINS)


def made_cells(n: int = 6, seed: int = 0, dark: bool = False) -> HeldScenes:
    rng, scenes = np.random.default_rng(seed), []
    for _ in range(n):
        values, labels = cells(rng)
        values = (255 - values if dark else values).astype(np.float32)
        two = np.stack([rng.normal(0, 1, values.shape).astype(np.float32), values])
        scenes.append(Scene(two, np.full(2, np.nan), np.eye(4), Drawing(labels.astype(np.uint16), instances=True)))
    return HeldScenes(tuple(scenes), CELLS)


def test_the_atlas_is_the_likeliest_class_of_every_place():
    """Three masks of four mark a pixel, so it is drawn; one of four does not."""
    often, seldom = np.zeros((8, 8), np.uint16), np.zeros((8, 8), np.uint16)
    often[2:4, 2:4] = 1
    seldom[6, 6] = 1
    masks = [often, often, often, seldom]
    asked = Asked("segmentation", ("background", "x"), 2, ("light",))
    scenes = HeldScenes(tuple(Scene(np.zeros((1, 8, 8), np.float32), np.ones(2), np.eye(4), Drawing(m)) for m in masks), asked)
    atlas = models.drawer("atlas")
    params = atlas.fit(scenes, np.random.default_rng(0))
    drawn = atlas.draw(params, scenes[3], probability=True)
    assert np.array_equal(drawn.labels, often)
    assert drawn.probability[1, 2, 2] == 0.75
    assert drawn.probability[1, 6, 6] == 0.25
    assert np.allclose(drawn.probability.sum(axis=0), 1)


def test_the_atlas_is_stretched_to_the_scan():
    scenes = made_brains()
    atlas = models.drawer("atlas")
    params = atlas.fit(scenes, np.random.default_rng(0))
    larger = Scene(np.zeros((1, 20, 28, 24), np.float32), np.ones(3), np.eye(4))
    found = atlas.draw(params, larger).labels
    assert found.shape == larger.shape
    assert found[10, 14, 12] == 1
    with pytest.raises(ColumnError, match="axes"):
        atlas.draw(params, Scene(np.zeros((1, 9, 9), np.float32), np.ones(2), np.eye(4)))
    with pytest.raises(ColumnError, match="masks of classes"):
        atlas.fit(made_cells(), np.random.default_rng(0))


def test_the_grid_of_the_atlas_is_bounded_by_its_option():
    assert models.drawer("atlas").plan(made_brains())["grid"] == [10, 14, 12]
    assert models.drawer("atlas:side=8").plan(made_brains())["grid"] == [8, 8, 8]
    with pytest.raises(OptionError):
        models.drawer("atlas:sides=8")


@pytest.mark.parametrize("dark", [False, True])
def test_the_threshold_finds_its_channel_and_side_and_parts_cells(dark):
    scenes = made_cells(dark=dark)
    threshold = models.drawer("threshold")
    params = threshold.fit(scenes, np.random.default_rng(0))
    assert params.meta["channel"] == 1
    assert params.meta["bright"] is not dark
    unseen = made_cells(seed=9, dark=dark)
    worth = [things(s.drawn.labels, threshold.draw(params, s).labels)["f1_50"] for s in unseen]
    assert np.mean(worth) > 0.8


def test_the_threshold_draws_one_class_of_volumes_too():
    scenes = made_brains()
    one = Asked("segmentation", ("background", "any"), 3, ("mr",))
    whole = HeldScenes(tuple(Scene(s.values, s.spacing, s.affine, Drawing((s.drawn.labels > 0).astype(np.uint16))) for s in scenes), one)
    threshold = models.drawer("threshold")
    params = threshold.fit(whole, np.random.default_rng(0))
    drawn = threshold.draw(params, whole[0], probability=True)
    both = (drawn.labels > 0) & (whole[0].drawn.labels > 0)
    assert 2 * both.sum() / ((drawn.labels > 0).sum() + (whole[0].drawn.labels > 0).sum()) > 0.9
    assert drawn.probability.shape == (2, *whole[0].shape)
    with pytest.raises(ColumnError, match="one class"):
        threshold.fit(scenes, np.random.default_rng(0))


def test_a_scan_of_fewer_channels_is_refused():
    threshold = models.drawer("threshold")
    params = threshold.fit(made_cells(), np.random.default_rng(0))
    with pytest.raises(ColumnError, match="channel 2"):
        threshold.draw(params, Scene(np.zeros((1, 9, 9), np.float32), np.ones(2), np.eye(4)))


def test_otsu_parts_two_heaps_between_them():
    assert 10 <= otsu(np.array([9.0, 10, 10, 11, 49, 50, 51])) < 49
    assert otsu(np.full(5, 3.0)) == 3.0


def test_touching_discs_are_parted_and_specks_left_out():
    mask = ball((30, 40), (15, 12), 6) | ball((30, 40), (15, 22), 6)
    mask[2, 2] = True
    labels = parted(mask, apart=4, least=5)
    assert labels.max() == 2
    assert labels[15, 12] != labels[15, 22]
    assert labels[2, 2] == 0
    assert parted(np.zeros((9, 9), bool), 3, 1).max() == 0
