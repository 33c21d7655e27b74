"""The Model for End-stage Liver Disease and its two successors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from osler.models.clinical.base import ClinicalScore
from osler.models.clinical.cardiovascular import SEX
from osler.models.clinical.inputs import Input

_BILIRUBIN = Input(
    "bilirubin", "number", ("bili", "total_bilirubin", "tbili"), {"mg/dL": 1.0, "umol/L": 1 / 17.1}, 0.1, 60
)
_CREATININE = Input(
    "creatinine", "number", ("creat", "serum_creatinine", "scr"), {"mg/dL": 1.0, "umol/L": 1 / 88.4}, 0.2, 15
)
_INR = Input("inr", "number", ("international_normalized_ratio", "pt_inr"), {"": 1.0}, 0.5, 15)
_SODIUM = Input("sodium", "number", ("na", "serum_sodium"), {"mmol/L": 1.0, "mEq/L": 1.0}, 100, 170)
_ALBUMIN = Input("albumin", "number", ("alb", "serum_albumin"), {"g/dL": 1.0, "g/L": 0.1}, 0.5, 6)
_DIALYSIS = Input("dialysis", "yes", ("on_dialysis", "hemodialysis", "haemodialysis"), default=0.0)


class Meld(ClinicalScore):
    """MELD: 6 to 40 points from bilirubin, INR and creatinine."""

    name = "meld"
    kind = "points"
    outcome = "death within three months"
    reference = (
        "Kamath et al., Hepatology 2001;33:464-470; United Network for Organ "
        "Sharing 2002 (bounds 1 and 4 mg/dL, 6 to 40)"
    )
    applies_to = "adults with end-stage liver disease"
    inputs = (_BILIRUBIN, _INR, _CREATININE, _DIALYSIS)

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) whole points, 6 to 40."""
        return np.clip(np.floor(_classic(x) + 0.5), 6, 40)


class MeldNa(ClinicalScore):
    """MELD-Na: MELD with serum sodium (OPTN 2016)."""

    name = "meld_na"
    kind = "points"
    outcome = "death within three months"
    reference = "Kim et al., N Engl J Med 2008;359:1018-1026; OPTN policy 9 of January 2016"
    applies_to = "adults with end-stage liver disease"
    inputs = (_BILIRUBIN, _INR, _CREATININE, _SODIUM, _DIALYSIS)

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) whole points, 6 to 40; sodium counts above a MELD of 11 only."""
        base = np.floor(_classic(x) * 10 + 0.5) / 10
        lack = 137 - np.clip(x["sodium"], 125, 137)
        corrected = np.where(base > 11, base + 1.32 * lack - 0.033 * base * lack, base + 0 * lack)
        return np.clip(np.floor(corrected + 0.5), 6, 40)


class Meld3(ClinicalScore):
    """MELD 3.0: with sodium, albumin and sex."""

    name = "meld3"
    kind = "points"
    outcome = "death within three months"
    reference = "Kim et al., Gastroenterology 2021;161:1887-1895"
    applies_to = "adults with end-stage liver disease"
    inputs = (_BILIRUBIN, _INR, _CREATININE, _SODIUM, _ALBUMIN, SEX, _DIALYSIS)

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) whole points, 6 to 40."""
        bilirubin, inr = np.log(np.maximum(x["bilirubin"], 1)), np.log(np.maximum(x["inr"], 1))
        creatinine = np.log(_creatinine(x, 3.0))
        lack, poor = 137 - np.clip(x["sodium"], 125, 137), 3.5 - np.clip(x["albumin"], 1.5, 3.5)
        points = 1.33 * (1 - x["sex"]) + 4.56 * bilirubin + 0.82 * lack - 0.24 * lack * bilirubin + 9.09 * inr
        points = points + 11.14 * creatinine + 1.85 * poor - 1.83 * poor * creatinine + 6
        return np.clip(np.floor(points + 0.5), 6, 40)


def _creatinine(x: Mapping[str, np.ndarray], most: float) -> np.ndarray:
    """Creatinine within its bounds; `most` on dialysis."""
    return np.where(x["dialysis"] > 0, most, np.clip(x["creatinine"], 1, most))


def _classic(x: Mapping[str, np.ndarray]) -> np.ndarray:
    bilirubin, inr = np.log(np.maximum(x["bilirubin"], 1)), np.log(np.maximum(x["inr"], 1))
    return 3.78 * bilirubin + 11.2 * inr + 9.57 * np.log(_creatinine(x, 4.0)) + 6.43
