"""Published scores beside the models: which are offered, what they learn, and that they never answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler import models
from osler.cohort.column import Column
from osler.cohort.read import read
from osler.engine.clinical import is_score, offered, row_name
from osler.engine.fit import fit
from osler.engine.prepare import prepare
from osler.engine.study import Study


def ward(n: int = 240, seed: int = 3) -> pl.DataFrame:
    """Vital signs under the names that NEWS2 knows; the outcome follows the score."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "RR": rng.integers(10, 32, n), "SpO2": rng.integers(86, 100, n), "on_oxygen": rng.choice(["yes", "no"], n),
            "SysBP": rng.integers(80, 200, n), "heart_rate": rng.integers(45, 140, n),
            "new_confusion": rng.choice(["yes", "no"], n, p=[0.1, 0.9]), "temp_c": np.round(rng.normal(37.3, 1.0, n), 1),
        }
    )  # fmt: skip
    columns = tuple(Column(c, "boolean" if c in ("on_oxygen", "new_confusion") else "number") for c in frame.columns)
    from osler.cohort.cohort import Cohort

    points = models.get("news2").compute(Cohort(frame, columns))
    died = rng.random(n) < 1 / (1 + np.exp(-(points - 8) / 2))
    return frame.with_columns(pl.Series("died", np.where(died, "yes", "no")))


@pytest.fixture(scope="module")
def ward_run(tmp_path_factory: pytest.TempPathFactory):
    """A finished run on the vital signs, with no ensemble."""
    folder = tmp_path_factory.mktemp("ward")
    ward().write_csv(folder / "ward.csv")
    return fit(
        folder / "ward.csv",
        folder / "run",
        target="died",
        model=("logistic",),
        folds=3,
        repeats=1,
        boot=200,
        workers=1,
        silent=True,
    )


def test_news2_is_offered_by_column_names(ward_run):
    assert set(ward_run.scores["parts"]["cv"]) == {"logistic", "score:news2", "baseline"}
    assert ward_run.scores["parts"]["cv"]["score:news2"]["auroc"]["low"] > 0.6
    assert "`score:news2`: a published score" in (ward_run.folder / "plan.md").read_text()


def test_a_score_orders_rows_as_published(ward_run):
    """Within a fold the row's probability is a rising function of the points."""
    points = models.get("news2").compute(read(ward_run.study.source, target="died"))
    rows = ward_run.predictions.filter(pl.col("model") == "score:news2")
    for (_,), part in rows.group_by("fold"):
        mine = points[part["row"].to_numpy() - 1]
        p = part["probability"].to_numpy()
        assert np.all(np.diff(p[np.argsort(mine, kind="stable")]) >= -1e-12)


def test_a_score_is_recalibrated_from_training_rows(ward_run):
    entry = ward_run.scores["parts"]["cv"]["score:news2"]
    assert 0.8 < entry["observed_expected"]["value"] < 1.25
    names = {s["name"] for s in ward_run.certificate["fitted_states"]}
    assert "model:score:news2" in names
    assert ward_run.certificate["verdict"] == "clean"


def test_a_score_never_answers(ward_run):
    assert ward_run.chosen == "logistic"
    assert list(ward_run.predictor.models) == ["logistic"]


def test_no_scores_leaves_them_out(tmp_path: Path):
    ward(120).write_csv(tmp_path / "w.csv")
    study = Study(target=("died",), model=("logistic",), folds=3, repeats=1, source=str(tmp_path / "w.csv"))
    assert [row_name(s) for s in prepare(study).scores] == ["score:news2"]
    assert prepare(study.with_(scores=False)).scores == ()


def test_a_score_that_is_chosen_by_name_is_an_ordinary_model(tmp_path: Path):
    ward(120).write_csv(tmp_path / "w.csv")
    run = fit(
        tmp_path / "w.csv", tmp_path / "run", target="died", model=("news2",), scores=False, explain=False, folds=3, repeats=1,
        boot=200, workers=1, silent=True,
    )  # fmt: skip
    assert run.chosen == "news2"
    assert not is_score(run.chosen)


def test_scores_that_lack_little_are_named_not_computed(tmp_path: Path):
    ward(120).drop("temp_c").write_csv(tmp_path / "w.csv")
    prepared = prepare(Study(target=("died",), model=("logistic",), folds=3, repeats=1, source=str(tmp_path / "w.csv")))
    assert prepared.scores == ()
    assert prepared.facts["scores_lacking"]["news2"] == ["temperature"]
    assert "curb65" not in prepared.facts["scores_lacking"]


