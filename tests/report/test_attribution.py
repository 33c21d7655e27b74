"""Coloured molecules: steps of the scale by hand, words for those who cannot see it, and safe markup."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("rdkit")

from osler.report.attribution import (
    colour,
    description,
    largest,
    level,
    parts_table,
    picture,
    signed,
    strongest,
    sum_text,
)


def ethanol(**changes: Any) -> dict[str, Any]:
    """What an explanation of ethanol says."""
    return {
        "smiles": "CCO", "atoms": ["C1", "C2", "O3"], "bonds": [[0, 1], [1, 2]], "values": [0.2, 0.04, -1.0],
        "bond_values": [0.0, -0.3], "base": 2.0, "rest": 0.0, "prediction": 0.94, "gap": 0.0, "adds_up": True, "error": 0.0,
        "way": "gradients", "scale": "mean", **changes,
    }  # fmt: skip


@pytest.mark.parametrize(("value", "step"), [
    (1.0, 5), (0.81, 5), (0.8, 4), (0.21, 2), (0.2, 1), (0.04, 1), (0.039, 0), (0.0, 0), (-0.5, -3), (-1.0, -5), (2.0, 5),
])  # fmt: skip
def test_steps_of_the_scale(value: float, step: int):
    assert level(value, 1.0) == step
    assert level(value, 0.0) == 0


def test_colours_are_classes():
    assert [colour(v, 1.0) for v in (1.0, -0.1, 0.0)] == ["up5", "low1", ""]


def test_values_are_ordered_by_size_and_written_with_their_sign():
    assert strongest([0.1, -3.0, 3.0, 0.2], 3) == [1, 2, 3]
    assert largest(ethanol()) == 1.0 and largest({"smiles": "C"}) == 0.0
    assert [signed(v) for v in (0.0123, -0.5, 2.0)] == ["+0.012", "−0.50", "+2.00"]


def test_the_picture_has_a_mark_per_visible_value_and_a_scale():
    figure = picture("one", ethanol(), "Why ethanol")
    svg = str(figure.svg())
    assert svg.count("<circle") == 3 and svg.count("<polygon") == 1
    assert 'class="low5"' in svg and 'class="up1"' in svg
    assert "lowers −1.00" in svg and "raises +1.00" in svg
    assert svg.count("<rect") == 11 and "atom 3: −1.00" in svg and "bond 2–3: −0.30" in svg
    assert svg.index('class="low5"') > svg.index('class="up1"')  # the strongest lies on top


def test_the_picture_says_in_words_what_it_shows():
    svg = str(picture("one", ethanol(), "Why ethanol").svg(alone=True))
    assert 'role="img"' in svg and 'aria-labelledby="one-title one-text"' in svg
    assert "<title id=\"one-title\">Why ethanol</title>" in svg
    assert "Raised most by C1 (+0.20), C2 (+0.040). Lowered most by O3 (−1.00)." in svg
    assert "prefers-color-scheme:dark" in svg
    assert description({"smiles": "CC"}) == "Molecule CC."


def test_a_common_scale_makes_pictures_comparable():
    alone, beside = picture("a", ethanol(), "t"), picture("b", ethanol(), "t", top=10.0)
    assert 'class="low5"' in str(alone.body) and "raises +10.00" in str(beside.body)
    assert re.findall(r'<circle[^>]*class="(\w+)"', str(beside.body)) == ["low1"]


def test_a_molecule_without_values_has_no_scale_and_what_cannot_be_drawn_no_picture():
    plain = picture("a", {"smiles": "CCO"}, "t")
    assert "<rect" not in str(plain.body) and "<circle" not in str(plain.body) and plain.height == 200
    assert picture("a", {"smiles": "C1CC"}, "t") is None
    assert picture("a", ethanol(values=[1.0, 2.0]), "t") is None  # not one value per atom


def test_the_table_adds_up():
    made = str(parts_table(ethanol(), most=2))
    assert [m for m in re.findall(r'<td class="num">([^<]+)</td>', made)] == ["−1.00", "−0.30", "+0.24"]
    assert "all 3 others" in made and "C2–O3" in made and ">bond<" in made


def test_the_sum_in_words():
    assert sum_text(ethanol()).startswith("2.000 −1.06 = 0.940 on the scale mean, off by less than 1e-6. Integrated gradients")
    told = sum_text(ethanol(rest=0.5, adds_up=False, gap=0.02, way="shapley"))
    assert "+0.50 (features that no atom carries, other columns)" in told and "off by 0.02; they do NOT add up" in told
    assert "Mean change of the answer" in sum_text(ethanol(way="masking"))
