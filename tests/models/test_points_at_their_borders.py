"""Bedside scores at the borders of every band, as the published charts print them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.models.clinical.meld import Meld, Meld3, MeldNa
from osler.models.clinical.points import Cha2ds2Vasc, Charlson, Curb65, News2

WELL = {
    News2: {
        "respiratory_rate": 16,
        "spo2": 97,
        "oxygen": 0,
        "sbp": 120,
        "pulse": 70,
        "not_alert": 0,
        "temperature": 37,
        "hypercapnic": 0,
    },
    Curb65: {"age": 40, "confusion": 0, "urea": 5, "respiratory_rate": 16, "sbp": 120, "dbp": 80},
    Cha2ds2Vasc: {
        "age": 50,
        "sex": 1,
        "heart_failure": 0,
        "hypertension": 0,
        "diabetes": 0,
        "stroke": 0,
        "vascular_disease": 0,
    },
    Charlson: {i.name: 0 for i in Charlson.inputs} | {"age": 40},
    Meld: {"bilirubin": 1, "inr": 1, "creatinine": 1, "dialysis": 0},
    MeldNa: {"bilirubin": 1, "inr": 1, "creatinine": 1, "sodium": 140, "dialysis": 0},
    Meld3: {"bilirubin": 1, "inr": 1, "creatinine": 1, "sodium": 140, "albumin": 4, "sex": 1, "dialysis": 0},
}


def points(cls: type, **changed: float) -> float:
    x = {k: np.array([float(v)]) for k, v in {**WELL[cls], **changed}.items()}
    return float(cls().values(x)[0])


@pytest.mark.parametrize("cls", WELL, ids=lambda c: c.name)
def test_the_well_have_the_least(cls: type) -> None:
    assert points(cls) == (6 if cls.name.startswith("meld") else 0)


BANDS = [
    (News2, "respiratory_rate", {8: 3, 9: 1, 11: 1, 12: 0, 20: 0, 21: 2, 24: 2, 25: 3}),
    (News2, "spo2", {91: 3, 92: 2, 93: 2, 94: 1, 95: 1, 96: 0, 100: 0}),
    (News2, "sbp", {90: 3, 91: 2, 100: 2, 101: 1, 110: 1, 111: 0, 219: 0, 220: 3}),
    (News2, "pulse", {40: 3, 41: 1, 50: 1, 51: 0, 90: 0, 91: 1, 110: 1, 111: 2, 130: 2, 131: 3}),
    (News2, "temperature", {35.0: 3, 35.1: 1, 36.0: 1, 36.1: 0, 38.0: 0, 38.1: 1, 39.0: 1, 39.1: 2}),
    (News2, "oxygen", {1: 2}),
    (News2, "not_alert", {1: 3}),
    (Curb65, "age", {64: 0, 65: 1}),
    (Curb65, "urea", {7.0: 0, 7.1: 1}),
    (Curb65, "respiratory_rate", {29: 0, 30: 1}),
    (Curb65, "sbp", {90: 0, 89: 1}),
    (Curb65, "dbp", {61: 0, 60: 1}),
    (Curb65, "confusion", {1: 1}),
    (Cha2ds2Vasc, "age", {64: 0, 65: 1, 74: 1, 75: 2}),
    (Cha2ds2Vasc, "sex", {0: 1}),
    (Cha2ds2Vasc, "stroke", {1: 2}),
    (Cha2ds2Vasc, "hypertension", {1: 1}),
    (Charlson, "age", {49: 0, 50: 1, 59: 1, 60: 2, 70: 3, 80: 4, 95: 4}),
    (Charlson, "metastasis", {1: 6}),
    (Charlson, "aids", {1: 6}),
    (Charlson, "severe_liver_disease", {1: 3}),
    (Charlson, "hemiplegia", {1: 2}),
]


@pytest.mark.parametrize(
    ("cls", "name", "value", "expected"), [(c, n, v, e) for c, n, band in BANDS for v, e in band.items()]
)
def test_each_border(cls: type, name: str, value: float, expected: float) -> None:
    assert points(cls, **{name: value}) == expected


@pytest.mark.parametrize(
    ("spo2", "oxygen", "expected"),
    [
        (83, 0, 3),
        (84, 0, 2),
        (86, 0, 1),
        (88, 0, 0),
        (92, 0, 0),
        (97, 0, 0),
        (93, 1, 3),
        (95, 1, 4),
        (97, 1, 5),
        (88, 1, 2),
    ],
)
def test_the_second_saturation_scale(spo2: float, oxygen: float, expected: float) -> None:
    assert points(News2, spo2=spo2, oxygen=oxygen, hypercapnic=1) == expected


@pytest.mark.parametrize(
    ("diseases", "expected"),
    [
        (("diabetes",), 1),
        (("diabetes", "diabetes_with_damage"), 2),
        (("mild_liver_disease", "severe_liver_disease"), 3),
        (("tumour", "metastasis"), 6),
        (("stroke", "copd"), 2),
    ],
)
def test_the_graver_of_two_grades_counts(diseases: tuple[str, ...], expected: float) -> None:
    assert points(Charlson, **dict.fromkeys(diseases, 1)) == expected


@pytest.mark.parametrize("cls", WELL, ids=lambda c: c.name)
def test_a_missing_input_gives_no_points(cls: type) -> None:
    for i in cls.inputs:
        if i.default is None:
            assert np.isnan(points(cls, **{i.name: float("nan")})), i.name


@given(st.floats(0.1, 50), st.floats(0.5, 12), st.floats(0.2, 15))
def test_worse_values_never_give_a_lower_meld(bilirubin: float, inr: float, creatinine: float) -> None:
    for cls in (Meld, MeldNa):
        here = points(cls, bilirubin=bilirubin, inr=inr, creatinine=creatinine)
        assert 6 <= here <= 40
        assert here == int(here)
        assert points(cls, bilirubin=1.5 * bilirubin, inr=inr, creatinine=creatinine) >= here
        assert points(cls, bilirubin=bilirubin, inr=1.5 * inr, creatinine=creatinine) >= here
        assert points(cls, bilirubin=bilirubin, inr=inr, creatinine=creatinine, dialysis=1) >= here


@pytest.mark.parametrize(("sodium", "expected"), [(150, 20), (137, 20), (130, 25), (125, 28), (110, 28)])
def test_sodium_counts_between_125_and_137(sodium: float, expected: float) -> None:
    """MELD 3.78 ln 3 + 11.2 ln 1.5 + 9.57 ln 1.5 + 6.43 = 19.0; then + 1.32 (137 - Na) - 0.033 MELD (137 - Na)."""
    base = round(3.78 * np.log(3) + 11.2 * np.log(1.5) + 9.57 * np.log(1.5) + 6.43, 1)
    lack = 137 - min(max(sodium, 125), 137)
    by_hand = np.floor(base + 1.32 * lack - 0.033 * base * lack + 0.5)
    assert points(MeldNa, bilirubin=3, inr=1.5, creatinine=1.5, sodium=sodium) == by_hand
    assert abs(by_hand - expected) <= 2


def test_women_have_a_third_more_in_meld_3() -> None:
    assert points(Meld3, sex=0, bilirubin=4) - points(Meld3, sex=1, bilirubin=4) in (1.0, 2.0)
    assert points(Meld3, albumin=1.5, bilirubin=4) > points(Meld3, albumin=3.5, bilirubin=4)
    assert points(Meld3, albumin=1.0, bilirubin=4) == points(Meld3, albumin=1.5, bilirubin=4)
