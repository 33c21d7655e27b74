"""The viewer's page: what is in it, that it cannot reach out, and what a person sees of it in a real browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

nibabel = pytest.importorskip("nibabel")

from osler.adapters.imaging import nifti
from osler.adapters.imaging.scan import Scan
from osler.adapters.trimesh_files import Body, written
from osler.cli import main
from osler.errors import ColumnError, LimitError, OptionError, ReadError
from osler.report import viewer
from tests.report.browser import CHROMIUM, browser

#: A volume of 40 x 48 x 44 voxels of 2 x 1.5 x 1.5 mm, bright to the patient's left, with a ball as mask and heat elsewhere.
SHAPE = (40, 48, 44)
AFFINE = np.array([[1.5, 0, 0, -33.0], [0, 1.5, 0, -36.0], [0, 0, 2.0, -40.0], [0, 0, 0, 1.0]])
GRID = np.ogrid[tuple(map(slice, SHAPE))]


def ball(z: int, y: int, x: int, radius: float) -> np.ndarray:
    return sum((axis - at) ** 2 for axis, at in zip(GRID, (z, y, x))) <= radius**2


def head() -> Scan:
    values = np.where(ball(20, 24, 22, 18), 80.0, 0.0) + np.where(ball(20, 24, 30, 7), 120.0, 0.0)
    return Scan(values[None].astype(np.float32), np.array([2.0, 1.5, 1.5]), AFFINE)


def drawn() -> viewer.Case:
    heat = np.exp(-((GRID[0] - 28) ** 2 + (GRID[1] - 15) ** 2 + (GRID[2] - 14) ** 2) / 12.0).astype(np.float32)
    found = viewer.case("case one", "made up", head(), ball(12, 30, 20, 6), heat)
    corners = np.array([[-20.0, 0, -20], [20, 0, -20], [0, 20, -20], [0, 0, 20]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    return replace(found, layers=(*found.layers, viewer.surface(corners, faces)))


class _Parts(HTMLParser):
    """Elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag
        if tag in self.texts:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in self.texts:
            self.texts[self.inside][-1] += data


def data_of(page: str) -> list[dict]:
    return json.loads(_Parts(page).texts["script"][0])


def test_the_policy_names_what_is_in_the_page_and_nothing_else():
    parts = _Parts(viewer.page("t", [drawn()]))
    policy = next(a["content"] for t, a in parts.elements if a.get("http-equiv") == "Content-Security-Policy")
    hashes = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (*parts.texts["script"][1:], *parts.texts["style"])]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy
    assert not [a for _, a in parts.elements for k in a if k in ("src", "href", "srcset", "action") or k.startswith("on")]


def test_the_library_is_the_one_that_the_notice_names():
    web = files("osler.report").joinpath("web")
    notice = web.joinpath("NOTICE.txt").read_text()
    assert hashlib.sha256(web.joinpath("niivue.umd.js").read_bytes()).hexdigest() in notice
    assert "Redistribution and use in source and binary forms" in web.joinpath("LICENSE.niivue.txt").read_text()


def test_hostile_words_stay_words():
    case = replace(drawn(), name="</script><script>alert(1)</script>", words="<img src=x onerror=alert(1)>")
    page = viewer.page("<script>alert(2)</script>", [case], "{{library}}<b>")
    parts = _Parts(page)
    assert [t for t, _ in parts.elements].count("script") == 3
    assert not [t for t, _ in parts.elements if t in ("img", "b")]
    assert data_of(page)[0]["name"] == case.name
    assert page.count(viewer._web("view.js")) == 1


def test_volumes_come_back_from_the_page_as_they_went_in():
    layers = {layer["kind"]: layer for layer in data_of(viewer.page("t", [drawn()]))[0]["layers"]}
    scan = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(layers["scan"]["data"])))
    assert np.array_equal(scan.get_fdata(), head().values[0].T)
    assert np.allclose(scan.affine, np.diag([-1, -1, 1, 1.0]) @ AFFINE)
    mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(layers["mask"]["data"])))
    assert mask.get_fdata().sum() == ball(12, 30, 20, 6).sum()
    heat = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(layers["heat"]["data"])))
    assert heat.get_fdata().max() == 255


def test_a_surface_is_written_in_the_axes_that_the_viewer_has():
    data = gzip.decompress(viewer.surface(np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]), np.array([[0, 1, 2]])).data)
    assert np.frombuffer(data, "<u2", 2).tolist() == [23117, 3]
    assert np.frombuffer(data, "<u4", 3, 4).tolist() == [1, 3, 0]
    assert np.frombuffer(data, "<i4", 3, 16).tolist() == [0, 1, 2]
    assert np.frombuffer(data, "<f4", 9, 28).tolist() == [-1, -2, 3, -4, -5, 6, -7, -8, 9]


