"""Findings: each is planted once and found, and is silent on the clean twin; cleaning is written into the ledger."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler.cohort import Cohort, Column, Step
from osler.cohort.check import FINDINGS, check, clean
from osler.cohort.finding import Finding, count
from osler.cohort.infer import infer
from osler.cohort.physiology import match
from osler.cohort.tablechecks import near_duplicate_columns
from osler.cohort.units import mixed_with

ROOT = Path(__file__).resolve().parents[2]
N = 400


def plain(seed=0):
    """A clean table of 400 patients."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "patient_id": np.arange(N) + 7000,
            "age": rng.normal(60, 12, N).round(1).clip(20, 95),
            "height_cm": rng.normal(170, 9, N).round(1),
            "weight": rng.normal(78, 13, N).round(1).clip(40, 160),
            "temp": rng.normal(37.0, 0.5, N).round(1),
            "glucose": rng.normal(110, 20, N).round(0).clip(60, 300),
            "smoker": rng.choice(["yes", "no"], N),
            "ward": rng.choice(["A", "B", "C"], N),
            "ill": rng.integers(0, 2, N),
        }
    )


def cohort_of(table, **roles):
    """An inferred cohort."""
    return Cohort(table, tuple(infer(table)[0])).declare(**roles)


def codes(cohort, column=None):
    """Codes found, of one column or of all."""
    return {f.code for f in check(cohort) if column is None or f.column == column}


def put(table, name, positions, values):
    """A table with some cells replaced."""
    cells = table[name].to_list()
    for position, value in zip(positions, values):
        cells[position] = value
    return table.with_columns(pl.Series(name, cells, strict=False))


def test_clean_table_has_nothing_to_warn_of():
    found = [f for f in check(cohort_of(plain(), target="ill")) if f.severity != "note"]
    assert found == []


# -- planted ---------------------------------------------------------------------------------------------------------


def plant_impossible(t):
    return put(t, "glucose", [3, 9], [0.0, 99999.0])


def plant_metres(t):
    return t.with_columns(pl.Series("height_cm", [h / 100 if i % 8 == 0 else h for i, h in enumerate(t["height_cm"])]))


def plant_fahrenheit(t):
    return t.with_columns(pl.Series("temp", [c * 1.8 + 32 if i % 5 == 0 else c for i, c in enumerate(t["temp"])]))


def plant_mmol(t):
    return t.with_columns(pl.Series("glucose", [g / 18.016 if i % 6 == 0 else g for i, g in enumerate(t["glucose"])]))


def plant_pounds(t):
    return t.with_columns(pl.Series("weight", [w * 2.2046 if i % 4 == 0 else w for i, w in enumerate(t["weight"])]))


def with_column(name, values):
    """A plant that adds one column."""
    return lambda t: t.with_columns(pl.Series(name, values))


