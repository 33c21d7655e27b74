"""One spelling and one number of decimals for every measure."""

from __future__ import annotations

import pytest

from osler.report import words


def test_numbers_have_fixed_decimals_and_a_true_minus():
    assert words.number(0.12345) == "0.123"
    assert words.number(-1.5, 1) == "−1.5"
    assert words.number(12345.6, 0) == "12,346"
    assert words.number(-0.0001, 2) == "0.00"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "3", True])
def test_what_is_no_number_is_a_dash(value: object):
    assert words.number(value) == "–"


def test_an_estimate_never_stands_without_its_interval():
    assert words.estimate("auroc", {"value": 0.9012, "low": 0.88, "high": 0.92}) == "0.901 (0.880 to 0.920)"
    assert words.estimate("calibration_slope", {"value": 1.0, "low": 0.9, "high": 1.1}) == "1.00 (0.90 to 1.10)"
    assert words.estimate("auroc", {"value": 0.9, "low": None, "high": None}) == "0.900 (no interval)"
    assert words.estimate("auroc", {"value": None}) == "–"
    assert words.estimate("auroc", None) == "–"


def test_measures_with_a_unit_get_three_digits():
    assert words.estimate("mae", {"value": 44.123, "low": 41.0, "high": 47.9}) == "44.1 (41.0 to 47.9)"
    assert words.estimate("rmse", {"value": 1234.5, "low": 1000.0, "high": 1500.0}) == "1,234 (1,000 to 1,500)"
    assert words.estimate("mae", {"value": 0.0123, "low": 0.01, "high": 0.02}) == "0.0123 (0.0100 to 0.0200)"


def test_percentages():
    assert words.percent({"value": 0.851, "low": 0.8, "high": 0.9}) == "85.1% (80.0 to 90.0)"
    assert words.share(1, 3) == "33.3%"
    assert words.share(1, 0) == "–"


def test_small_counts_and_what_gives_them_away_are_hidden():
    assert [words.cell(n) for n in (0, 1, 9, 10, 1234, None)] == ["0", "<10", "<10", "10", "1,234", "–"]
    assert words.pair(4, 96) == ("<10", "hidden")
    assert words.pair(96, 4) == ("hidden", "<10")
    assert words.pair(3, 4) == ("<10", "<10")
    assert words.pair(0, 50) == ("0", "50")


def test_lists_in_words():
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(list("abcde"), 3) == "a, b, c and 2 more"


def test_names_of_measures():
    assert (
        words.label("auroc") == "AUROC"
    )
    assert (
        words.label("a_new_one") == "a new one"
    )
    assert (
        words.label("recall[yes]") == "Sensitivity (recall) [yes]"
    )
    assert words.meaning("nothing") == ""


def test_long_names_are_shortened():
    assert words.short("a" * 40, 10) == "a" * 9 + "…"
    assert words.short("a\n b") == "a b"
    assert words.plural(1, "row") == "1 row"
    assert words.plural(2, "row") == "2 rows"
