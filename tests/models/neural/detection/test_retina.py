"""What the one-stage detector learns, says and saves."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from osler.errors import OptionError, TargetError
from osler.evaluation import froc
from osler.models.base import Params
from osler.models.neural.detection import windows
from osler.models.neural.detection.retina import Retina, RetinaOptions
from osler.scenes import Boxes, Drawing, HeldScenes
from tests.models.neural.detection.planted_things import blocks, discs

QUICK = RetinaOptions(filters=8, width=16, depth=1, steps=100, batch_size=4, learning_rate=0.008)


def precision_of(model: Retina, params: Params, scenes: HeldScenes, least: float = 0.5) -> float:
    """Average precision at an overlap, the mean of the classes."""
    rule, k = froc.Rule(least=least), len(scenes.asked.classes)
    notes = [froc.noted(model.draw(params, scene).boxes, scene.drawn.boxes, k, rule) for scene in scenes]
    each = [froc.average_precision(froc.ranked(notes, [code]))[0] for code in range(k)]
    return float(np.mean(each))


@pytest.fixture(scope="module")
def learnt() -> tuple[Retina, Params]:
    """Bright and dark blocks in pictures."""
    model = Retina(QUICK)
    return model, model.fit(blocks(60, 2, 64, np.random.default_rng(0), classes=2), np.random.default_rng(1))


def test_planted_blocks_and_their_class_are_found(learnt):
    assert precision_of(*learnt, blocks(20, 2, 64, np.random.default_rng(5), classes=2)) > 0.8


def test_blocks_in_volumes_are_found():
    model = Retina(replace(QUICK, steps=60, learning_rate=0.01))
    params = model.fit(blocks(40, 3, 24, np.random.default_rng(0), spacing=1.0), np.random.default_rng(1))
    assert precision_of(model, params, blocks(10, 3, 24, np.random.default_rng(5), spacing=1.0), least=0.3) > 0.7


def test_the_same_seed_gives_the_same_bytes():
    scenes, model = blocks(6, 2, 32, np.random.default_rng(0)), Retina(replace(QUICK, steps=4))
    one, other = (model.fit(scenes, np.random.default_rng(7)) for _ in range(2))
    assert all(np.array_equal(one.arrays[k], other.arrays[k]) for k in one.arrays)
    a, b = (model.draw(p, scenes[0]).boxes for p in (one, other))
    assert np.array_equal(a.corners, b.corners)


def test_params_are_json_and_numbers(learnt):
    model, params = learnt
    again = Params(json.loads(json.dumps(params.meta)), {k: v.copy() for k, v in params.arrays.items()})
    scene = blocks(1, 2, 64, np.random.default_rng(9), classes=2)[0]
    a, b = (model.draw(p, scene).boxes for p in (params, again))
    assert np.array_equal(a.corners, b.corners)
    assert np.array_equal(a.scores, b.scores)


def test_boxes_lie_in_the_scan_the_surest_first_and_none_over_another(learnt):
    model, params = learnt
    for scene in blocks(5, 2, 50, np.random.default_rng(3), classes=2):
        boxes = model.draw(params, scene).boxes
        assert (np.diff(boxes.scores) <= 0).all()
        assert (boxes.corners >= 0).all()
        assert (boxes.corners <= 50).all()
        for code in (0, 1):
            mine = boxes.corners[boxes.codes == code]
            assert (froc.overlap(mine, mine) - np.eye(len(mine)) <= 0.5 + 1e-6).all()


def test_windows_answer_as_the_whole_scan_does(learnt, monkeypatch):
    model, params = learnt
    scene = blocks(1, 2, 160, np.random.default_rng(4), classes=2)[0]
    whole = model.draw(params, scene).boxes
    monkeypatch.setitem(windows.AT_ONCE, 2, 80 * 80)
    parts = model.draw(params, scene).boxes
    sure, sure_parts = whole.take(whole.scores > 0.3), parts.take(parts.scores > 0.3)
    assert len(sure) == len(sure_parts) > 0
    assert froc.overlap(sure.corners, sure_parts.corners).max(axis=1).min() > 0.7


@pytest.mark.parametrize("merging", ["suppress", "fuse"])
def test_mirrored_views_tell_the_same_things(learnt, merging):
    _, params = learnt
    scenes = blocks(10, 2, 64, np.random.default_rng(6), classes=2)
    assert precision_of(Retina(replace(QUICK, views=4, merging=merging)), params, scenes) > 0.8


def test_tiles_cover_a_scan_once():
    for shape, size in (((100,), (40,)), ((37, 90), (64, 32)), ((50, 50, 50), (32, 32, 64))):
        owned = np.zeros(shape, dtype=int)
        for low, own in windows.tiles(shape, size, 4):
            at = tuple(slice(max(0, int(np.ceil(a - 0.5))) if np.isfinite(a) else 0, int(np.ceil(b - 0.5)) if np.isfinite(b) else None) for a, b in own)
            owned[at] += 1
            assert all(l >= 0 and (l + s <= n or l == 0) for l, s, n in zip(low, size, shape))
        assert (owned == 1).all()


def test_things_of_masks_are_learnt_as_boxes():
    scenes = discs(4, 48, np.random.default_rng(0))
    without = HeldScenes(tuple(replace(s, drawn=Drawing(s.drawn.labels, instances=True)) for s in scenes), scenes.asked)
    assert Retina(QUICK).plan(without)["anchors"] == Retina(QUICK).plan(scenes)["anchors"]


def test_the_plan_follows_the_boxes():
    scenes = blocks(20, 2, 64, np.random.default_rng(0))
    plan = Retina().plan(scenes)
    assert plan["zoom"] == [1.0, 1.0]
    assert plan["patch"] == [64, 64]
    assert plan["most_overlap"] == 0.15  # planted blocks never overlap
    assert json.loads(json.dumps(plan)) == plan
    coarse = []
    for scene in scenes:
        boxes = replace(scene.drawn.boxes, corners=scene.drawn.boxes.corners * 4)
        coarse.append(replace(scene, values=scene.values.repeat(4, 1).repeat(4, 2), drawn=Drawing(boxes=boxes)))
    larger = Retina().plan(HeldScenes(tuple(coarse), scenes.asked))
    assert larger["zoom"][0] < 0.5  # things of 32 to 64 pixels need no more than a share of them
    volumes = Retina().plan(blocks(5, 3, 32, np.random.default_rng(0), spacing=0.5))
    assert volumes["spacing"] == pytest.approx([volumes["spacing"][0]] * 3)
    assert volumes["spacing"][0] >= 0.5


def test_what_cannot_be_learnt_from_is_said():
    scenes = blocks(3, 2, 32, np.random.default_rng(0))
    empty = HeldScenes(tuple(replace(s, drawn=Drawing(boxes=Boxes.none(2))) for s in scenes), scenes.asked)
    with pytest.raises(TargetError, match="at least one box"):
        Retina(QUICK).fit(empty, np.random.default_rng(0))
    with pytest.raises(OptionError, match="merging"):
        RetinaOptions(merging="sum")
    with pytest.raises(OptionError, match="views"):
        RetinaOptions(views=3)
    with pytest.raises(OptionError, match="epochs"):
        RetinaOptions(epochs=0)


def test_a_diverging_training_is_named():
    scenes = blocks(3, 2, 32, np.random.default_rng(0))
    broken = HeldScenes(tuple(replace(s, values=s.values * np.float32(1)) for s in scenes), scenes.asked)
    with pytest.raises(OptionError, match="finite"):
        Retina(replace(QUICK, learning_rate=1e18, steps=20)).fit(broken, np.random.default_rng(0))
