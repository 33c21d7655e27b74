"""Measures of masks against values worked out by hand, and the relations that must hold."""

from __future__ import annotations

import numpy as np
import pytest

from osler.evaluation.masks import OF_CLASSES, Masks, agreement, overlaps, surface_distances, things
from osler.scenes import Asked, Drawing

ASKED = Asked("segmentation", ("background", "a", "b"), 2)


def square(y: int, x: int, side: int = 4, shape: tuple[int, int] = (20, 20)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[y : y + side, x : x + side] = True
    return mask


def test_the_same_mask_is_perfect():
    found = agreement(square(3, 3), square(3, 3), np.ones(2))
    assert found == {"dice": 1.0, "jaccard": 1.0, "hd95": 0.0, "asd": 0.0, "nsd": 1.0}


def test_a_square_shifted_by_one_column():
    """4 x 4 against 4 x 4 one to the right: 12 shared, 20 in either. Of each outline of 12 pixels, 4 (the far column) lie 1 beside the
    other's outline, the 4 in the next column, whose inner two rows lie inside the other, 1 too for the inner two and 0 for the corners; the other
    rows coincide."""
    found = agreement(square(3, 3), square(3, 4), np.ones(2))
    assert found["dice"] == 2 * 12 / 32
    assert found["jaccard"] == 12 / 20
    there, back = surface_distances(square(3, 3), square(3, 4), np.ones(2))
    assert sorted(there.tolist()) == [0.0] * 6 + [1.0] * 6
    assert sorted(back.tolist()) == sorted(there.tolist())
    assert found["asd"] == 0.5
    assert found["hd95"] == 1.0
    assert found["nsd"] == 1.0
    assert agreement(square(3, 3), square(3, 4), np.ones(2), tolerance=0.5)["nsd"] == 0.5


def test_distances_are_in_millimetres_by_axis():
    """Single pixels 3 rows and 4 columns apart at 2 mm x 0.5 mm: sqrt(6² + 2²)."""
    found = agreement(square(2, 2, 1), square(5, 6, 1), np.array([2.0, 0.5]))
    assert found["hd95"] == pytest.approx(np.hypot(6, 2))
    assert found["asd"] == pytest.approx(np.hypot(6, 2))
    assert agreement(square(2, 2, 1), square(5, 6, 1), np.full(2, np.nan))["hd95"] == 5.0


def test_the_95th_percentile_leaves_one_far_pixel_out():
    """A row of 40 pixels against itself with one pixel 10 below: 39 of 40 or 40 of 41 at 0, so 95 % is 0."""
    truth = np.zeros((20, 50), dtype=bool)
    truth[2, 5:45] = True
    answer = truth.copy()
    answer[12, 20] = True
    found = agreement(truth, answer, np.ones(2))
    assert found["hd95"] == 0.0
    assert found["asd"] == pytest.approx(10 / 81)
    assert found["nsd"] == pytest.approx(80 / 81)


def test_against_all_pairs_of_surface_pixels():
    """The distance transform agrees with the table of all distances."""
    rng = np.random.default_rng(3)
    first, second = rng.random((7, 8, 6)) < 0.3, rng.random((7, 8, 6)) < 0.3
    step = np.array([2.5, 1.0, 0.7])
    there, back = surface_distances(first, second, step)

    def outline(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        inside = np.ones_like(mask)
        for axis in range(3):
            for way in (-1, 1):
                inside &= np.roll(padded, way, axis)[1:-1, 1:-1, 1:-1]
        return np.argwhere(mask & ~inside) * step

    table = np.linalg.norm(outline(first)[:, None] - outline(second)[None], axis=2)
    assert np.allclose(np.sort(there), np.sort(table.min(axis=1)))
    assert np.allclose(np.sort(back), np.sort(table.min(axis=0)))


def test_what_neither_marks_is_not_counted_and_what_one_invents_costs():
    empty = np.zeros((3, 4), dtype=bool)
    assert all(np.isnan(v) for v in agreement(empty, empty, np.ones(2)).values())
    for truth, answer in ((empty, ~empty), (~empty, empty)):
        found = agreement(truth, answer, np.array([1.0, 2.0]))
        assert (found["dice"], found["jaccard"], found["nsd"]) == (0.0, 0.0, 0.0)
        assert found["hd95"] == found["asd"] == pytest.approx(np.hypot(3, 8))


def test_records_hold_every_class_and_their_mean():
    truth, answer = np.zeros((20, 20), np.uint16), np.zeros((20, 20), np.uint16)
    truth[square(3, 3)], answer[square(3, 4)] = 1, 1
    record = Masks().record(Drawing(truth), Drawing(answer), np.ones(2), ASKED, {})
    assert record["dice[a]"] == record["dice"] == 0.75
    assert record["dice[b]"] is None
    assert set(record) == {*OF_CLASSES, *(f"{m}[{c}]" for m in OF_CLASSES for c in "ab")}
    truth[square(12, 12)] = 2
    assert Masks().record(Drawing(truth), Drawing(answer), np.ones(2), ASKED, {})["dice"] == 0.375


def test_scores_are_means_with_intervals_by_unit_and_say_their_n():
    records = [{"dice": 0.8, "dice[b]": None}, {"dice": 0.6, "dice[b]": 0.4}, {"dice": 1.0, "dice[b]": 0.6}]
    scored = Masks().score(records, np.arange(3), ASKED, np.random.default_rng(0), 400)
    assert scored["dice"]["value"] == pytest.approx(0.8)
    assert scored["dice[b]"]["value"] == pytest.approx(0.5)
    assert (scored["dice"]["n"], scored["dice[b]"]["n"]) == (3, 2)
    assert 0.6 <= scored["dice"]["low"] < 0.8 < scored["dice"]["high"] <= 1.0
    wide = Masks().score(records * 20, np.tile(np.arange(3), 20), ASKED, np.random.default_rng(0), 400)["dice"]
    narrow = Masks().score(records * 20, np.arange(60), ASKED, np.random.default_rng(0), 400)["dice"]
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


def test_a_class_that_is_nowhere_has_no_score():
    scored = Masks().score([{"dice": None}, {"dice": None}], np.arange(2), ASKED, np.random.default_rng(0), 50)
    assert scored["dice"] == {"value": None, "low": None, "high": None, "n": 0}


def test_things_found_missed_and_invented():
    """Three things; one drawn exactly, one at an IoU of 12 / 20 = 0.6, one missed; one invented: 2 / (3 + 3 - 2) at 0.5, 0.55; at 0.6 and
    above only the exact one, 1 / 5 eight times."""
    truth, answer = np.zeros((40, 40), np.uint16), np.zeros((40, 40), np.uint16)
    for number, (y, x) in enumerate(((2, 2), (10, 10), (30, 4)), start=1):
        truth[y : y + 4, x : x + 4] = number
    for number, (y, x) in enumerate(((2, 2), (10, 11), (30, 30)), start=4):
        answer[y : y + 4, x : x + 4] = number
    assert overlaps(truth, answer)[1, 1] == pytest.approx(0.6)
    found = things(truth, answer)
    assert found["ap_50"] == 0.5
    assert found["ap"] == pytest.approx((2 * 0.5 + 8 * 0.2) / 10)
    assert found["f1_50"] == pytest.approx(4 / 6)
    assert (found["things"], found["drawn"]) == (3, 3)
    assert found["dice"] == pytest.approx(2 * 28 / 96)


def test_things_pool_their_counts_over_scans():
    asked = Asked("segmentation", ("background", "thing"), 2, instances=True)
    records = [{"hits": [1] * 10, "things": 1, "drawn": 1, "f1_50": 1.0}, {"hits": [0] * 10, "things": 9, "drawn": 0, "f1_50": 0.0}]
    scored = Masks().score(records, np.arange(2), asked, np.random.default_rng(0), 50)
    assert scored["f1_50"]["value"] == pytest.approx(2 / 11)
    assert "things" not in scored


def test_nothing_there_and_nothing_drawn_is_not_counted():
    empty = np.zeros((5, 5), np.uint16)
    found = things(empty, empty)
    assert found["ap"] is None
    assert found["hits"] == [0] * 10


def test_more_overlap_is_never_worse():
    values = [agreement(square(5, 5), square(5, 5 + k), np.ones(2)) for k in range(5)]
    assert [v["dice"] for v in values] == sorted((v["dice"] for v in values), reverse=True)
    assert [v["hd95"] for v in values] == [0.0, 1.0, 2.0, 3.0, 4.0]


#: Of `blobs(17)`: Dice and Jaccard by LabelOverlapMeasures, and the 95th percentile, mean and share within 1 mm of the distances that
#: SignedMaurerDistanceMap gives on LabelContour, of SimpleITK 2.5.
SIMPLEITK = (
    (0.750704, 0.600902, 2.5, 0.569928, 0.784836),
    (0.859112, 0.753020, 1.360147, 0.379983, 0.900344),
    (0.559118, 0.388039, 8.864291, 1.436578, 0.631090),
    (0.707317, 0.547170, 2.858262, 0.700765, 0.766272),
    (0.811309, 0.682523, 2.5, 0.499976, 0.811728),
    (0.628037, 0.457766, 7.755284, 1.288291, 0.661878),
)


def blobs(seed: int, n: int = 6) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of smooth masks that overlap in part and touch no border."""
    from scipy.ndimage import gaussian_filter

    rng, shape, made = np.random.default_rng(seed), (18, 22, 20), []
    inside = np.zeros(shape, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    for _ in range(n):
        first = gaussian_filter(rng.normal(size=shape), 2.5)
        second = first + 0.35 * gaussian_filter(rng.normal(size=shape), 2.0)
        made.append(tuple((f > np.quantile(f, 0.8)) & inside for f in (first, second)))
    return made


def test_volumes_of_unequal_spacing_agree_with_another_library():
    for (first, second), known in zip(blobs(17), SIMPLEITK):
        found = agreement(first, second, np.array([2.5, 0.8, 1.1]))
        assert [found[k] for k in OF_CLASSES] == pytest.approx(known, abs=2e-6)
