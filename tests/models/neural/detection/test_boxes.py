"""Arithmetic of boxes against values by hand and against slow, plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from osler.models.neural.detection import boxes


def drawn(k: int, dims: int, rng: np.random.Generator) -> torch.Tensor:
    """k boxes of up to 10 a side between 0 and 30."""
    low = rng.uniform(0, 20, (k, dims))
    return torch.tensor(np.concatenate([low, low + rng.uniform(1, 10, (k, dims))], axis=1))


def counted(a: torch.Tensor, b: torch.Tensor, dims: int) -> float:
    """Overlap of two boxes with whole corners, pixel by pixel."""
    cells = [set(itertools.product(*(range(int(x[i]), int(x[dims + i])) for i in range(dims)))) for x in (a, b)]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


@pytest.mark.parametrize("dims", [2, 3])
def test_overlap_is_that_of_counted_pixels(rng, dims):
    a, b = (drawn(6, dims, rng).round() for _ in range(2))
    b[:, dims:] += 2
    found = boxes.overlap(a, b)
    for i, j in itertools.product(range(6), range(6)):
        assert float(found[i, j]) == pytest.approx(counted(a[i], b[j], dims))
    assert torch.allclose(boxes.overlap_of_pairs(a, b), found.diagonal())


def test_generalised_overlap_by_hand():
    a, b = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[0.0, 4.0, 2.0, 6.0]])
    # no overlap; the hull is 2 x 6 = 12, of which 8 are covered: 0 - 4/12
    assert float(boxes.generalised_overlap(a, b)) == pytest.approx(-1 / 3)
    assert float(boxes.generalised_overlap(a, a)) == pytest.approx(1.0)


@pytest.mark.parametrize("dims", [2, 3])
def test_coding_comes_back(rng, dims):
    wanted, anchors = drawn(20, dims, rng), drawn(20, dims, rng)
    assert torch.allclose(boxes.decode(boxes.encode(wanted, anchors), anchors), wanted)


def test_coding_by_hand():
    steps = boxes.encode(torch.tensor([[2.0, 0.0, 10.0, 4.0]]), torch.tensor([[0.0, 0.0, 4.0, 4.0]]))
    assert steps[0].tolist() == pytest.approx([1.0, 0.0, np.log(2), 0.0])


def slowly_suppressed(found: torch.Tensor, scores: torch.Tensor, codes: torch.Tensor, most: float) -> list[int]:
    """What non-maximum suppression keeps, by its definition."""
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: -float(scores[i])):
        if all(codes[i] != codes[j] or float(boxes.overlap(found[i : i + 1], found[j : j + 1])) <= most for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("most", [0.1, 0.5])
def test_suppression_is_that_of_the_definition(rng, dims, most, monkeypatch):
    found = drawn(60, dims, rng)
    found[30:] = found[:30] + torch.tensor(rng.normal(0, 0.5, (30, 2 * dims)))
    scores, codes = torch.tensor(rng.random(60)), torch.tensor(rng.integers(0, 2, 60))
    kept = boxes.suppress(found, scores, codes, most, 60).tolist()
    assert kept == slowly_suppressed(found, scores, codes, most)
    assert len(kept) < 60
    assert boxes.suppress(found, scores, codes, most, 5).tolist() == kept[:5]
    monkeypatch.setattr(boxes, "BLOCK", 7)
    assert boxes.suppress(found, scores, codes, most, 60).tolist() == kept


def test_nothing_is_suppressed_to_nothing():
    assert len(boxes.suppress(torch.empty(0, 4), torch.empty(0), torch.empty(0, dtype=torch.long), 0.5, 10)) == 0
    assert [len(t) for t in boxes.merge(torch.empty(0, 4), torch.empty(0), torch.empty(0, dtype=torch.long), 0.5, 2)] == [0, 0, 0]


def test_views_that_agree_are_averaged_and_lone_ones_count_less():
    found = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 12.0], [20.0, 20.0, 30.0, 30.0], [0.0, 0.0, 10.0, 10.0]])
    made, scores, codes = boxes.merge(found, torch.tensor([0.9, 0.3, 0.8, 0.5]), torch.tensor([0, 0, 0, 1]), 0.5, 2)
    # (0.9 * 10 + 0.3 * 12) / 1.2 = 10.5; scores (0.9 + 0.3) / 2 = 0.6, and 0.8 / 2, 0.5 / 2 where one of two views saw it
    assert made[0].tolist() == pytest.approx([0, 0, 10, 10.5])
    assert scores.tolist() == pytest.approx([0.6, 0.4, 0.25])
    assert codes.tolist() == [0, 0, 1]


def test_boxes_are_cut_off_at_the_edges():
    cut = boxes.clipped(torch.tensor([[-3.0, 2.0, 5.0, 90.0]]), (4, 50))
    assert cut.tolist() == [[0.0, 2.0, 4.0, 50.0]]
    assert boxes.content(torch.tensor([[5.0, 5.0, 3.0, 9.0]])).tolist() == [0.0]
