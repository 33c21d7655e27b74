"""Networks through the main verb: a run, a kill in the middle, a warm start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from osler.engine.fit import fit
from osler.engine.prepare import prepare
from osler.engine.study import Study
from osler.engine.warm import init_of, pretraining
from osler.errors import OptionError
from tests.engine.conftest import clinic

pytest.importorskip("torch")

SMALL = "mlp:members=1,width=16,epochs=8,validation_folds=0"
ASK = {"target": "died", "unit": "patient_id", "folds": 2, "repeats": 1, "boot": 200, "explain": False}


@pytest.fixture(scope="module")
def mlp_run(clinic_csv: Path, tmp_path_factory: pytest.TempPathFactory):
    """A finished run of one small network."""
    return fit(clinic_csv, tmp_path_factory.mktemp("mlp") / "run", model=(SMALL,), workers=1, silent=True, **ASK)


def test_an_mlp_fits_is_saved_and_answers(mlp_run, clinic_csv: Path):
    from osler.engine.predict import predict

    answered = predict(mlp_run.folder, clinic_csv)
    assert answered.table["died_prob_yes"].is_between(0, 1).all()
    assert mlp_run.certificate["verdict"] == "clean"
    assert mlp_run.scores["parts"]["cv"][SMALL]["auroc"]["value"] > 0.55
    assert not list(mlp_run.folder.rglob("checkpoint*"))


def test_every_layout_goes_through_network(clinic_csv: Path, tmp_path: Path):
    run = fit(
        clinic_csv,
        tmp_path / "run",
        model=("network:width=16,epochs=3,validation_folds=0",),
        workers=1,
        silent=True,
        **ASK,
    )
    assert run.chosen.startswith("network")


def test_a_kill_in_the_middle_ends_with_the_same_bytes(clinic_csv: Path, tmp_path: Path):
    spec = "mlp:members=2,width=16,epochs=20,validation_folds=0"
    whole = fit(clinic_csv, tmp_path / "whole", model=(spec,), workers=1, silent=True, **ASK)
    code = (
        "import sys\nfrom osler.engine.fit import fit\n"
        f"fit({str(clinic_csv)!r}, sys.argv[1], model=({spec!r},), workers=1, silent=True, **{ASK!r})\n"
    )
    out, work = tmp_path / "killed", tmp_path / ".killed.partial"
    job = subprocess.Popen([sys.executable, "-c", code, str(out)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    end = time.monotonic() + 120
    while not list(work.rglob("checkpoint.safetensors")) and job.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert not out.exists()
    assert work.is_dir()
    again = fit(clinic_csv, out, model=(spec,), workers=1, silent=True, **ASK)
    assert again.scores == whole.scores
    assert (again.folder / "predictor" / "arrays.safetensors").read_bytes() == (
        whole.folder / "predictor" / "arrays.safetensors"
    ).read_bytes()


def test_a_checkpoint_is_taken_up(clinic_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A second fit of the same rows trains no epoch of the members that a checkpoint holds."""
    from osler.engine.train import fit_rows
    from osler.models.neural import loop

    study = Study(target=("died",), unit=("patient_id",), model=(SMALL,), folds=2, repeats=1, source=str(clinic_csv))
    prepared = prepare(study)
    split = prepared.splits[0]
    first = fit_rows(prepared, split.train, split.key, tmp_path / "training")
    monkeypatch.setattr(loop, "train", lambda *a, **k: pytest.fail("trained again"))
    again = fit_rows(prepared, split.train, split.key, tmp_path / "training")
    for name, array in first.params[SMALL][1].arrays.items():
        assert array.tobytes() == again.params[SMALL][1].arrays[name].tobytes()


@pytest.fixture(scope="module")
def others_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other patients of the same kind."""
    frame = clinic(150, seed=77).with_columns(
        pl.concat_str(pl.lit("Q"), "patient_id").alias("patient_id"), (pl.col("age") + 0.03).alias("age")
    )
    path = tmp_path_factory.mktemp("others") / "others.csv"
    frame.write_csv(path)
    return path


def test_a_warm_start_takes_over_and_is_declared(mlp_run, others_csv: Path, tmp_path: Path):
    spec = SMALL.replace("epochs=8", "epochs=1")
    run = fit(others_csv, tmp_path / "run", model=(spec,), init=str(mlp_run.folder), workers=1, silent=True, **ASK)
    _, params = run.predictor.models[spec]
    assert params.meta["warm_start"]
    check = {c["name"]: c for c in run.certificate["checks"]}["pre-training overlap"]
    assert check["verdict"] == "clean"
    assert check["detail"].startswith("disjoint")


def test_a_start_that_saw_these_rows_is_a_violation(mlp_run, clinic_csv: Path):
    study = Study(
        target=("died",),
        unit=("patient_id",),
        model=(SMALL,),
        folds=2,
        repeats=1,
        source=str(clinic_csv),
        init=str(mlp_run.folder),
    )
    prepared = prepare(study)
    assert pretraining(study, prepared.cohort) == "known"
    assert pretraining(study.with_(init=str(mlp_run.folder / "predictor")), prepared.cohort) == "unknown"
    assert pretraining(study.with_(init=""), prepared.cohort) == "none"


def test_a_start_is_for_networks_only(mlp_run, run):
    study = Study(target=("died",), model=("logistic",), init=str(mlp_run.folder))
    with pytest.raises(OptionError, match="--model mlp"):
        init_of(study)
    with pytest.raises(OptionError, match="answers with"):
        init_of(study.with_(model=(SMALL,), init=str(run.folder)))
    assert init_of(study.with_(init="")) is None
