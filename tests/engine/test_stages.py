"""The stages one by one: study, preparation, plan, folds on disk, scores, curves, descriptions, logs, files, tables."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.read import read
from osler.engine import assess, curves, describe, doctor, files, plan, tables
from osler.engine.foreign import evaluate_table
from osler.engine.log import Log
from osler.engine.prepare import cohort_sha256, file_sha256, prepare
from osler.engine.progress import Progress
from osler.engine.study import Study, read_config
from osler.engine.train import cross_validate, inside_ensembles, name_of, read_fold, run_split, write_fold
from osler.errors import ColumnError, OptionError, OslerError, ReadError, TargetError
from osler.tasks.base import Prediction
from tests.engine.conftest import clinic

STUDY = Study(target=("died",), unit=("patient_id",), model=("logistic",), folds=3, repeats=2, boot=200)


@pytest.fixture(scope="module")
def prepared():
    """The made-up clinic, prepared for three folds, twice."""
    return prepare(STUDY, read(clinic(), unit="patient_id", target="died"))


@pytest.fixture(scope="module")
def results(prepared):
    """Every cross-validation split's result."""
    return [run_split(prepared, s) for s in prepared.splits if s.part == "cv"]


# -- study --------------------------------------------------------------------------------------------------------


def test_a_study_file_in_yaml_and_in_json_ask_the_same(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("target: died\nmodel: [logistic, tree]\nfolds: 4\nholdout:\n")
    (tmp_path / "a.json").write_text('{"target": ["died"], "model": ["logistic", "tree"], "folds": 4}')
    one, two = (Study.from_json(read_config(tmp_path / f"a.{kind}")) for kind in ("yaml", "json"))
    assert one == two == Study(target=("died",), model=("logistic", "tree"), folds=4)


def test_an_unknown_key_gets_the_nearest(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("targt: died\n")
    with pytest.raises(OptionError, match="did you mean 'target'"):
        Study.from_json(read_config(tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    ("text", "words"), [("a: [1\nb: 2", "line"), ("- 1\n- 2", "key: value"), ("x" * (2**20 + 1), "1 MiB")]
)
def test_what_is_no_study_file_is_refused(tmp_path: Path, text: str, words: str):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ReadError, match=words):
        read_config(tmp_path / "a.yaml")
    with pytest.raises(ReadError, match="exist"):
        read_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(("key", "value"), [("folds", "five"), ("explain", "yes"), ("seed", True), ("scores", 1)])
def test_wrong_types_are_refused(key: str, value: object):
    with pytest.raises(OptionError, match=key):
        Study.from_json({key: value})


def test_named_generators_do_not_depend_on_one_another():
    a, b = STUDY.rng("folds").integers(0, 2**62, 3), STUDY.rng("score", "cv").integers(0, 2**62, 3)
    assert (STUDY.rng("folds").integers(0, 2**62, 3) == a).all()
    assert not (a == b).any()
    assert not (STUDY.with_(seed=1).rng("folds").integers(0, 2**62, 3) == a).any()


def test_key_and_digest_follow_data_and_question():
    assert STUDY.key != STUDY.with_(source_sha256="ab").key
    assert STUDY.key == STUDY.with_(folds=4).key
    assert STUDY.digest != STUDY.with_(folds=4).digest


# -- prepare, plan ------------------------------------------------------------------------------------------------


def test_every_row_is_tested_once_per_repeat(prepared):
    for repeat in range(2):
        tested = np.concatenate([s.test for s in prepared.splits if s.part == "cv" and s.repeat == repeat])
        assert sorted(tested) == list(range(len(prepared.cohort)))


def test_the_last_split_learns_from_everything(prepared):
    last = prepared.splits[-1]
    assert (last.part, len(last.train), len(last.test)) == ("final", 180, 0)


def test_facts_count_rows_and_classes(prepared):
    assert prepared.facts["rows_read"] == 180
    assert sum(prepared.facts["classes"].values()) == 180
    assert prepared.facts["inputs"] == ["age", "creatinine", "ward"]


def test_an_impossible_zero_is_missing_unless_told_otherwise():
    frame = clinic().with_columns(pl.Series("cholesterol", np.where(np.arange(180) % 9 == 0, 0, 200 + np.arange(180))))
    source = read(frame, unit="patient_id", target="died")
    assert prepare(STUDY, source).cohort.values("cholesterol").null_count() == 20
    assert prepare(STUDY.with_(missing_zero=False), source).cohort.values("cholesterol").null_count() == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"folds": 1}, OptionError),
        ({"folds": 1000}, TargetError),
        ({"input": ("agee",)}, ColumnError),
        ({"task": "bnary"}, OslerError),
    ],
)
def test_wrong_preparations_are_refused(changes: dict, error: type):
    with pytest.raises(error):
        prepare(STUDY.with_(**changes), read(clinic(), unit="patient_id", target="died"))


