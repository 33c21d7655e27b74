"""`osler quality`: indices against what was planted, thresholds at their limits, refusals, the contact sheet."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from scipy.ndimage import gaussian_filter

from osler.adapters.imaging.scan import Scan
from osler.cli import main
from osler.cohort import Cohort, Column
from osler.errors import ColumnError, InputError, OptionError
from osler.instruments.quality import Quality, QualityOptions, indices
from osler.instruments.quality.indices import INDICES, THRESHOLDS, judged, otsu, parts
from osler.instruments.quality.sheet import png, sheet, thumbnail
from tests.instruments.solids import saved, steps

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("nibabel")


def scan(values: np.ndarray, spacing: tuple[float, ...] | None = None) -> Scan:
    """One channel of (y, x) or (z, y, x) values."""
    sides = np.ones(values.ndim) if spacing is None else np.array(spacing)
    return Scan(values[None].astype(np.float32), sides, np.eye(4))


def disc(size: int = 96, radius: float = 30, blur: float = 0.0) -> np.ndarray:
    """A bright disc of 100 on nothing, blurred by a Gaussian."""
    at = np.arange(size) - (size - 1) / 2
    flat = 100.0 * (np.hypot(*np.meshgrid(at, at)) <= radius)
    return gaussian_filter(flat, blur) if blur else flat


def words(values: np.ndarray, spacing: tuple[float, ...] | None = None) -> set[str]:
    return {t.word for t in judged(indices.indices(scan(values, spacing)))}


def tissue(n: int = 12) -> np.ndarray:
    """A volume of a disc that grows from slice to slice, with a little noise."""
    stack = np.stack([disc(64, 12 + k) for k in range(n)])
    return stack + np.random.default_rng(0).normal(0, 2, stack.shape)


def test_otsu_lies_between_two_levels():
    values = np.concatenate([np.random.default_rng(0).normal(10, 1, 500), np.random.default_rng(1).normal(50, 2, 300)])
    assert 14 < otsu(values) < 44
    assert otsu(np.full(10, 3.0)) == 3


def test_the_foreground_is_the_disc_also_in_noise():
    clean = parts(scan(disc())).foreground.mean()
    noisy = parts(scan(disc() + np.random.default_rng(0).normal(0, 40, (96, 96)))).foreground.mean()
    assert clean == pytest.approx(np.pi * 30**2 / 96**2, rel=0.02)
    assert noisy == pytest.approx(clean, rel=0.1)


@pytest.mark.parametrize("sigma", [0.5, 3.0, 20.0])
def test_noise_is_measured_in_both_parts(sigma):
    noisy = disc(256, 80) + np.random.default_rng(1).normal(0, sigma, (256, 256))
    background, inside = indices.noise(parts(scan(noisy)))
    assert background == pytest.approx(sigma, rel=0.06)
    assert inside == pytest.approx(sigma, rel=0.06)


def test_slopes_are_no_noise():
    rows, columns = np.mgrid[:100, :100]
    _, inside = indices.noise(parts(scan(disc(100, 30) + 3.0 * rows + 2.0 * columns)))
    assert inside == pytest.approx(0, abs=1e-3)


def test_signal_to_noise_is_the_contrast_over_the_noise():
    found = indices.indices(scan(disc(256, 80) + np.random.default_rng(1).normal(0, 5, (256, 256))))
    assert found["signal_to_noise"] == pytest.approx(100 / 5, rel=0.07)


@pytest.mark.parametrize("blur", [1.5, 2.0, 2.5])
def test_an_edge_is_as_wide_as_its_gaussian(blur):
    assert indices.edge_width(parts(scan(disc(blur=blur)))) == pytest.approx(np.sqrt(2 * np.pi) * blur, rel=0.15)


def test_a_sharp_edge_has_two_pixels_and_millimetres_follow_the_pixel():
    found = indices.indices(scan(np.kron(np.eye(2), np.ones((40, 40))) * 100, (0.5, 0.5)))
    assert found["edge_width_pixels"] == pytest.approx(2, abs=0.1)
    assert found["edge_width_mm"] == pytest.approx(1, abs=0.05)


def test_blur_lowers_the_laplacian_and_is_found():
    sharp, soft = (indices.laplacian_variance(parts(scan(disc(blur=b)))) for b in (0.0, 4.0))
    assert soft < 0.05 * sharp
    assert "blurred" in words(disc(blur=4.0))
    assert "blurred" not in words(disc(blur=1.0))


def test_a_ghost_in_one_direction_is_found():
    ghost = disc(128, 30) + 0.2 * np.roll(disc(128, 30), 64, axis=0)
    assert indices.ghosting(parts(scan(disc(128, 30)))) == pytest.approx(0, abs=1e-6)
    assert "ghosts" in words(ghost)
    assert "ghosts" not in words(disc(128, 30) + np.random.default_rng(0).normal(0, 5, (128, 128)))


def test_ghosting_by_hand():
    """A background of 10 above and below and of 0 beside: 10 / (2 · 100)."""
    flat = np.zeros((60, 60))
    flat[20:40, 20:40] = 100
    flat[:14, 14:46] = flat[46:, 14:46] = 10
    assert indices.ghosting(parts(scan(flat))) == pytest.approx(0.05, rel=0.35)


def test_a_moved_slice_stands_out():
    sound = tissue()
    moved = sound.copy()
    moved[6] = np.roll(moved[6], 8, axis=1)
    assert indices.slice_jump(scan(sound)) < 1.4
    assert indices.slice_jump(scan(moved)) > 1.7
    assert "motion" in words(moved)
    assert "motion" not in words(sound)
    assert np.isnan(indices.slice_jump(scan(sound[:4])))
    assert np.isnan(indices.slice_jump(scan(sound[0])))


def test_a_cut_field_of_view_is_found():
    assert "cut" in words(disc(96, 60))
    assert "cut" not in words(disc(96, 40))
    assert indices.border_foreground(parts(scan(disc(96, 40)))) == 0


def test_clipped_values_are_found():
    bright = disc() * (1 + np.random.default_rng(0).random((96, 96)))
    assert "clipped" not in words(bright)
    assert "clipped" in words(np.minimum(bright, np.percentile(bright, 98)))


def test_one_channel_that_is_clipped_is_found():
    colours = np.stack([disc() * (1 + np.random.default_rng(k).random((96, 96))) for k in range(3)])
    colours[0] = np.minimum(colours[0], 150)
    found = indices.indices(Scan(colours.astype(np.float32), np.ones(2), np.eye(4)))
    assert found["clipped"] > 0.2


def test_thick_slices_are_found_and_unknown_spacing_is_no_finding():
    assert "thick" in words(tissue(), (5.0, 1.0, 1.0))
    assert "thick" not in words(tissue(), (3.0, 1.0, 1.0))
    assert np.isnan(indices.indices(scan(tissue(), (np.nan, 1.0, 1.0)))["anisotropy"])


def test_a_flat_or_tiny_scan_has_no_findings_but_that_it_is_empty():
    for values in (np.zeros((32, 32)), np.ones((6, 20, 20)), np.zeros((2, 2)), np.zeros((1, 1))):
        assert words(values) == {"empty"}


def test_values_that_are_not_numbers_are_borne():
    holes = tissue()
    holes[:, :5] = np.nan
    assert np.isfinite(indices.indices(scan(holes))["signal_to_noise"])
    assert words(np.full((20, 20), np.nan)) == {"empty"}


def test_the_names_and_limits_are_those_of_the_reference():
    assert list(indices.indices(scan(disc()))) == list(INDICES)
    page = (Path(__file__).parents[2] / "docs" / "reference" / "instruments" / "quality.md").read_text(encoding="utf-8")
    for one in THRESHOLDS:
        assert f"| {one.word} | `{one.index}` {'>' if one.is_above else '<'} {one.limit:g} |" in page
    assert all(f"`{name}`" in page for name in INDICES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("scans")
    saved(root / "sound.nii.gz", tissue(), steps(1, 1, 2))
    saved(root / "thick.nii.gz", tissue(), steps(1, 1, 8))
    uneven = 20 + disc(blur=4.0) * (1 + 0.005 * np.arange(96)[:, None] + 0.007 * np.arange(96))
    Image.fromarray(uneven.astype(np.uint8)).save(root / "SECRET_NAME.png")
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return root


def table(folder: Path, *cells: str | None) -> Cohort:
    return Cohort(pl.DataFrame({"image": list(cells)}, schema={"image": pl.String}), (Column("image", "image"),), root=folder)


def test_a_table_gets_indices_findings_and_reasons(folder):
    cohort = table(folder, "sound.nii.gz", "thick.nii.gz", "SECRET_NAME.png", "broken.png", None)
    found = Quality().run(cohort, QualityOptions())
    out = found.cohort
    assert out.rows.tolist() == [1, 2, 3, 4, 5]
    assert out.values("slices").to_list() == [12, 12, 1, None, None]
    said = out.values("quality_findings").to_list()
    assert said[0] == ""
    assert said[1].startswith("thick: ")
    assert "blurred: " in said[2]
    assert said[3:] == [None, None]
    assert "[image" in out.values("notes")[3]
    assert "names none" in out.values("notes")[4]
    assert out.column("edge_width_mm").unit == "mm"
    assert out.lineage[-1].name == "quality"
    assert found.facts["scans"] == 3
    assert found.facts["scans_refused"] == 2
    assert found.facts["with_findings"] == 2
    json.dumps(found.facts, allow_nan=False)
    again = Quality().run(cohort, QualityOptions())
    assert again.cohort.table.equals(out.table, null_equal=True)
    assert again.figures == found.figures


def test_the_sheet_shows_every_scan_and_no_file_name(folder):
    found = Quality().run(table(folder, "sound.nii.gz", "SECRET_NAME.png"), QualityOptions())
    svg = found.figures["contact_sheet"]
    assert "SECRET" not in svg
    assert "SECRET" not in json.dumps(found.facts)
    tree = ElementTree.fromstring(svg)
    ns = "{http://www.w3.org/2000/svg}"
    assert len(tree.findall(f"{ns}image")) == 2
    assert [t.text for t in tree.findall(f"{ns}text")] == ["row 1", "nothing found", "row 2", "blurred"]
    assert len(Quality().run(table(folder, "sound.nii.gz", "thick.nii.gz"), QualityOptions(pictures=1)).figures["contact_sheet"]) < len(svg)
    assert Quality().run(table(folder, "sound.nii.gz"), QualityOptions(pictures=0)).figures == {}


def test_a_png_is_what_another_program_reads():
    grey = np.random.default_rng(0).integers(0, 256, (7, 5), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(grey)))), grey)
    data = re.search(r"base64,([^\"]+)", sheet([(1, grey, [])]))[1]
    assert base64.b64decode(data) == png(grey)


def test_thumbnails_keep_the_shape_of_the_body():
    assert thumbnail(scan(np.random.default_rng(0).random((10, 20)), (2.0, 1.0))).shape == (144, 144)
    assert thumbnail(scan(np.random.default_rng(0).random((5, 10, 20)))).shape == (72, 144)
    assert thumbnail(scan(np.zeros((3, 3)))).max() == 0


@pytest.mark.parametrize(("columns", "rows"), [((1, 0, 0), (0, 1, 0)), ((-1, 0, 0), (0, 1, 0)), ((1, 0, 0), (0, -1, 0)), ((-1, 0, 0), (0, 0, 1))])
def test_slices_are_shown_as_radiologists_look_at_them(columns, rows):
    """A bright voxel at the patient's left and back (or feet) is shown at the lower right, however the slice is stored."""
    values = np.zeros((3, 8, 8), dtype=np.float32)
    below = rows[1] > 0 if rows[1] else rows[2] < 0
    values[1, -1 if below else 0, -1 if columns[0] > 0 else 0] = 1
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = columns, rows
    shown = thumbnail(Scan(values[None], np.ones(3), affine))
    assert shown[-1, -1] == 255
    assert shown[0].max() == shown[:, 0].max() == 0


def test_an_empty_sheet_is_still_a_picture():
    assert ElementTree.fromstring(sheet([])).tag.endswith("svg")


def test_refusals(folder):
    with pytest.raises(InputError, match=r"damaged|must"):
        Quality().run(table(folder, "broken.png"), QualityOptions())
    with pytest.raises(OptionError, match="pictures"):
        Quality().run(table(folder, "sound.nii.gz"), QualityOptions(pictures=-1))
    with pytest.raises(ColumnError, match="--image"):
        Quality().run(Cohort(pl.DataFrame({"a": [1]}), (Column("a", "number"),)), QualityOptions())


def test_the_command_takes_files_or_a_table(folder, tmp_path, capsys):
    files = [str(folder / n) for n in ("sound.nii.gz", "SECRET_NAME.png", "broken.png")]
    assert main(["quality", *files, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "scan 1: nothing found" in said
    assert "scan 2: blurred" in said
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["contact_sheet.svg", "table.csv"]
    (folder / "list.csv").write_text("image\nsound.nii.gz\n")
    assert main(["quality", str(folder / "list.csv"), "--image", "image"]) == 0
    assert "with findings: 0" in capsys.readouterr().out