def test_what_is_too_large_is_reduced_and_said_so():
    heat = np.zeros(SHAPE, np.float32)
    heat[20, 24, 22] = 1.0
    case = viewer.case("c", "", head(), None, heat, most=20_000)
    scan, hot = (nibabel.Nifti1Image.from_bytes(gzip.decompress(layer.data)) for layer in case.layers)
    assert scan.shape == (22, 24, 40) or np.prod(scan.shape) <= 20_000
    assert "reduced to every" in case.layers[0].words
    assert hot.get_fdata().max() == 255  # a maximum, not a mean: a small hot place is not lost
    centre = np.array(np.unravel_index(hot.get_fdata().argmax(), hot.shape)) @ hot.affine[:3, :3].T + hot.affine[:3, 3]
    expected = np.diag([-1, -1, 1.0]) @ (AFFINE[:3, :3] @ [22, 24, 20] + AFFINE[:3, 3])
    assert np.abs(centre - expected).max() < 3.1  # within one coarse voxel
    with pytest.raises(LimitError, match="triangles"):
        viewer.surface(np.zeros((3, 3)), np.zeros((viewer.MOST_TRIANGLES + 1, 3), np.int64))
    huge = viewer.Case("c", "", (viewer.Layer("scan", "a", bytes(viewer.MOST_BYTES + 1), ""),))
    with pytest.raises(LimitError, match="MiB"):
        viewer.page("t", [huge])


def test_the_crosshair_lies_on_the_hottest_place():
    """Shares run to the right, the front and the top: x 14 of 44 to the left is right, y 15 of 48 to the back is front."""
    assert drawn().at == pytest.approx((1 - 14.5 / 44, 1 - 15.5 / 48, 28.5 / 40))


def test_files_become_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    nifti.write(tmp_path / "scan.nii.gz", head().values[0], AFFINE)
    coarse = ball(12, 30, 20, 6)[::2, ::2, ::2].astype(np.uint8)
    nifti.write(tmp_path / "mask.nii.gz", coarse, AFFINE @ np.diag([2, 2, 2, 1.0]))
    triangle = Body("t", np.array([[0.0, 0, 0], [9, 0, 0], [0, 9, 0]]), np.array([[0, 1, 2]]))
    (tmp_path / "part.stl").write_bytes(written([triangle], "stl"))
    out = tmp_path / "page.html"
    asked = ["view", str(tmp_path / "scan.nii.gz"), "--mask", str(tmp_path / "mask.nii.gz"), "--mesh", str(tmp_path / "part.stl"), "--out", str(out)]
    assert main(asked) == 0
    assert "surface, 1 triangles" in capsys.readouterr().out
    held = {layer["kind"]: layer for layer in data_of(out.read_text(encoding="utf-8"))[0]["layers"]}
    mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(held["mask"]["data"])))
    assert mask.shape == SHAPE[::-1]
    assert mask.get_fdata().sum() == pytest.approx(ball(12, 30, 20, 6).sum(), rel=0.25)


def test_files_that_do_not_fit_are_refused(tmp_path: Path):
    from PIL import Image

    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(ColumnError, match="shape"):
        viewer.case_of_files(str(tmp_path / "a.png"), str(tmp_path / "b.png"))
    with pytest.raises(ReadError, match="surface"):
        viewer.case_of_files(str(tmp_path / "a.png"), mesh=str(tmp_path / "b.png"))
    (tmp_path / "bad.stl").write_bytes(b"solid nothing")
    with pytest.raises((ReadError, LimitError)):
        viewer.case_of_files(str(tmp_path / "a.png"), mesh=str(tmp_path / "bad.stl"))
    with pytest.raises(OptionError, match="lps or ras"):
        viewer.case_of_files(str(tmp_path / "a.png"), axes="xyz")
    assert viewer.case_of_files(str(tmp_path / "a.png")).flat


# -- in a browser -----------------------------------------------------------------------------------------------------


def _green(picture: np.ndarray) -> int:
    red, green, blue = (picture[..., k].astype(int) for k in range(3))
    return int(((green > red + 25) & (green > blue + 25)).sum())


