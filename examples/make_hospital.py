"""Write the tables of a made-up hospital group, for the tutorial "From two tables to a service".

    visits.csv          900 admissions of about 700 patients to three hospitals, 2019 to 2023
    outcomes.csv        died within 30 days or not, per visit; the key is visit_id
    other_hospital.csv  320 admissions elsewhere, with outcome; lactate is hardly ever measured there
    new.csv             three patients of today

Nobody in these tables exists.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl


def admissions(
    n: int, patients: int, hospitals: list[str], rng: np.random.Generator, first: str
) -> pl.DataFrame:
    """n admissions with predictors and outcome; the risk follows age, lactate, pressure and the way in."""
    patient = rng.integers(0, patients, n)
    age = np.clip(rng.normal(68, 13, patients), 18, 99)[patient].round()
    sex = rng.choice(["F", "M"], patients)[patient]
    lactate = np.round(np.exp(rng.normal(0.5, 0.5, n)), 1)
    pressure = np.round(rng.normal(128, 22, n))
    creatinine = np.round(np.exp(rng.normal(0.05, 0.4, n)), 2)
    way = rng.choice(["emergency", "referral", "planned"], n, p=[0.6, 0.25, 0.15])
    logit = -2.2 + (age - 68) / 12 + 1.2 * (np.log(lactate) - 0.5) - (pressure - 128) / 40
    logit += 0.6 * np.log(creatinine) + np.select([way == "emergency", way == "planned"], [0.4, -0.8], 0.0)
    admitted = np.sort(rng.integers(0, 1800, n))
    stay = 1 + rng.poisson(6, n)
    start = dt.date(2019, 1, 15)
    table = pl.DataFrame({
        "visit_id": [f"{first}{i:05d}" for i in range(n)],
        "patient_id": [f"{first}P{p:04d}" for p in patient],
        "hospital": rng.choice(hospitals, n),
        "admitted": [start + dt.timedelta(days=int(d)) for d in admitted],
        "discharged": [start + dt.timedelta(days=int(d + s)) for d, s in zip(admitted, stay)],
        "age_years": age, "sex": sex, "way_in": way,
        "systolic_bp": pressure, "lactate_mmol_l": lactate, "creatinine_mg_dl": creatinine,
        "died_30d": np.where(rng.random(n) < 1 / (1 + np.exp(-logit)), "yes", "no"),
    })  # fmt: skip
    missing = pl.Series(rng.random(n) < 0.12)
    return table.with_columns(
        pl.when(missing).then(None).otherwise(pl.col("lactate_mmol_l")).alias("lactate_mmol_l")
    )


def main() -> None:
    """Write the four tables."""
    rng = np.random.default_rng(11)
    group = admissions(900, 700, ["Harbour", "Hill", "Park"], rng, "V")
    group = group.with_columns(
        pl.when(pl.int_range(pl.len()).is_in([100, 300, 500]))
        .then(0.0)
        .otherwise(pl.col("systolic_bp"))
        .alias("systolic_bp")
    )
    group.drop("died_30d").write_csv("visits.csv")
    group.select("visit_id", "died_30d").write_csv("outcomes.csv")
    other = admissions(320, 300, ["Lake"], rng, "L")
    rare = pl.Series(rng.random(320) < 0.02)
    other = other.with_columns(
        pl.when(rare).then(pl.col("lactate_mmol_l")).otherwise(None).alias("lactate_mmol_l")
    )
    other.write_csv("other_hospital.csv")
    today = admissions(3, 3, ["Hill"], rng, "N").drop("died_30d", "discharged")
    today = today.with_columns(age_years=pl.Series([54.0, 81.0, 140.0]))
    today.write_csv("new.csv")
    print("written: visits.csv outcomes.csv other_hospital.csv new.csv")


if __name__ == "__main__":
    main()
