"""The saved thing: it survives, it agrees with itself, and any change of it is seen."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.blocks import dense
from osler.cohort.cohort import Cohort
from osler.engine.answer import in_domain, learn_domain
from osler.engine.predict import predict, rows_cohort
from osler.engine.predictor import Predictor, seal
from osler.engine.run import Run
from osler.errors import ColumnError, InputError, PredictorError


def test_loaded_predictor_answers_the_same(run: Run, clinic_cohort: Cohort):
    first = run.predictor.raw(clinic_cohort)
    again = Predictor.load(run.folder / "predictor").raw(clinic_cohort)
    np.testing.assert_array_equal(first.value, again.value)


def test_prediction_columns(run: Run, clinic_csv: Path):
    answered = predict(run, clinic_csv)
    names = [c.name for c in answered.role("prediction")]
    assert names == ["died_pred", "died_prob_no", "died_prob_yes", "died_set", "in_domain"]
    p = answered.table.select("died_prob_no", "died_prob_yes").to_numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)
    said = answered.table["died_pred"].to_numpy()
    assert ((p[:, 1] >= 0.5) == (said == "yes")).all()


def test_rows_as_dicts_answer_like_the_file(run: Run, clinic_csv: Path):
    frame = pl.read_csv(clinic_csv).head(40)
    by_file = predict(run, clinic_csv).table["died_prob_yes"].head(40).to_numpy()
    rows = rows_cohort(run.predictor, frame.to_dicts())
    by_rows = run.predictor.predict(rows).table["died_prob_yes"].to_numpy()
    np.testing.assert_allclose(by_rows, by_file, atol=1e-12)


def test_a_table_with_other_columns_is_refused(run: Run):
    stranger = pl.DataFrame({"wage": [1.0, 2.0], "x": [1, 2]})
    from osler.cohort.read import read

    with pytest.raises(ColumnError, match="at least half") as caught:
        predict(run, read(stranger))
    assert "age" in caught.value.message


def test_a_missing_column_is_answered_and_flagged(run: Run, clinic_csv: Path):
    from osler.cohort.read import read

    cohort = read(pl.read_csv(clinic_csv).drop("creatinine"))
    answered = predict(run, cohort)
    assert answered.table["died_prob_yes"].is_finite().all()


def test_in_domain_knows_ranges_and_new_categories():
    rng = np.random.default_rng(0)
    train = {
        "age": dense(rng.normal(60, 10, (400, 1)), ["age"]),
        "ward": dense(rng.integers(0, 2, (400, 1)), ["ward"], kinds=["categorical"], levels=[("a", "b", "(other)")]),
    }
    domain = learn_domain(train)
    new = {
        "age": dense(np.array([[60.0], [150.0], [60.0], [np.nan]]), ["age"]),
        "ward": dense(
            np.array([[0.0], [0.0], [2.0], [np.nan]]), ["ward"], kinds=["categorical"], levels=[("a", "b", "(other)")]
        ),
    }
    assert in_domain(domain, new).tolist() == [True, False, False, False]


def test_every_changed_byte_is_detected(run: Run, tmp_path: Path):
    rng = np.random.default_rng(1)
    good = run.folder / "predictor"
    members = sorted(p.name for p in good.iterdir())
    copy = tmp_path / "copy"
    shutil.copytree(good, copy)
    for _ in range(400):
        name = members[rng.integers(len(members))]
        data = bytearray((good / name).read_bytes())
        if not data:
            continue
        at = rng.integers(len(data))
        data[at] ^= int(rng.integers(1, 256))
        (copy / name).write_bytes(bytes(data))
        with pytest.raises(PredictorError):
            Predictor.load(copy)
        (copy / name).write_bytes((good / name).read_bytes())
    assert Predictor.load(copy).chosen == run.predictor.chosen


@pytest.mark.parametrize("deed", ["missing", "extra", "link", "folder", "pickle", "empty"])
def test_strange_folders_are_refused(run: Run, tmp_path: Path, deed: str):
    copy = tmp_path / "copy"
    shutil.copytree(run.folder / "predictor", copy)
    if deed == "missing":
        (copy / "arrays.safetensors").unlink()
    elif deed == "extra":
        (copy / "run_me.py").write_text("raise SystemExit")
    elif deed == "link":
        (copy / "card.md").unlink()
        os.symlink("/etc/hostname", copy / "card.md")
    elif deed == "folder":
        (copy / "more").mkdir()
    elif deed == "pickle":
        (copy / "arrays.safetensors").write_bytes(b"\x80\x04cos\nsystem\n.")
        seal(copy)
    else:
        (copy / "predictor.json").write_bytes(b"")
        seal(copy)
    with pytest.raises(PredictorError):
        Predictor.load(copy)


def test_a_later_format_is_refused_by_name(run: Run, tmp_path: Path):
    import hashlib

    copy = tmp_path / "copy"
    shutil.copytree(run.folder / "predictor", copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["format"] = "osler.predictor/99"
    data = json.dumps(manifest).encode()
    (copy / "manifest.json").write_bytes(data)
    (copy / "manifest.sha256").write_text(hashlib.sha256(data).hexdigest() + "\n")
    with pytest.raises(PredictorError) as caught:
        Predictor.load(copy)
    assert caught.value.code == "predictor-version"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        Run.load(tmp_path)
    assert caught.value.code == "run-missing"


def test_predictor_holds_no_patient_identifier(run: Run):
    text = (run.folder / "predictor" / "predictor.json").read_text()
    assert "P00" not in text
