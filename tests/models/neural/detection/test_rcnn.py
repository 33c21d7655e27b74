"""What the two-stage detector learns, draws and saves."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from osler import models
from osler.errors import ColumnError, OptionError
from osler.evaluation import froc
from osler.evaluation.masks import things
from osler.models.base import Params
from osler.models.neural.detection import two_stage, windows
from osler.models.neural.detection.rcnn import Rcnn, RcnnOptions
from osler.scenes import Asked, Drawing, HeldScenes, boxes_of
from tests.models.neural.detection.planted_things import blocks, discs

QUICK = RcnnOptions(filters=8, width=16, hidden=32, steps=100, batch_size=4, learning_rate=0.008)


def masked(scenes: HeldScenes) -> HeldScenes:
    """The same scenes with their masks asked for."""
    return HeldScenes(scenes.scenes, Asked("segmentation", ("background", "disc"), scenes.asked.dims, instances=True))


@pytest.fixture(scope="module")
def learnt() -> tuple[Rcnn, Params]:
    """Discs with masks."""
    model = Rcnn(QUICK)
    return model, model.fit(masked(discs(40, 40, np.random.default_rng(0))), np.random.default_rng(1))


def test_planted_discs_are_drawn_one_by_one(learnt):
    model, params = learnt
    found = [things(s.drawn.labels, model.draw(params, s).labels) for s in discs(15, 40, np.random.default_rng(5))]
    assert np.mean([f["ap_50"] for f in found]) > 0.7
    assert np.mean([f["dice"] for f in found]) > 0.8


def test_labels_and_boxes_are_of_the_same_things(learnt):
    model, params = learnt
    for scene in discs(5, 60, np.random.default_rng(7)):
        drawn = model.draw(params, scene)
        assert drawn.instances
        assert drawn.labels.dtype == np.uint16
        assert drawn.labels.shape == scene.shape
        boxes, numbers = boxes_of(drawn.labels)
        assert numbers.tolist() == list(range(1, len(drawn.boxes) + 1))
        assert np.array_equal(boxes.corners, drawn.boxes.corners)
        assert (drawn.boxes.scores >= QUICK.sure).all()
        assert (drawn.boxes.codes == 1).all()


def test_masks_of_windows_are_those_of_the_whole_scan(learnt, monkeypatch):
    model, params = learnt
    scene = discs(1, 150, np.random.default_rng(3))[0]
    whole = model.draw(params, scene).labels
    monkeypatch.setitem(windows.AT_ONCE, 2, 80 * 80)
    parts = model.draw(params, scene).labels
    assert ((whole > 0) & (parts > 0)).sum() / max(1, ((whole > 0) | (parts > 0)).sum()) > 0.8


def test_boxes_alone_are_learnt_from():
    model = Rcnn(replace(QUICK, steps=90))
    params = model.fit(blocks(40, 2, 40, np.random.default_rng(0), classes=2), np.random.default_rng(1))
    scenes = blocks(15, 2, 40, np.random.default_rng(5), classes=2)
    drawn = [model.draw(params, s) for s in scenes]
    assert all(d.labels is None for d in drawn)
    notes = [froc.noted(d.boxes, s.drawn.boxes, 2, froc.Rule()) for d, s in zip(drawn, scenes)]
    assert np.mean([froc.average_precision(froc.ranked(notes, [k]))[0] for k in (0, 1)]) > 0.5


def test_pictures_are_enlarged_for_masks_of_small_things_and_not_for_boxes():
    scenes = discs(4, 48, np.random.default_rng(0))
    assert Rcnn(QUICK).plan(scenes)["zoom"] == [1.0, 1.0]
    plan = Rcnn(QUICK).plan(masked(scenes))
    small = np.percentile(np.concatenate([np.sqrt(np.prod(s.drawn.boxes.corners[:, 2:] - s.drawn.boxes.corners[:, :2], axis=1)) for s in scenes]), 10)
    assert plan["zoom"] == pytest.approx([min(2.0, 12 / small)] * 2)
    tiny = [replace(s, values=s.values[:, ::4, ::4], drawn=Drawing(s.drawn.labels[::4, ::4], instances=True)) for s in masked(scenes)]
    assert Rcnn(QUICK).plan(HeldScenes(tuple(tiny), masked(scenes).asked))["zoom"] == [2.0, 2.0]


def test_volumes_are_drawn_in():
    model = Rcnn(replace(QUICK, steps=3, batch_size=1))
    scenes = masked(discs(3, 24, np.random.default_rng(0), dims=3))
    params = model.fit(scenes, np.random.default_rng(1))
    drawn = Rcnn(replace(model.options, sure=0.001, most_things=5)).draw(params, scenes[0])
    assert drawn.labels.shape == (24, 24, 24)
    assert drawn.boxes.corners.shape[1] == 6


def test_the_same_seed_gives_the_same_bytes_and_json_is_enough():
    scenes, model = masked(discs(5, 32, np.random.default_rng(0))), Rcnn(replace(QUICK, steps=3, sure=0.001))
    one, other = (model.fit(scenes, np.random.default_rng(7)) for _ in range(2))
    assert all(np.array_equal(one.arrays[k], other.arrays[k]) for k in one.arrays)
    again = Params(json.loads(json.dumps(one.meta)), dict(other.arrays))
    assert np.array_equal(model.draw(one, scenes[0]).labels, model.draw(again, scenes[0]).labels)


def test_proposals_of_things_are_learnt_from_with_others_beside_them():
    torch.manual_seed(0)
    thing = torch.tensor([[10.0, 10.0, 20.0, 20.0]])
    boxes = torch.cat([thing + torch.tensor([[1.0, 0.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, 8.0, 8.0], [30.0, 30.0, 40.0, 40.0]])])
    rows, which = two_stage._drawn(boxes, thing, torch.tensor([[30.0, 30.0, 41.0, 41.0]]))
    assert sorted(which.tolist()) == [-1, 0, 0]  # the near one, the thing itself, and the far one; nobody asks for the ignored one
    assert not any(r == [30.0, 30.0, 40.0, 40.0] for r in rows.tolist())
    rows, which = two_stage._drawn(boxes, torch.empty(0, 4), torch.empty(0, 4))
    assert which.tolist() == [-1, -1, -1]


def test_what_it_cannot_draw_is_said():
    scenes = discs(3, 32, np.random.default_rng(0))
    classes = HeldScenes(scenes.scenes, Asked("segmentation", ("background", "a", "b"), 2))
    with pytest.raises(ColumnError, match="one by one"):
        Rcnn(QUICK).plan(classes)
    with pytest.raises(OptionError, match="hidden"):
        RcnnOptions(hidden=0)
    assert isinstance(models.drawer("rcnn:sure=0.3"), Rcnn)
    assert models.drawer("rcnn:sure=0.3").options.sure == 0.3
