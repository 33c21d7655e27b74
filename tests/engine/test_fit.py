"""The main verb: what a run folder holds, repeats, workers, hold-out, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cohort.read import read
from osler.engine.fit import fit
from osler.engine.prepare import prepare
from osler.engine.run import NEEDED, Run
from osler.engine.study import Study
from osler.errors import InputError, OptionError, TargetError, ViolationError
from tests.engine.conftest import clinic

#: Files that must be the same bytes in two runs; the log holds times.
SAME = (
    "study.json",
    "plan.md",
    "cohort.json",
    "scores.json",
    "curves.json",
    "certificate.json",
    "facts.json",
    "explanation.json",
    "refusals.csv",
)


def small(source: Path, out: Path, **options: object) -> Run:
    """A quick fit of the made-up clinic."""
    given = {
        "target": "died",
        "unit": "patient_id",
        "model": ("logistic",),
        "folds": 3,
        "repeats": 1,
        "boot": 200,
        **options,
    }
    workers = given.pop("workers", 1)
    return fit(source, out, workers=workers, silent=True, **given)


def test_run_folder_is_complete(run: Run):
    for name in (
        *NEEDED,
        "plan.md",
        "cohort.json",
        "refusals.csv",
        "splits.parquet",
        "predictions.parquet",
        "report.html",
        "card.md",
    ):
        assert (run.folder / name).is_file(), name
    assert not list(run.folder.parent.glob(".*partial*"))


def test_scores_have_value_interval_and_n(run: Run):
    for by_model in run.scores["parts"].values():
        for metrics in by_model.values():
            auroc = metrics["auroc"]
            assert auroc["low"] <= auroc["value"] <= auroc["high"]
            assert auroc["n"] == 180
    assert run.scores["chosen"] in run.scores["parts"]["cv"]


def test_learns_the_planted_signal(run: Run):
    auroc = run.scores["parts"]["cv"]["logistic"]["auroc"]
    assert auroc["value"] > 0.70
    assert (
        run.scores["parts"]["cv"]["baseline"]["auroc"]["low"]
        <= 0.5
        < run.scores["parts"]["cv"]["logistic"]["auroc"]["low"]
    )


def test_no_patient_is_on_both_sides(run: Run, clinic_csv: Path):
    patients = pl.read_csv(clinic_csv)["patient_id"].to_numpy()
    splits = pl.read_parquet(run.folder / "splits.parquet")
    rows = splits["row"].to_numpy() - 1
    for name in [c for c in splits.columns if c.startswith("cv/")]:
        side = splits[name].cast(pl.String).to_numpy()
        assert set(patients[rows[side == "train"]]) & set(patients[rows[side == "test"]]) == set()


def test_certificate_is_clean_and_names_every_fitted_state(run: Run):
    assert run.certificate["verdict"] == "clean"
    assert run.certificate["unit"] == "patient_id"
    names = {s["name"] for s in run.certificate["fitted_states"]}
    assert names == {"column:age", "column:creatinine", "column:ward", "model:logistic", "model:tree"}


def test_row_accounting_adds_up(run: Run):
    facts = run.json("facts.json")
    assert facts["rows_read"] == facts["rows_used"] + facts["rows_refused"] == 180


def test_rows_without_target_are_refused_by_row_and_reason(tmp_path: Path):
    frame = clinic().with_columns(
        pl.when(pl.int_range(180) % 20 == 3).then(None).otherwise(pl.col("died")).alias("died")
    )
    frame.write_csv(tmp_path / "c.csv")
    run = small(tmp_path / "c.csv", tmp_path / "run")
    ledger = pl.read_csv(run.folder / "refusals.csv")
    assert ledger["row"].to_list() == [i + 1 for i in range(180) if i % 20 == 3]
    assert set(ledger["action"]) == {"row refused"}
    assert run.json("facts.json")["rows_used"] == 171


def test_two_runs_and_two_workers_give_the_same_bytes(clinic_csv: Path, tmp_path: Path):
    first = small(clinic_csv, tmp_path / "a")
    second = small(clinic_csv, tmp_path / "b", workers=2)
    for name in SAME:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name
    for name in ("predictor.json", "arrays.safetensors"):
        assert (first.folder / "predictor" / name).read_bytes() == (second.folder / "predictor" / name).read_bytes()
    assert first.predictions.equals(second.predictions)


def test_another_seed_gives_other_splits(clinic_csv: Path, tmp_path: Path, run: Run):
    other = small(clinic_csv, tmp_path / "a", seed=7)
    assert other.predictions["row"].n_unique() == run.predictions["row"].n_unique()
    assert not other.predictions["fold"].equals(small(clinic_csv, tmp_path / "b", seed=8).predictions["fold"])


def test_finished_folds_are_taken_up_again(clinic_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from osler.engine import train

    whole = small(clinic_csv, tmp_path / "whole")
    real, count = train.run_split, {"n": 0}

    def broken(prepared, split, *more):
        count["n"] += 1
        if count["n"] == 3:
            raise KeyboardInterrupt
        return real(prepared, split, *more)

    monkeypatch.setattr(train, "run_split", broken)
    with pytest.raises(KeyboardInterrupt):
        small(clinic_csv, tmp_path / "killed")
    assert not (tmp_path / "killed").exists()
    count["n"] = 10
    continued = small(clinic_csv, tmp_path / "killed")
    assert count["n"] == 11
    assert continued.scores == whole.scores


def test_a_changed_study_does_not_take_up_old_folds(clinic_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from osler.engine import fit as fit_module

    monkeypatch.setattr(fit_module, "_write_after", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        small(clinic_csv, tmp_path / "run")
    kept = sorted((tmp_path / ".run.partial" / "folds").glob("*.json"))
    assert len(kept) == 3
    before = kept[0].stat().st_mtime_ns
    with pytest.raises(KeyboardInterrupt):
        small(clinic_csv, tmp_path / "run", seed=1)
    assert sorted((tmp_path / ".run.partial" / "folds").glob("*.json"))[0].stat().st_mtime_ns != before


def test_holdout_share_is_judged_once_by_the_final_model(clinic_csv: Path, tmp_path: Path):
    run = small(clinic_csv, tmp_path / "run", holdout="0.3")
    held = run.predictions.filter(pl.col("part") == "holdout")["row"].to_numpy()
    developed = run.predictions.filter(pl.col("part") == "cv")["row"].to_numpy()
    assert set(held) & set(developed) == set()
    assert len(held) + len(set(developed)) == 180
    answered = run.predictor.predict(read(clinic_csv).take(np.sort(held) - 1))
    mine = run.predictions.filter(pl.col("part") == "holdout").sort("row")["probability"].to_numpy()
    np.testing.assert_allclose(answered.table["died_prob_yes"].to_numpy(), mine, atol=1e-12)


def test_holdout_file_is_kept_apart(clinic_csv: Path, tmp_path: Path):
    other = clinic(90, seed=9).with_columns(pl.concat_str(pl.lit("Q"), pl.col("patient_id")).alias("patient_id"))
    other.write_csv(tmp_path / "other.csv")
    run = small(clinic_csv, tmp_path / "run", holdout=str(tmp_path / "other.csv"))
    assert run.scores["parts"]["holdout"]["logistic"]["auroc"]["n"] == 90
    assert run.scores["parts"]["cv"]["logistic"]["auroc"]["n"] == 180


def test_sites_are_left_out_one_by_one(clinic_csv: Path, tmp_path: Path):
    run = small(clinic_csv, tmp_path / "run", site="ward")
    assert {p for p in run.scores["parts"] if p != "cv"} == {"site=east", "site=north", "site=south"}


def test_forced_row_split_is_refused(tmp_path: Path):
    frame = clinic().with_columns(pl.Series("part", np.where(np.arange(180) % 2 == 0, "train", "test")))
    frame.write_csv(tmp_path / "c.csv")
    with pytest.raises(ViolationError, match="one side") as caught:
        small(tmp_path / "c.csv", tmp_path / "run", holdout="part=test", ignore=("part",))
    assert caught.value.code == "leak"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"target": "dead"}, InputError, "did you mean 'died'"),
        ({"model": ("logistc",)}, OptionError, "did you mean 'logistic'"),
        ({"model": ("logistic:penalti=1",)}, OptionError, "option of model"),
        ({"folds": 500}, TargetError, "folds"),
        ({"holdout": "2.5"}, OptionError, "share"),
        ({"duration": "age"}, OptionError, "event"),
        ({"threshold": "high"}, OptionError, "threshold"),
        ({"sensitivity": 1.5}, OptionError, "between 0 and 1"),
        ({"sensitivity": 0.9, "threshold": "youden"}, OptionError, "leave one of them out"),
        ({"sensitivity": 0.9, "target": "age", "duration": "", "event": ""}, OptionError, "for a binary target"),
        ({"ignore": ("age", "creatinine", "ward")}, InputError, "predictor"),
    ],
)
def test_wrong_questions_get_one_sentence(clinic_csv: Path, tmp_path: Path, options: dict, error: type, words: str):
    with pytest.raises(error, match=words) as caught:
        small(clinic_csv, tmp_path / "run", **options)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    assert not (tmp_path / "run").exists()


def test_a_wanted_sensitivity_becomes_the_threshold_that_the_predictor_carries(clinic_csv: Path, tmp_path: Path):
    run = small(clinic_csv, tmp_path / "run", sensitivity=0.8, holdout="0.3")
    assert run.study.threshold == "sensitivity=0.8"
    held = json.loads((run.folder / "curves.json").read_text())["thresholds"]
    chosen, point = held["chosen"], run.predictor.card["operating_point"]
    assert chosen["sensitivity"]["value"] >= 0.8
    # no higher threshold reaches it: one positive fewer would be called
    assert (chosen["tp"] - 1) / (chosen["tp"] + chosen["fn"]) < 0.8
    assert run.predictor.card["threshold"] == point["threshold"] == chosen["threshold"]
    assert point["low"] <= point["threshold"] <= point["high"]
    assert point["cv"]["positives"] == chosen["tp"] + chosen["fn"]
    assert held["chosen_holdout"]["threshold"] == chosen["threshold"]
    assert set(point["holdout"]["sensitivity"]) >= {"value", "low", "high"}
    answered = run.predictor.predict(read(clinic_csv)).table
    positive = run.predictor.classes[1]
    called = answered["died_pred"].to_numpy() == positive
    assert np.array_equal(called, answered[f"died_prob_{positive}"].to_numpy() >= chosen["threshold"])
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "Chosen, on the hold-out" in report
    again = fit(clinic_csv, tmp_path / "again", run.study.with_(source=""), workers=1, silent=True)
    assert again.study.threshold == "sensitivity=0.8"


def test_out_that_holds_something_else_is_refused(clinic_csv: Path, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OptionError, match="something else"):
        small(clinic_csv, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_plan_is_written_before_training(clinic_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from osler.engine import fit as fit_module

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "cross_validate", stop)
    with pytest.raises(KeyboardInterrupt):
        small(clinic_csv, tmp_path / "run")
    plan = (tmp_path / ".run.partial" / "plan.md").read_text()
    assert "unit of independence: patient_id" in plan
    assert "logistic" in plan


def test_states_are_fitted_on_training_rows_only(clinic_csv: Path):
    from osler.engine.batches import fit_states

    study = Study(
        target=("died",), unit=("patient_id",), model=("logistic",), folds=3, repeats=1, source=str(clinic_csv)
    )
    prepared = prepare(study, clinic_csv)
    first = prepared.splits[0]
    states = fit_states(prepared.cohort.take(first.train))
    age = clinic()["age"].to_numpy()
    assert states["age"]["state"]["median"] == pytest.approx(float(np.median(age[first.train])))


def test_study_is_written_with_every_default(run: Run):
    written = json.loads((run.folder / "study.json").read_text())
    assert set(Study().to_json()) == set(written)
    assert Study.from_json(written) == run.study


def test_perfectly_separable_patients_do_not_stop_a_fit(tmp_path: Path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(160, 3))
    ill = x.sum(axis=1) > 0
    frame = pl.DataFrame({**{f"m{j}": x[:, j] + ill * 0.4 for j in range(3)}, "ill": np.where(ill, "yes", "no")})
    frame.write_csv(tmp_path / "c.csv")
    run = fit(
        tmp_path / "c.csv",
        tmp_path / "run",
        target="ill",
        model=("logistic",),
        folds=3,
        repeats=1,
        boot=200,
        workers=1,
        silent=True,
    )
    assert run.scores["parts"]["cv"]["logistic"]["auroc"]["value"] == 1.0
    assert run.json("curves.json")["sample_size"]["parameters"] == 3


def test_a_killed_fit_leaves_no_process_behind(clinic_csv: Path, tmp_path: Path):
    import os
    import signal
    import subprocess
    import sys
    import time

    command = [
        sys.executable,
        "-m",
        "osler",
        "fit",
        str(clinic_csv),
        "--target",
        "died",
        "--unit",
        "patient_id",
        "--out",
        str(tmp_path / "run"),
        "--workers",
        "2",
        "--quiet",
        "--model",
        "forest",
    ]
    started = subprocess.Popen(command)
    deadline = time.monotonic() + 90
    workers: list[str] = []
    while len(workers) < 2 and time.monotonic() < deadline and started.poll() is None:
        listed = subprocess.run(
            ["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True
        ).stdout.splitlines()
        workers = [line.split()[0] for line in listed if line.split()[1] == str(started.pid) and "spawn_main" in line]
        time.sleep(0.1)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    assert len(workers) >= 2
    while workers and time.monotonic() < deadline:
        running = subprocess.run(
            ["ps", "-o", "pid=,stat=", "-p", ",".join(workers)], capture_output=True, text=True
        ).stdout
        workers = [line.split()[0] for line in running.splitlines() if not line.split()[1].startswith("Z")]
        time.sleep(0.2)
    assert workers == []
