"""The part of a report on masks: tables of classes, dots of scans, and outlines that cannot do anything but be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osler.report.drawings import by_class, gallery, spread
from osler.report.material import Material
from tests.report.runs import Dom, dangers

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def entry(value: float, n: int = 12) -> dict[str, Any]:
    return {"value": value, "low": value - 0.1, "high": value + 0.05, "n": n}


def example(**changes: Any) -> dict[str, Any]:
    square = [[[1.0, 1.0], [4.0, 1.0], [4.0, 4.0], [1.0, 1.0]]]
    return {
        "row": 7, "measures": {"dice": 0.5, "dice[core]": 0.5, "hd95": 3.25}, "slice": {"at": 4, "of": 20}, "image": PNG, "size": [10, 20],
        "pixel": [2.0, 1.0], "truth": [{"name": "core", "lines": square}], "answer": [{"name": "core", "lines": square}], **changes,
    }  # fmt: skip


def material(worst: list[dict[str, Any]] | None = None) -> Material:
    scores = {"dice": entry(0.8), "dice[core]": entry(0.85), "dice[rim]": entry(0.75, 11), "hd95": entry(2.5), "hd95[core]": entry(2.0)}
    plain = {"dice": entry(0.6), "dice[core]": entry(0.65)}
    members = {
        "study": {}, "facts": {"task": "segmentation"}, "certificate": {}, "findings": [], "environment": {}, "cohort": {},
        "scores": {"chosen": "unet", "parts": {"cv": {"unet": scores, "baseline": plain}}},
        "curves": {"measures": {"cv": {"unet": {"dice": [0.7, 0.8, 0.9], "dice[core]": [0.8, 0.9]}, "baseline": {"dice": [0.5, 0.6]}}}},
        "explanation": {"drawings": {"model": "unet", "measure": "dice", "worst": worst or []}},
    }  # fmt: skip
    return Material(Path("run"), members)


def test_every_class_stands_with_its_baseline():
    text = Dom(by_class(material(), "cv")).text
    assert "core unet 12 0.850 (0.750 to 0.900) 2.00 (1.90 to 2.05)" in text
    assert "baseline 12 0.650 (0.550 to 0.700) –" in text
    assert "rim unet 11" in text
    assert by_class(material(), "holdout") is None


def test_every_scan_is_a_dot_at_its_value():
    figure = spread(material(), "cv")
    dots = Dom(figure.svg()).named("circle")
    assert len(dots) == 7
    assert [d["class"] for d in dots].count("f2") == 2
    at = {float(d["cx"]) for d in dots}
    assert round(150 + 0.7 * 314, 1) in at
    assert "Dice of every scan" in figure.title
    assert spread(material(), "holdout") is None


def test_the_worst_scans_are_shown_with_outlines_and_their_numbers():
    drawn: list = []
    shown = gallery(material([example(), example(row=9, slice=None)]), drawn)
    page = Dom("".join(map(str, shown)))
    assert [f.name for f in drawn] == ["scan-worst-1", "scan-worst-2"]
    assert len(page.named("image")) == 2
    assert len([p for p in page.named("path") if p.get("stroke-dasharray")]) == 2
    assert "Dice 0.50, row 7, slice 5 of 20" in page.text
    assert "--examples 0" in page.text
    assert dangers(page) == []


def test_pixels_that_are_higher_than_wide_are_drawn_so():
    """10 x 20 pixels of 2 mm x 1 mm are a square of 20 mm."""
    drawn: list = []
    gallery(material([example()]), drawn)
    assert (drawn[0].width, drawn[0].height) == (320, 320)
    path = Dom(drawn[0].svg()).named("path")[0]["d"]
    assert path == "M16.0 32.0L64.0 32.0L64.0 128.0L16.0 32.0Z"


@pytest.mark.parametrize(
    "changes",
    [{"image": "x y"}, {"image": "javascript:1"}, {"size": [10]}, {"pixel": [0, 1]}, {"size": ["a", "b"]}],
)
def test_what_is_no_picture_is_left_out(changes: dict[str, Any]):
    assert gallery(material([example(**changes)]), []) == []


def test_hostile_names_and_lines_are_only_text():
    hostile = [{"name": "<script>alert(1)</script>", "lines": [[["a", "b"], [1, 2], [float("nan"), 1]], "no line"]}]
    shown = gallery(material([example(truth=hostile, row="<img src=x>")]), [])
    assert dangers(Dom("".join(map(str, shown)))) == []


def test_a_run_without_scans_to_show_has_no_section():
    assert gallery(material(), []) == []
