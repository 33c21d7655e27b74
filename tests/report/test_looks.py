"""The report's section on where networks looked, from members written by hand: what it says, and what hostile members cannot do."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osler.report import looks
from osler.report.build import build
from osler.report.material import Material
from tests.report.runs import Dom, dangers, members, write

PICTURE = base64.b64encode(b"\xff\xd8\xff a picture").decode()


def scans(**changes: Any) -> dict[str, Any]:
    entry = {"row": 7, "true": "ill", "said": "well", "sure": 0.93, "peak": [3, 4], "narrow": 0.04, "image": PICTURE, "size": [200, 224]}
    sanity = {"method": "gradients", "layers": ["answer", "body.0"], "correlations": [0.6, 0.1], "n": 8, "passes": True}
    held = {"model": "cnn", "column": "path", "way": "gradients", "sanity": sanity, "mistakes": [entry], "surest": [{**entry, "row": 9, "said": "ill"}]}
    return {**held, **changes}


def section(tmp_path: Path, held: dict[str, Any]) -> str:
    run = write(tmp_path / "run", {**members(), "explanation": {"scans": held}})
    return "".join(str(part) for part in looks.section(Material.load(run)) if part)


def test_it_says_whose_maps_these_are_and_what_was_said(tmp_path: Path):
    text = section(tmp_path, scans())
    assert "Row 7. </strong>said well (93 %), true ill. Half of the heat lies in 4.0 % of the scan." in text
    assert "fitted without the row that it shows" in text
    assert "The maps depend on what was learnt: rank correlation with the maps of the trained network 0.60 with a random last layer, 0.10" in text
    assert text.count("<img ") == 2
    assert 'width="224" height="200"' in text
    assert "--examples 0" in text
    assert "scans.html" not in text


def test_a_failed_check_is_a_warning(tmp_path: Path):
    failed = {"layers": ["answer", "body.0"], "correlations": [0.9, 0.8], "n": 8, "passes": False}
    text = section(tmp_path, scans(sanity=failed))
    assert "do NOT depend on what was learnt" in text
    assert 'class="box"' in text


def test_numbers_have_no_certainty(tmp_path: Path):
    entry = {"row": 3, "true": 61.25, "said": 40.0, "image": PICTURE, "size": [10, 10]}
    assert "said 40.000, true 61.250." in section(tmp_path, scans(mistakes=[entry], surest=[], sanity={}))


@pytest.mark.parametrize(
    "held",
    [{}, {"mistakes": "no list"}, {"mistakes": [1, None]}, {"mistakes": [{"image": "\"><script>", "size": [1, 2]}]},
     {"mistakes": [{"image": PICTURE, "size": ["a", 2]}]}, {"mistakes": [{"image": PICTURE}]}],
)  # fmt: skip
def test_odd_members_leave_the_section_out(tmp_path: Path, held: dict[str, Any]):
    assert section(tmp_path, held) == ""


def test_a_whole_report_with_scans_holds_nothing_that_acts(tmp_path: Path):
    hostile = scans()
    hostile["mistakes"][0]["said"] = "<script>alert(1)</script>"
    run = write(tmp_path / "run", {**members(), "explanation": {"scans": hostile}})
    build(run)
    dom = Dom((run / "report.html").read_text(encoding="utf-8"))
    assert dangers(dom) == []
    assert len(dom.named("img")) == 2
    assert not (run / "scans.html").exists()


def test_volumes_get_a_page(tmp_path: Path):
    nifti = pytest.importorskip("osler.adapters.imaging.nifti")
    packed = [base64.b64encode(gzip.compress(nifti.encoded(np.full((3, 4, 5), v, np.uint8), np.eye(4)))).decode() for v in (1, 2)]
    held = scans()
    held["mistakes"][0] |= {"scan": packed[0], "heat": packed[1], "at": [0.25, 2.0, 0.75]}
    held["surest"][0] |= {"scan": "no base64!", "heat": packed[1]}
    run = write(tmp_path / "run", {**members(), "explanation": {"scans": held}})
    assert run / "scans.html" in build(run)
    page = (run / "scans.html").read_text(encoding="utf-8")
    cases = json.loads(page.partition('id="scene-data">')[2].partition("</script>")[0])
    assert [c["name"] for c in cases] == ["row 7: worst mistakes"]
    assert cases[0]["at"] == [0.25, 1.0, 0.75]
    assert cases[0]["words"] == "said well (93 %), true ill."
    assert "scans.html" in (run / "report.html").read_text(encoding="utf-8")


def test_drawn_volumes_get_both_masks(tmp_path: Path):
    pytest.importorskip("nibabel")
    from osler.adapters.imaging.kept import kept

    values = np.zeros((6, 8, 10))
    wanted, drawn = np.zeros((2, 6, 8, 10), np.uint8)
    wanted[4, 1, 2], drawn[4, 1, 3] = 1, 1
    entry = {"row": 5, "measures": {"dice": 0.25}, **kept(values, np.eye(4), {"wanted": wanted, "drawn": drawn})}
    run = write(tmp_path / "run", {**members(), "explanation": {"drawings": {"worst": [entry, {"row": 6}], "measure": "dice"}}})
    build(run)
    page = (run / "scans.html").read_text(encoding="utf-8")
    (case,) = json.loads(page.partition('id="scene-data">')[2].partition("</script>")[0])
    assert case["name"] == "row 5: worst scans"
    assert "0.25" in case["words"]
    assert [layer["kind"] for layer in case["layers"]] == ["scan", "mask", "answer"]
    assert case["at"] == pytest.approx([1 - 2.5 / 10, 1 - 1.5 / 8, 4.5 / 6])
    assert "scans.html" in (run / "report.html").read_text(encoding="utf-8")


def test_classes_of_drawn_volumes_have_names_and_colours_in_the_page(tmp_path: Path):
    pytest.importorskip("nibabel")
    from osler.adapters.imaging.kept import kept

    wanted = np.zeros((6, 8, 10), np.uint8)
    wanted[4, 1, 2], wanted[2, 1, 2] = 1, 2
    entry = {"row": 5, "measures": {"dice": 0.25}, **kept(np.ones((6, 8, 10)), np.eye(4), {"wanted": wanted, "drawn": wanted})}
    for classes, names in ((["core", "rim"], ["core", "rim"]), (None, [""]), ("no list", [""])):
        held = {"model": "unet", "measure": "dice", "worst": [entry], "usual": [], **({"classes": classes} if classes else {})}
        run = write(tmp_path / str(classes), {**members(), "explanation": {"drawings": held}})
        made = {layer.kind: layer for layer in looks.cases(Material.load(run))[0].layers}
        for kind in ("mask", "answer"):
            assert [one.name.partition(": ")[2] for one in made[kind].labels] == names
        assert made["scan"].labels == ()
        assert not {one.colour for one in made["mask"].labels} & {one.colour for one in made["answer"].labels}
