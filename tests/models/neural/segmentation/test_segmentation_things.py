"""Things told apart, and parts that are too small to be meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("skimage")

from osler.evaluation.masks import things as measured
from osler.models.neural.segmentation import cleaning, things
from osler.models.neural.segmentation.drawers import DeepMedic, UNet
from osler.models.neural.segmentation.options import DeepMedicOptions, UNetOptions
from tests.models.neural.segmentation.planted_scenes import balls, discs

RULE = {"middle": 0.35, "split": 1.0, "blur": 1.0, "sure": 0.5, "least": 4.0, "small": 2.0, "full": 3.0}


def two(gap: int = 0) -> np.ndarray:
    """Two squares of 8 x 8 beside one another."""
    labels = np.zeros((14, 24), np.uint16)
    labels[3:11, 2:10] = 1
    labels[3:11, 10 + gap : 18 + gap] = 2
    return labels


def test_depth_is_nothing_at_borders_even_between_things_that_touch():
    found = things.depth_of(two(), 3.0)
    assert found.dtype == np.float32 and found.max() == 1.0 and (found[two() == 0] == 0).all()
    assert (found[3:11, 9:11] == 0).all() and found[7, 5] == 1.0
    assert things.depth_of(np.zeros((4, 4), np.uint16), 3.0).max() == 0.0
    assert things.deepest(np.pi * 64, 2) == pytest.approx(4.0) and things.deepest(4 / 3 * np.pi * 1000, 3) == pytest.approx(5.0)


@pytest.mark.parametrize("gap", [0, 2])
def test_true_depths_give_the_things_back(gap):
    labels = two(gap)
    found = things.numbered((labels > 0).astype(float), things.depth_of(labels, 3.0), RULE)
    assert found.dtype == np.uint16 and found.max() == 2
    assert things.agreement(labels, found) == 1.0
    np.testing.assert_array_equal(found > 0, labels > 0)


def test_a_waist_parts_what_the_depth_left_together():
    grid = np.stack(np.meshgrid(np.arange(24), np.arange(40), indexing="ij"))
    balls_ = [((grid - np.array(m).reshape(2, 1, 1)) ** 2).sum(0) < 81 for m in ((12, 12), (12, 27))]
    mask = balls_[0] | balls_[1]
    depth = mask.astype(np.float32)
    assert things.numbered(mask.astype(float), depth, RULE | {"split": 0.0}).max() == 1
    assert things.numbered(mask.astype(float), depth, RULE | {"split": 4.0}).max() == 2


def test_small_things_need_sharp_waists():
    mask = np.zeros((13, 19), bool)
    mask[4:9, 3:8] = mask[4:9, 10:15] = mask[5:8, 8:10] = True  # two squares of five, joined by a bridge of three
    asked = RULE | {"split": 4.0, "full": 2.0}
    count = [int(things.numbered(mask.astype(float), mask.astype(np.float32), asked | {"blur": blur}).max()) for blur in (0.5, 2.0)]
    assert count == [2, 1]


def test_small_things_are_left_out_and_nothing_is_nothing():
    labels = two()
    labels[0, 0] = 3
    assert things.numbered((labels > 0).astype(float), (labels > 0).astype(np.float32), RULE | {"split": 0.0}).max() == 1
    assert things.numbered(np.zeros((5, 5)), np.zeros((5, 5)), RULE).max() == 0


def test_agreement_counts_found_missed_and_invented():
    truth = two(2)
    assert things.agreement(truth, truth) == 1.0
    assert things.agreement(truth, np.where(truth == 1, 1, 0)) == 0.5
    assert things.agreement(truth, np.zeros_like(truth)) == 0.0
    assert things.agreement(np.zeros_like(truth), np.zeros_like(truth)) == 1.0
    assert things.agreement(truth, (truth > 0).astype(int)) < 0.5


def test_boxes_follow_the_numbers():
    labels = two(2)
    probability = np.stack([labels == 0, labels == 2, labels == 1]).astype(np.float32)
    found = things.boxes_of(labels, probability, things.depth_of(labels, 3.0))
    np.testing.assert_array_equal(found.corners, [[3, 2, 11, 10], [3, 12, 11, 20]])
    assert found.codes.tolist() == [2, 1] and found.scores.tolist() == [1.0, 1.0]
    assert len(things.boxes_of(np.zeros((3, 3), np.uint16), np.ones((2, 3, 3)), np.zeros((3, 3)))) == 0


def test_a_rule_is_chosen_by_what_agrees():
    labels = two()
    answers = [((labels > 0) * 0.6, things.depth_of(labels, 3.0), labels)]
    rule = things.chosen_rule(answers, 64.0)
    assert things.agreement(labels, things.numbered(*answers[0][:2], rule)) == 1.0
    assert rule["sure"] < 0.6 and rule["full"] == things.deepest(64.0, 2)


def test_discs_that_touch_are_told_apart():
    scenes = discs(12, np.random.default_rng(0))
    model = UNet(UNetOptions(steps=60, width=12, levels=3, batch_size=2, learning_rate=0.03, precision="float32"))
    params = model.fit(scenes.take(np.arange(9)), np.random.default_rng(1))
    found = [measured(s.drawn.labels, model.draw(params, s).labels) for s in scenes.take(np.arange(9, 12))]
    assert np.mean([f["ap_50"] for f in found]) > 0.75
    drawn = model.draw(params, scenes[0], probability=True)
    assert drawn.instances and len(drawn.boxes) == drawn.labels.max() and drawn.probability.shape == (2, *scenes[0].shape)
    again = replace(model.options, views="mirrored")
    assert UNet(again).draw(params, scenes[0]).labels.max() > 0


def test_only_the_largest_part_of_each_class_is_kept():
    labels = np.array([[1, 1, 0, 2], [0, 0, 0, 0], [1, 0, 2, 2]], np.uint16)
    np.testing.assert_array_equal(cleaning.largest(labels), [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 2, 2]])
    np.testing.assert_allclose(cleaning.dice(labels, cleaning.largest(labels), 4), [0.8, 0.8, np.nan])


def test_two_pathways_learn_planted_balls():
    scenes = balls(10, np.random.default_rng(0), (44, 50))
    model = DeepMedic(DeepMedicOptions(steps=60, width=8, levels=4, batch_size=2, patch=("27", "27"), learning_rate=0.03, precision="float32", augment="light"))
    params = model.fit(scenes.take(np.arange(8)), np.random.default_rng(1))
    values = [cleaning.dice(s.drawn.labels, model.draw(params, s).labels, 3) for s in scenes.take(np.arange(8, 10))]
    assert np.nanmean(values) > 0.8
