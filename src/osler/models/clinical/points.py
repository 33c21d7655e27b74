"""Scores that add up points at the bedside: CHA2DS2-VASc, CURB-65, NEWS2, Charlson."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from osler.models.clinical.base import ClinicalScore
from osler.models.clinical.cardiovascular import DIABETES, SEX, flag
from osler.models.clinical.inputs import Input

_AGE = Input(
    "age", "number", ("age_years", "ageyears", "age_y"), {"years": 1.0, "year": 1.0, "y": 1.0}, 16, 120
)
_SYSTOLIC = Input(
    "sbp", "number", ("sysbp", "systolic", "systolic_bp", "systolic_blood_pressure"), {"mmHg": 1.0}, 40, 300
)
_RESPIRATION = Input(
    "respiratory_rate", "number", ("rr", "resp_rate", "resprate", "respiration_rate"), {"/min": 1.0}, 4, 70
)


class Cha2ds2Vasc(ClinicalScore):
    """CHA2DS2-VASc: 0 to 9 points for stroke in atrial fibrillation."""

    name = "cha2ds2vasc"
    kind = "points"
    outcome = "stroke or systemic embolism within a year"
    reference = "Lip et al., Chest 2010;137:263-272"
    applies_to = "adults with non-valvular atrial fibrillation without anticoagulation"
    inputs = (
        _AGE,
        SEX,
        Input("heart_failure", "yes", ("chf", "congestive_heart_failure", "hf")),
        Input("hypertension", "yes", ("htn", "hypertens", "high_blood_pressure", "prevhyp")),
        DIABETES,
        Input("stroke", "yes", ("prior_stroke", "stroke_tia", "tia", "thromboembolism", "prevstrk")),
        Input(
            "vascular_disease", "yes", ("vascular", "pvd", "peripheral_vascular_disease", "cad", "prior_mi")
        ),
    )

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) points."""
        ones = sum(flag(x[k]) for k in ("heart_failure", "hypertension", "diabetes", "vascular_disease"))
        return (
            ones + 2 * flag(x["stroke"]) + _at_least(x["age"], 65) + _at_least(x["age"], 75) + (1 - x["sex"])
        )


class Curb65(ClinicalScore):
    """CURB-65: 0 to 5 points for death from community-acquired pneumonia."""

    name = "curb65"
    kind = "points"
    outcome = "death within 30 days"
    reference = "Lim et al., Thorax 2003;58:377-382"
    applies_to = "adults with community-acquired pneumonia"
    inputs = (
        _AGE,
        Input("confusion", "yes", ("confused", "new_confusion", "disorientation")),
        Input(
            "urea",
            "number",
            ("bun", "blood_urea_nitrogen", "blood_urea", "bu"),
            {"mmol/L": 1.0, "mg/dL": 0.357},
            0.5,
            80,
        ),
        _RESPIRATION,
        _SYSTOLIC,
        Input(
            "dbp",
            "number",
            ("diabp", "diastolic", "diastolic_bp", "diastolic_blood_pressure"),
            {"mmHg": 1.0},
            20,
            200,
        ),
    )

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) points: confusion, urea above 7 mmol/L, 30 or more breaths, SBP below 90 or DBP up to 60, 65
        years or more."""
        known = np.where(np.isnan(x["sbp"]) | np.isnan(x["dbp"]), np.nan, 0.0)
        low = known + ((x["sbp"] < 90) | (x["dbp"] <= 60))
        urea = np.where(np.isnan(x["urea"]), np.nan, (x["urea"] > 7).astype(np.float64))
        return (
            flag(x["confusion"]) + urea + _at_least(x["respiratory_rate"], 30) + low + _at_least(x["age"], 65)
        )


class News2(ClinicalScore):
    """NEWS2: 0 to 20 points for acute deterioration."""

    name = "news2"
    kind = "points"
    outcome = "death or unplanned intensive care within 24 hours"
    reference = "Royal College of Physicians, National Early Warning Score (NEWS) 2, London 2017, chart 1"
    applies_to = "adults of 16 years or more in acute care, not pregnant"
    inputs = (
        _RESPIRATION,
        Input("spo2", "number", ("oxygen_saturation", "sao2", "o2sat", "sats"), {"%": 1.0}, 40, 100),
        Input("oxygen", "yes", ("supplemental_oxygen", "on_oxygen", "o2")),
        _SYSTOLIC,
        Input("pulse", "number", ("heart_rate", "heartrate", "heartrte", "hr"), {"/min": 1.0}, 20, 250),
        Input("not_alert", "yes", ("altered_consciousness", "cvpu", "confusion", "new_confusion")),
        Input("temperature", "number", ("temp", "temp_c", "body_temperature"), {"C": 1.0}, 25, 45),
        Input(
            "hypercapnic", "yes", ("scale_2", "spo2_scale_2", "hypercapnic_respiratory_failure"), default=0.0
        ),
    )

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) points; the second saturation scale where `hypercapnic` is yes."""
        oxygen = flag(x["oxygen"])
        scale_1 = _bands(x["spo2"], (91.5, 93.5, 95.5), (3, 2, 1, 0))
        low = _bands(x["spo2"], (83.5, 85.5, 87.5), (3, 2, 1, 0))
        high = _bands(x["spo2"], (92.5, 94.5, 96.5), (0, 1, 2, 3))
        saturation = np.where(x["hypercapnic"] > 0, low + np.where(oxygen > 0, high, 0 * oxygen), scale_1)
        return (
            _bands(x["respiratory_rate"], (8.5, 11.5, 20.5, 24.5), (3, 1, 0, 2, 3))
            + saturation
            + 2 * oxygen
            + _bands(x["sbp"], (90.5, 100.5, 110.5, 219.5), (3, 2, 1, 0, 3))
            + _bands(x["pulse"], (40.5, 50.5, 90.5, 110.5, 130.5), (3, 1, 0, 1, 2, 3))
            + 3 * flag(x["not_alert"])
            + _bands(x["temperature"], (35.05, 36.05, 38.05, 39.05), (3, 1, 0, 1, 2))
        )


