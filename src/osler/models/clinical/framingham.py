"""The Framingham general cardiovascular risk profile of 2008."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from osler.models.clinical.base import ClinicalScore
from osler.models.clinical.cardiovascular import (
    DIABETES,
    SEX,
    SMOKER,
    TREATED,
    age,
    flag,
    hdl_mg,
    log,
    systolic,
    total_mg,
)

#: ln age, ln total cholesterol, ln HDL, ln SBP untreated, ln SBP treated, smoker, diabetes, mean, baseline
#: survival at 10 years.
_WOMEN = (2.32888, 1.20904, -0.70833, 2.76157, 2.82263, 0.52873, 0.69154, 26.1931, 0.95012)
_MEN = (3.06117, 1.12370, -0.93263, 1.93303, 1.99881, 0.65451, 0.57367, 23.9802, 0.88936)


class Framingham(ClinicalScore):
    """10-year risk of a first cardiovascular event (coronary, cerebrovascular, peripheral, heart failure),
    30 to 74 years."""

    name = "framingham"
    kind = "risk"
    outcome = "first cardiovascular event"
    horizon_years = 10.0
    reference = (
        "D'Agostino et al., Circulation 2008;117:743-753, table 2 (doi:10.1161/CIRCULATIONAHA.107.699579)"
    )
    applies_to = "adults of 30 to 74 years without cardiovascular disease"
    inputs = (
        age(30, 74),
        SEX,
        total_mg(100, 405),
        hdl_mg(10, 100),
        systolic(90, 200),
        TREATED,
        SMOKER,
        DIABETES,
    )

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) risk."""
        men, women = _risk(x, _MEN), _risk(x, _WOMEN)
        return np.where(np.isnan(x["sex"]), np.nan, np.where(x["sex"] == 1, men, women))


def _risk(x: Mapping[str, np.ndarray], b: tuple[float, ...]) -> np.ndarray:
    treated = flag(x["bp_treated"])
    pressure = log(x["sbp"]) * (b[3] * (1 - treated) + b[4] * treated)
    sum_ = (
        b[0] * log(x["age"])
        + b[1] * log(x["total_cholesterol"])
        + b[2] * log(x["hdl_cholesterol"])
        + pressure
    )
    sum_ = sum_ + b[5] * flag(x["smoker"]) + b[6] * flag(x["diabetes"])
    return 1 - b[8] ** np.exp(sum_ - b[7])
