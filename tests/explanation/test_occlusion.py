"""Occlusion: covers lie over every voxel, and a model that reads one place loses its answer there and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from osler.blocks import Block
from osler.explanation.occlusion import covers, occlusion_maps


@pytest.mark.parametrize("shape", [(12, 20), (7, 9, 30), (1, 5), (64, 64)])
def test_covers_lie_over_every_voxel(shape):
    times = np.zeros(shape)
    for span in covers(shape):
        times[span] += 1
    assert times.min() >= 1


def test_the_place_that_a_model_reads_is_hot_and_others_are_cold():
    values = np.zeros((2, 1, 24, 24), np.float32)
    values[:, 0, 15:18, 6:9] = 1.0
    block = Block("grid", {"values": values}, np.array([True, False]), ("v",))
    found = occlusion_maps(lambda blocks: blocks["scan"].values[:, 0, 15:18, 6:9].sum(axis=(1, 2)), {"scan": block}, "scan")
    assert not found[1].any()
    y, x = np.unravel_index(found[0].argmax(), (24, 24))
    assert 15 <= y <= 17
    assert 6 <= x <= 8
    assert not found[0][:10].any()
    mean = values[0].mean()
    assert found[0].max() <= 9 * (1 - mean) + 1e-5
