"""Patches, their changes, losses, rates and the moving average."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from osler.errors import OptionError
from osler.models.neural.segmentation import losses, training, transforming
from osler.models.neural.segmentation.options import UNetOptions
from osler.models.neural.segmentation.sampling import Patches, cut, example


def patches(foreground: float, margin=(0, 0), size=(8, 8), shape=(40, 40)) -> tuple[Patches, np.ndarray]:
    """Patches of one picture whose values are its own coordinates, one voxel drawn."""
    labels = np.zeros(shape, np.int16)
    labels[30, 9] = 1
    values = np.stack(np.meshgrid(*(np.arange(s) for s in shape), indexing="ij")).astype(np.float32)
    scan = example(values, labels)
    return Patches(1, lambda row: scan, list(size), list(margin), foreground, np.random.default_rng(0)), labels


def test_patches_centre_on_what_is_drawn():
    source, _ = patches(1.0)
    values, labels, field = source.batch(6)
    assert values.shape == (6, 2, 8, 8) and field is None and (labels == 1).sum() == 6
    source, _ = patches(0.0)
    assert (source.batch(60)[1] == 1).sum() < 20


def test_labels_lie_where_their_values_do():
    source, labels = patches(0.5, margin=(3, 2))
    values, found, _ = source.batch(20)
    assert values.shape == (20, 2, 14, 12)
    for patch, drawn in zip(values[:, :, 3:-3, 2:-2].astype(int), found):
        inside = drawn != losses.OUTSIDE
        np.testing.assert_array_equal(labels[patch[0], patch[1]][inside], drawn[inside])


def test_beyond_a_scan_values_repeat_and_labels_are_unknown():
    source, _ = patches(0.0, size=(48, 40))
    values, labels, _ = source.batch(1)
    assert (labels[0] == losses.OUTSIDE).sum() == 8 * 40
    assert values.min() == 0 and values.max() == 39
    np.testing.assert_array_equal(cut(np.arange(3.0)[None], np.array([-2]), np.array([6]), None), [[0, 0, 0, 1, 2, 2]])


def test_every_scan_comes_before_any_comes_again():
    seen = []
    scan = example(np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), np.int16))
    source = Patches(5, lambda row: seen.append(row) or scan, [4, 4], [0, 0], 0.5, np.random.default_rng(0))
    source.batch(10)
    assert sorted(seen[:5]) == sorted(seen[5:]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("shape", [(24, 24), (12, 20, 16)])
def test_labels_move_with_their_values(shape):
    torch.manual_seed(0)
    labels = torch.zeros(16, *shape, dtype=torch.int64)
    labels[(slice(None), *(slice(s // 4, s // 2) for s in shape))] = 1
    x = labels[:, None].float() * 10
    moved, found, field = transforming.changed(x, labels, labels.float(), "light", [0, 1], [1.0] * len(shape))
    known = found != losses.OUTSIDE
    agree = ((moved[:, 0] > 5) == (found == 1))[known].float().mean()
    assert float(agree) > 0.97 and not torch.equal(found, labels)
    assert float((field[found == 1] > 0.4).float().mean()) > 0.97
    same = transforming.changed(x, labels, None, "none", [], [1.0] * len(shape))
    assert torch.equal(same[0], x) and torch.equal(same[1], labels)


def test_labels_of_a_middle_move_with_values_that_reach_further():
    torch.manual_seed(0)
    around = torch.zeros(24, 36, 36)
    around[:, 12:20, 14:24] = 1
    moved, found, _ = transforming.changed(around[:, None] * 10, around[:, 9:-9, 9:-9].long(), None, "light", [], [1.0, 1.0])
    agree = ((moved[:, 0, 9:-9, 9:-9] > 5) == (found == 1))[found != losses.OUTSIDE].float().mean()
    assert float(agree) > 0.97


def test_a_turn_keeps_shapes_in_mm_and_never_mixes_in_a_coarse_axis():
    torch.manual_seed(0)
    found = transforming.maps(50, [60.0, 20.0, 20.0], 0.5, [True, False, False])
    assert found.shape == (50, 3, 4)
    # axes run x, y, z: nothing goes between z and the others
    assert float(found[:, 2, :2].abs().max()) == 0.0 and float(found[:, :2, 2].abs().max()) == 0.0
    assert float(found[:, 0, 1].abs().max()) > 0.1
    still = transforming.maps(50, [10.0, 40.0], 0.0, [False, False])
    assert float(still[:, 0, 1].abs().max()) == 0.0 and 0.8 < float(still[:, 0, 0].min()) < float(still[:, 0, 0].max()) < 1.25


def test_a_right_answer_costs_nothing_and_the_unknown_counts_for_nothing():
    labels = torch.randint(0, 3, (2, 6, 6))
    right = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1) * 40.0
    assert float(losses.of_classes(right, labels)) < 0.01
    assert float(losses.of_classes(right.flip(1), labels)) > 1.0
    labels[:, 0] = losses.OUTSIDE
    first = losses.of_classes(right, labels)
    right[:, :, 0] = -right[:, :, 0]
    torch.testing.assert_close(losses.of_classes(right, labels), first)


def test_coarser_answers_count_half_and_depths_are_learnt_too():
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[:, 4:] = 1
    right = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1) * 40.0
    wrong = right.flip(1)[:, :, ::2, ::2]
    alone, both = losses.whole([right], labels, None), losses.whole([right, wrong], labels, None)
    assert float(both) == pytest.approx((float(alone) + 0.5 * float(losses.of_classes(wrong, labels[:, 1::2, 1::2]))) / 1.5, rel=1e-4)
    deep = (labels == 1).float()
    good, bad = (losses.of_depths(sign * (2 * deep - 1) * 20, deep, labels) for sign in (1, -1))
    assert float(good) < 0.01 < 10 < float(bad)
    logits = torch.cat([right, (2 * deep - 1)[:, None] * 20], dim=1)
    assert float(losses.whole([logits], labels, deep)) < 0.05


def test_rates_rise_and_fall():
    for schedule in ("one_cycle", "cosine", "poly"):
        options = UNetOptions(schedule=schedule, learning_rate=0.01)
        rates = [training.learning_rate(options, step, 400) for step in range(400)]
        assert max(rates) == pytest.approx(0.01, rel=1e-3) and rates[0] < 0.001 and rates[-1] < 0.0002
        assert rates.index(max(rates)) in ((99, 100) if schedule == "one_cycle" else (39, 40))
    assert training.learning_rate(UNetOptions(optimiser="sgd"), 99, 400) == pytest.approx(0.01)


def test_the_moving_average_follows_the_weights():
    net = torch.nn.Linear(1, 1, bias=False)
    average = training.Average(net, 0.5, 8)
    for value in range(8):
        with torch.no_grad():
            net.weight.fill_(float(value))
        average.take(net)
    assert 2.0 < float(average.state["weight"]) < 7.0


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_norms_and_biases_do_not_decay(optimiser):
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    groups = training.optimiser_of(net, UNetOptions(optimiser=optimiser)).param_groups
    assert [g["weight_decay"] for g in groups] == [0.01, 0.0] and [len(g["params"]) for g in groups] == [1, 3]


def test_a_training_that_lost_its_numbers_says_so():
    source, _ = patches(0.5)
    plan = {"steps": 3, "batch_size": 1, "spacing": None, "dims": 2, "mirror": [], "precision": "float32"}
    net = torch.nn.Conv2d(2, 2, 1)
    options = UNetOptions(augment="none")
    with pytest.raises(OptionError, match="finite") as caught:
        training.train(net, source, plan, options, lambda a, b, c: a.sum() * math.nan, lambda *a: None)
    assert caught.value.code == "model-diverged"
    told: list[SimpleNamespace] = []
    training.train(net, source, plan, options, lambda a, b, c: (a**2).mean(), lambda step, steps: told.append((step, steps)))
    assert told == [(1, 3), (2, 3), (3, 3)]
