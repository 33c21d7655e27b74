"""Parts of a drawn run by themselves: names of files, pooled records, spreads, plans, galleries of boxes, workers."""

from __future__ import annotations

import os

import numpy as np
import pytest

from osler.cohort.split import Split
from osler.engine.scenes import gallery, plans
from osler.engine.scenes.assess import pooled, spreads
from osler.engine.scenes.folds import FoldDrawings, place_of, read_fold, write_fold
from osler.engine.scenes.predict import amounts
from osler.engine.workers import each
from osler.scenes import Asked, Boxes, Drawing, Scene
from tests.drawn_scans import ball


def fold(number: int, test: list[int], values: list[float | None], part: str = "cv", repeat: int = 0) -> FoldDrawings:
    rows = np.array(test)
    split = Split(part, repeat, number, np.setdiff1d(np.arange(6), rows), rows)
    return FoldDrawings(split, {"m": [{"dice": v, "hits": [1, 0]} for v in values], "baseline": [{"dice": 0.1}] * len(test)}, (), {})


def test_folds_are_put_together_in_the_order_of_rows():
    rows, records = pooled([fold(0, [4, 1], [0.4, 0.1]), fold(1, [0, 5], [0.0, 0.5])], "m")
    assert rows.tolist() == [0, 1, 4, 5]
    assert [r["dice"] for r in records] == [0.0, 0.1, 0.4, 0.5]


def test_repeats_are_kept_apart():
    both = [fold(0, [0, 1], [0.2, 0.4]), fold(0, [0, 1], [0.6, 0.8], repeat=1)]
    assert [r["dice"] for r in pooled(both, "m", 1)[1]] == [0.6, 0.8]


def test_spreads_hold_numbers_of_the_chosen_and_the_baseline_only():
    found = spreads([fold(0, [0, 1], [0.9, None]), fold(1, [2], [0.3])], "m")
    assert found == {"cv": {"m": {"dice": [0.3, 0.9]}, "baseline": {"dice": [0.1, 0.1, 0.1]}}}


def test_a_fold_reads_back_and_another_split_does_not(tmp_path):
    made = fold(0, [0, 2], [0.5, None])
    write_fold(tmp_path, made)
    back = read_fold(tmp_path, made.split)
    assert back.records == made.records
    other = Split("cv", 0, 0, np.array([1, 3, 4]), np.array([0, 2, 5]))
    assert read_fold(tmp_path, other) is None
    assert read_fold(tmp_path, fold(1, [0], [0.1]).split) is None


@pytest.mark.parametrize("model", ["unet:minutes=0.4", "../../x", "a b/c", "ü" * 90])
def test_places_of_drawings_stay_in_their_folder(model):
    place = place_of(model, 12)
    assert place.count("/") == 1
    assert place.endswith("/12")
    assert ".." not in place
    assert len(place) < 70


def test_plans_are_printed_with_every_choice():
    text = plans.text({"unet": {"spacing": [1.0, 0.5], "levels": 3, "training": {"steps": 400, "why": "time"}, "strides": [[1, 2], [2, 2]]}})
    assert "### `unet`" in text
    assert "- spacing: 1, 0.5" in text
    assert "- training:\n  - steps: 400\n  - why: time" in text
    assert "- strides: 1, 2; 2, 2" in text
    told = plans.text({"unet": {"intensities": [{"how": "scan", "low_end": 0.5}], "residual": False, "mirror": [], "norm": None}})
    assert "- intensities:\n  - how scan, low end 0.5" in told
    assert "- residual: no\n- mirror: none\n- norm: none" in told