def _disease(name: str, *aliases: str) -> Input:
    return Input(name, "yes", aliases, default=0.0)


class Charlson(ClinicalScore):
    """Charlson comorbidity index, adjusted for age; a disease without a column counts as absent."""

    name = "charlson"
    kind = "points"
    outcome = "death within ten years"
    reference = (
        "Charlson et al., J Chronic Dis 1987;40:373-383; age: Charlson et al., J "
        "Clin Epidemiol 1994;47:1245-1251"
    )
    applies_to = "adults"
    one_point = (
        "myocardial_infarction",
        "heart_failure",
        "peripheral_vascular_disease",
        "stroke",
        "dementia",
        "copd",
        "connective_tissue_disease",
        "peptic_ulcer",
        "mild_liver_disease",
        "diabetes",
    )
    two_points = ("hemiplegia", "kidney_disease", "diabetes_with_damage", "tumour", "leukaemia", "lymphoma")
    inputs = (
        _AGE,
        Input("heart_failure", "yes", ("chf", "congestive_heart_failure", "hf")),
        Input("diabetes", "yes", ("dm", "diabetic", "diab", "diabetes_mellitus")),
        _disease("myocardial_infarction", "mi", "prior_mi", "prevmi"),
        _disease("peripheral_vascular_disease", "pvd"),
        _disease("stroke", "cerebrovascular_disease", "cva", "tia", "prevstrk"),
        _disease("dementia"),
        _disease("copd", "chronic_pulmonary_disease", "chronic_lung_disease"),
        _disease("connective_tissue_disease", "rheumatic_disease"),
        _disease("peptic_ulcer", "peptic_ulcer_disease", "pud", "pepticulcer"),
        _disease("mild_liver_disease"),
        _disease("hemiplegia", "paraplegia"),
        _disease("kidney_disease", "ckd", "renal_disease", "moderate_or_severe_renal_disease"),
        _disease("diabetes_with_damage", "diabetes_complicated", "diabetes_with_complications"),
        _disease("tumour", "tumor", "cancer", "malignancy", "solid_tumor"),
        _disease("leukaemia", "leukemia"),
        _disease("lymphoma"),
        _disease("severe_liver_disease", "moderate_or_severe_liver_disease"),
        _disease("metastasis", "metastatic_tumour", "metastatic_cancer", "metastatic_solid_tumor"),
        _disease("aids", "hiv_aids"),
    )

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) points; the milder of two grades of one disease does not count beside the graver; 1 point
        per decade from 50."""
        mild = {
            "diabetes": "diabetes_with_damage",
            "mild_liver_disease": "severe_liver_disease",
            "tumour": "metastasis",
        }
        weights = {**dict.fromkeys(self.one_point, 1), **dict.fromkeys(self.two_points, 2)}
        weights |= {"severe_liver_disease": 3, "metastasis": 6, "aids": 6}
        points = np.clip(np.floor((x["age"] - 40) / 10), 0, 4)
        for disease, weight in weights.items():
            present = flag(x[disease])
            points = points + weight * (
                present * (1 - flag(x[mild[disease]])) if disease in mild else present
            )
        return points

    def ten_year_survival(self, points: np.ndarray) -> np.ndarray:
        """(n,) the share of the 1994 cohort expected to live ten years: 0.983 ^ exp(0.9 points)."""
        return 0.983 ** np.exp(0.9 * np.asarray(points, dtype=np.float64))


def _at_least(x: np.ndarray, limit: float) -> np.ndarray:
    return np.where(np.isnan(x), np.nan, (x >= limit).astype(np.float64))


def _bands(x: np.ndarray, edges: tuple[float, ...], points: tuple[int, ...]) -> np.ndarray:
    """(n,) the points of the band that x lies in; NaN where x is missing."""
    return np.where(np.isnan(x), np.nan, np.asarray(points, dtype=np.float64)[np.searchsorted(edges, x)])
