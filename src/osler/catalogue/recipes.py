"""How a clinical table of the catalogue becomes a cohort: who is a patient, what is asked, what means "not
measured"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl


@dataclass(frozen=True)
class Recipe:
    """What must be known about one table.

    Attributes:
        parts: entries stacked one under the other (`site` is then the part's name); empty: the entry of the
            recipe's name.
        header: column names of a file without a header.
        where: which rows are kept, or None.
        missing: column → texts or numbers that stand for "not measured"; the key "*" is every column.
        derive: new columns, one after the other.
        inputs: the predictors; empty: every column that has no other role.
        ignore: columns that are not predictors (known only later, or another form of the target).
        unit, site, target, duration, event, treatment: the column of that role, or "".
        note: what a user must know before believing a result.
    """

    parts: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    where: Callable[[], pl.Expr] | None = None
    missing: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)
    derive: Mapping[str, Callable[[], pl.Expr]] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    unit: str = ""
    site: str = ""
    target: str = ""
    duration: str = ""
    event: str = ""
    treatment: str = ""
    note: str = ""


def _yes(condition: Callable[[], pl.Expr]) -> Callable[[], pl.Expr]:
    return lambda: condition().cast(pl.Int64)


def _heart(*parts: str) -> Recipe:
    return Recipe(
        parts=parts,
        missing={"chol": (0,), "trestbps": (0,)},
        derive={"disease": _yes(lambda: pl.col("num") > 0)},
        ignore=("num",),
        site="site" if parts else "",
        target="disease",
        note="disease = num > 0 (any vessel narrowed by more than half); "
        "a cholesterol or pressure of 0 means not measured",
    )


_FRAMINGHAM_LATER = (
    "TIME",
    "PERIOD",
    "HDLC",
    "LDLC",
    "DEATH",
    "ANGINA",
    "HOSPMI",
    "MI_FCHD",
    "ANYCHD",
    "STROKE",
    "CVD",
    "HYPERTEN",
    "TIMEAP",
    "TIMEMI",
    "TIMEMIFC",
    "TIMECHD",
    "TIMESTRK",
    "TIMECVD",
    "TIMEDTH",
    "TIMEHYP",
)

_OPT_INPUTS = (
    "Age",
    "Black",
    "White",
    "Nat.Am",
    "Asian",
    "Hisp",
    "Education",
    "Public.Asstce",
    "Hypertension",
    "Diabetes",
    "BL.Diab.Type",
    "BMI",
    "Use.Tob",
    "BL.Cig.Day",
    "Use.Alc",
    "BL.Drks.Day",
    "Drug.Add",
    "Prev.preg",
    "N.prev.preg",
    "Live.PTB",
    "Any.stillbirth",
    "Spont.ab",
    "Induced.ab",
    "N.living.kids",
    "N.qualifying.teeth",
    "BL.GE",
    "BL..BOP",
    "BL.PD.avg",
    "BL..PD.4",
    "BL..PD.5",
    "BL.CAL.avg",
    "BL..CAL.2",
    "BL..CAL.3",
    "BL.Calc.I",
    "BL.Pl.I",
)

_SITES = ("heart_cleveland", "heart_hungarian", "heart_switzerland", "heart_va")

RECIPES: dict[str, Recipe] = {
    **{name: _heart() for name in _SITES},
    "heart": _heart(*_SITES),
    "pima_diabetes": Recipe(
        missing={c: (0,) for c in ("glucose", "pressure", "triceps", "insulin", "mass")},
        target="diabetes",
        note="a 0 in glucose, pressure, triceps, insulin or mass means not measured",
    ),
    "ckd_uci": Recipe(
        target="class",
        note="cases and controls come from different clinics: missingness itself tells the class",
    ),
    "framingham_teaching": Recipe(
        where=lambda: (pl.col("PERIOD") == 1) & (pl.col("PREVCHD") == 0),
        derive={"cvd_10y": _yes(lambda: (pl.col("CVD") == 1) & (pl.col("TIMECVD") <= 3652))},
        ignore=(*_FRAMINGHAM_LATER, "PREVCHD", "PREVAP", "PREVMI"),
        unit="RANDID",
        target="cvd_10y",
        note="altered teaching data: methods only, no findings; first examination, "
        "without earlier coronary disease, "
        "cardiovascular event within 3,652 days (deaths before it count as no event)",
    ),
    "colon": Recipe(
        where=lambda: pl.col("etype") == 2,
        ignore=("study", "etype"),
        unit="id",
        duration="time",
        event="status",
        treatment="rx",
        note="one row per person (etype 2 = death); etype 1 is recurrence",
    ),
    "actg175": Recipe(
        ignore=("treat", "offtrt", "cd420", "cd496", "cd820", "r", "zprior"),
        unit="pidnum",
        duration="days",
        event="cens",
        treatment="arms",
        note="cd420, cd496, cd820, r and offtrt are measured after the start and are no predictors",
    ),
    "pbc": Recipe(
        derive={"death": _yes(lambda: pl.col("status") == 2)},
        ignore=("status",),
        unit="id",
        duration="time",
        event="death",
        treatment="trt",
        note="transplantation (status 1) is taken as censored here; it is in truth a competing event",
    ),
    "opt": Recipe(
        missing={"*": (".",)},
        inputs=_OPT_INPUTS,
        unit="PID",
        site="Clinic",
        target="Preg.ended...37.wk",
        treatment="Group",
        note="baseline columns only; later periodontal and birth measurements are left out",
    ),
    "diabetes130": Recipe(
        missing={"*": ("?",)},
        where=lambda: pl.col("encounter_id") == pl.col("encounter_id").min().over("patient_nbr"),
        derive={"readmitted_30d": _yes(lambda: pl.col("readmitted") == "<30")},
        ignore=("encounter_id", "readmitted"),
        unit="patient_nbr",
        target="readmitted_30d",
        note="first encounter per person; discharge to death or hospice "
        "(discharge_disposition_id 11, 13, 14, 19, 20, 21) "
        "cannot be readmitted and is still inside",
    ),
    "rotterdam": Recipe(
        derive={
            "rfs": lambda: pl.max_horizontal("recur", "death"),
            "rfs_days": lambda: pl.when(pl.col("recur") == 1)
            .then(pl.col("rtime"))
            .otherwise(pl.col("dtime")),
        },
        ignore=("rtime", "recur", "dtime", "death"),
        unit="pid",
        duration="rfs_days",
        event="rfs",
        note="recurrence-free survival; validate on gbsg (its size is in mm, here it is a class)",
    ),
    "gbsg": Recipe(unit="pid", duration="rfstime", event="status"),
    "breast_cancer_wisconsin_original": Recipe(
        missing={"bare_nuclei": ("?",)},
        derive={"malignant": _yes(lambda: pl.col("class") == 4)},
        ignore=("class",),
        unit="sample_code",
        target="malignant",
        note="some sample codes repeat: they are one unit",
    ),
    "strep_tb": Recipe(
        ignore=("dose_strep_g", "dose_PAS_g", "strep_resistance", "radiologic_6m", "rad_num"),
        unit="patient_id",
        target="improved",
        treatment="arm",
        note="radiologic_6m and rad_num are other forms of the target",
    ),
    "breast_cancer": Recipe(target="diagnosis", note="one row per person"),
    "diabetes": Recipe(target="progression", note="disease progression one year after baseline"),
    "gbsg2": Recipe(duration="time", event="cens", note="cens = 1 is an event (recurrence or death)"),
    "lung": Recipe(
        duration="time",
        event="status",
        site="inst",
        note="days; status 1 = death in the lifelines file",
    ),
    "rossi": Recipe(duration="week", event="arrest"),
    "larynx": Recipe(duration="time", event="death", note="months"),
    "kidney_transplant": Recipe(duration="time", event="death", note="days"),
    "sider4_all_se": Recipe(
        header=("stitch_flat", "stitch_stereo", "umls_label", "meddra_type", "umls_meddra", "side_effect"),
        unit="stitch_flat",
        note="one row per drug and side effect: the long form for `osler rules`",
    ),
    "sider4_indications": Recipe(note="read `osler data list` for its licence: not for commercial use"),
}
