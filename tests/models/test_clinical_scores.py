"""Published scores against published examples and against their definitions."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from osler import models
from osler.blocks import dense
from osler.cohort import Cohort, Column
from osler.errors import ColumnError, OptionError
from osler.models import SCORES, Encoded
from osler.models.clinical.base import ClinicalScore, ScoreOptions, logistic_map
from osler.models.clinical.inputs import Input, factor_of, plain
from osler.tasks import Target


def one(**values: float) -> dict[str, np.ndarray]:
    return {name: np.array([float(v)]) for name, v in values.items()}


def score(name: str, **values: float) -> float:
    model = models.get(name)
    given = one(**{i.name: i.default for i in model.inputs if i.default is not None}) | one(**values)
    return float(model.values(given)[0])


# -- published examples
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "risk"),
    [
        (
            {
                "age": 61,
                "sex": 0,
                "total_cholesterol": 180,
                "hdl_cholesterol": 47,
                "sbp": 124,
                "bp_treated": 0,
                "smoker": 1,
                "diabetes": 0,
            },
            0.1048,
        ),
        (
            {
                "age": 53,
                "sex": 1,
                "total_cholesterol": 161,
                "hdl_cholesterol": 55,
                "sbp": 125,
                "bp_treated": 1,
                "smoker": 0,
                "diabetes": 1,
            },
            0.1562,
        ),
    ],
)
def test_framingham_cases_of_the_paper(who, risk):
    """D'Agostino 2008: the two worked examples, 10.48 % and 15.62 %."""
    assert score("framingham", **who) == pytest.approx(risk, abs=1e-4)


@pytest.mark.parametrize(
    ("sex", "race", "risk"), [(0, 0, 0.021), (1, 0, 0.053), (0, 1, 0.030), (1, 1, 0.061)]
)
def test_pooled_cohort_cases_of_the_guideline(sex, race, risk):
    """Goff 2013, table 4: 55 years, total cholesterol 213, HDL 50, untreated 120 mmHg, no diabetes, no
    smoking (sums are rounded there)."""
    who = {
        "age": 55,
        "total_cholesterol": 213,
        "hdl_cholesterol": 50,
        "sbp": 120,
        "bp_treated": 0,
        "smoker": 0,
        "diabetes": 0,
    }
    assert score("pce", sex=sex, race=race, **who) == pytest.approx(risk, abs=1e-3)


@pytest.mark.parametrize(("region", "man", "woman"), [("low", 0.059, 0.042), ("very_high", 0.140, 0.137)])
def test_score2_cases_of_the_paper(region, man, woman):
    """SCORE2 2021, results: a smoker of 50 years, 140 mmHg, total cholesterol 5.5, HDL 1.3: 5.9 to 14.0 %
    and 4.2 to 13.7 %."""
    model = models.get(f"score2:region={region}")
    for sex, risk in ((1, man), (0, woman)):
        who = one(age=50, sex=sex, smoker=1, sbp=140, total_cholesterol=5.5, hdl_cholesterol=1.3)
        assert model.values(who)[0] == pytest.approx(risk, abs=6e-4)


def test_score2_regions_are_in_order_and_known():
    who = one(age=60, sex=0, smoker=0, sbp=130, total_cholesterol=5, hdl_cholesterol=1.5)
    risks = [
        float(models.get(f"score2:region={r}").values(who)[0])
        for r in ("low", "moderate", "high", "very high")
    ]
    assert risks == sorted(risks)
    with pytest.raises(OptionError, match="region"):
        models.get("score2:region=mars").values(who)


def test_meld_by_hand():
    """3.78 ln 2 + 11.2 ln 1.5 + 9.57 ln 1.9 + 6.43 = 19.73; with sodium 130: 19.7 + 9.24 - 4.55 = 24.39;
    MELD 3.0: 26.37."""
    labs = {"bilirubin": 2, "inr": 1.5, "creatinine": 1.9}
    assert score("meld", **labs) == 20
    assert score("meld_na", sodium=130, **labs) == 24
    assert score("meld3", sodium=130, albumin=2.8, sex=0, **labs) == 26


def test_meld_bounds():
    assert score("meld", bilirubin=0.4, inr=0.9, creatinine=0.5) == 6
    assert score("meld", bilirubin=60, inr=15, creatinine=9) == 40
    assert score("meld", bilirubin=3, inr=2, creatinine=0.8, dialysis=1) == score(
        "meld", bilirubin=3, inr=2, creatinine=4
    )
    assert score("meld_na", bilirubin=1, inr=1, creatinine=1, sodium=125) == 6
    assert score("meld3", bilirubin=3, inr=2, creatinine=5, sodium=150, albumin=5, sex=1) == score(
        "meld3", bilirubin=3, inr=2, creatinine=3, sodium=137, albumin=3.5, sex=1
    )


