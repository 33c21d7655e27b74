"""Exported predictors answer as Python does, on real tables with missing cells and new categories; what cannot be
exported says so.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.adapters.onnx_session import Session
from osler.cli import main
from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.engine.deploy import export, onnx_answer, onnx_bytes, probes
from osler.engine.graphs.columns import day_of_year
from osler.engine.graphs.graph import Graph
from osler.engine.mlflow_flavor import _load_pyfunc
from osler.engine.predict import rows_cohort
from osler.engine.predictor import Predictor
from osler.engine.quick import QuickAnswers
from osler.errors import ColumnError, OptionError
from tests.predictors import Fitted, fitted, rows_of

pytest.importorskip("onnxruntime")

CLASSES = (
    "logistic", "elastic", "spline", "tree", "forest:n_trees=30", "boosting:rounds=30",
    "ebm:bags=2,max_rounds=60,interactions=2", "ensemble:members=logistic+tree,folds=2,repeats=1",
)  # fmt: skip
NUMBERS = ("linear", "elastic", "spline", "tree", "forest:n_trees=30", "boosting:rounds=30", "ebm:bags=2,max_rounds=60")
SURVIVAL = (
    "cox", "cox:spline=yes", "survival_forest:trees=20", "survival_boosting:rounds=20",
    "ensemble:members=cox+survival_boosting,folds=2,repeats=1",
)  # fmt: skip
MIRRORED = ("heart_cleveland", "pima_diabetes")


def of(name: str, spec: str, request: pytest.FixtureRequest) -> Fitted:
    """A fitted predictor; tables of the mirror are skipped where there is none."""
    return fitted(name, spec, request.getfixturevalue("mirror") if name in MIRRORED else None)


def largest_gap(one: Fitted, cohort: Cohort) -> float:
    """The largest difference between ONNX Runtime and Python over the rows of a cohort."""
    found, expected = onnx_answer(Session(onnx_bytes(one.predictor)), cohort), one.predictor.raw(cohort)
    assert found.value.shape == expected.value.shape
    assert (found.times is None) == (expected.times is None)
    if found.times is not None:
        assert np.array_equal(found.times, expected.times)
    return float(np.abs(found.value - expected.value).max())


@pytest.mark.parametrize("spec", CLASSES)
@pytest.mark.parametrize("name", ["heart_cleveland", "pima_diabetes", "clinic"])
def test_onnx_gives_the_probabilities_of_python(name: str, spec: str, request: pytest.FixtureRequest):
    one = of(name, spec, request)
    assert largest_gap(one, one.cohort) <= 1e-6


@pytest.mark.parametrize(
    "spec", ["logistic", "tree", "forest:n_trees=10", "boosting:rounds=10", "ebm:bags=2,max_rounds=30"]
)
def test_onnx_gives_every_class_its_probability(spec: str):
    one = fitted("three", spec)
    assert one.predictor.raw(one.cohort).value.shape[1] == 3
    assert largest_gap(one, one.cohort) <= 1e-6


@pytest.mark.parametrize("spec", NUMBERS)
def test_onnx_gives_the_mean_of_python(spec: str):
    one = fitted("diabetes", spec)
    assert largest_gap(one, one.cohort) <= 1e-6


@pytest.mark.parametrize("spec", SURVIVAL)
def test_onnx_gives_the_survival_curves_of_python(spec: str):
    one = fitted("gbsg2", spec)
    assert largest_gap(one, one.cohort) <= 1e-6
    session = Session(onnx_bytes(one.predictor))
    kinds = {c["name"]: c["modality"] for c in json.loads(session.facts["columns"])}
    from osler.engine.deploy import onnx_inputs

    risk = session.run(onnx_inputs(one.cohort, kinds))["event_probability"][:, 0]
    asked = one.predictor.predict(one.cohort).table["cens_pred"].to_numpy()
    assert np.abs(risk - asked).max() <= 1e-6


def test_onnx_gives_the_network_of_python():
    pytest.importorskip("torch")
    one = fitted("clinic", "mlp:epochs=2,members=2,width=16")
    assert largest_gap(one, one.cohort) <= 1e-6


@pytest.mark.parametrize("spec", ["logistic", "forest:n_trees=30", "ensemble:members=logistic+tree,folds=2,repeats=1"])
def test_missing_new_and_impossible_cells_mean_the_same(spec: str):
    one = fitted("clinic", spec)
    cohort = rows_cohort(one.predictor, probes(one.predictor, np.random.default_rng(11), 400))
    assert largest_gap(one, cohort) <= 1e-6
    odd = [
        {"age": -5, "ward": "NORTH", "creatinine": None, "smoker": True, "admitted": "2024-02-29"},
        {"age": 150.5, "ward": "north", "smoker": False, "admitted": "2000-12-31"},
        {"age": 41.25, "ward": "a ward never seen", "creatinine": 1e5, "admitted": "1799-12-31"},
        {"ward": "Unknown", "admitted": None},
        {"ward": "east wing"},
        {"ward": "zürich"},
    ]
    cohort = rows_cohort(one.predictor, odd)
    assert largest_gap(one, cohort) <= 1e-6
    cased = one.predictor.raw(rows_cohort(one.predictor, [odd[0], {**odd[0], "ward": "north"}])).value
    assert cased[0, 1] == cased[1, 1]


def test_a_column_that_the_table_lacks_is_missing():
    one = fitted("clinic", "logistic")
    fewer = one.cohort.select([c.name for c in one.predictor.inputs if c.name != "creatinine"])
    found = onnx_answer(Session(onnx_bytes(one.predictor)), fewer)
    assert np.abs(found.value - one.predictor.raw(fewer).value).max() <= 1e-6


def test_day_of_year_follows_the_calendar():
    from osler.adapters.onnx_graph import to_bytes

    graph = Graph(inputs={"days": "double"})
    value = day_of_year(graph, "days")
    session = Session(to_bytes(graph.inputs, graph.nodes, graph.arrays, {"day": (value, "double", 1)}, {}))
    texts = [
        "1900-02-28",
        "1900-03-01",
        "2000-02-29",
        "2000-03-01",
        "2023-12-31",
        "2024-12-31",
        "1970-01-01",
        "2100-03-01",
    ]
    days = np.array(texts, dtype="datetime64[D]").astype(np.float64)
    assert session.run({"days": days})["day"][:, 0].tolist() == [59, 60, 60, 61, 365, 366, 1, 60]
    every = np.arange(-62_000.0, 120_000.0, 7)
    expected = pl.Series(every.astype(np.int64).astype("datetime64[D]")).dt.ordinal_day().to_numpy()
    assert np.array_equal(session.run({"days": every})["day"][:, 0], expected)


def test_what_cannot_be_exported_is_named():
    one = fitted("clinic", "logistic").predictor
    note = Column("note", "text")
    state = {"modality": "text", "version": 1, "state": {}}
    with pytest.raises(OptionError, match=r"column 'note'.*mlflow") as caught:
        onnx_bytes(replace(one, columns=(*one.columns, note), states={**one.states, "note": state}))
    assert caught.value.code == "export"
    kernel = replace(one, models={"svm": ("svm", one.models["logistic"][1])}, chosen="svm")
    with pytest.raises(OptionError, match="model 'svm'"):
        onnx_bytes(kernel)


def test_an_exported_model_holds_no_row_and_no_outside_data():
    import onnx

    model = onnx.load_from_string(onnx_bytes(fitted("clinic", "logistic").predictor))
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in model.graph.initializer)
    assert {i.name for i in model.graph.input} == {"age", "creatinine", "ward", "smoker", "admitted"}
    assert {p.key for p in model.metadata_props} >= {"format", "task", "classes", "columns"}


def test_the_same_predictor_gives_the_same_bytes():
    one = fitted("clinic", "logistic").predictor
    assert onnx_bytes(one) == onnx_bytes(one)


# -- the verb --------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A saved predictor."""
    return fitted("clinic", "logistic").predictor.save(tmp_path / "predictor", "a card")