def test_no_score_for_a_number(tmp_path: Path):
    frame = ward(120).drop("died").with_columns(pl.Series("los", np.arange(120) * 0.37 + 1))
    specs, lacking = offered(read(frame, target="los"), "regression")
    assert (specs, lacking) == ((), {})


def test_ignored_columns_feed_no_score():
    cohort = read(ward(120), target="died")
    assert [row_name(s) for s in offered(cohort, "binary")[0]] == ["score:news2"]
    hidden = cohort.declare(columns={"RR": {"role": "ignore"}})
    assert offered(hidden, "binary")[0] == ()


def test_units_are_fixed_once_from_the_whole_development_table():
    rng = np.random.default_rng(0)
    n = 100
    frame = pl.DataFrame(
        {
            "age": rng.integers(35, 70, n), "sex": rng.choice(["M", "F"], n), "tc": np.round(rng.normal(5.4, 0.8, n), 2),
            "hdl": np.round(rng.normal(1.3, 0.3, n), 2), "sbp": rng.integers(100, 180, n), "bp_treated": rng.choice(["yes", "no"], n),
            "smoker": rng.choice(["yes", "no"], n), "diabetes": rng.choice(["yes", "no"], n), "cvd": rng.choice(["yes", "no"], n),
        }
    )  # fmt: skip
    specs = dict((row_name(s), s) for s in offered(read(frame, target="cvd"), "binary")[0])
    assert "total_cholesterol=mmol/L" in specs["score:framingham"]
    assert set(specs) == {"score:framingham", "score:score2"}


def test_a_coded_sex_is_read_by_its_coding_only(mirror: Path):
    """Third examinations, where HDL is measured: without a coding the sex is not guessed, with one Framingham is
    offered.
    """
    from osler import catalogue

    raw = catalogue.table("framingham_teaching").filter((pl.col("PERIOD") == 3) & (pl.col("PREVCHD") == 0))
    names = ["SEX", "AGE", "TOTCHOL", "HDLC", "SYSBP", "BPMEDS", "CURSMOKE", "DIABETES", "CVD"]
    cohort = read(raw.select(names), target="CVD")
    specs, lacking = offered(cohort, "binary")
    assert "framingham" not in [s.partition(":")[0] for s in specs]
    assert lacking["framingham"] == ["sex"]
    coded = cohort.declare(columns={"SEX": {"coding": {"1": "male", "2": "female"}}})
    assert "framingham" in [s.partition(":")[0] for s in offered(coded, "binary")[0]]


def test_framingham_baseline_has_no_hdl_so_no_score_is_forced(mirror: Path):
    from osler import catalogue

    specs, lacking = offered(catalogue.read("framingham_teaching"), "binary")
    assert specs == ()
    assert lacking["framingham"] == ["hdl_cholesterol", "sex"]


def test_a_score_orders_survival_by_one_slope():
    from osler.blocks import dense
    from osler.models.base import Encoded
    from osler.tasks.base import Target

    rng = np.random.default_rng(1)
    n = 300
    blocks = {
        "bilirubin": dense(rng.lognormal(0.5, 0.8, (n, 1)), ["bilirubin"]), "inr": dense(rng.uniform(0.9, 2.5, (n, 1)), ["inr"]),
        "creatinine": dense(rng.lognormal(0, 0.4, (n, 1)), ["creatinine"]),
    }  # fmt: skip
    meld = models.get("meld")
    points = meld.values({**{k: b.values[:, 0] for k, b in blocks.items()}, "dialysis": np.zeros(n)})
    time = rng.exponential(np.exp(-(points - 15) / 6))
    event = time < 2.0
    target = Target("survival", ("time", "event"), np.minimum(time, 2.0), event, horizon=1.0)
    params = meld.fit(Encoded(blocks, target, np.arange(n)), rng)
    assert params.meta["map"][1] == pytest.approx(1 / 6, rel=0.25)
    risk = meld.predict(params, blocks).event_probability(1.0)
    assert np.all(np.diff(risk[np.argsort(points, kind="stable")]) >= -1e-12)
    assert risk.mean() == pytest.approx(np.mean(time < 1.0), abs=0.05)