@pytest.mark.parametrize(
    ("who", "points"),
    [
        ({"age": 60, "sex": 1}, 0),
        ({"age": 65, "sex": 1}, 1),
        ({"age": 75, "sex": 0}, 3),
        (
            {
                "age": 80,
                "sex": 0,
                "heart_failure": 1,
                "hypertension": 1,
                "diabetes": 1,
                "stroke": 1,
                "vascular_disease": 1,
            },
            9,
        ),
        ({"age": 60, "sex": 1, "stroke": 1}, 2),
    ],
)
def test_cha2ds2vasc_by_definition(who, points):
    none = dict.fromkeys(("heart_failure", "hypertension", "diabetes", "stroke", "vascular_disease"), 0)
    assert score("cha2ds2vasc", **{**none, **who}) == points


@pytest.mark.parametrize(
    ("change", "points"),
    [
        ({}, 0),
        ({"age": 65}, 1),
        ({"urea": 7.0}, 0),
        ({"urea": 7.1}, 1),
        ({"respiratory_rate": 30}, 1),
        ({"sbp": 89}, 1),
        ({"dbp": 60}, 1),
        ({"sbp": 80, "dbp": 50}, 1),
        ({"confusion": 1, "urea": 20, "respiratory_rate": 35, "sbp": 80, "age": 90}, 5),
    ],
)
def test_curb65_by_definition(change, points):
    well = {"age": 64, "confusion": 0, "urea": 5, "respiratory_rate": 18, "sbp": 120, "dbp": 75}
    assert score("curb65", **{**well, **change}) == points


NEWS2_WELL = {
    "respiratory_rate": 16,
    "spo2": 98,
    "oxygen": 0,
    "sbp": 120,
    "pulse": 70,
    "not_alert": 0,
    "temperature": 37.0,
}


@pytest.mark.parametrize(
    ("name", "bands"),
    [
        ("respiratory_rate", {8: 3, 9: 1, 11: 1, 12: 0, 20: 0, 21: 2, 24: 2, 25: 3}),
        ("spo2", {91: 3, 92: 2, 93: 2, 94: 1, 95: 1, 96: 0}),
        ("sbp", {90: 3, 91: 2, 100: 2, 101: 1, 110: 1, 111: 0, 219: 0, 220: 3}),
        ("pulse", {40: 3, 41: 1, 50: 1, 51: 0, 90: 0, 91: 1, 110: 1, 111: 2, 130: 2, 131: 3}),
        ("temperature", {35.0: 3, 35.1: 1, 36.0: 1, 36.1: 0, 38.0: 0, 38.1: 1, 39.0: 1, 39.1: 2}),
        ("oxygen", {0: 0, 1: 2}),
        ("not_alert", {0: 0, 1: 3}),
    ],
)
def test_news2_is_the_chart_of_the_college(name, bands):
    """Every edge of every band of chart 1."""
    for value, points in bands.items():
        assert score("news2", **{**NEWS2_WELL, name: value}) == points, (name, value)


@pytest.mark.parametrize(
    ("spo2", "oxygen", "points"),
    [
        (83, 0, 3),
        (84, 0, 2),
        (86, 0, 1),
        (88, 0, 0),
        (92, 1, 0),
        (93, 0, 0),
        (97, 0, 0),
        (93, 1, 1),
        (94, 1, 1),
        (95, 1, 2),
        (97, 1, 3),
    ],
)
def test_news2_second_saturation_scale(spo2, oxygen, points):
    got = score("news2", **{**NEWS2_WELL, "spo2": spo2, "oxygen": oxygen, "hypercapnic": 1})
    assert got - 2 * oxygen == points


def test_charlson_by_definition():
    assert score("charlson", age=49, heart_failure=0, diabetes=0) == 0
    assert [score("charlson", age=a, heart_failure=0, diabetes=0) for a in (50, 59, 60, 79, 80, 95)] == [
        1,
        1,
        2,
        3,
        4,
        4,
    ]
    assert score("charlson", age=40, heart_failure=1, diabetes=1, copd=1) == 3
    assert score("charlson", age=40, heart_failure=0, diabetes=1, diabetes_with_damage=1) == 2
    assert score("charlson", age=40, heart_failure=0, diabetes=0, tumour=1, metastasis=1) == 6
    assert (
        score(
            "charlson",
            age=40,
            heart_failure=0,
            diabetes=0,
            mild_liver_disease=1,
            severe_liver_disease=1,
            aids=1,
        )
        == 9
    )
    assert models.get("charlson").ten_year_survival(np.array([0, 3])) == pytest.approx(
        [0.983**1, 0.7748], abs=1e-3
    )