def test_asked_for_columns_only():
    found = prepare(STUDY.with_(input=("age",)), read(clinic(), unit="patient_id", target="died"))
    assert found.facts["inputs"] == ["age"]
    found = prepare(STUDY.with_(ignore=("age",)), read(clinic(), unit="patient_id", target="died"))
    assert found.facts["inputs"] == ["creatinine", "ward"]


def test_a_table_is_named_by_its_bytes(clinic_csv: Path, tmp_path: Path):
    assert len(file_sha256(clinic_csv)) == 64
    assert file_sha256(tmp_path / "none") == ""
    assert cohort_sha256(read(clinic())) == cohort_sha256(read(clinic())) != cohort_sha256(read(clinic(seed=6)))


def test_the_plan_says_what_will_be_done(prepared):
    text = plan.text(prepared)
    assert "3 folds × 2" in text
    assert "(6 fits)" in text
    assert "read 180 = used 180 + refused 0" in text
    assert "95 % interval from 200 bootstrap samples" in text
    assert "`logistic`: a penalised straight line" in text


# -- folds on disk ------------------------------------------------------------------------------------------------


def test_a_fold_survives_the_disk(prepared, results, tmp_path: Path):
    write_fold(tmp_path, results[0])
    again = read_fold(tmp_path, results[0].split)
    np.testing.assert_array_equal(again.predictions["logistic"].value, results[0].predictions["logistic"].value)
    assert again.states == results[0].states
    assert set(again.increases) == set(results[0].increases)
    assert read_fold(tmp_path, results[1].split) is None


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_truncated_fold_is_computed_anew(prepared, tmp_path: Path, suffix: str):
    study_results = cross_validate(prepared, tmp_path, 1, Progress(silent=True))
    file = sorted(tmp_path.glob(f"*{suffix}"))[0]
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = cross_validate(prepared, tmp_path, 1, Progress(silent=True))
    assert file.read_bytes() == whole
    for a, b in zip(study_results, again):
        np.testing.assert_array_equal(a.predictions["logistic"].value, b.predictions["logistic"].value)


def test_a_fold_of_another_split_is_not_taken(prepared, results, tmp_path: Path):
    from dataclasses import replace

    write_fold(tmp_path, results[0])
    other = replace(results[0].split, test=results[0].split.test[1:])
    assert read_fold(tmp_path, other) is None


def test_names_of_models():
    assert name_of("ensemble:members=tree") == "ensemble"
    assert name_of("tree:min_leaf=3") == "tree:min_leaf=3"
    assert inside_ensembles(("tree", "svm", "ensemble:members=tree+forest")) == {"tree"}


# -- scores and curves --------------------------------------------------------------------------------------------


def test_repeats_are_pooled_in_the_order_of_rows(prepared, results):
    pooled = assess.pool(prepared, results)["cv"]["logistic"]
    assert pooled.rows.tolist() == list(range(180))
    assert len(pooled.repeats) == 2
    np.testing.assert_allclose(pooled.mean.value, np.mean([r.value for r in pooled.repeats], axis=0))
    one = results[0]
    np.testing.assert_array_equal(pooled.repeats[0].value[one.split.test], one.predictions["logistic"].value)


def test_repeats_sharpen_the_value_and_not_the_interval(prepared, results):
    pooled = assess.pool(prepared, results)["cv"]["logistic"]
    two = assess.score_pooled(prepared, pooled, "cv", "logistic")["auroc"]
    one = assess.score_pooled(prepared, assess.Pooled(pooled.rows, pooled.repeats[:1]), "cv", "logistic")["auroc"]
    assert two["n"] == one["n"] == 180
    assert (two["high"] - two["low"]) > 0.8 * (one["high"] - one["low"])


def test_the_choice_is_the_least_loss(prepared, results):
    good = assess.pool(prepared, results)["cv"]["logistic"]
    bad = assess.Pooled(good.rows, tuple(Prediction(p.value[:, ::-1].copy()) for p in good.repeats))
    assert assess.choose(prepared, {"bad": bad, "good": good}) == "good"
    assert assess.choose(prepared, {"bad": bad, "score:news2": good}) == "bad"


def test_assessment_has_what_the_report_needs(prepared, results):
    found = assess.assess(prepared, results)
    assert found.scores["chosen"] == "logistic"
    assert {"calibration", "decision_curve", "roc", "histogram"} <= set(found.curves["parts"]["cv"])
    assert found.curves["threshold"] == 0.5
    assert "chosen_holdout" not in found.curves["thresholds"]
    assert sum(sum(v) for v in found.curves["parts"]["cv"]["histogram"].values()) == 180
    assert found.conformal


@pytest.mark.parametrize(
    ("text", "rule"), [("0.5", ("fixed", 0.5)), ("youden", ("youden", None)), ("sensitivity=0.9", ("sensitivity", 0.9))]
)
def test_threshold_rules(text: str, rule: tuple):
    assert curves.threshold_rule(text) == rule


