"""Rows as scenes: channels, sequences on the voxels of the first, drawings, and memory that the cache bounds."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from PIL import Image

from osler.adapters.imaging import cache, labels, nifti
from osler.cohort.cohort import Cohort
from osler.cohort.read import read
from osler.engine.scenes.rows import RowScenes, channel_names, described, learn_states, misfits, scan_of, scenes_of
from osler.errors import InputError, ReadError
from osler.scenes import Asked, Scene
from osler.tasks.segmentation import Segmentation
from tests.drawn_scans import affine_of, brains, pictures


@pytest.fixture
def cohort(tmp_path) -> Cohort:
    made = read(brains(tmp_path, n=4), columns={"drawn": "mask", "scan": "volume"}, target="drawn", unit="patient")
    return Segmentation().settled(made)


def scenes(cohort: Cohort) -> RowScenes:
    return scenes_of(cohort, Segmentation(), learn_states(cohort), np.array([0, 0, 1, 1]))


def test_a_scene_is_the_scan_in_its_own_units_with_its_drawing(cohort):
    scene = scenes(cohort)[1]
    held = labels.kept(cohort.values("scan")[1], cohort.root)
    assert np.array_equal(scene.values, held.values)
    assert scene.spacing.tolist() == [2.0, 1.0, 1.0]
    assert np.array_equal(scene.affine, held.affine)
    assert np.array_equal(scene.drawn.labels, labels.upon(cohort.values("drawn")[1], held, cohort.root))
    assert scene.drawn.labels.dtype == np.uint16
    assert (scene.dims, scene.shape) == (3, (10, 14, 12))


def test_rows_are_taken_by_positions_and_masks_with_their_groups(cohort):
    every = scenes(cohort)
    assert len(every) == 4
    assert every.take(np.array([3, 1])).groups.tolist() == [1, 0]
    some = every.take(np.array([False, True, True, False]))
    assert [s.values.sum() for s in some] == [every[1].values.sum(), every[2].values.sum()]
    assert every.asked == Asked("segmentation", ("background", "1", "2"), 3, ("scan",))


def test_scans_that_are_only_to_be_answered_need_no_mask(cohort):
    alone = Cohort(cohort.table.drop("drawn"), tuple(c for c in cohort.columns if c.name != "drawn"), root=cohort.root)
    found = RowScenes(alone, scenes(cohort).asked, learn_states(cohort), np.arange(4), with_drawings=False)[0]
    assert found.drawn is None


def test_sequences_become_channels_on_the_voxels_of_the_first(cohort):
    x = np.broadcast_to(np.arange(6, dtype=np.float32) * 2, (10, 14, 6)).copy()
    nifti.write(cohort.root / "coarse.nii.gz", x, affine_of((2.0, 1.0, 2.0)))
    table = cohort.table.with_columns(pl.lit("coarse.nii.gz").alias("second"))
    more = Cohort(table, (*cohort.columns, cohort.column("scan").with_(name="second")), root=cohort.root)
    states = learn_states(more)
    assert channel_names(states) == ("scan", "second")
    scene = scenes_of(more, Segmentation(), states, np.arange(4))[0]
    assert scene.values.shape == (2, 10, 14, 12)
    assert np.allclose(scene.values[1, :, :, :11], np.arange(11), atol=1e-4)


def test_colours_are_channels_and_grey_where_asked(tmp_path):
    table = pictures(tmp_path, n=3)
    for i in range(3):
        values = np.asarray(Image.open(tmp_path / "images" / f"c{i}.png"))
        Image.fromarray(np.stack([values, values // 2, values // 4], axis=-1)).save(tmp_path / "images" / f"c{i}.png")
    cohort = read(table, columns={"cells": "mask", "picture": "image"}, target="cells")
    states = learn_states(cohort)
    assert states["picture"]["state"]["n_channels"] == 3
    assert channel_names(states) == ("picture: channel 1", "picture: channel 2", "picture: channel 3")
    grey = learn_states(cohort.declare(columns={"picture": {"options": {"channels": "grey"}}}))
    assert grey["picture"]["state"]["n_channels"] == 1
    first = labels.kept("images/c0.png", tmp_path)
    mixed = scan_of(first, grey["picture"], first)
    assert np.allclose(mixed[0], 0.299 * first.values[0] + 0.587 * first.values[1] + 0.114 * first.values[2], atol=1e-3)


def test_the_commonest_number_of_channels_is_learnt_and_others_are_brought_to_it(tmp_path):
    table = pictures(tmp_path, n=3)
    values = np.asarray(Image.open(tmp_path / "images" / "c0.png"))
    Image.fromarray(np.stack([values] * 3, axis=-1)).save(tmp_path / "images" / "c0.png")
    cohort = read(table, columns={"cells": "mask", "picture": "image"}, target="cells")
    cohort = Segmentation().settled(cohort.declare(columns={"cells": {"options": {"instances": True}}}))
    states = learn_states(cohort)
    assert states["picture"]["state"]["n_channels"] == 1
    found = scenes_of(cohort, Segmentation(), states, np.arange(3))[0]
    assert np.allclose(found.values[0], values, atol=0.01)
    two = labels.kept("images/c1.png", tmp_path)
    with pytest.raises(InputError, match="channels"):
        scan_of(two, {"state": {"n_channels": 2}}, two)


def test_a_row_without_a_scan_says_so(cohort):
    table = cohort.table.with_columns(pl.Series("scan", [None, *cohort.values("scan")[1:]]))
    broken = scenes(Cohort(table, cohort.columns, root=cohort.root))
    with pytest.raises(ReadError, match="fill in the cell"):
        broken[0]
    assert broken[1].values.any()


def test_what_is_known_of_a_scan_is_its_grid_and_its_greys(cohort):
    numbers = described(scenes(cohort))
    assert numbers.shape == (4, 9)
    assert numbers[0, :6].tolist() == [2.0, 1.0, 1.0, 10, 14, 12]
    assert (numbers[:, 6] < numbers[:, 7]).all()
    assert (numbers[:, 7] < numbers[:, 8]).all()
    bright = described([Scene(np.full((1, 4, 4), 7.0, np.float32), np.full(2, np.nan), np.eye(4))])
    assert bright[0, 4:].tolist() == [7.0, 7.0, 7.0]
    assert np.isnan(bright[0, :2]).all()


def test_scans_are_read_once_and_kept_within_the_cache(cohort, monkeypatch):
    from osler.adapters.imaging import scan

    store, reads = cache.Store(None, memory_bytes=1 << 20), []
    original = scan.read_at
    monkeypatch.setattr(cache, "store", lambda: store)
    monkeypatch.setattr(scan, "read_at", lambda *args: reads.append(str(args[0])) or original(*args))
    every = scenes(cohort)
    first = every[0]
    again = every[0]
    assert len(reads) == len(set(reads)) == 2
    assert np.array_equal(first.values, again.values)
    assert not first.values.flags.writeable
    assert store._bytes <= 1 << 20


def test_shading_is_evened_out_where_the_column_asks(cohort, monkeypatch):
    from osler.adapters.imaging import bias
    from osler.adapters.imaging.scan import Scan

    monkeypatch.setattr(bias, "n4", lambda found: Scan(found.values * 2, found.spacing, found.affine))
    told = cohort.declare(columns={"scan": {"options": {"bias": "n4"}}})
    plain, evened = scenes(cohort)[0], scenes(told)[0]
    assert learn_states(told)["scan"]["state"]["bias"] == "n4"
    assert np.allclose(evened.values, 2 * plain.values)
    assert np.array_equal(evened.drawn.labels, plain.drawn.labels)


def coloured(folder):
    """Three grey pictures and a colour one, with their cells."""
    table = pictures(folder, n=4)
    values = np.asarray(Image.open(folder / "images" / "c2.png"))
    Image.fromarray(np.stack([values, values // 2, values // 4], axis=-1)).save(folder / "images" / "c2.png")
    values = np.asarray(Image.open(folder / "images" / "c3.png"))
    Image.fromarray(np.stack([values] * 3, axis=-1)).save(folder / "images" / "c3.png")
    return read(table, columns={"cells": "mask", "picture": "image"}, target="cells")


def test_a_colour_picture_among_grey_ones_is_named_and_grey_saved_in_colour_is_not(tmp_path):
    cohort = coloured(tmp_path)
    found = misfits(cohort)
    assert {reason: np.flatnonzero(rows).tolist() for reason, rows in found.items()} == {
        "'picture': a colour picture stands among grey ones; channels=grey of the column makes it one": [2]
    }
    assert misfits(cohort.declare(columns={"picture": {"options": {"channels": "grey"}}})) == {}


def test_sequences_of_another_place_are_named(cohort):
    nifti.write(cohort.root / "flat.nii.gz", np.ones((10, 14, 12), np.float32), affine_of((2.0, 1.0, 1.0)))
    (cohort.root / "broken.nii.gz").write_bytes(b"no")
    table = cohort.table.with_columns(pl.Series("second", ["flat.nii.gz", "broken.nii.gz", None, "flat.nii.gz"], dtype=pl.String))
    more = Cohort(table, (*cohort.columns, cohort.column("scan").with_(name="second")), root=cohort.root)
    assert {reason: np.flatnonzero(rows).tolist() for reason, rows in misfits(more).items()} == {
        "'second': a picture or scan is not of the format that its name says, or is damaged (image-format)": [1]
    }


def test_a_fit_keeps_the_rows_that_go_together(tmp_path):
    from osler.engine.prepare import prepare
    from osler.engine.study import Study

    coloured(tmp_path)
    study = Study(target=("cells",), column=("cells=mask:instances=true",), model=("threshold",), folds=2)
    prepared = prepare(study, tmp_path / "cells.csv")
    assert prepared.cohort.rows.tolist() == [1, 2, 4]
    assert prepared.cohort.refusals["reason"].to_list()[0].startswith("'picture': a colour picture")