# -- reading a cohort
# ---------------------------------------------------------------------------------------------------


@pytest.fixture
def clinic() -> Cohort:
    frame = pl.DataFrame(
        {
            "Age": [55.0, 55.0, 61.0, None],
            "Gender": ["Female", "male", "F", "m"],
            "Race": ["White", "Black", "white", "Asian"],
            "Total Cholesterol (mg/dL)": [213.0, 213.0, 180.0, 200.0],
            "HDL": [50.0, 50.0, 47.0, 60.0],
            "SysBP": [120.0, 120.0, 124.0, 130.0],
            "BPMEDS": [0, 0, 0, 1],
            "smoker": ["no", "no", "yes", "no"],
            "Diabetes": [False, False, False, True],
            "event": [0, 1, 1, 0],
        }
    )
    kinds = {
        "Age": "number",
        "HDL": "number",
        "SysBP": "number",
        "Total Cholesterol (mg/dL)": "number",
        "Gender": "category",
        "Race": "category",
    }
    columns = [
        Column(c, kinds.get(c, "boolean"), "target" if c == "event" else "input") for c in frame.columns
    ]
    return Cohort(frame, tuple(columns))


def test_columns_are_found_by_the_names_that_people_use(clinic):
    model = models.get("pce")
    assert model.applicable(clinic) == []
    risk = model.compute(clinic)
    assert risk[:2] == pytest.approx([0.0205, 0.0607], abs=1e-3)
    assert np.isnan(risk[3])
    assert models.get("framingham").compute(clinic)[2] == pytest.approx(0.1048, abs=1e-4)
    assert models.get("curb65").applicable(clinic) == ["confusion", "urea", "respiratory_rate", "dbp"]
    with pytest.raises(ColumnError, match="respiratory_rate"):
        models.get("curb65").compute(clinic)


def test_units_are_brought_to_the_score(clinic):
    """The same people in mmol/L, with the unit written and with it left to the median, have the same risk."""
    expected = models.get("framingham").compute(clinic)
    mmol = clinic.table.with_columns(pl.col("Total Cholesterol (mg/dL)") / 38.67, pl.col("HDL") / 38.67)
    written = [
        c.with_(unit="mmol/L") if c.name in ("HDL", "Total Cholesterol (mg/dL)") else c
        for c in clinic.columns
    ]
    assert models.get("framingham").compute(Cohort(mmol, tuple(written))) == pytest.approx(
        expected, nan_ok=True
    )
    assert models.get("framingham").compute(Cohort(mmol, clinic.columns)) == pytest.approx(
        expected, nan_ok=True
    )


def test_an_unknown_unit_is_refused(clinic):
    with pytest.raises(
        OptionError, match="unit of 'hdl_cholesterol' must be one of mg/dL, mmol/L, was 'stone'"
    ):
        models.get("framingham").compute(clinic.declare(columns={"HDL": {"unit": "stone"}}))


def test_a_coded_sex_is_not_guessed():
    frame = pl.DataFrame({"age": [60.0, 60.0], "sex": [1, 2]})
    cohort = Cohort(frame, (Column("age", "number"), Column("sex", "number")))
    none = dict.fromkeys(("heart_failure", "hypertension", "diabetes", "stroke", "vascular_disease"), False)
    cohort = Cohort(
        frame.with_columns(**{k: pl.lit(v) for k, v in none.items()}),
        (*cohort.columns, *(Column(k, "boolean") for k in none)),
    )
    assert models.get("cha2ds2vasc").applicable(cohort) == ["sex"]
    marked = models.get("cha2ds2vasc:male=1")
    assert marked.applicable(cohort) == []
    assert marked.compute(cohort).tolist() == [0, 1]


def test_a_column_of_another_name_can_be_named(clinic):
    renamed = Cohort(
        clinic.table.rename({"HDL": "lab_17"}),
        tuple(c.with_(name="lab_17") if c.name == "HDL" else c for c in clinic.columns),
    )
    assert models.get("pce").applicable(renamed) == ["hdl_cholesterol"]
    named = models.get("pce:columns=hdl_cholesterol=lab_17")
    assert named.compute(renamed) == pytest.approx(models.get("pce").compute(clinic), nan_ok=True)
    with pytest.raises(OptionError, match="did you mean"):
        models.get("pce:columns=hdl_cholestrol=lab_17").applicable(renamed)