def test_model_onnx_joins_the_sealed_predictor(home: Path, capsys: pytest.CaptureFixture):
    before = Predictor.load(home)
    assert main(["export", str(home)]) == 0
    assert "model.onnx" in capsys.readouterr().out
    assert "model.onnx" in json.loads((home / "manifest.json").read_text())["members"]
    assert Predictor.load(home).chosen == before.chosen
    assert Session((home / "model.onnx").read_bytes()).facts["task"] == "binary"


def test_an_unknown_format_and_an_occupied_folder_are_refused(home: Path, tmp_path: Path):
    with pytest.raises(OptionError, match="did you mean 'onnx'"):
        export(home, "onxx", tmp_path / "x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(OptionError, match="something else"):
        export(home, "mlflow", tmp_path / "full")
    with pytest.raises(OptionError, match="--out"):
        export(home, "mlflow")
    assert (tmp_path / "full" / "mine.txt").read_text() == "keep"


def test_an_mlflow_folder_holds_no_code_and_answers_as_python(home: Path, tmp_path: Path):
    pandas, yaml = pytest.importorskip("pandas"), pytest.importorskip("yaml")
    out = export(home, "mlflow", tmp_path / "model")
    described = yaml.safe_load((out / "MLmodel").read_text())
    flavor = described["flavors"]["python_function"]
    assert flavor["loader_module"] == "osler.engine.mlflow_flavor"
    names = {p.name for p in out.rglob("*") if p.is_file()}
    assert names == {
        "MLmodel", "requirements.txt", "python_env.yaml", "conda.yaml", "manifest.json", "manifest.sha256", "predictor.json",
        "arrays.safetensors", "card.md",
    }  # fmt: skip
    signature = {c["name"]: c["type"] for c in json.loads(described["signature"]["inputs"])}
    assert signature == {
        "age": "double",
        "creatinine": "double",
        "ward": "string",
        "smoker": "boolean",
        "admitted": "string",
    }
    one = fitted("clinic", "logistic")
    rows = pandas.DataFrame(rows_of(one, 30))
    answered = _load_pyfunc(str(out / flavor["data"])).predict(rows)
    expected = one.predictor.predict(one.cohort).table.head(30)
    assert np.abs(answered["died_prob_yes"].to_numpy() - expected["died_prob_yes"].to_numpy()).max() <= 1e-12
    with pytest.raises(ColumnError, match="did you mean 'age'"):
        _load_pyfunc(str(out)).predict(pandas.DataFrame({"agee": [1.0]}))


def test_mlflow_itself_serves_the_folder(home: Path, tmp_path: Path):
    python = os.environ.get("OSLER_MLFLOW_PYTHON")
    if not python:
        pytest.skip("OSLER_MLFLOW_PYTHON names no Python that has mlflow and osler")
    out = export(home, "mlflow", tmp_path / "model")
    one = fitted("clinic", "logistic")
    rows = [{**row, "smoker": row["smoker"] in (True, "yes")} for row in rows_of(one, 20)]
    (tmp_path / "rows.json").write_text(json.dumps({"dataframe_records": rows}, default=str))
    code = (
        "import sys, json, mlflow, pandas as pd\n"
        "m = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "r = pd.DataFrame(json.load(open(sys.argv[2]))['dataframe_records'])\n"
        "print('|' + json.dumps(m.predict(r)['died_prob_yes'].tolist()))\n"
    )
    ran = subprocess.run(
        [python, "-c", code, str(out), str(tmp_path / "rows.json")], capture_output=True, text=True, check=True
    )
    expected = one.predictor.predict(one.cohort).table["died_prob_yes"].head(20).to_numpy()
    assert np.abs(np.array(json.loads(ran.stdout.rsplit("|", 1)[1])) - expected).max() <= 1e-6


# -- quick answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "spec"), [("clinic", "logistic"), ("three", "tree"), ("diabetes", "linear"), ("gbsg2", "cox")]
)
def test_quick_answers_are_the_answers(name: str, spec: str):
    one = fitted(name, spec)
    quick = QuickAnswers(one.predictor)
    rows = probes(one.predictor, np.random.default_rng(5), 60)
    expected = one.predictor.predict(rows_cohort(one.predictor, rows))
    for _ in range(2):  # the second time texts are remembered
        columns, cohort = quick.answer(rows)
        for column, values in columns.items():
            assert values.to_list() == expected.table[column].to_list(), column
        assert cohort.refusals.height == rows_cohort(one.predictor, rows).refusals.height
    alone = [quick.answer([row])[0] for row in rows[:20]]
    for column in (c for c in alone[0] if alone[0][c].dtype == pl.Float64):
        together = expected.table[column].head(20).to_numpy()
        assert np.allclose([a[column][0] for a in alone], together, rtol=0, atol=1e-9, equal_nan=True)


def test_quick_answers_keep_a_bounded_memory():
    from osler.engine import quick as module

    quick = QuickAnswers(fitted("clinic", "logistic").predictor)
    for start in range(0, 6000, 200):
        quick.answer([{"ward": f"ward {start + i}"} for i in range(200)])
    quick.answer([{"ward": "x" * 1000}])
    assert len(quick._texts["ward"]) <= module.MOST_TEXTS
    assert "x" * 1000 not in quick._texts["ward"]
