"""Tuning: inside training rows only, repeatable, never worse inside than where it began."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osler import models
from osler.cohort.read import read
from osler.cohort.split import stratified_group_folds
from osler.engine.batches import CohortBatches, fit_states
from osler.engine.fit import fit
from osler.engine.learn import Support, learn, members_of
from osler.engine.prepare import prepare
from osler.engine.study import Study
from osler.engine.train import fit_rows
from osler.engine.tune import inner_loss, tuned, with_options
from osler.models.ensemble import Ensemble
from tests.engine.conftest import clinic

pytest.importorskip("optuna")

STUDY = Study(target=("died",), unit=("patient_id",), model=("tree",), folds=3, repeats=1, tune=4)


@pytest.fixture(scope="module")
def prepared():
    """The made-up clinic, prepared."""
    return prepare(STUDY, read(clinic(), unit="patient_id", target="died"))


def training(prepared, rows: np.ndarray):
    """Encoded rows whose states are fitted on themselves."""
    cohort = prepared.cohort.take(rows)
    return CohortBatches(cohort, fit_states(cohort), prepared.target.take(rows), prepared.groups[rows]).all()


def test_the_tuned_specification_is_no_worse_on_the_inner_folds(prepared):
    data = training(prepared, prepared.splits[0].train)
    spec = tuned("tree:min_leaf=60", data, STUDY, "cv/0/0")
    rng = STUDY.rng("tune", "cv/0/0", "tree:min_leaf=60")
    codes = stratified_group_folds(data.groups, data.target.strata, 3, rng)
    seeds = rng.integers(0, 2**63, 3)
    assert inner_loss(spec, data, codes, seeds) <= inner_loss("tree:min_leaf=60", data, codes, seeds)


def test_tuning_repeats_itself(prepared):
    data = training(prepared, prepared.splits[0].train)
    assert tuned("tree", data, STUDY, "cv/0/0") == tuned("tree", data, STUDY, "cv/0/0")


def test_no_trials_and_no_space_change_nothing(prepared):
    data = training(prepared, prepared.splits[0].train)
    assert tuned("tree", data, STUDY.with_(tune=0), "k") == "tree"
    assert tuned("logistic", data, STUDY, "k") == "logistic"


def test_test_rows_do_not_move_the_choice(prepared):
    """Spoil every test row: what is tuned and fitted on the training rows stays the same bytes."""
    from dataclasses import replace

    split = prepared.splits[0]
    spoilt = prepared.target.y.copy()
    spoilt[split.test] = 1 - spoilt[split.test]
    other = replace(prepared, target=replace(prepared.target, y=spoilt))
    one, two = (fit_rows(p, split.train, split.key).params["tree"] for p in (prepared, other))
    assert one[0] == two[0]
    assert {k: v.tobytes() for k, v in one[1].arrays.items()} == {k: v.tobytes() for k, v in two[1].arrays.items()}


def test_an_ensembles_members_are_tuned_and_keep_their_names(prepared):
    from dataclasses import replace

    study = prepared.study.with_(model=("logistic", "tree", "ensemble:members=logistic+tree"), tune=3)
    fitted = fit_rows(replace(prepared, study=study), prepared.splits[0].train, "cv/0/0")
    assert list(fitted.params) == ["logistic", "tree", "ensemble"]
    assert fitted.params["tree"][0] == fitted.params["ensemble"][1].meta["members"][1]
    assert fitted.params["ensemble"][1].meta["members"][0] == "logistic"


def test_members_of_an_unnamed_ensemble_are_the_defaults():
    assert members_of(Ensemble(), "survival") == ("cox", "survival_forest", "survival_boosting")
    assert members_of(models.get("ensemble:members=tree+svm"), "binary") == ("tree", "svm")


def test_learning_without_trials_is_the_plain_fit(prepared):
    data = training(prepared, prepared.splits[0].train)
    study = STUDY.with_(tune=0)
    spec, params = learn("tree", data, study, "cv/0/0", Support())
    plain = models.get("tree").fit(data, study.rng("fit", "cv/0/0", "tree"))
    assert spec == "tree"
    assert {k: v.tobytes() for k, v in params.arrays.items()} == {k: v.tobytes() for k, v in plain.arrays.items()}


def test_facts_record_what_tuning_ended_with(clinic_csv: Path, tmp_path: Path):
    run = fit(
        clinic_csv, tmp_path / "run", target="died", unit="patient_id", model=("tree:min_leaf=60",), tune=4, folds=3, repeats=1,
        boot=200, explain=False, workers=1, silent=True,
    )  # fmt: skip
    spec = run.json("facts.json")["tuned"]["tree:min_leaf=60"]
    assert models.get(spec).name == "tree"
    assert set(run.scores["parts"]["cv"]) == {"tree:min_leaf=60", "baseline"}
    assert run.certificate["verdict"] == "clean"


@pytest.mark.parametrize("name", ["boosting", "forest", "tree", "svm", "elastic", "mlp"])
def test_every_space_holds_its_defaults_and_reads_back(name: str):
    """The default is inside the space or 0, "set by the table", and every end of it is a valid option."""
    estimator = models.get(name)
    assert estimator.space
    for option, kind in estimator.space.items():
        value = getattr(estimator.options, option)
        value = "+".join(map(str, value)) if isinstance(value, tuple) else value
        ends = kind[1:] if kind[0] == "choice" else kind[1:3]
        by_table = (name, option) == ("boosting", "features")
        assert by_table == (value == 0)
        assert by_table or (value in ends if kind[0] == "choice" else ends[0] <= value <= ends[1])
        for end in ends:
            made = getattr(models.get(with_options(name, {option: end})).options, option)
            assert made == end or "+".join(map(str, made)) == end


def test_options_are_written_in_one_order():
    assert with_options("tree:max_depth=3", {"min_leaf": 9}) == "tree:max_depth=3,min_leaf=9"
    assert with_options("boosting", {"ridge": 0.1, "features": 0.5}) == "boosting:features=0.5,ridge=0.1"
    assert with_options("tree", {}) == "tree"
