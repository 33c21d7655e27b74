"""SCORE2 of the European Society of Cardiology, 2021."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from osler.errors import OptionError
from osler.models.clinical.base import ClinicalScore
from osler.models.clinical.cardiovascular import SEX, SMOKER, age, flag, hdl_mmol, systolic, total_mmol

#: age, smoker, SBP, total cholesterol, HDL, and their products with age in the same order (smoker, SBP,
#: total, HDL);
#: baseline survival at 10 years. Supplementary methods, table 2.
_MEN = (0.3742, 0.6012, 0.2777, 0.1458, -0.2698, -0.0755, -0.0255, -0.0281, 0.0426, 0.9605)
_WOMEN = (0.4648, 0.7744, 0.3131, 0.1002, -0.2606, -0.1088, -0.0277, -0.0226, 0.0613, 0.9776)

#: Region → (men, women), each two scales of the recalibration. Supplementary methods, table 4.
REGIONS = {
    "low": ((-0.5699, 0.7476), (-0.7380, 0.7019)),
    "moderate": ((-0.1565, 0.8009), (-0.3143, 0.7701)),
    "high": ((0.3207, 0.9360), (0.5710, 0.9369)),
    "very high": ((0.5836, 0.8294), (0.9412, 0.8329)),
}


class Score2(ClinicalScore):
    """10-year risk of a first fatal or non-fatal cardiovascular event, 40 to 69 years, by risk region of
    Europe."""

    name = "score2"
    kind = "risk"
    outcome = "first fatal or non-fatal cardiovascular event"
    horizon_years = 10.0
    reference = "SCORE2 working group, Eur Heart J 2021;42:2439-2454 (doi:10.1093/eurheartj/ehab309)"
    applies_to = "adults of 40 to 69 years without cardiovascular disease and without diabetes"
    inputs = (age(40, 69), SEX, total_mmol(3, 9), hdl_mmol(0.5, 2.5), systolic(100, 180), SMOKER)

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) risk, recalibrated to the region of the options.

        Raises:
            OptionError: the region is none of the four.
        """
        region = self.options.region.replace("_", " ")
        if region not in REGIONS:
            raise OptionError(
                f"option 'region' must be one of {', '.join(REGIONS)}, was '{self.options.region}'"
            )
        scale_men, scale_women = REGIONS[region]
        men, women = _risk(x, _MEN, scale_men), _risk(x, _WOMEN, scale_women)
        return np.where(np.isnan(x["sex"]), np.nan, np.where(x["sex"] == 1, men, women))


def _risk(x: Mapping[str, np.ndarray], b: tuple[float, ...], scale: tuple[float, float]) -> np.ndarray:
    years, pressure = (x["age"] - 60) / 5, (x["sbp"] - 120) / 20
    total, hdl, smoker = x["total_cholesterol"] - 6, (x["hdl_cholesterol"] - 1.3) / 0.5, flag(x["smoker"])
    sum_ = b[0] * years + b[1] * smoker + b[2] * pressure + b[3] * total + b[4] * hdl
    sum_ = sum_ + years * (b[5] * smoker + b[6] * pressure + b[7] * total + b[8] * hdl)
    hazard = -np.log(b[9]) * np.exp(sum_)
    return 1 - np.exp(-np.exp(scale[0] + scale[1] * np.log(hazard)))
