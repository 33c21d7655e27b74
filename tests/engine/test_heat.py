"""Heat maps on a scan's own grid: what preparing turned, cropped, padded or stretched is undone; what is counted; files of a command."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import polars as pl
import pytest

from osler.adapters.imaging import nifti, overlay
from osler.adapters.imaging.scan import Scan, read
from osler.cli import main
from osler.cohort.column import Column
from osler.engine.explain import explain
from osler.engine.heat import Heat, drawn, heat_of, on_grid_of
from osler.engine.predict import as_trained, open_predictor
from osler.errors import ColumnError, OptionError
from osler.modalities.volume import Volume
from tests.engine.test_pictures_through import learnt, written

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("shape", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("turned", [False, True])
def test_what_preparing_did_to_a_volume_is_undone(tmp_path: Path, shape: str, turned: bool):
    """A bright ball, prepared as a model sees it, comes back to where it was, on a grid with other axes and steps."""
    affine = np.diag([1.0, 1.5, 3.0, 1.0])
    if turned:
        affine = np.array([[0, 0, -3.0, 40], [1.0, 0, 0, -7], [0, -1.5, 0, 5], [0, 0, 0, 1.0]])
    z, y, x = np.ogrid[:14, :26, :40]
    ball = np.exp(-(((z - 7) * 3) ** 2 + ((y - 11) * 1.5) ** 2 + (x - 22.0) ** 2) / 30).astype(np.float32)
    nifti.write(tmp_path / "a.nii.gz", ball, affine)
    modality, column = Volume(), Column("scan", "volume", "input", options={"size": (20, 20, 20), "shape": shape})
    values = pl.Series("scan", ["a.nii.gz"] * 3)
    block = modality.encode(values, modality.fit(values, column, tmp_path), tmp_path)
    whole = read("a.nii.gz", tmp_path, 3)
    back = on_grid_of(whole, block.values[0, 0], block.geometry["affine"][0])
    assert back.shape == whole.values.shape[1:]
    assert np.corrcoef(back.ravel(), whole.values.ravel())[0, 1] > 0.9
    places = [np.array([(v * axis).sum() / v.sum() for axis in np.indices(v.shape)]) for v in (back, whole.values[0])]
    assert (np.abs(places[0] - places[1]) * whole.spacing).max() < 0.3
    if shape == "crop":
        assert (back == 0).any()


def _heat(values: np.ndarray) -> Heat:
    whole = Scan(np.zeros((1, *values.shape), np.float32), np.ones(values.ndim), np.eye(4))
    return Heat(1, "scan", "layer-cam", "sick", 0.9, values.astype(np.float32), whole)


def test_what_is_counted_of_a_map():
    heat = _heat(np.array([[0.0, 0.5, 0.0, 0.0], [0.0, 1.0, 0.25, 0.25]]))
    assert heat.peak == (1, 1)
    assert heat.narrow() == 1 / 8
    mask = np.zeros((2, 4), dtype=bool)
    mask[1, 1:3] = True
    assert heat.share_inside(mask) == pytest.approx(1.25 / 2)
    with pytest.raises(ColumnError, match="2 x 4"):
        heat.share_inside(mask[:1])
    nothing = _heat(np.zeros((2, 4)))
    assert nothing.narrow() == 0
    assert np.isnan(nothing.share_inside(mask))


def test_a_volume_is_drawn_by_the_slices_where_most_is():
    values = np.zeros((30, 12, 12))
    values[11:14, 4:6, 4:6] = 1.0
    assert overlay.fullest(values, 4) == [11, 13]
    assert overlay.fullest(0 * values, 4) == [15]
    assert overlay.fullest(np.ones((30, 2, 2)), 30) == list(range(30))
    sheet = drawn(_heat(values), None, 4)
    assert sheet.shape == (149, 300, 3)  # two slices of 149 pixels, two between them
    assert np.ptp(sheet.astype(int), axis=-1).max() > 20  # coloured somewhere


def test_a_mask_is_outlined_and_a_picture_without_heat_is_left_as_it_is():
    picture = np.full((10, 10, 3), 100, np.uint8)
    assert np.array_equal(overlay.overlaid(picture, np.zeros((10, 10))), picture)
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:7, 2:7] = True
    drawn_on = overlay.overlaid(picture, np.zeros((10, 10)), mask)
    assert drawn_on[2, 4].tolist() == [60, 230, 90]
    assert drawn_on[4, 4].tolist() == [100, 100, 100]
    assert overlay.coloured(np.array(1.0)).tolist() == [252, 252, 200]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run on pictures with planted squares, and its table."""
    folder = tmp_path_factory.mktemp("heat")
    source = written(folder / "one", 1)
    learnt(source, folder / "run")
    return folder / "run", source


