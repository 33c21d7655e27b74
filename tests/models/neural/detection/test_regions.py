"""What lies in a box, against direct interpolation by hand, and masks put back where they were."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from osler.models.neural.detection import regions


def interpolated(x: np.ndarray, at: tuple[float, ...]) -> float:
    """Linear interpolation of (y, x) or (z, y, x) at a point whose first pixel's middle is 0.5; the outermost value goes on beyond the edge."""
    inner = [min(max(a - 0.5, 0.0), n - 1.0) for a, n in zip(at, x.shape)]
    total = 0.0
    for corner in itertools.product((0, 1), repeat=len(inner)):
        where = [min(int(a) + c, n - 1) for a, c, n in zip(inner, corner, x.shape)]
        weight = np.prod([(a - int(a)) if c else 1 - (a - int(a)) for a, c in zip(inner, corner)])
        total += weight * x[tuple(where)]
    return total


@pytest.mark.parametrize("dims", [2, 3])
def test_alignment_is_direct_interpolation(rng, dims):
    x = rng.normal(size=(2, *(6, 7, 8)[:dims]))
    low = rng.uniform(0, 8, (3, dims))
    boxes = np.concatenate([low, low + rng.uniform(3, 14, (3, dims))], axis=1)
    found = regions.align(torch.tensor(x), torch.tensor(boxes), 2.0, 3).numpy()
    assert found.shape == (3, 2, *(3,) * dims)
    for k, cell in itertools.product(range(3), itertools.product(range(3), repeat=dims)):
        points = []
        for sub in itertools.product((0.25, 0.75), repeat=dims):
            at = [(boxes[k, i] + (boxes[k, dims + i] - boxes[k, i]) * (cell[i] + sub[i]) / 3) / 2 for i in range(dims)]
            points.append([interpolated(channel, tuple(at)) for channel in x])
        assert found[(k, slice(None), *cell)] == pytest.approx(np.mean(points, axis=0), abs=1e-5)


def test_a_ramp_stays_a_ramp():
    x = torch.arange(16.0).expand(1, 16, 16)  # the value at x is x - 0.5
    found = regions.align(x, torch.tensor([[2.0, 4.0, 6.0, 12.0]]), 1.0, 4)
    assert found[0, 0, 0].tolist() == pytest.approx([4.5, 6.5, 8.5, 10.5])  # middles of cells at 5, 7, 9, 11


def test_boxes_go_to_the_level_of_their_size():
    boxes = torch.tensor([[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 16.0, 16.0], [0.0, 0.0, 100.0, 100.0], [0.0, 0.0, 4.0, 16.0]])
    assert regions.level_of(boxes, (2, 4, 8)).tolist() == [0, 1, 2, 0]
    levels = [torch.full((1, 64 // s, 64 // s), float(s)) for s in (2, 4, 8)]
    found = regions.align_levels(levels, boxes[:3] * 0.5 + 10, (2, 4, 8), 2)
    assert found[:, 0, 0, 0].tolist() == [2.0, 2.0, 8.0]
    assert regions.align_levels(levels, boxes[:0], (2, 4, 8), 2).shape == (0, 1, 2, 2)


def test_masks_in_boxes_are_shares_of_cells():
    labels = torch.zeros(12, 12, dtype=torch.int32)
    labels[2:8, 2:5] = 3
    labels[2:8, 5:8] = 4
    box = torch.tensor([[2.0, 2.0, 8.0, 8.0]])
    assert regions.masks_in(labels, torch.tensor([3]), box, 2)[0].tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert regions.masks_in(labels, torch.tensor([4]), box, 2)[0].tolist() == [[0.0, 1.0], [0.0, 1.0]]


@pytest.mark.parametrize("dims", [2, 3])
def test_what_is_cut_out_can_be_pasted_back(dims):
    side = 40
    at = np.stack(np.meshgrid(*[np.arange(side) + 0.5] * dims, indexing="ij"))
    far = np.sqrt(((at - 19.0) ** 2).sum(axis=0))
    labels = torch.tensor((far < 9).astype(np.int32))
    box = torch.tensor([[10.0] * dims + [28.0] * dims])
    mask = regions.masks_in(labels, torch.tensor([1]), box, 28).numpy()
    back = regions.pasted(mask, box.double().numpy(), (side,) * dims)
    shared = ((back == 1) & (far < 9)).sum() / ((back == 1) | (far < 9)).sum()
    assert shared > 0.95


def test_the_surer_thing_keeps_a_pixel_and_edges_are_kept():
    masks, corners = np.ones((2, 4, 4), np.float32), np.array([[-2.0, 1, 3, 5], [1, 3, 6, 9]])
    labels = regions.pasted(masks, corners, (5, 8))
    assert (labels[:3, 1:5] == 1).all()
    assert labels[4, 3] == 2
    assert labels[1:5, 5:8].min() == 2
    assert labels[:, 0].max() == 0
    assert regions.pasted(masks[:1], np.array([[9.0, 9, 12, 12]]), (5, 8)).max() == 0


def test_a_second_answer_to_a_thing_is_not_drawn():
    masks = np.ones((3, 4, 4), np.float32)
    # the second lies in the first but for two of its ten columns; the third overlaps it by less than half
    labels = regions.pasted(masks, np.array([[0.0, 0, 10, 10], [0, 2, 10, 12], [0, 6, 10, 16]]), (10, 20))
    assert np.unique(labels).tolist() == [0, 1, 3]
    assert (labels[1:9, :10] == 1).all()
    assert (labels[1:9, 10:15] == 3).all()
