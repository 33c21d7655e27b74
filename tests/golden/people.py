"""A register of invented persons, and the ways in which one person gets into a table under two numbers."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from osler.cohort import Cohort, Column

SYLLABLES = ("ba", "ca", "da", "el", "fin", "gar", "hol", "in", "jo", "kar", "lin", "mor", "na", "ol", "per", "ros",
             "sen", "tor", "ul", "ver", "wil", "yan", "zim", "ber", "man", "son", "ley", "ton")  # fmt: skip
CITIES = ("Aarhus", "Basel", "Cork", "Derby", "Essen", "Faro", "Ghent", "Huelva")
EPOCH = dt.date(1970, 1, 1)


def registry(n: int, rng: np.random.Generator, *, named: bool) -> pl.DataFrame:
    """n persons with 12 clinical columns that depend on age and on each other, with names and dates if `named`."""
    age = np.clip(rng.normal(58, 15, n), 18, 97)
    sex = rng.random(n) < 0.5
    weight = rng.normal(68 + 12 * sex, 13, n)
    height = rng.normal(163 + 13 * sex, 7, n)
    systolic = rng.normal(110 + 0.4 * age, 15, n)
    sick = rng.random(n) < 1 / (1 + np.exp(-(age - 65) / 8))
    table = {
        "patient": [f"P{i:07d}" for i in rng.permutation(n)],
        "age": np.round(age), "sex": np.where(sex, "m", "f"), "weight_kg": weight.round(1), "height_cm": height.round(),
        "systolic": systolic.round(), "diastolic": (0.45 * systolic + rng.normal(25, 7, n)).round(),
        "cholesterol": rng.normal(200 + 0.3 * age, 38, n).round(), "glucose": np.exp(rng.normal(4.6 + 0.2 * sick, 0.2, n)).round(),
        "creatinine": np.exp(rng.normal(-0.1 + 0.2 * sex, 0.25, n)).round(2), "haemoglobin": rng.normal(13.2 + 1.4 * sex, 1.3, n).round(1),
        "smoker": rng.choice(["never", "former", "current"], n, p=[0.5, 0.3, 0.2]), "sick": sick.astype(int),
    }  # fmt: skip
    if named:
        weights = np.exp(-np.arange(200) / 60)
        first, last = ([_name(rng) for _ in range(k)] for k in (200, 3000))
        zipf = 1 / np.arange(20, 3020)
        table["name"] = [
            f"{first[a]} {last[b]}"
            for a, b in zip(rng.choice(200, n, p=weights / weights.sum()), rng.choice(3000, n, p=zipf / zipf.sum()))
        ]
        table["born"] = [EPOCH + dt.timedelta(days=int(d)) for d in 18500 - age * 365.25 + rng.integers(0, 365, n)]
        table["admitted"] = [EPOCH + dt.timedelta(days=int(d)) for d in rng.integers(17500, 19000, n)]
        table["city"] = rng.choice(CITIES, n)
    return pl.DataFrame(table)


def _name(rng: np.random.Generator) -> str:
    return "".join(rng.choice(SYLLABLES, rng.integers(2, 5))).capitalize()


def as_cohort(table: pl.DataFrame) -> Cohort:
    """The register with its roles: the patient number is the unit, the name is ignored by models."""
    roles = {"patient": "unit", "sick": "target", "name": "ignore"}
    modality = {pl.Date: "date", pl.String: "category"}
    columns = [Column(c, modality.get(t, "number"), roles.get(c, "input")) for c, t in table.schema.items()]
    return Cohort(table, tuple(columns))


def planted(table: pl.DataFrame, m: int, rng: np.random.Generator) -> tuple[Cohort, set[tuple[int, int]]]:
    """The register with m more rows, each an altered copy of another person's under a new number, all rows shuffled.

    With names every copy gets one to three alterations: typing errors and re-ordered names, dates shifted or with day
    and month exchanged, jittered numbers, emptied cells, one category changed. Without names, where a row holds 45
    bits, one.

    Returns:
        The cohort and the planted pairs (positions, first < second).
    """
    n = table.height
    chosen = rng.choice(n, m, replace=False)
    rows = [altered(dict(row), rng) for row in table[chosen].to_dicts()]
    for k, row in enumerate(rows):
        row["patient"] = f"Q{k:07d}"
    both = pl.concat([table, pl.DataFrame(rows, schema=table.schema)])
    order = rng.permutation(n + m)
    place = np.argsort(order)
    pairs = {tuple(sorted((int(place[a]), int(place[n + k])))) for k, a in enumerate(chosen)}
    return as_cohort(both[order]), pairs


def altered(row: dict, rng: np.random.Generator) -> dict:
    """One record as another clerk would have written it."""
    kinds = [jitter, empty, other_category]
    if "name" in row:
        kinds += [misspell, reorder, move_date, exchange_day_and_month]
    for k in rng.choice(len(kinds), rng.integers(1, 4) if "name" in row else 1, replace=False):
        kinds[k](row, rng)
    return row


def jitter(row: dict, rng: np.random.Generator) -> None:
    """Two to four numbers change by about half a percent."""
    numbers = [k for k, v in row.items() if isinstance(v, float)]
    for name in rng.choice(numbers, rng.integers(2, 5), replace=False):
        digits = 2 if name == "creatinine" else 1 if name in ("weight_kg", "haemoglobin") else 0
        if row[name] is None:
            continue
        row[name] = round(row[name] * (1 + rng.normal(0, 0.005)), digits)


def empty(row: dict, rng: np.random.Generator) -> None:
    """One or two cells are missing."""
    for name in rng.choice([k for k in row if k not in ("patient", "sick")], rng.integers(1, 3), replace=False):
        row[name] = None


def other_category(row: dict, rng: np.random.Generator) -> None:
    """The smoking habit is another one."""
    row["smoker"] = {"never": "former", "former": "current", "current": "former", None: None}[row["smoker"]]


def misspell(row: dict, rng: np.random.Generator) -> None:
    """One or two letters of the name are dropped, doubled, replaced or exchanged."""
    name = row["name"]
    for _ in range(rng.integers(1, 3)):
        if not name or len(name) < 4:
            return
        at = int(rng.integers(1, len(name) - 1))
        kind = rng.integers(0, 4)
        letter = "abcdefghijklmnopqrstuvwxyz"[rng.integers(0, 26)]
        name = [
            name[:at] + name[at + 1 :], name[:at] + name[at] + name[at:], name[:at] + letter + name[at + 1 :],
            name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :],
        ][kind]  # fmt: skip
    row["name"] = name


def reorder(row: dict, rng: np.random.Generator) -> None:
    """'Ann Lee' becomes 'Lee, Ann'."""
    if row["name"] and " " in row["name"].strip():
        first, last = row["name"].strip().split(" ", 1)
        row["name"] = f"{last}, {first}"


def move_date(row: dict, rng: np.random.Generator) -> None:
    """A date is off by up to thirty days, or by a year."""
    name = ("born", "admitted")[rng.integers(0, 2)]
    if row[name]:
        row[name] += dt.timedelta(days=int(rng.choice([-365, 365, *range(-30, 0), *range(1, 31)])))


def exchange_day_and_month(row: dict, rng: np.random.Generator) -> None:
    """5 March becomes 3 May."""
    if row["born"] and row["born"].day <= 12:
        row["born"] = row["born"].replace(day=row["born"].month, month=row["born"].day)
