"""Labels of masks: codes, names and colours that are the same from scan to scan, and told apart by anyone who sees them."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from osler.report.label_colours import COLOURS, MOST_NAMED, labelled


def test_numbers_become_codes_with_names_and_a_colour_each():
    codes, labels = labelled(np.array([[0, 205, 7], [7, 7, 420]]), "mask", {7: "liver", 205: "kidney"})
    assert codes.tolist() == [[0, 2, 1], [1, 1, 3]]
    assert codes.dtype == np.uint8
    assert [one.name for one in labels] == ["mask: liver", "mask: kidney", "mask: 420"]
    assert [one.colour for one in labels] == list(COLOURS["mask"][:3])


def test_a_class_keeps_its_colour_where_another_is_absent():
    names = {1: "a", 2: "b"}
    _, both = labelled(np.array([1, 2]), "answer", names)
    codes, second = labelled(np.array([0, 2]), "answer", names)
    assert codes.tolist() == [0, 2]
    assert second == both


def test_one_label_without_a_name_is_called_after_the_mask():
    for mask in (np.array([False, True]), np.array([0, 255]), np.zeros(2, bool)):
        codes, labels = labelled(mask, "mask", words="lesion")
        assert [one.name for one in labels] == ["lesion"]
        assert codes.tolist() == (mask > 0).astype(int).tolist()


def test_more_things_than_colours_are_one_line():
    codes, labels = labelled(np.arange(MOST_NAMED + 41), "mask")
    assert [one.name for one in labels if one.name] == [f"mask: {MOST_NAMED + 40} labels"]
    assert codes[0] == 0
    assert set(codes[1:].tolist()) == set(range(1, len(labels) + 1))
    assert (np.diff(codes[1:].astype(int)) != 0).all()  # neighbours in number differ in colour


def test_colours_are_far_apart():
    for kind, colours in COLOURS.items():
        for a, b in combinations(colours, 2):
            assert np.linalg.norm(np.subtract(a, b)) > 45, (kind, a, b)
    assert not set(COLOURS["mask"]) & set(COLOURS["answer"])
