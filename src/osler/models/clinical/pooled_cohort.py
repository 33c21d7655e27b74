"""The ACC/AHA pooled cohort equations of 2013 (ASCVD)."""

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
from osler.models.clinical.inputs import Input

_TERMS = (
    "age",
    "age2",
    "tc",
    "age_tc",
    "hdl",
    "age_hdl",
    "treated",
    "age_treated",
    "untreated",
    "age_untreated",
    "smoker",
    "age_smoker",
    "diabetes",
)

#: Goff 2013, table A: coefficients in the order of `_TERMS`, mean of the sum, baseline survival at 10 years.
_WHITE_WOMEN = (
    (-29.799, 4.884, 13.540, -3.114, -13.578, 3.149, 2.019, 0, 1.957, 0, 7.574, -1.665, 0.661),
    -29.18,
    0.9665,
)
_BLACK_WOMEN = (
    (17.114, 0, 0.940, 0, -18.920, 4.475, 29.291, -6.432, 27.820, -6.087, 0.691, 0, 0.874),
    86.61,
    0.9533,
)
_WHITE_MEN = (
    (12.344, 0, 11.853, -2.664, -7.990, 1.769, 1.797, 0, 1.764, 0, 7.837, -1.795, 0.658),
    61.18,
    0.9144,
)
_BLACK_MEN = ((2.469, 0, 0.302, 0, -0.307, 0, 1.916, 0, 1.809, 0, 0.549, 0, 0.645), 19.54, 0.8954)


class PooledCohort(ClinicalScore):
    """10-year risk of a first hard atherosclerotic event (coronary death, infarction, stroke), 40 to 79
    years."""

    name = "pce"
    kind = "risk"
    outcome = "first hard atherosclerotic cardiovascular event"
    horizon_years = 10.0
    reference = (
        "Goff et al., 2013 ACC/AHA guideline, Circulation 2014;129:S49-S73, "
        "appendix 7 (doi:10.1161/01.cir.0000437741.48606.98)"
    )
    applies_to = (
        "adults of 40 to 79 years without cardiovascular disease; the equations "
        "for White are used for all but African Americans"
    )
    inputs = (
        age(40, 79),
        SEX,
        Input("race", "race", ("ethnicity", "black", "african_american")),
        total_mg(130, 320),
        hdl_mg(20, 100),
        systolic(90, 200),
        TREATED,
        SMOKER,
        DIABETES,
    )

    def values(self, x: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) risk."""
        men = np.where(x["race"] == 1, _risk(x, *_BLACK_MEN), _risk(x, *_WHITE_MEN))
        women = np.where(x["race"] == 1, _risk(x, *_BLACK_WOMEN), _risk(x, *_WHITE_WOMEN))
        return np.where(np.isnan(x["sex"]) | np.isnan(x["race"]), np.nan, np.where(x["sex"] == 1, men, women))


def _risk(
    x: Mapping[str, np.ndarray], coefficients: tuple[float, ...], mean: float, survival: float
) -> np.ndarray:
    years, tc, hdl, sbp = (log(x[k]) for k in ("age", "total_cholesterol", "hdl_cholesterol", "sbp"))
    treated, smoker = flag(x["bp_treated"]), flag(x["smoker"])
    on, off = sbp * treated, sbp * (1 - treated)
    terms = (
        years,
        years**2,
        tc,
        years * tc,
        hdl,
        years * hdl,
        on,
        years * on,
        off,
        years * off,
        smoker,
        years * smoker,
        flag(x["diabetes"]),
    )
    return 1 - survival ** np.exp(sum(b * t for b, t in zip(coefficients, terms, strict=True)) - mean)
