"""Saved detectors made to do harm: refused with a sentence, or they answer boxes of their own classes on the scan; never a crash, never a hang."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from osler.engine.predict import predict
from osler.errors import PredictorError
from osler.models.base import Params
from osler.models.neural.detection import saved
from osler.models.neural.detection.rcnn import Rcnn, RcnnOptions
from osler.models.neural.detection.retina import Retina, RetinaOptions
from tests.engine.test_detect import pictures
from tests.models.neural.detection.planted_things import blocks
from tests.safety.mutations import mutated

TINY = {"filters": 4, "width": 8, "depth": 1, "steps": 2, "batch_size": 2}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A predictor of boxes in pictures, and its table."""
    from osler.engine.fit import fit

    folder = tmp_path_factory.mktemp("detector")
    source = pictures(folder / "data", 6)
    options = {"folds": 2, "repeats": 1, "boot": 20, "silent": True, "workers": 1, "examples": 0}
    spec = "retina:filters=4,width=8,depth=1,steps=2,batch_size=2"
    run = fit(source, folder / "run", target="things", column=("picture=image", "things=boxes"), model=(spec,), **options)
    return run.folder / "predictor", source


def test_sealed_mutations_answer_or_are_refused(good, tmp_path):
    def answer(copy: Path) -> str:
        rows = predict(copy, good[1]).table.height
        return "" if rows == 6 else f"{rows} rows"

    wrong, answered = mutated(good[0], tmp_path / "copy", np.random.default_rng(3), 60, answer)
    assert wrong == []
    assert answered > 3


@pytest.fixture(scope="module")
def meta() -> dict:
    """The description of a saved detector."""
    return Retina(RetinaOptions(**TINY)).fit(blocks(2, 2, 32, np.random.default_rng(0)), np.random.default_rng(0)).meta


@pytest.mark.parametrize(("field", "value"), [
    ("dims", 4), ("dims", True), ("kind", "regression"), ("classes", []), ("classes", ["a"] * 5000), ("channels", 10**9), ("network", {"width": 10**9}),
    ("network", []), ("strides", [2, 4, 16]), ("strides", [3]), ("strides", [2**40]), ("strides", "24"), ("anchors", []), ("anchors", [[1.0]]), ("spacing", [1e-9, 1.0]),
    ("zoom", [1e9, 1.0]), ("zoom", [float("nan"), 1.0]), ("zoom", None), ("patch", [10**9, 8]), ("patch", [8]), ("window", ["a", "b"]), ("spread", float("inf")),
    ("normalise", "eval"), ("most_overlap", 7), ("longest", None),
])  # fmt: skip
def test_each_field_of_a_plan_is_checked(meta, field, value):
    plan = json.loads(json.dumps(meta["plan"])) | {field: value}
    with pytest.raises(PredictorError):
        saved.checked(meta | {"plan": plan})


def test_formats_and_arrays_of_others_are_refused(meta):
    with pytest.raises(PredictorError):
        saved.checked(meta | {"format": "other"})
    scenes = blocks(2, 2, 32, np.random.default_rng(0))
    for model in (Retina(RetinaOptions(**TINY)), Rcnn(RcnnOptions(**TINY, hidden=8))):
        params = model.fit(scenes, np.random.default_rng(0))
        some = dict(list(params.arrays.items())[:-1])
        with pytest.raises(PredictorError):
            model.draw(Params(params.meta, some), scenes[0])
        name = next(iter(params.arrays))
        with pytest.raises(PredictorError):
            model.draw(Params(params.meta, params.arrays | {name: np.zeros((1, 2, 3), np.float32)}), scenes[0])
