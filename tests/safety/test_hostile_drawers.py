"""Predictors that draw, masks and folders made to do harm: refused with a sentence, never a crash, never a file elsewhere."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.adapters.imaging import labels, nifti
from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.predict import predict
from osler.engine.scenes.predict import predict_files
from osler.errors import InputError, OslerError, PredictorError
from tests.drawn_scans import affine_of, brains, pictures
from tests.safety.hostile import body_of, reseal
from tests.safety.mutations import mutated


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A predictor of things in pictures, and new pictures."""
    folder = tmp_path_factory.mktemp("drawer")
    source = pictures(folder / "data", n=6)
    given = {"target": "cells", "column": ("cells=mask:instances=true",), "model": ("threshold:blur=1",), "folds": 2, "boot": 20, "examples": 0}
    run = fit(source, folder / "run", silent=True, workers=1, **given)
    return run.folder / "predictor", pictures(folder / "new", n=1, seed=5)


def test_two_hundred_sealed_mutations_draw_or_are_refused(good, tmp_path):
    def answer(copy: Path) -> str:
        rows = predict(copy, good[1]).table.height
        return "" if rows == 1 else f"{rows} rows"

    wrong, answered = mutated(good[0], tmp_path / "copy", np.random.default_rng(7), 200, answer)
    assert wrong == []
    assert 10 < answered < 190, "mutations must reach both ends"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("models", 0, 1), "forest"),
        (("models", 0, 1), "threshold:channels=1"),
        (("states", "picture", "state", "n_channels"), 10**9),
        (("states", "picture", "state", "n_channels"), True),
        (("task",), "binary"),
        (("task",), "detection"),
        (("chosen",), "atlas"),
        (("params", "0", "channel"), "x"),
        (("params", "0", "blur"), "soft"),
        (("classes",), []),
    ],
)
def test_each_field_is_checked_before_it_is_used(good, tmp_path, where, value):
    body = body_of(good[0])
    inner = body
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    shutil.copytree(good[0], tmp_path / "copy")
    reseal(tmp_path / "copy", body)
    with pytest.raises(OslerError):
        predict(tmp_path / "copy", good[1])


def test_a_model_of_another_channel_answers_no_scan_and_says_why(good, tmp_path):
    body = body_of(good[0])
    body["params"]["0"]["channel"] = 10**6
    shutil.copytree(good[0], tmp_path / "copy")
    reseal(tmp_path / "copy", body)
    assert "image-dims" in predict(tmp_path / "copy", good[1]).table["cells_refused"][0]


def test_drawings_stay_in_the_folder_they_are_asked_into(good, tmp_path):
    from osler.engine.predictor import Predictor

    source = tmp_path / "in"
    source.mkdir()
    for name in ("..hidden.png", "a b;rm -rf.png", "x" * 120 + ".png", "ünï.png"):
        shutil.copy(good[1].parent / "images" / "c0.png", source / name)
    out = tmp_path / "out"
    answered = predict_files(Predictor.load(good[0]), read(source), out)
    written = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.png") if source not in p.parents)
    assert len(written) == len(answered) == 3, "a file with a dot in front is passed over"
    assert all(w.startswith("out/") and w.count("/") == 1 for w in written)
    assert set(answered.table["cells_file"]) == {Path(w).name for w in written}


def test_references_that_lead_out_are_no_masks(tmp_path):
    brains(tmp_path / "outside", n=1)
    source = brains(tmp_path / "inside", n=3)
    table = pl.read_csv(source).with_columns(pl.Series("drawn", ["../outside/labelsTr/b_00.nii.gz", "/etc/hostname", "labelsTr/b_02.nii.gz"]))
    table.write_csv(source)
    cohort = read(source, columns={"drawn": "mask"})
    assert cohort.values("drawn").to_list() == [None, None, "labelsTr/b_02.nii.gz"]
    assert cohort.refusals.height == 2


def test_links_that_lead_out_of_the_folder_are_not_read(tmp_path):
    brains(tmp_path / "outside", n=2)
    (tmp_path / "outside" / "brains.csv").unlink()
    folder = tmp_path / "folder"
    (folder / "imagesTr").mkdir(parents=True)
    shutil.copy(tmp_path / "outside" / "imagesTr" / "b_00.nii.gz", folder / "imagesTr")
    (folder / "labelsTr").symlink_to(tmp_path / "outside" / "labelsTr")
    assert "mask" not in read(folder).table.columns


def test_a_bomb_of_zeros_is_refused_and_costs_little(tmp_path):
    values = np.zeros((8, 8, 8), np.uint8)
    head = nifti.encoded(values, np.eye(4))[:352]
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(head + bytes(300_000_000)))
    claims = bytearray(nifti.encoded(values, np.eye(4)))
    claims[42:48] = np.array([30000, 30000, 30000], dtype="<i2").tobytes()
    (tmp_path / "lies.nii.gz").write_bytes(gzip.compress(bytes(claims)))
    for name in ("bomb.nii.gz", "lies.nii.gz"):
        with pytest.raises(InputError):
            labels.read(name, tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_masks_are_label_maps_or_refused(seed, tmp_path):
    """300 masks with some bytes changed: each is read as whole numbers or refused with a code."""
    rng = np.random.default_rng(seed)
    plain = nifti.encoded(rng.integers(0, 3, (4, 5, 6)).astype(np.uint8), affine_of((1, 1, 1)))
    read_as, refused = 0, 0
    for _ in range(100):
        data = bytearray(plain)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(256)
        (tmp_path / "m.nii").write_bytes(bytes(data))
        try:
            numbers, counts = labels.held("m.nii", tmp_path)
            assert (numbers > 0).all()
            assert len(numbers) == len(counts)
            read_as += 1
        except InputError:
            refused += 1
    assert read_as + refused == 100


def test_a_model_that_draws_another_shape_is_refused(good, monkeypatch):
    from osler.engine.predictor import Predictor
    from osler.models.threshold import Threshold
    from osler.scenes import Drawing

    predictor = Predictor.load(good[0])
    monkeypatch.setattr(Threshold, "draw", lambda self, params, scene, probability=False: Drawing(np.zeros((3, 3), np.uint16)))
    with pytest.raises(PredictorError, match="every pixel of a scan"):
        predict(predictor, good[1])
