"""Where anchors lie, and which of them answer for a thing."""

from __future__ import annotations

import pytest
import torch

from osler.models.neural.detection import anchors, heads

NONE = torch.empty(0, 4)


def test_a_level_has_one_anchor_per_place():
    made = anchors.grid((2, 3), 4, (6.0, 2.0), torch.device("cpu"))
    assert made.tolist() == [
        [-1, 1, 5, 3], [-1, 5, 5, 7], [-1, 9, 5, 11], [3, 1, 9, 3], [3, 5, 9, 7], [3, 9, 9, 11],
    ]  # fmt: skip


def levels() -> list[torch.Tensor]:
    """Two levels over 32 x 32 pixels: 64 small and 16 large anchors."""
    device = torch.device("cpu")
    return [anchors.grid((8, 8), 4, (8.0, 8.0), device), anchors.grid((4, 4), 8, (24.0, 24.0), device)]


def test_things_go_to_the_level_of_their_size():
    small, large = torch.tensor([[6.0, 6.0, 14.0, 14.0]]), torch.tensor([[2.0, 2.0, 26.0, 26.0]])
    which = anchors.assigned(levels(), torch.cat([small, large]), NONE)
    assert (which[:64] == 0).nonzero()[:, 0].tolist() == [18]  # the anchor that is the thing itself
    assert (which[64:] == 1).sum() >= 1
    assert (which[:64] == 1).sum() == 0
    assert (which[64:] == 0).sum() == 0


def test_anchors_around_the_best_answer_too():
    device = torch.device("cpu")
    fine = anchors.grid((8, 8), 4, (16.0, 16.0), device)
    which = anchors.assigned([fine], torch.tensor([[6.0, 6.0, 22.0, 22.0]]), NONE)
    # nine candidates: overlap 1 at the centre (14, 14), 192/320 beside it, 144/368 at the corners: mean 0.55, spread 0.21
    near = [1.0] + [192 / 320] * 4 + [144 / 368] * 4
    assert sum(o >= torch.tensor(near).mean() + torch.tensor(near).std() for o in near) == 1
    assert (which == 0).nonzero()[:, 0].tolist() == [3 * 8 + 3]


def test_everything_is_answered_for_by_someone():
    tiny, long = torch.tensor([[13.0, 13.0, 14.0, 14.0]]), torch.tensor([[0.0, 0.0, 2.0, 32.0]])
    which = anchors.assigned(levels(), torch.cat([tiny, long]), NONE)
    assert {0, 1} <= set(which.tolist())


def test_nobody_asks_inside_ignored_boxes_but_things_there_are_asked_for():
    which = anchors.assigned(levels(), torch.tensor([[6.0, 6.0, 14.0, 14.0]]), torch.tensor([[0.0, 0.0, 32.0, 16.0]]))
    assert (which == anchors.UNASKED).sum() > 20
    assert (which == 0).sum() == 1
    assert (anchors.assigned(levels(), NONE, NONE) == anchors.NOTHING).all()


def test_focal_loss_by_hand():
    logits = torch.tensor([0.0, 2.0, -2.0])
    made = heads.focal(logits, torch.tensor([1.0, 1.0, 0.0]))
    p = logits.sigmoid()
    wanted = [-(0.5**2) * torch.log(p[0]), -((1 - p[1]) ** 2) * torch.log(p[1]), -(p[2] ** 2) * torch.log(1 - p[2])]
    assert made.tolist() == pytest.approx([float(w) for w in wanted])
    assert float(heads.focal(torch.tensor([0.0]), torch.tensor([0.5]))) == pytest.approx(0.0)  # as sure as it is good


def test_perfect_answers_cost_nearly_nothing():
    places, thing = levels(), torch.tensor([[6.0, 6.0, 14.0, 14.0]])
    which = anchors.assigned(places, thing, NONE)
    from osler.models.neural.detection import boxes

    steps = boxes.encode(thing.expand(80, 4), torch.cat(places))[None]
    logits = torch.where(which == 0, 12.0, -12.0)[None, :, None]
    said, boxed = heads.losses(logits, steps, places, [thing], [torch.tensor([0])], [NONE])
    assert float(said) < 1e-4
    assert float(boxed) == pytest.approx(0.0, abs=1e-5)
    worse, _ = heads.losses(-logits, steps, places, [thing], [torch.tensor([0])], [NONE])
    assert float(worse) > 10
