"""Charts put a number where it belongs."""

from __future__ import annotations

import pytest

from osler.report.charts import Axes, Estimate, Figure, forest, tick_texts, ticks, words


def test_axes_map_corners_and_keep_strays_inside():
    axes = Axes(0, 10, 0, 1, left=50, right=150, top=10, bottom=110)
    assert (axes.x(0), axes.x(10), axes.x(5)) == (50, 150, 100)
    assert (axes.y(0), axes.y(1), axes.y(0.25)) == (110, 10, 85)
    assert axes.x(-5) == 50
    assert axes.y(7) == 10


def test_a_line_leaves_out_what_is_no_number():
    axes = Axes(0, 1, 0, 1, left=0, right=100, top=0, bottom=100)
    assert axes.path([(0, 0), (0.5, float("nan")), (1, 1)]) == "M0 100L100 0"
    assert axes.path([]) == ""
    assert 'd=""' in axes.band([], [])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (3, 3, [3]),
        (0.5, 0.95, [0.5, 0.6, 0.7, 0.8, 0.9]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]):
    assert ticks(low, high) == pytest.approx(expected)


def test_tick_texts_have_the_decimals_of_their_step():
    assert tick_texts([0, 0.025, 0.05]) == ["0.000", "0.025", "0.050"]
    assert tick_texts([0, 1000, 2000]) == ["0", "1,000", "2,000"]
    assert tick_texts([0, 0.2, 0.4], percent=True) == ["0%", "20%", "40%"]


def test_a_constant_range_is_drawn():
    assert Axes(1, 1, 2, 2).x(1) == 56
    assert "NaN" not in Axes(1, 1, 2, 2).draw("a", "b")


def test_a_forest_plot_names_every_row_and_writes_its_numbers():
    body, tall = forest(
        [Estimate("north", "12 cases", 0.8, 0.7, 0.9), Estimate("tiny", "hidden", None, None, None)],
        "AUROC",
        reference=0.5,
    )
    assert body.count("<circle") == 1
    assert "0.80 (0.70 to 0.90)" in body
    assert "tiny" in body
    assert "hidden" in body
    assert tall == 30 + 48 + 48


def test_a_forest_plot_of_nothing_is_no_error():
    assert forest([], "x")[1] > 0
    assert forest([Estimate("a", "", None, None, None)], "x", start=0.0)[1] > 0


def test_a_picture_has_a_title_a_description_and_may_stand_alone():
    figure = Figure("a-picture", "A <title>", "What it shows", "How to read it", words(1, 2, "x & y"))
    assert figure.svg().startswith(
        '<svg viewBox="0 0 480 360" role="img" aria-labelledby="a-picture-title a-picture-text">'
    )
    assert '<title id="a-picture-title">A &lt;title&gt;</title>' in figure.svg()
    assert 'xmlns="http://www.w3.org/2000/svg"' in figure.svg(alone=True)
    assert "xmlns" not in figure.html()
