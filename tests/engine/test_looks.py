"""Where networks looked: which held-out rows are shown, that their maps are by the fold that did not see them, and what is kept of it."""

from __future__ import annotations

import base64
import gzip
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")
nibabel = pytest.importorskip("nibabel")

from osler.adapters.imaging import nifti
from osler.adapters.imaging.coarse import coarser, coarser_affine, hottest, steps_to
from osler.engine.fit import fit
from osler.engine.looks import distance, looked, scanned
from osler.engine.run import Run
from osler.engine.train import FoldResult, read_fold, write_fold
from osler.tasks.base import Prediction, Target
from tests.engine.test_pictures_through import written
from tests.models.neural.planted_blocks import blob_images

MODEL = "cnn:width=16,filters=8,epochs=6,learning_rate=0.01,batch_size=16,augment=none"
ASKED = {"target": "sick", "unit": "patient", "model": (MODEL,), "folds": 2, "repeats": 1, "boot": 100, "examples": 3}


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("flat")
    return fit(written(folder / "one", 1, 48), folder / "run", workers=1, silent=True, **ASKED)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Volumes with planted balls beside a table that names them."""
    folder = tmp_path_factory.mktemp("deep")
    block, y = blob_images(32, np.random.default_rng(2), 3, 10)
    for i, values in enumerate(block.values[:, 0]):
        nifti.write(folder / f"{i:02}.nii.gz", (100 + 60 * values).astype(np.int16), np.diag([1.0, 1.0, 2.0, 1.0]))
    pl.DataFrame({"scan": [f"{i:02}.nii.gz" for i in range(32)], "patient": [f"p{i}" for i in range(32)], "sick": y}).write_csv(folder / "t.csv")
    return fit(folder / "t.csv", folder / "run", workers=1, silent=True, **ASKED)


def test_the_worst_and_the_surest_held_out_rows_are_shown(flat: Run):
    held = flat.json("explanation.json")["scans"]
    said = flat.predictions.filter(pl.col("part") == "cv")
    truth = dict(zip(range(1, 49), pl.read_csv(flat.study.source)["sick"].to_list()))
    off = {r: abs(p - truth[r]) for r, p in zip(said["row"], said["probability"])}
    worst = sorted((r for r in off if off[r] > 0.5), key=lambda r: -off[r])[:3]
    surest = sorted((r for r in off if off[r] < 0.5), key=lambda r: off[r])[:3]
    assert [e["row"] for e in held["mistakes"]] == worst
    assert [e["row"] for e in held["surest"]] == surest
    assert all(e["said"] == e["true"] for e in held["surest"])
    assert all(e["said"] != e["true"] for e in held["mistakes"])
    assert all(e["sure"] == pytest.approx(1 - off[e["row"]]) for e in held["surest"])


def test_pictures_are_small_and_say_nothing_of_anyone(flat: Run):
    from PIL import Image

    held = flat.json("explanation.json")["scans"]
    for entry in held["surest"]:
        data = base64.b64decode(entry["image"])
        picture = Image.open(io.BytesIO(data))
        assert picture.format == "JPEG"
        assert list(picture.size[::-1]) == entry["size"]
        assert len(data) < 40_000
        assert not picture.getexif()
    assert ".png" not in json.dumps(held)
    assert "p1" not in json.dumps({k: v for k, v in held["surest"][0].items() if k != "image"})


def test_the_check_with_random_weights_is_in_the_run_and_the_report(flat: Run):
    found = flat.json("explanation.json")["scans"]["sanity"]
    assert found["layers"][0] == "answer"
    assert found["n"] == 4
    assert -1 <= found["correlations"][-1] <= 1
    report = (flat.folder / "report.html").read_text(encoding="utf-8")
    assert "what was learnt" in report
    held = flat.json("explanation.json")["scans"]
    assert report.count("data:image/jpeg;base64,") == len(held["surest"]) + len(held["mistakes"])
    assert "fitted without the row that it shows" in report
    assert not (flat.folder / "scans.html").exists()


def test_volumes_are_kept_small_for_the_viewer(deep: Run):
    held = deep.json("explanation.json")["scans"]
    entry = held["surest"][0]
    scan, heat = (nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(entry[k]))) for k in ("scan", "heat"))
    assert scan.shape == heat.shape == (10, 10, 10)
    assert heat.get_fdata().max() > 200
    assert np.allclose(np.abs(np.diag(scan.affine)[:3]), [1, 1, 2])
    page = (deep.folder / "scans.html").read_text(encoding="utf-8")
    cases = json.loads(page.partition('id="scene-data">')[2].partition("</script>")[0])
    assert {layer["kind"] for layer in cases[0]["layers"]} == {"scan", "heat"}
    assert all("row " in case["name"] for case in cases)
    assert "scans.html" in (deep.folder / "report.html").read_text(encoding="utf-8")


def test_nothing_is_shown_where_nothing_is_asked_for(tmp_path: Path):
    asked = ASKED | {"examples": 0, "model": (MODEL.replace("epochs=6", "epochs=1"),)}
    run = fit(written(tmp_path / "one", 1, 40), tmp_path / "run", workers=1, silent=True, **asked)
    assert "scans" not in run.json("explanation.json")
    assert "data:image" not in (run.folder / "report.html").read_text(encoding="utf-8")


def test_distances_from_the_truth():
    binary = Target("binary", ("y",), np.array([0, 1, 1]), classes=("no", "yes"))
    answer = Prediction(np.array([[0.9, 0.1], [0.4, 0.6], [1.0, 0.0]]))
    assert distance(binary, answer) == pytest.approx([0.1, 0.4, 1.0])
    number = Target("regression", ("y",), np.array([1.0, -2.0]))
    assert distance(number, Prediction(np.array([[3.0], [-2.5]]))) == pytest.approx([2.0, 0.5])


def test_models_without_scans_look_at_nothing():
    params = SimpleNamespace(meta={})
    target = Target("binary", ("y",), np.array([0, 1]), classes=("no", "yes"))
    assert scanned(("logistic", params), {}) == ""
    assert looked(("logistic", params), {}, target, Prediction(np.full((2, 2), 0.5)), 3) == {}


def test_a_finished_fold_keeps_its_maps(tmp_path: Path):
    split = SimpleNamespace(key="cv/0/0", test=np.arange(2), train=np.arange(2, 5))
    looks = {"rows": np.array([1]), "maps": np.arange(4, dtype=np.uint8).reshape(1, 2, 2), "affine": np.eye(4)[None], "code": np.array([0])}
    write_fold(tmp_path, FoldResult(split, {"m": Prediction(np.ones((2, 2)))}, (), {"m": {}}, {}, looks))
    back = read_fold(tmp_path, split)
    assert set(back.looks) == set(looks)
    assert all(np.array_equal(back.looks[k], v) for k, v in looks.items())


def test_boxes_of_voxels_keep_their_place():
    assert steps_to((10, 20, 30), 10**6) == (1, 1, 1)
    steps = steps_to((40, 40, 80), 20_000)
    assert np.prod([n // s for n, s in zip((40, 40, 80), steps)]) <= 20_000
    values = np.zeros((4, 4, 4))
    values[2, 3, 1] = 8.0
    assert coarser(values, (2, 2, 2), mean=True)[1, 1, 0] == 1.0
    assert coarser(values, (2, 2, 2), mean=False)[1, 1, 0] == 8.0
    affine = coarser_affine(np.diag([1.0, 2.0, 3.0, 1.0]), (2, 1, 4))
    assert (affine @ [0, 0, 0, 1])[:3].tolist() == [1.5, 0.0, 1.5]
    assert np.diag(affine)[:3].tolist() == [4.0, 2.0, 6.0]
    assert hottest(values, np.eye(4)) == pytest.approx((1 - 1.5 / 4, 1 - 3.5 / 4, 2.5 / 4))