@pytest.mark.parametrize("text", ["", "1", "0", "-0.5", "youden=0.4", "sensitivity", "recall=0.9", "nan"])
def test_wrong_thresholds_are_refused(text: str):
    with pytest.raises(OptionError):
        curves.threshold_rule(text)


# -- small ones ---------------------------------------------------------------------------------------------------


def test_the_environment_names_versions_and_no_machine():
    import platform

    found = describe.environment()
    assert found["libraries"]["numpy"] == np.__version__
    assert platform.node() not in json.dumps(found) or not platform.node()


def test_the_log_takes_counts_only(tmp_path: Path):
    log = Log(tmp_path / "log.jsonl")
    log.write("prepared", rows=3)
    log.write("scored", verdict="clean")
    lines = [json.loads(x) for x in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [x["event"] for x in lines] == ["prepared", "scored"]
    with pytest.raises(AssertionError, match="patient"):
        log.write("prepared", patient="x")
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600


def test_progress_is_plain_lines_off_a_terminal(capsys: pytest.CaptureFixture):
    with Progress() as progress:
        progress("folds", 0, 3)
        progress("folds", 1, 3)
        progress("folds", 3, 3)
    assert capsys.readouterr().err.splitlines() == ["folds: 0/3", "folds: 3/3"]
    with Progress(silent=True) as progress:
        progress("folds", 3, 3)
    assert capsys.readouterr().err == ""


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files.write_atomic(tmp_path / "a", b"old")
    monkeypatch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        files.write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_json_takes_numpy_and_nothing_else(tmp_path: Path):
    files.write_json(tmp_path / "a.json", {"n": np.int64(3), "x": np.array([1.5, 2.0])})
    assert json.loads((tmp_path / "a.json").read_text()) == {"n": 3, "x": [1.5, 2.0]}
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "b.json", {"n": object()})
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "@SUM(A1)", "-x", "\t=1", "＝1", "|x", "%x"])
def test_a_spreadsheet_executes_nothing(cell: str):
    assert tables.defused(pl.DataFrame({"a": [cell]}))["a"][0] == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1.5", "+3", "-1e-5", "north", "", None])
def test_plain_cells_stay(cell: str | None):
    assert tables.defused(pl.DataFrame({"a": pl.Series([cell], dtype=pl.String)}))["a"][0] == cell


def test_tables_are_written_by_their_ending(tmp_path: Path):
    cohort = Cohort(pl.DataFrame({"a": [1.0, 2.0]}), (Column("a", "number"),))
    tables.write_table(cohort, tmp_path / "t.csv")
    tables.write_table(cohort, tmp_path / "t.parquet")
    written = tables.write_table(cohort, tmp_path / "folder", {"My Plot/..": "<svg/>"})
    assert (tmp_path / "t.csv").read_text() == "a\n1.0\n2.0\n"
    assert pl.read_parquet(tmp_path / "t.parquet")["a"].to_list() == [1.0, 2.0]
    assert [p.name for p in written] == ["table.csv", "my_plot___.svg"]
    with pytest.raises(OptionError, match=r"\.csv"):
        tables.write_table(cohort, tmp_path / "t.exe")


def test_the_doctor_sees_the_core_and_the_data_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_devices", lambda: doctor.Line("devices", "ok", "cpu"))
    monkeypatch.setattr(doctor, "_lightgbm", lambda: doctor.Line("lightgbm loads", "ok", ""))
    monkeypatch.setenv("OSLER_DATA_MIRROR", "/no/such/folder")
    lines = {line.what: line for line in doctor.examine()}
    assert lines["extra core"].state == "ok"
    assert "numpy" in lines["extra core"].detail
    assert lines["data folder"].state == "broken"
    monkeypatch.delenv("OSLER_DATA_MIRROR")
    assert {line.what: line.state for line in doctor.examine()}["data folder"] == "absent"


def test_the_doctor_knows_every_extra_and_its_libraries():
    import tomllib

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    declared = tomllib.loads(text)["project"]["optional-dependencies"]
    for extra in set(declared) - {"all", "test"}:
        wanted = {re.split(r"[\[<>=; ]", one)[0] for one in declared[extra]}
        assert {distribution for _, distribution in doctor.EXTRAS[extra]} == wanted, extra


def test_what_the_doctor_advises_can_be_typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from osler.cli import main

    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Line("extra mri", "absent", "pip install 'osler[mri]' for simpleitk")])
    assert main(["doctor"]) == 0
    assert "pip install 'osler[mri]' for simpleitk" in capsys.readouterr().out


def test_predictions_of_anyones_model_are_written(tmp_path: Path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    pl.DataFrame({"y": y, "prob": np.clip(y * 0.4 + rng.random(120) * 0.5, 0, 1)}).write_csv(tmp_path / "p.csv")
    found = evaluate_table(tmp_path / "p.csv", tmp_path / "out", n_boot=200)
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == json.loads(json.dumps(found["scores"]))
    assert (tmp_path / "out" / "details.json").is_file()
