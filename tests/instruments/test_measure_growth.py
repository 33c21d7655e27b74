"""Growth: rates by hand, RECIST categories at their limits, what the error allows."""

from __future__ import annotations

import math

import pytest

from osler.instruments.measure.growth import Lesion, category, compare, rates, recist


def lesion(volume: float, long_axis: float, error: float = 0.0, pixel: float = 0.0) -> Lesion:
    return Lesion(volume, error, long_axis, pixel)


def test_a_volume_that_doubles_in_thirty_days_has_that_doubling_time():
    found = rates(lesion(1000, 12), lesion(2000, 15), 30)
    assert found["doubling_days"] == pytest.approx(30)
    assert found["growth_percent_per_day"] == pytest.approx(100 * math.log(2) / 30)
    assert found["growth_error"] == 0


def test_a_volume_that_halves_has_a_negative_time():
    assert rates(lesion(1000, 12), lesion(500, 10), 20)["doubling_days"] == pytest.approx(-20)


def test_no_change_never_doubles():
    found = rates(lesion(1000, 12), lesion(1000, 12), 20)
    assert found["doubling_days"] == math.inf
    assert found["growth_percent_per_day"] == 0


def test_a_lesion_that_came_or_went_has_no_rate():
    for before, after in ((0, 100), (100, 0)):
        found = compare(lesion(before, 0), lesion(after, 0), 10)
        assert math.isnan(found["growth_percent_per_day"])
        assert found["beyond_error"]


def test_errors_add_as_independent():
    found = rates(lesion(1000, 12, error=30), lesion(2000, 15, error=80), 10)
    assert found["growth_error"] == pytest.approx(100 * math.hypot(0.03, 0.04) / 10)


@pytest.mark.parametrize(("after", "beyond"), [(1100, False), (2000, True), (910, False), (400, True)])
def test_a_change_counts_only_beyond_its_error(after, beyond):
    assert compare(lesion(1000, 12, error=100), lesion(after, 12, error=100), 10)["beyond_error"] is beyond


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        (50, 60, "progressive disease"), (50, 59.9, "stable disease"), (20, 24.9, "stable disease"), (20, 25, "progressive disease"),
        (50, 35, "partial response"), (50, 35.1, "stable disease"), (50, 0, "complete response"), (0, 0, "not evaluable"),
    ],
)  # fmt: skip
def test_the_categories_at_their_limits(before, after, answer):
    assert category(before, after) == answer


def test_a_new_lesion_is_progress_whatever_the_others_do():
    assert category(50, 10, n_new=1) == "progressive disease"
    found = recist({1: lesion(9, 20)}, {1: lesion(3, 10), 2: lesion(1, 4)})
    assert found["new_lesions"] == 1
    assert found["category"] == "progressive disease"


def test_the_five_longest_measurable_lesions_are_targets():
    before = {k: lesion(100, 10.0 + k) for k in range(1, 8)} | {9: lesion(50, 9.0)}
    found = recist(before, before)
    assert found["targets"] == 5
    assert found["sum_before_mm"] == sum(10 + k for k in range(3, 8))
    assert found["category"] == "stable disease"
    assert found["measurable"]


def test_small_lesions_are_summed_with_a_word():
    found = recist({1: lesion(50, 6.0)}, {1: lesion(60, 7.0)})
    assert not found["measurable"]
    assert found["sum_before_mm"] == 6


def test_a_lesion_that_went_counts_as_zero():
    found = recist({1: lesion(9, 20), 2: lesion(9, 20)}, {1: lesion(9, 20)})
    assert found["sum_after_mm"] == 20
    assert found["category"] == "partial response"
    assert recist({1: lesion(9, 20)}, {})["category"] == "complete response"
    assert recist({1: lesion(9, 20, pixel=1.0)}, {})["within_error"] == ["complete response"]


def test_the_error_of_diameters_names_every_category_it_allows():
    found = recist({1: lesion(9, 50, pixel=0.5)}, {1: lesion(9, 59.8, pixel=0.5)})
    assert found["category"] == "stable disease"
    assert found["within_error"] == ["stable disease", "progressive disease"]
    assert found["sum_error_mm"] == pytest.approx(math.sqrt(0.5), abs=1e-3)
    sure = recist({1: lesion(9, 50, pixel=0.1)}, {1: lesion(9, 51, pixel=0.1)})
    assert sure["within_error"] == ["stable disease"]
