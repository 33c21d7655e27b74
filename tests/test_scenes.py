"""Scans with things on them."""

from __future__ import annotations

import numpy as np

from osler.scenes import Asked, Boxes, HeldScenes, Scene, boxes_of


def test_boxes_lie_round_numbered_things():
    labels = np.zeros((6, 8), dtype=np.uint16)
    labels[1:3, 2:7] = 4
    labels[5, 0] = 9
    labels[0, 0] = 9
    made, numbers = boxes_of(labels)
    assert made.corners.tolist() == [[1, 2, 3, 7], [0, 0, 6, 1]]
    assert numbers.tolist() == [4, 9]
    assert boxes_of(np.ones((2, 3, 4), int))[0].corners.tolist() == [[0, 0, 0, 2, 3, 4]]
    assert len(boxes_of(np.zeros((3, 3), int))[0]) == 0


def test_held_scenes_are_taken_by_rows():
    scenes = HeldScenes(tuple(Scene(np.full((1, 2, 2), i), np.ones(2), np.eye(4)) for i in range(3)), Asked("detection", ("a",), 2))
    part = scenes.take(np.array([2, 0]))
    assert [s.values[0, 0, 0] for s in part] == [2, 0]
    assert part.groups.tolist() == [2, 0]
    assert len(scenes.take(np.array([True, False, False]))) == 1
    assert (scenes[0].dims, scenes[0].shape) == (2, (2, 2))
    assert Boxes.none(3).corners.shape == (0, 6)
