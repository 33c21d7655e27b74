"""Patches: what is cut out, stretched, mirrored and turned keeps its boxes and its mask on the pixels of its thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osler.models.neural.detection import preparing, sampling
from osler.models.neural.detection.preparing import Prepared
from osler.scenes import Asked, Boxes, Drawing, HeldScenes, Scene, boxes_of


def bright(dims: int, size: int = 48) -> Prepared:
    """A scan of zeros with two blocks of ones of known corners, numbered in its labels."""
    x = torch.zeros((1, *(size,) * dims))
    things = torch.tensor([[10.0] * dims + [22.0] * dims, [30.0] * dims + [40.0] * dims])
    labels = torch.zeros((size,) * dims, dtype=torch.int32)
    for number, box in enumerate(things.long(), start=1):
        at = tuple(slice(int(a), int(b)) for a, b in zip(box[:dims], box[dims:]))
        x[(0, *at)] = 1.0
        labels[at] = number
    return Prepared(x.half(), things, torch.tensor([0, 1]), np.ones(dims), labels)


@pytest.mark.parametrize("dims", [2, 3])
def test_boxes_stay_on_the_pixels_of_their_things(dims):
    scan, found = bright(dims), 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        made = sampling.patch(scan, [32] * dims, True, rng)
        assert made["x"].shape == (1, *(32,) * dims)
        numbers = made["labels"].numpy()
        for box, number, code in zip(made["things"], made["numbers"], made["codes"]):
            true, present = boxes_of(numbers)
            drawn = true.corners[present.tolist().index(int(number))]
            assert np.abs(box.numpy() - drawn).max() <= 1.6  # labels have whole pixels, and patches are stretched
            assert int(code) == int(number) - 1
            found += 1
        assert len(made["things"]) + len(made["ignored"]) <= 2
    assert found > 30


def test_things_cut_off_by_more_than_half_are_not_asked_for():
    x = torch.zeros(1, 20, 20)
    scan = Prepared(x.half(), torch.tensor([[8.0, 0.0, 18.0, 10.0]]), torch.tensor([0]), np.ones(2))

    class Fixed:
        """A generator that stretches nothing and lays the window at a known place."""

        def __init__(self, low: list[int]) -> None:
            self.low = low

        def uniform(self, a: float, b: float, size: int | None = None) -> float:
            return 0.0

        def random(self) -> float:
            return 1.0

        def integers(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
            return np.array(self.low)

    for first, asked, ignored in ((6, 1, 0), (2, 1, 0), (0, 0, 1)):  # windows of 12 rows: all, all but two, four of ten rows
        made = sampling.patch(scan, [12, 20], False, Fixed([first, 0]))
        assert (len(made["things"]), len(made["ignored"])) == (asked, ignored), first
    assert made["ignored"].tolist() == [[8, 0, 12, 10]]


def test_patches_larger_than_a_scan_are_zeros_beyond_it():
    scan = Prepared(torch.ones(1, 10, 10).half(), torch.empty(0, 4), torch.empty(0, dtype=torch.long), np.ones(2))
    made = sampling.patch(scan, [32, 32], False, np.random.default_rng(0))
    share = float((made["x"] != made["x"].min()).float().mean())
    assert 0.05 < share < 0.2  # 100 of 1024 pixels, stretched by up to a quarter


def test_mirroring_comes_back():
    boxes = torch.tensor([[1.0, 2.0, 5.0, 9.0]])
    once = sampling._flipped(boxes, 1, 10)
    assert once.tolist() == [[1, 1, 5, 8]]
    assert torch.equal(sampling._flipped(once, 1, 10), boxes)


def test_every_scan_is_seen_as_often_as_every_other():
    seen: list[int] = []

    class Watched:
        """A store that notes what is taken."""

        def __len__(self) -> int:
            return 5

        def __getitem__(self, row: int) -> Prepared:
            seen.append(row)
            return bright(2)

    drawn = sampling.batches(Watched(), {"batch": 2, "patch": [16, 16], "normalise": "scan"}, True, np.random.default_rng(0))
    for _ in range(10):
        batch = next(drawn)
        assert batch.x.shape == (2, 1, 16, 16)
        assert batch.labels.shape == (2, 16, 16)
    assert np.bincount(seen).tolist() == [4] * 5


# -- the grid -----------------------------------------------------------------------------------------------------------

PLAN = {"spacing": None, "zoom": [0.5, 0.5], "normalise": "set", "window": [0.0, 100.0], "centre": 50.0, "spread": 25.0, "ranks": [0.0, 40.0, 60.0, 100.0]}


def test_scans_and_boxes_come_onto_the_grid_together():
    values = np.zeros((1, 21, 40), np.float32)
    values[0, 4:8, 10:30] = 100.0
    boxes = Boxes(np.array([[4.0, 10, 8, 30]]), np.array([2]), np.ones(1))
    made = preparing.prepared(Scene(values, np.full(2, np.nan), np.eye(4), Drawing(boxes=boxes)), PLAN)
    assert made.x.shape == (1, 10, 20)
    assert made.zoom == pytest.approx([10 / 21, 0.5])  # whole pixels: the factor of each axis is exact
    assert made.things[0].tolist() == pytest.approx([40 / 21, 5, 80 / 21, 15])
    assert made.codes.tolist() == [2]
    assert float(made.x[0, 2, 10]) == pytest.approx(2.0)  # (100 - 50) / 25
    assert float(made.x[0, 9, 0]) == pytest.approx(-2.0)
    assert preparing.scaled(np.array([[[-5.0, 40.0, 50.0, 180.0]]]), PLAN)[0, 0].tolist() == pytest.approx([-2.0, -0.4, 0.0, 2.0])


def test_spacings_become_one_spacing():
    plan = PLAN | {"spacing": [2.0, 2.0, 2.0], "zoom": None}
    scene = Scene(np.zeros((1, 10, 40, 20), np.float32), np.array([4.0, 1.0, 2.0]), np.eye(4), Drawing(boxes=Boxes.none(3)))
    assert preparing.prepared(scene, plan).x.shape == (1, 20, 20, 20)


def test_each_scan_by_itself_forgets_brightness_and_contrast():
    rng, plan = np.random.default_rng(0), PLAN | {"normalise": "scan"}
    values = rng.normal(size=(1, 30, 30)).astype(np.float32)
    a, b = (preparing.scaled(v, plan) for v in (values, 7 + 300 * values))
    assert a == pytest.approx(b, abs=1e-3)
    assert abs(float(a.mean())) < 0.01
    assert np.isfinite(preparing.scaled(np.full((1, 4, 4), np.nan, np.float32), plan)).all()


def test_masks_are_numbered_in_the_order_of_their_boxes():
    labels = np.zeros((16, 16), np.uint16)
    labels[2:6, 2:6], labels[8:14, 8:14] = 7, 3
    drawn = Drawing(labels, boxes_of(labels)[0], instances=True)
    made = preparing.prepared(Scene(np.zeros((1, 16, 16), np.float32), np.full(2, np.nan), np.eye(4), drawn), PLAN | {"zoom": [1.0, 1.0]}, masks=True)
    assert made.labels[10, 10] == 1  # the number 3 comes first
    assert made.labels[3, 3] == 2
    assert made.things[0].tolist() == [8, 8, 14, 14]


def test_scans_are_kept_while_there_is_room(monkeypatch):
    read: list[int] = []

    class Counted(HeldScenes):
        """Scenes that note when they are read."""

        def __getitem__(self, row: int) -> Scene:
            read.append(row)
            return super().__getitem__(row)

    scenes = tuple(Scene(np.zeros((1, 10, 10), np.float32), np.full(2, np.nan), np.eye(4)) for _ in range(3))
    held = Counted(scenes, Asked("detection", ("a",), 2))
    monkeypatch.setattr(preparing, "KEPT", 2 * 50 + 10)  # two scans of 25 pixels at two bytes, and not a third
    store = preparing.Store(held, PLAN, False)
    for _ in range(2):
        for row in range(3):
            assert store[row].x.shape == (1, 5, 5)
    assert read == [0, 1, 2, 2]