def test_rows_outside_the_range_are_counted(clinic):
    young = clinic.table.with_columns(pl.Series("Age", [25.0, 55.0, 80.0, 30.0]))
    assert models.get("framingham").outside(Cohort(young, clinic.columns)) == {"age": 2}


def test_the_target_is_never_an_input(clinic):
    assert models.get("pce").applicable(clinic.declare(target="Diabetes")) == ["diabetes"]


def test_words():
    assert plain("Total Cholesterol (mg/dL)") == plain("total_cholesterol") == "totalcholesterol"
    bun = Input("urea", units={"mmol/L": 1.0, "mg/dL": 0.357}, low=0.5, high=80)
    assert factor_of(bun, "MG/DL", np.array([20.0])) == ("mg/dL", 0.357)


# -- beside models
# ------------------------------------------------------------------------------


def encoded(n: int = 200, seed: int = 1) -> Encoded:
    rng = np.random.default_rng(seed)
    x = {
        "age": rng.uniform(30, 90, n),
        "urea": rng.uniform(2, 15, n),
        "rr": rng.uniform(10, 40, n),
        "sbp": rng.uniform(70, 150, n),
    }
    x |= {"dbp": rng.uniform(40, 90, n), "confusion": rng.integers(0, 2, n).astype(float)}
    points = models.get("curb65").values({**x, "respiratory_rate": x["rr"]})
    y = (rng.random(n) < 1 / (1 + np.exp(-(points - 2.5)))).astype(np.int64)
    x["urea"][:5] = np.nan
    blocks = {k: dense(v[:, None], [k]) for k, v in x.items()}
    return Encoded(blocks, Target("binary", ("died",), y, classes=("no", "yes")), np.arange(n))


def test_points_become_probabilities_in_the_same_order(rng):
    data, model = encoded(), models.get("curb65")
    params = model.fit(data, rng)
    value = model.predict(params, data.blocks).value
    assert value.shape == (200, 2)
    assert np.isfinite(value).all()
    assert value.sum(axis=1) == pytest.approx(1)
    points = model.values(model._read(data.blocks))
    known = ~np.isnan(points)
    order = np.argsort(points[known], kind="stable")
    assert (np.diff(value[known, 1][order]) >= 0).all()
    assert abs(value[:, 1].mean() - data.target.y.mean()) < 0.02


def test_a_missing_input_takes_the_training_median(rng):
    data, model = encoded(), models.get("curb65")
    params = model.fit(data, rng)
    urea = data.blocks["urea"].values[:, 0]
    assert params.meta["fill"]["urea"] == pytest.approx(np.nanmedian(urea))
    filled = {
        **data.blocks,
        "urea": dense(np.where(np.isnan(urea), np.nanmedian(urea), urea)[:, None], ["urea"]),
    }
    assert (model.predict(params, filled).value == model.predict(params, data.blocks).value).all()


def test_the_map_is_logistic_regression(rng):
    from sklearn.linear_model import LogisticRegression

    points = rng.integers(0, 6, 400).astype(float)
    y = (rng.random(400) < 1 / (1 + np.exp(2 - points))).astype(float)
    peer = LogisticRegression(C=1e6).fit(points[:, None], y)
    assert logistic_map(points, y) == pytest.approx(
        [float(peer.intercept_[0]), float(peer.coef_[0, 0])], abs=2e-3
    )
    assert np.isfinite(logistic_map(np.array([0.0, 1.0]), np.array([0.0, 1.0]))).all()


def test_risks_do_not_depend_on_the_outcome(clinic, rng):
    blocks = {}
    for c in clinic.columns[:-1]:
        from osler.models.clinical.base import _block

        blocks[c.name] = _block(clinic, c.name)
    model = models.get("pce").bind(clinic)
    for y in ([0, 1, 1, 0], [1, 0, 0, 1]):
        target = Target("binary", ("event",), np.array(y), classes=("0", "1"))
        value = model.predict(model.fit(Encoded(blocks, target, np.arange(4)), rng), blocks).value[:, 1]
        assert value[:3] == pytest.approx(models.get("pce").compute(clinic)[:3])


@pytest.mark.parametrize("name", sorted(SCORES))
def test_every_score_says_what_it_is(name):
    model = models.get(name)
    assert isinstance(model, ClinicalScore)
    assert model.name == name
    assert model.kind in ("risk", "points")
    assert (model.horizon_years is not None) == (model.kind == "risk")
    assert model.reference
    assert model.outcome
    assert model.applies_to
    assert isinstance(model.options, ScoreOptions)
    names = [i.name for i in model.inputs]
    assert len(names) == len(set(names))
    shuffled = {i.name: np.array([np.nan, 1.0]) for i in model.inputs}
    assert np.isnan(model.values(shuffled)[0])
