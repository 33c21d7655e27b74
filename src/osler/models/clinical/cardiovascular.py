"""Inputs that the cardiovascular equations share."""

from __future__ import annotations

import numpy as np

from osler.models.clinical.inputs import Input

#: mg/dL of cholesterol in one mmol/L.
CHOLESTEROL_MG_DL = 38.67

_MG = {"mg/dL": 1.0, "mmol/L": CHOLESTEROL_MG_DL}
_MMOL = {"mmol/L": 1.0, "mg/dL": 1 / CHOLESTEROL_MG_DL}
_TOTAL = ("totchol", "tchol", "chol", "total_chol", "cholesterol", "tc", "serum_cholesterol")
_HDL = ("hdlc", "hdl", "hdl_chol")

SEX = Input("sex", "sex", ("gender", "male", "female", "is_male", "is_female"))
SMOKER = Input("smoker", "yes", ("smoking", "current_smoker", "cursmoke", "smoke", "currentsmoker", "smk"))
DIABETES = Input("diabetes", "yes", ("dm", "diabetic", "diab", "diabetes_mellitus"))
TREATED = Input(
    "bp_treated",
    "yes",
    (
        "bpmeds",
        "bp_meds",
        "bp_med",
        "antihypertensive",
        "hypertension_treatment",
        "treated_bp",
        "hbpmed",
        "htn_rx",
    ),
)


def age(low: float, high: float) -> Input:
    """Age in years, with the range of an equation."""
    return Input(
        "age", "number", ("age_years", "ageyears", "age_y"), {"years": 1.0, "year": 1.0, "y": 1.0}, low, high
    )


def systolic(low: float, high: float) -> Input:
    """Systolic blood pressure in mmHg."""
    return Input(
        "sbp",
        "number",
        ("sysbp", "systolic", "systolic_bp", "systolic_blood_pressure", "trestbps"),
        {"mmHg": 1.0},
        low,
        high,
    )


def total_mg(low: float, high: float) -> Input:
    """Total cholesterol in mg/dL."""
    return Input("total_cholesterol", "number", _TOTAL, _MG, low, high)


def hdl_mg(low: float, high: float) -> Input:
    """HDL cholesterol in mg/dL."""
    return Input("hdl_cholesterol", "number", _HDL, _MG, low, high)


def total_mmol(low: float, high: float) -> Input:
    """Total cholesterol in mmol/L."""
    return Input("total_cholesterol", "number", _TOTAL, _MMOL, low, high)


def hdl_mmol(low: float, high: float) -> Input:
    """HDL cholesterol in mmol/L."""
    return Input("hdl_cholesterol", "number", _HDL, _MMOL, low, high)


def log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm; NaN for what is not above zero."""
    return np.log(np.where(x > 0, x, np.nan))


def flag(x: np.ndarray) -> np.ndarray:
    """A yes or no as 1 or 0; NaN stays NaN, and anything else above zero is a yes."""
    return np.where(np.isnan(x), np.nan, (x > 0).astype(np.float64))