def test_amounts_are_volumes_counts_of_things_and_counts_of_boxes():
    labels = np.zeros((2, 3, 4), np.uint16)
    labels[0, 0, :3] = 2
    asked = Asked("segmentation", ("background", "a", "b"), 3)
    assert amounts(Drawing(labels), np.array([2.0, 1.0, 0.5]), asked) == {"volume_a": 0.0, "volume_b": 3.0}
    assert amounts(Drawing(labels), np.full(3, np.nan), asked)["volume_b"] == 3.0
    things = Asked("segmentation", ("background", "thing"), 3, instances=True)
    assert amounts(Drawing(labels, instances=True), np.ones(3), things) == {"things": 1.0, "volume": 3.0}
    boxes = Boxes(np.array([[0, 0, 2, 2], [1, 1, 3, 3.0]]), np.array([1, 1]), np.ones(2))
    assert amounts(Drawing(None, boxes), np.ones(2), Asked("detection", ("x", "y"), 2)) == {"count_x": 0.0, "count_y": 2.0}


def volume(truth: np.ndarray) -> Scene:
    return Scene(np.random.default_rng(0).normal(0, 1, (1, *truth.shape)).astype(np.float32), np.ones(3), np.eye(4), Drawing(truth))


def test_the_slice_that_is_shown_is_the_one_with_most_differences():
    truth, answer = np.zeros((9, 12, 12), np.uint16), np.zeros((9, 12, 12), np.uint16)
    truth[3][ball((12, 12), (6, 6), 3)] = 1
    truth[6, 2:4, 2:4] = 1
    answer[6] = truth[6]
    scene = volume(truth)
    assert gallery._slice(scene.drawn, Drawing(answer), scene) == 3
    assert gallery._slice(scene.drawn, Drawing(truth.copy()), scene) == 3


def test_pictures_are_grey_between_percentiles_or_in_their_colours():
    grey = Scene(np.linspace(0, 1000, 100, dtype=np.float32).reshape(1, 10, 10), np.ones(2), np.eye(4))
    shown = gallery._picture(grey, 0, 1)
    assert (shown.dtype, shown.shape, shown.min(), shown.max()) == (np.uint8, (10, 10), 0, 255)
    assert gallery._picture(grey, 0, 3).shape == (4, 4)
    colour = Scene(np.full((3, 5, 6), 200, np.float32), np.ones(2), np.eye(4))
    assert gallery._picture(colour, 0, 1).shape == (5, 6, 3)
    assert (gallery._picture(colour, 0, 1) == 200).all()


def test_outlines_surround_their_pixels():
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:7] = True
    line = np.array(gallery._outlines(mask)[0])
    assert line[:, 0].min() == 3.0
    assert line[:, 0].max() == 7.0
    assert (line[:, 1].min(), line[:, 1].max()) == (2.0, 5.0)
    assert gallery._outlines(np.zeros((4, 4), bool)) == []


def test_boxes_are_frames_in_the_slices_that_they_cross():
    boxes = Boxes(np.array([[1, 2, 3, 4, 6, 9], [5, 0, 0, 7, 2, 2.0]]), np.array([1, 0]), np.ones(2))
    frames = {f["name"]: f["lines"] for f in gallery._lines(Drawing(None, boxes), 2, 1, ("cell", "node"))}
    assert frames == {"cell": [], "node": [[[3.0, 2.0], [9.0, 2.0], [9.0, 6.0], [3.0, 6.0], [3.0, 2.0]]]}
    scene = volume(np.zeros((9, 12, 12), np.uint16))
    assert gallery._slice(Drawing(None, boxes), Drawing(None, boxes), scene) in (1, 2, 3)


def doubled(shared: int, item: int) -> tuple[int, int]:
    """A thing that workers can do."""
    return shared * item, os.getpid()


def test_workers_do_every_item_once_with_what_they_share():
    found = list(each(doubled, 3, [1, 2, 4], 2))
    assert sorted(value for value, _ in found) == [3, 6, 12]
    assert os.getpid() not in {pid for _, pid in found}
    alone = list(each(doubled, 3, [1, 2, 4], 1))
    assert alone == [(3, os.getpid()), (6, os.getpid()), (12, os.getpid())]