PLANTS = {
    "impossible-value": (plant_impossible, "glucose"),
    "mixed-units": (plant_fahrenheit, "temp"),
    "constant": (lambda t: t.with_columns(pl.lit("A").alias("ward")), "ward"),
    "column-empty": (lambda t: t.with_columns(pl.lit(None, dtype=pl.Float64).alias("weight")), "weight"),
    "mostly-missing": (lambda t: put(t, "weight", range(N - 10), [None] * (N - 10)), "weight"),
    "missing": (lambda t: put(t, "weight", range(5), [None] * 5), "weight"),
    "implausible-value": (lambda t: put(t, "temp", [1, 2], [24.0, 25.5]), "temp"),
    "sentinel-value": (with_column("stay", [999 if i % 9 == 0 else i % 30 for i in range(N)]), "stay"),
    "outliers": (with_column("marker", [1e6 if i == 5 else 10.5 + i % 7 for i in range(N)]), "marker"),
    "infinite-value": (with_column("marker", [np.inf if i == 5 else 10.5 + i % 7 for i in range(N)]), "marker"),
    "mixed-types": (with_column("lab", ["see note" if i == 5 else str(i % 50) for i in range(N)]), "lab"),
    "below-limit": (with_column("lab", ["<0.5" if i < 9 else str(1 + i % 50) for i in range(N)]), "lab"),
    "date-ambiguous": (with_column("seen", [f"{1 + i % 12:02d}/{1 + i % 11:02d}/2020" for i in range(N)]), "seen"),
    "date-formats": (
        with_column("seen", [f"2020-01-{1 + i % 28:02d}" if i % 3 else f"{13 + i % 9}.02.2020" for i in range(N)]),
        "seen",
    ),
    "high-cardinality": (with_column("job", [f"j{chr(97 + i % 26)}{chr(97 + i // 26 % 5)}" for i in range(N)]), "job"),
    "rare-levels": (lambda t: put(t, "ward", [1, 2], ["D", "E"]), "ward"),
    "level-spelling": (lambda t: put(t, "ward", range(20), ["a ", "a"] * 10), "ward"),
    "near-duplicate-columns": (lambda t: t.with_columns((pl.col("height_cm") * 0.3937 + 1).alias("tall")), "tall"),
    "formula-cell": (lambda t: put(t, "ward", [0, 1], ["=cmd|' /C calc'!A0", "@SUM(1)"]), "ward"),
    "direct-identifier": (with_column("surname", [f"Name{i}" for i in range(N)]), "surname"),
    "duplicate-id": (lambda t: put(t, "patient_id", [1], [7000]), "patient_id"),
    "repeated-unit": (with_column("patient_id", [i // 2 for i in range(N)]), "patient_id"),
    "identifier": (lambda t: t, "patient_id"),
    "duplicate-rows": (lambda t: pl.concat([t, t.head(3).with_columns(pl.col("patient_id") + 5000)]), ""),
    "few-rows": (lambda t: t.head(30), ""),
    "class-balance": (with_column("ill", [int(i % 40 == 0) for i in range(N)]), "ill"),
    "target-missing": (lambda t: put(t, "ill", [1, 2], [None, None]), "ill"),
}  # fmt: skip


@pytest.mark.parametrize("code", sorted(PLANTS))
def test_planted_finding_is_found(code):
    plant, column = PLANTS[code]
    found = codes(cohort_of(plant(plain()), target="ill"), column)
    assert code in found


@pytest.mark.parametrize("code", sorted(set(PLANTS) - {"identifier"}))
def test_clean_twin_is_silent(code):
    _, column = PLANTS[code]
    found = codes(cohort_of(plain(), target="ill"), column if column in plain().columns else None)
    assert code not in found


def test_identifier_declared_as_an_input():
    cohort = cohort_of(plain()).declare(columns={"patient_id": {"role": "input"}})
    assert "id-input" in codes(cohort, "patient_id")
    assert "id-input" not in codes(cohort_of(plain()))


@pytest.mark.parametrize(
    ("plant", "column", "unit", "n"),
    [(plant_metres, "height_cm", "m", 50), (plant_fahrenheit, "temp", "°F", 80), (plant_pounds, "weight", "lb", 100)],
)
def test_second_unit_is_named_with_its_rows(plant, column, unit, n):
    table = plant(plain())
    x = table[column].to_numpy()
    other, found = mixed_with(match(column, x), x)
    assert other == unit
    assert abs(found - n) <= 0.05 * n


def test_glucose_in_two_units():
    assert "mixed-units" in codes(cohort_of(plant_mmol(plain())), "glucose")


@pytest.mark.parametrize("seed", range(5))
def test_one_unit_is_not_taken_for_two(seed):
    rng = np.random.default_rng(seed)
    children = np.concatenate([rng.normal(20, 4, 200), rng.normal(75, 12, 200)]).clip(5)
    assert mixed_with(match("weight", children), children) == ("", 0)
    wide = np.exp(rng.normal(4.7, 0.5, 500))
    assert mixed_with(match("glucose", wide), wide) == ("", 0)


def test_sentinels_by_the_company_they_keep():
    def found(values, name="stay"):
        return "sentinel-value" in codes(cohort_of(pl.DataFrame({name: values, "y": list(range(len(values)))})), name)

    assert found([-9, 3, 5, 8, 12, 20, 30, 1, 2, 4] * 20)
    assert found([1, 2, 9, 1, 2] * 40)
    assert not found([1, 2, 3, 4, 5, 6, 7, 8, 9] * 40)
    assert not found([float(v) for v in range(0, 100)] * 3)
    assert not found([-9.0, -3.5, 5, 8, -12, 20, 30] * 20)
    assert not found([90, 95, 97, 99, 98] * 40 + [92, 93])


def test_declared_codes_are_no_news():
    table = pl.DataFrame({"stay": [-9, 3, 5, 8, 12, 20, 30] * 20, "y": list(range(140))})
    cohort = cohort_of(table).declare(columns={"stay": {"options": {"missing_codes": [-9]}}})
    assert "sentinel-value" not in codes(cohort, "stay")
    assert clean(cohort).table["stay"].null_count() == 20


# -- columns that say the same ---------------------------------------------------------------------------------------


def test_recoded_category_is_found_and_a_refined_one_is_not():
    rng = np.random.default_rng(0)
    a = rng.choice(["x", "y", "z"], 300)
    table = pl.DataFrame(
        {
            "a": a,
            "b": [{"x": 3, "y": 1, "z": 2}[v] for v in a],
            "c": [v if i else "w" for i, v in enumerate(a)],
        }
    )
    columns = [Column(n, "category") for n in table.columns]
    assert [(f.column, f.code) for f in near_duplicate_columns(table, columns)] == [("b", "near-duplicate-columns")]


def test_linear_columns_with_missing_cells():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    table = pl.DataFrame(
        {"a": x, "b": np.where(rng.random(300) < 0.3, np.nan, -2 * x + 1), "c": x + rng.normal(size=300) * 0.2}
    )
    columns = [Column(n, "number") for n in table.columns]
    assert [f.column for f in near_duplicate_columns(table, columns)] == ["b"]


def test_few_common_rows_do_not_make_a_duplicate():
    a = [float(i) if i < 150 else None for i in range(300)]
    b = [2.0 * i if i in (3, 77, 149) or i >= 150 else None for i in range(300)]
    table = pl.DataFrame({"a": a, "b": b})
    assert near_duplicate_columns(table, [Column("a", "number"), Column("b", "number")]) == []


# -- cleaning ----------------------------------------------------------------------------------------------------------


def test_clean_empties_impossible_cells_and_writes_each_down():
    table = put(plain(), "glucose", [3, 9, 20], [0.0, 0.0, 99999.0])
    cohort = cohort_of(table)
    cleaned = clean(cohort)
    assert [i for i, v in enumerate(cleaned.table["glucose"]) if v is None] == [3, 9, 20]
    assert sorted(cleaned.refusals["row"].to_list()) == [4, 10, 21]
    assert set(cleaned.refusals["action"]) == {"set missing"}
    assert set(cleaned.refusals["column"]) == {"glucose"}
    assert not cleaned.refusals["reason"].str.contains("99999").any()
    assert cleaned.lineage[-1] == Step("clean", N, N, {"set missing": {"glucose": 3}})
    assert len(cleaned) == len(cohort)
    for name in set(table.columns) - {"glucose"}:
        assert cleaned.table[name].equals(cohort.table[name])


def test_clean_twice_is_clean_once():
    cohort = clean(cohort_of(plant_impossible(plain())))
    assert clean(cohort) is cohort


def test_clean_is_row_wise():
    cohort = cohort_of(plant_impossible(plain()))
    order = np.random.default_rng(0).permutation(N)
    whole = clean(cohort).take(order)
    assert clean(cohort.take(order)).table.equals(whole.table)
    part = cohort.take(order[:17])
    assert clean(part).table.equals(whole.table[:17])


def test_clean_can_be_turned_off_for_a_column():
    cohort = cohort_of(plant_impossible(plain()))
    keep = {**cohort.column("glucose").options, "impossible": "keep", "missing_codes": []}
    kept = clean(cohort.declare(columns={"glucose": {"options": keep}}))
    assert kept.table["glucose"].null_count() == 0
    assert kept.refusals.height == 0


def test_what_was_cleaned_is_still_reported():
    found = [f for f in check(clean(cohort_of(plant_impossible(plain())))) if f.code == "impossible-value"]
    assert sum(f.n for f in found) == 2
    assert all("set missing" in f.message for f in found)


def test_doubtful_units_are_kept_and_said():
    cohort = cohort_of(plant_fahrenheit(plain()))
    assert clean(cohort).refusals.filter(pl.col("column") == "temp").height == 0
    message = next(f.message for f in check(cohort) if f.code == "mixed-units")
    assert "°F" in message


def test_real_zeros(mirror):
    def cleaned(name):
        raw = gzip.decompress((mirror / "clinical" / f"{name}.csv.gz").read_bytes())
        table = pl.read_csv(io.BytesIO(raw), infer_schema_length=None)
        ledger = clean(cohort_of(table)).refusals
        return dict(ledger.group_by("column").len().iter_rows())

    assert cleaned("pima_diabetes") == {"glucose": 5, "pressure": 35, "triceps": 227, "insulin": 374, "mass": 11}
    assert cleaned("heart_switzerland") == {"chol": 123}
    assert cleaned("heart_va") == {"trestbps": 1, "chol": 49}
    assert cleaned("heart_cleveland") == {}
    assert cleaned("ckd_uci") == {"sod": 1, "pot": 2}


def test_real_spellings(mirror):
    raw = gzip.decompress((mirror / "clinical" / "opt.csv.gz").read_bytes())
    table = pl.read_csv(io.BytesIO(raw), infer_schema_length=None)
    assert "level-spelling" in codes(cohort_of(table), "Induced.ab")


# -- the findings themselves --------------------------------------------------------------------------------


def test_every_code_is_documented():
    page = (ROOT / "docs" / "reference" / "findings.md").read_text(encoding="utf-8")
    missing = [code for code in FINDINGS if f"`{code}`" not in page]
    assert missing == []
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, flags=re.M)) == set(FINDINGS)


def test_every_code_in_the_source_is_a_known_one():
    used = set()
    for path in (ROOT / "src" / "osler").rglob("*.py"):
        used |= set(re.findall(r"Finding\(\s*\"([a-z-]+)\"", path.read_text(encoding="utf-8")))
    assert used <= set(FINDINGS)
    assert len(used) >= 25


def test_unknown_code_or_severity_is_refused():
    with pytest.raises(AssertionError):
        Finding("nonsense", "note", "", 0, "x")
    with pytest.raises(AssertionError):
        Finding("constant", "fatal", "", 0, "x")


def test_findings_are_json_and_sorted_by_gravity():
    found = check(cohort_of(plant_impossible(plain()), target="ill"))
    grades = [("stop", "warning", "note").index(f.severity) for f in found]
    assert grades == sorted(grades)
    assert json.loads(json.dumps([f.to_json() for f in found]))[0].keys() == {
        "code", "severity", "column", "n", "message", "advice",
    }  # fmt: skip


def test_no_finding_shows_a_cell():
    table = plain().with_columns(
        pl.Series("note", [f"zq{i:05d}x and some more words here" for i in range(N)]),
        pl.Series("lab", [f"zq{i:05d}x" if i < 20 else str(i) for i in range(N)]),
        pl.Series("ward", [f"zq{i // 3:05d}x" for i in range(N)]),
        pl.Series("marker", [987654.321 if i == 7 else 10.5 + i % 7 for i in range(N)]),
    )
    text = json.dumps([f.to_json() for f in check(cohort_of(table, target="ill"))])
    assert not re.search(r"zq\d{5}x|987654", text)


def test_count():
    assert count(1, "row") == "1 row"
    assert count(1200, "row") == "1,200 rows"


def test_cells_emptied_at_reading_are_reported(tmp_path):
    from osler.cohort.read import read

    rows = [f"{i},{'<5' if i < 4 else 'see note' if i == 9 else i * 1.5}" for i in range(60)]
    path = tmp_path / "labs.csv"
    path.write_text("visit,lab\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = {f.code: f.n for f in check(read(path)) if f.column == "lab"}
    assert (found["below-limit"], found["mixed-types"]) == (4, 1)


def test_a_person_displaced_as_unit_is_no_input():
    table = plain().with_columns(pl.Series("patient_id", [i // 2 for i in range(N)]))
    cohort = cohort_of(table).declare(unit="ward")
    assert (cohort.column("ward").role, cohort.column("patient_id").role) == ("unit", "id")


@pytest.mark.parametrize("modality", ["molecule", "protein"])
def test_molecules_that_never_repeat_are_no_identifiers(modality):
    """The same column as text is one, as its header and its values say."""
    chains = [a + b + c for a in "CNO" for b in ("C", "CC", "N") for c in ("O", "F", "Cl")]
    frame = pl.DataFrame({"sample_id": chains, "y": [i % 2 for i in range(len(chains))]})
    cohort = cohort_of(frame, target="y")
    taken = cohort.declare(columns={"sample_id": {"modality": modality, "role": "input"}})
    as_text = cohort.declare(columns={"sample_id": {"modality": "text", "role": "input"}})
    assert "id-input" not in codes(taken, "sample_id")
    assert "id-input" in codes(as_text, "sample_id")