def _warm(picture: np.ndarray) -> int:
    red, _, blue = (picture[..., k].astype(int) for k in range(3))
    return int((red > blue + 60).sum())


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_person_sees_scan_mask_heat_and_surface_and_the_sliders_work(tmp_path: Path):
    flat = np.tile(np.linspace(0, 250, 64, dtype=np.float32), (48, 1))
    picture = viewer.case("a picture", "", Scan(flat[None], np.full(2, np.nan), np.eye(4)), flat > 200)
    (tmp_path / "page.html").write_text(viewer.page("A head", [drawn(), picture], "made up"), encoding="utf-8")
    with browser(tmp_path) as page:
        page.open((tmp_path / "page.html").as_uri(), 820, 560)
        page.until("document.documentElement.dataset.state !== undefined")
        assert page.run("document.getElementById('state').textContent") == "ready"
        first = page.of("#scene")
        assert first.std() > 15  # not blank
        assert _green(first) > 20  # the mask, in the view in space
        assert _warm(first) > 50  # the heat, where the crosshair is
        page.set("view", "axial")
        page.set("slice", (12 + 0.5) / 40)
        on_mask = page.of("#scene")
        assert _green(on_mask) > 200
        page.set("mask", 0)
        without = page.of("#scene")
        assert _green(without) == 0
        page.set("high", 0.4)
        assert page.of("#scene").mean() > without.mean() + 2
        page.set("high", 1)
        page.set("slice", (20 + 0.5) / 40)
        moved = page.of("#scene")
        assert (moved != without).mean() > 0.01
        left, right = np.array_split(moved.min(axis=-1) > 180, 2, axis=1)
        assert right.sum() > 10 * max(1, left.sum())  # the patient's left on the right, as in radiology
        page.set("view", "render")
        whole = page.of("#scene")
        page.set("cut", 0.45)
        assert (page.of("#scene") != whole).mean() > 0.01
        page.set("case", 1)
        page.until("document.getElementById('view').options.length === 1")
        assert page.of("#scene").std() > 15
        assert page.said == []
        assert {address.partition(":")[0] for address in page.asked} <= {"file", "data"}
        assert sum(address.startswith("file:") for address in page.asked) == 1


def test_labels_of_a_file_have_their_own_colours_also_on_another_grid(tmp_path: Path):
    nifti.write(tmp_path / "scan.nii.gz", head().values[0], AFFINE)
    two = np.where(ball(12, 30, 20, 6), 3, np.where(ball(28, 16, 30, 6), 9, 0)).astype(np.uint8)
    nifti.write(tmp_path / "same.nii.gz", two, AFFINE)
    nifti.write(tmp_path / "coarse.nii.gz", two[::2, ::2, ::2], AFFINE @ np.diag([2, 2, 2, 1.0]))
    for name, close in (("same", 0.0), ("coarse", 0.25)):
        layer = viewer.case_of_files(str(tmp_path / "scan.nii.gz"), str(tmp_path / f"{name}.nii.gz")).layers[1]
        codes = nibabel.Nifti1Image.from_bytes(gzip.decompress(layer.data)).get_fdata().T
        assert [one.name for one in layer.labels] == ["mask: 3", "mask: 9"]
        for code, number in ((1, 3), (2, 9)):
            assert (codes == code).sum() == pytest.approx((two == number).sum(), rel=close)
            assert (two[codes == code] == number).mean() > 0.8


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_person_sees_a_colour_per_label_and_its_name(tmp_path: Path):
    both = np.where(ball(20, 24, 14, 6), 1, np.where(ball(20, 24, 30, 6), 2, 0)).astype(np.uint8)
    case = viewer.case("two", "", head(), both, names={1: "kidney", 2: "<b>liver</b>"})
    (tmp_path / "page.html").write_text(viewer.page("t", [case]), encoding="utf-8")
    with browser(tmp_path) as page:
        page.open((tmp_path / "page.html").as_uri(), 820, 560)
        page.until("document.documentElement.dataset.state === 'ready'")
        page.set("view", "axial")
        page.set("slice", (20 + 0.5) / 40)
        page.set("mask", 1)
        seen = page.of("#scene")
        first, second = ((np.abs(seen.astype(int) - one.colour).max(axis=-1) <= 12) for one in case.layers[1].labels)
        assert min(first.sum(), second.sum()) > 500
        assert np.argwhere(first)[:, 1].max() < np.argwhere(second)[:, 1].min()  # each where it was drawn, the patient's left on the right
        lines = page.run("[...document.querySelectorAll('#legend dd')].map((e) => e.textContent).join('|')")
        assert lines == "scan|mask: kidney|mask: <b>liver</b>"
        colours = page.run("[...document.querySelectorAll('#legend dt')].map((e) => getComputedStyle(e).backgroundColor).join('|')")
        assert colours.split("|")[1:] == ["rgb({}, {}, {})".format(*one.colour) for one in case.layers[1].labels]
        assert page.said == []


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_policy_stops_what_is_not_in_the_page(tmp_path: Path):
    """The same page with a foreign script and a request: neither runs, and both are said, so that the test above would see them."""
    foreign = "<script>document.title = 'ran'; fetch('http://127.0.0.1:9/x')</script></body>"
    page_text = viewer.page("t", [drawn()]).replace("</body>", foreign)
    (tmp_path / "page.html").write_text(page_text, encoding="utf-8")
    with browser(tmp_path) as page:
        page.open((tmp_path / "page.html").as_uri())
        assert page.run("document.title") == "t"
        assert any("Content Security Policy" in line for line in page.said)
        assert page.run("fetch('http://127.0.0.1:9/canary').then(() => 'went', () => 'refused')") == "refused"
