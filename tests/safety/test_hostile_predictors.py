"""Predictors from someone who means harm: nothing in them ever runs, and every one is refused with a typed error."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.engine.predict import predict
from osler.engine.predictor import Predictor
from osler.engine.validate_onnx import is_self_contained
from osler.errors import InputError, PredictorError
from tests.safety.hostile import ATTACKS, body_of, build
from tests.safety.mutations import mutated


def test_there_are_two_hundred_attacks():
    assert sum(count for _, count in ATTACKS) == 200


def test_two_hundred_hostile_predictors_are_refused_and_run_nothing(good: Path, tmp_path: Path):
    canary = tmp_path / "canary"
    wrong = []
    for number in range(200):
        folder, name = build(number, good, tmp_path / f"p{number}", canary)
        try:
            Predictor.load(folder)
            wrong.append(f"{number} {name}: loaded")
        except (PredictorError, InputError):
            pass
        except BaseException as error:
            wrong.append(f"{number} {name}: {type(error).__name__} {error}")
        if canary.exists():
            wrong.append(f"{number} {name}: ran")
            canary.unlink()
    assert wrong == []
    assert not list(tmp_path.parent.glob("canary*"))


def test_the_good_one_still_loads(good: Path):
    assert Predictor.load(good).chosen == "ensemble"


def test_three_hundred_sealed_mutations_answer_finitely_or_are_refused(good: Path, table: Path, tmp_path: Path):
    rng = np.random.default_rng(11)
    rows = pl.read_csv(table).head(25).write_csv().encode()
    (tmp_path / "new.csv").write_bytes(rows)

    def answer(copy: Path) -> str:
        start = time.perf_counter()
        p = predict(copy, tmp_path / "new.csv").table.select(pl.col("^.*_prob_.*$")).to_numpy()
        slow = "slow" if time.perf_counter() - start > 5 else ""
        return slow if np.isfinite(p).all() and p.shape == (25, 2) else "not finite"

    wrong, answered = mutated(good, tmp_path / "copy", rng, 300, answer)
    assert wrong == []
    assert 20 < answered < 280, "mutations must reach both ends"
    assert body_of(good)["chosen"] == "ensemble"


def test_flips_of_single_bytes_are_all_detected(good: Path, tmp_path: Path):
    from tests.safety.flip_bytes import flips

    assert flips(good, tmp_path, 1000, seed=0) == []


def test_an_onnx_file_of_our_own_kind_is_self_contained():
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    tensor = numpy_helper.from_array(np.arange(6.0), "location")
    out = helper.make_tensor_value_info("location", TensorProto.DOUBLE, [6])
    node = helper.make_node("Constant", [], ["location"], value=tensor)
    model = helper.make_model(helper.make_graph([node], "external_data", [], [out], [tensor]))
    data = model.SerializeToString()
    assert is_self_contained(data)
    assert not is_self_contained(data[:-3])
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../outside.bin")
    assert not is_self_contained(model.SerializeToString())


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', "NaN", "[1e999]", "1" * 30, "[" * 10_000, '"\ud800', "{'a': 1}", ""]
)
def test_json_is_strict(text: str):
    from osler.engine.validate import parse

    with pytest.raises(PredictorError):
        parse(text.encode("utf-8", "surrogatepass"))


def test_json_that_is_plain_is_read():
    from osler.engine.validate import parse

    assert parse(b'{"a": [1, -2.5, null, true, "\xc3\xa9"]}') == {"a": [1, -2.5, None, True, "é"]}
