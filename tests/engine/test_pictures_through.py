"""Pictures from files to a run: the network, its operating point, and another run that starts from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.predictor import Predictor
from osler.engine.run import Run
from osler.errors import OptionError
from tests.models.neural.planted_blocks import blob_images

MODEL = "cnn:width=16,filters=8,epochs=24,learning_rate=0.01,batch_size=16"


def written(folder: Path, seed: int, n: int = 72) -> Path:
    """PNG files of planted squares beside a table that names them."""
    from PIL import Image

    block, y = blob_images(n, np.random.default_rng(seed))
    folder.mkdir()
    for i, picture in enumerate(block.values[:, 0]):
        grey = np.clip(90 + 60 * picture, 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{i:03}.png")
    table = pl.DataFrame({"path": [f"{i:03}.png" for i in range(n)], "patient": [f"p{i // 2}" for i in range(n)], "sick": y})
    table.write_csv(folder / "labels.csv")
    return folder / "labels.csv"


def learnt(source: Path, out: Path, **options: object) -> Run:
    """A quick fit on pictures."""
    given = {"target": "sick", "unit": "patient", "model": (MODEL,), "folds": 2, "repeats": 1, "boot": 100, **options}
    return fit(source, out, workers=1, silent=True, explain=False, **given)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("pictures")
    source = written(folder / "one", 1)
    return source, learnt(source, folder / "run", sensitivity=0.9)


def test_a_folder_of_pictures_becomes_a_predictor_with_an_operating_point(first):
    source, run = first
    assert run.certificate["verdict"] == "clean"
    assert run.scores["parts"]["cv"][MODEL]["auroc"]["value"] > 0.7
    point = run.predictor.card["operating_point"]
    assert point["cv"]["sensitivity"]["value"] >= 0.9
    answered = run.predictor.predict(read(source)).table
    called = answered["sick_pred"].to_numpy() == run.predictor.classes[1]
    assert np.array_equal(called, answered[f"sick_prob_{run.predictor.classes[1]}"].to_numpy() >= point["threshold"])


def test_a_saved_network_answers_as_before(first, tmp_path):
    source, run = first
    run.predictor.save(tmp_path / "saved")
    loaded = Predictor.load(tmp_path / "saved")
    assert np.array_equal(loaded.raw(read(source)).value, run.predictor.raw(read(source)).value)


def test_a_run_starts_from_another_and_the_certificate_says_so(first, tmp_path):
    _, run = first
    second = learnt(written(tmp_path / "two", 2), tmp_path / "run", init=str(run.folder))
    _, params = second.predictor.models[MODEL]
    assert params.meta["warm_start"] == ["path"]
    said = {c["name"]: c["verdict"] for c in second.certificate["checks"]}
    assert any("pre-training" in name or "pretraining" in name for name in said)


def test_a_folder_of_weights_leaves_the_certificate_unsure(first, tmp_path):
    from osler.adapters import tensors

    source, run = first
    arrays = run.predictor.models[MODEL][1].arrays
    head = "member0/encoders.0.body."
    (tmp_path / "weights").mkdir()
    held = {k[len(head) :]: v for k, v in arrays.items() if k.startswith(head)}
    tensors.write(tmp_path / "weights" / "model.safetensors", held, {})
    model = f"{MODEL},weights={tmp_path / 'weights'}"
    second = learnt(source, tmp_path / "run", model=(model,))
    details = [c for c in second.certificate["checks"] if c["verdict"] == "unknown"]
    assert any("folder of weights" in c["detail"] for c in details)


def test_weights_that_are_not_there_are_named(first, tmp_path):
    source, _ = first
    with pytest.raises(OptionError, match="'nowhere' is none"):
        learnt(source, tmp_path / "run", model=(f"{MODEL},weights={tmp_path / 'nowhere'}",))
