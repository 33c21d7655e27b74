"""How the columns of a cohort become the inputs of a score, and how scores move with their inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler import models
from osler.blocks import dense
from osler.cohort import Column
from osler.errors import OptionError
from osler.models.clinical.inputs import Input, factor_of, match, read

SEX = Input("sex", "sex", ("gender", "male", "female"))
RACE = Input("race", "race", ("black",))
SMOKER = Input("smoker", "yes", ("current_smoker",))
HDL = Input("hdl", "number", ("hdlc",), {"mg/dL": 1.0, "mmol/L": 38.67}, 10, 100)


def codes(*values: float):
    return dense(np.array(values, dtype=float)[:, None], ["x"])


def levels(names: list[str], *values: float):
    return dense(np.array(values, dtype=float)[:, None], ["x"], kinds=["categorical"], levels=[names])


# -- finding columns
# ------------------------------------------------------------------------------


def test_names_are_compared_without_case_spaces_and_units():
    found = match([SEX, HDL, SMOKER], ["Gender", "HDL-C (mg/dL)", "Current Smoker"], {})
    assert found == {"sex": "Gender", "hdl": "HDL-C (mg/dL)", "smoker": "Current Smoker"}


def test_the_scores_own_word_wins_over_an_alias():
    assert match([HDL], ["hdlc", "hdl"], {}) == {"hdl": "hdl"}


def test_what_the_user_names_wins_over_everything():
    assert match([HDL], ["hdl", "lab_17"], {"hdl": "lab_17"}) == {"hdl": "lab_17"}
    assert match([HDL], ["hdl"], {"hdl": "not_there"}) == {}


def test_an_input_that_the_score_has_not_is_refused():
    with pytest.raises(OptionError, match="did you mean 'hdl'"):
        match([HDL], ["hdl"], {"hd": "hdl"})


@pytest.mark.parametrize("role", ["target", "event", "duration", "id", "ignore", "prediction"])
def test_columns_that_are_no_predictors_are_passed_over(role):
    assert match([HDL], [Column("hdl", "number", role)], {}) == {}


# -- units
#
#
#
#
#
# ------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["mmol/L", "mmol/l", " MMOL / L "])
def test_a_written_unit_counts_however_it_is_written(unit):
    assert factor_of(HDL, unit, np.array([50.0])) == ("mmol/L", 38.67)


@pytest.mark.parametrize(
    ("values", "unit"),
    [([50, 60, 45], "mg/dL"), ([1.3, 1.1, 1.6], "mmol/L"), ([np.nan], "mg/dL"), ([5000], "mg/dL")],
)
def test_an_unwritten_unit_is_told_by_the_median(values, unit):
    assert factor_of(HDL, "", np.array(values, dtype=float))[0] == unit


def test_micro_has_two_signs():
    creatinine = Input("creatinine", units={"mg/dL": 1.0, "umol/L": 1 / 88.4}, low=0.2, high=15)
    for sign in ("µmol/L", "μmol/L", "umol/l"):
        assert factor_of(creatinine, sign, np.array([88.4]))[0] == "umol/L"


# -- reading
#
#
#
#
#
# ------------------------------------------------------------------------------


def test_sex_by_words():
    got = read(SEX, levels(["F", "Male", "other"], 0, 1, 2, np.nan), "", "sex")
    assert got[:2].tolist() == [0, 1]
    assert np.isnan(got[2:]).all()


def test_sex_by_the_name_of_the_column():
    assert read(SEX, codes(1, 0), "", "Male").tolist() == [1, 0]
    assert read(SEX, codes(1, 0), "", "female").tolist() == [0, 1]
    assert np.isnan(read(SEX, codes(1, 0), "", "sex")).all()


def test_sex_by_the_marked_code():
    got = read(SEX, codes(1, 2, np.nan), "2", "sex")
    assert got[:2].tolist() == [0, 1]
    assert np.isnan(got[2])
    assert read(SEX, levels(["1", "2"], 0, 1), "1", "sex").tolist() == [1, 0]
    assert read(SEX, codes(1, 0), "yes", "sex").tolist() == [1, 0]


def test_race_by_words_and_code():
    assert read(RACE, levels(["African American", "White", "black"], 0, 1, 2), "", "race").tolist() == [
        1,
        0,
        1,
    ]
    assert read(RACE, codes(3, 1), "3", "race").tolist() == [1, 0]
    assert read(RACE, codes(1, 0), "", "black").tolist() == [1, 0]
    assert np.isnan(read(RACE, codes(1, 2), "", "race")).all()


def test_yes_by_words_and_numbers():
    assert read(SMOKER, levels(["no", "Yes"], 0, 1), "", "smoker").tolist() == [0, 1]
    assert np.isnan(read(SMOKER, levels(["never", "former"], 0, 1), "", "smoker")).all()
    assert read(SMOKER, codes(0, 1), "", "smoker").tolist() == [0, 1]


def test_numbers_that_were_read_as_classes():
    got = read(HDL, levels(["40", "55.5", "high"], 0, 1, 2), "", "hdl")
    assert got[:2].tolist() == [40, 55.5]
    assert np.isnan(got[2])


# -- how scores move
# ------------------------------------------------------------------------------

WHO = {
    "age": st.floats(45, 69),
    "sex": st.sampled_from([0.0, 1.0]),
    "total_cholesterol": st.floats(150, 300),
    "hdl_cholesterol": st.floats(30, 80),
    "sbp": st.floats(105, 175),
    "bp_treated": st.sampled_from([0.0, 1.0]),
    "smoker": st.just(0.0),
    "diabetes": st.just(0.0),
    "race": st.sampled_from([0.0, 1.0]),
}


def risk(name: str, who: dict[str, float]) -> float:
    scale = 1 / 38.67 if name == "score2" else 1.0
    x = {k: np.array([v * scale if "cholesterol" in k else v]) for k, v in who.items()}
    return float(models.get(name).values(x)[0])


@pytest.mark.parametrize("name", ["framingham", "pce", "score2"])
@given(who=st.fixed_dictionaries(WHO))
def test_smoking_and_pressure_raise_a_cardiovascular_risk(name, who):
    base = risk(name, who)
    assert 0 < base < 1
    assert risk(name, {**who, "smoker": 1.0}) > base
    assert risk(name, {**who, "sbp": who["sbp"] + 5}) > base


@pytest.mark.parametrize("name", ["framingham", "pce"])
@given(who=st.fixed_dictionaries(WHO))
def test_diabetes_raises_a_cardiovascular_risk(name, who):
    assert risk(name, {**who, "diabetes": 1.0}) > risk(name, who)


@given(who=st.fixed_dictionaries(WHO))
def test_more_hdl_lowers_framingham(who):
    assert risk("framingham", {**who, "hdl_cholesterol": who["hdl_cholesterol"] + 5}) < risk(
        "framingham", who
    )


LABS = {
    "bilirubin": st.floats(0.2, 40),
    "inr": st.floats(0.8, 8),
    "creatinine": st.floats(0.4, 8),
    "sodium": st.floats(115, 150),
}
LABS |= {
    "albumin": st.floats(1, 5),
    "sex": st.sampled_from([0.0, 1.0]),
    "dialysis": st.sampled_from([0.0, 1.0]),
}


@pytest.mark.parametrize("name", ["meld", "meld_na", "meld3"])
@given(labs=st.fixed_dictionaries(LABS))
def test_meld_is_whole_bounded_and_grows_with_inr(name, labs):
    x = {k: np.array([v, v]) for k, v in labs.items()}
    x["inr"] = x["inr"] * [1, 1.5]
    low, high = models.get(name).values(x)
    assert 6 <= low <= high <= 40
    assert low == round(low)


@pytest.mark.parametrize("name", ["cha2ds2vasc", "curb65", "news2", "charlson"])
def test_points_are_known_only_where_all_inputs_are(name):
    model = models.get(name)
    for missing in model.inputs:
        x = {
            i.name: np.array([np.nan if i is missing else 60.0 if i.kind == "number" else 1.0])
            for i in model.inputs
        }
        got = model.values(x)[0]
        assert np.isnan(got) or missing.name == "hypercapnic", missing.name
