"""The funnel as a picture: well-formed, to scale, and readable by those who do not see it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from osler.report import funnel

STAGES = [("read", 100_000), ("readable", 99_990), ("passed pains", 1_000), ("a<b & c", 10), ("kept", 1), ("picked", 0)]
SVG = "{http://www.w3.org/2000/svg}"


def bars(stages: list[tuple[str, int]]) -> list[float]:
    """The bars' lengths, top to bottom."""
    tree = ElementTree.fromstring(funnel.draw(stages))
    return [float(rect.get("width")) for rect in tree.iter(f"{SVG}rect")]


def test_bars_are_as_long_as_the_logarithm():
    found = bars(STAGES)
    assert len(found) == 6
    assert found[2] / found[0] == pytest.approx(3 / 5, rel=1e-3)
    assert found[3] / found[0] == pytest.approx(1 / 5, rel=1e-3)
    assert found[4] == found[5] == 1.5
    assert found == sorted(found, reverse=True)


def test_words_say_the_numbers_and_the_shares():
    text = funnel.draw(STAGES)
    tree = ElementTree.fromstring(text)
    assert "read: 100,000" in tree.find(f"{SVG}desc").text
    said = [t.text for t in tree.iter(f"{SVG}text")]
    assert "99,990 (100.0 %)" in said
    assert "1,000 (1.0 %)" in said
    assert "a<b & c" in said
    assert "&amp; c" in text


def test_an_empty_funnel_can_be_drawn():
    assert bars([("read", 0), ("readable", 0)]) == [1.5, 1.5]