def test_a_row_gets_a_drawing_and_numbers(run, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, source = run
    mask = np.zeros((12, 12), np.uint8)
    mask[:, :6] = 1
    from PIL import Image

    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "why.png"
    asked = ["explain", str(folder), str(source), "--row", "3", "--overlay", str(out), "--mask", str(tmp_path / "mask.png")]
    assert main(asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "by gradients" in said
    assert "the mask covers 50.0 % of the scan" in said
    assert np.asarray(Image.open(out)).shape == (224, 224, 3)


@pytest.mark.parametrize("way", ["auto", "smooth", "occlusion"])
def test_a_table_gets_columns(run, way: str):
    folder, source = run
    found = explain(folder, source, rows=[2, 5], heat=way).table
    assert found["why_way:path"].to_list() == [{"auto": "gradients"}.get(way, way)] * 2
    assert all(0 < v < 1 for v in found["why_narrow:path"])
    assert all(len(p.split()) == 2 for p in found["why_peak:path"])


def test_a_class_may_be_named_and_what_cannot_be_is_refused(run):
    folder, source = run
    from osler.cohort.read import read as read_table

    predictor = open_predictor(folder)
    cohort = as_trained(predictor, read_table(source, columns={"path": "image"})).take(np.arange(3))
    for name in predictor.classes:
        assert [h.output for h in heat_of(predictor, cohort, output=name)] == [name] * 3
    both = [heat_of(predictor, cohort, output=name)[0].answer for name in predictor.classes]
    assert sum(both) == pytest.approx(1.0)
    with pytest.raises(OptionError, match="must be a class"):
        heat_of(predictor, cohort, output="maybe")
    with pytest.raises(OptionError, match="heat must be one of"):
        heat_of(predictor, cohort, way="shap")
    with pytest.raises(ColumnError, match="pictures or volumes"):
        heat_of(predictor, cohort, "age")


@pytest.mark.parametrize("flags", [["--overlay", "a.png"], ["--mask", "m.png"], ["--row", "1", "--overlay", "a.jpg"]])
def test_flags_that_do_not_go_together(run, flags: list[str], capsys: pytest.CaptureFixture[str]):
    folder, source = run
    assert main(["explain", str(folder), str(source), *flags]) == 2
    assert "must" in capsys.readouterr().err


def test_a_map_of_a_volume_is_written_on_its_own_grid(tmp_path: Path):
    from osler.cli.show_heat import lines, write

    affine = np.diag([-0.7, 0.7, 2.0, 1.0])
    values = np.zeros((5, 6, 7), np.float32)
    values[3, 2, 1] = 1.0
    heat = Heat(1, "scan", "grad-cam", "sick", 0.8, values, Scan(values[None], np.array([2.0, 0.7, 0.7]), affine))
    write(heat, tmp_path / "why.png")
    saved = nibabel.load(tmp_path / "why.nii.gz")
    assert saved.get_fdata()[1, 2, 3] == 1.0
    assert np.allclose(saved.affine, np.diag([-1, -1, 1, 1.0]) @ affine)
    assert "x 1, y 2, z 3" in lines(heat)[1]
