"""Inference: every rule on a small column made for it, and the real tables as a person would read them."""

from __future__ import annotations

import gzip
import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.cohort import physiology
from osler.cohort.column import ROLES, ROW
from osler.cohort.dates import formats_of, parse
from osler.cohort.facts import facts_of
from osler.cohort.infer import MISSING_WORDS, infer, is_missing_word
from osler.cohort.names import unit_of, words

MODALITIES = {"number", "category", "boolean", "date", "text"}


def one(values, name="x", **extra):
    """The inferred column of one list of values (40 rows or what is given)."""
    table = pl.DataFrame({name: values, **extra})
    columns, _ = infer(table)
    return columns[0]


def read(mirror, name):
    """A real table as the reader would type it."""
    raw = gzip.decompress((mirror / "clinical" / f"{name}.csv.gz").read_bytes())
    return pl.read_csv(
        io.BytesIO(raw), infer_schema_length=None, null_values=["", "?", "NA", "."], encoding="utf8-lossy"
    )


def by_name(table):
    """Inferred columns by header."""
    return {c.name: c for c in infer(table)[0]}


# -- modality --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "name", "modality"),
    [
        ([0, 1, 1, 0] * 10, "x", "boolean"),
        ([0.0, 1.0, None, 0.0] * 10, "x", "boolean"),
        ([True, False] * 20, "x", "boolean"),
        (["yes", "No ", "n", "Y"] * 10, "x", "boolean"),
        (["yes", "unknown", "no", "?"] * 10, "x", "boolean"),
        (["M", "F", "F", "M"] * 10, "sex", "category"),
        ([1, 2, 3, 4] * 10, "cp", "category"),
        ([1.0, 2.0, 3.0, 4.0] * 10, "cp", "category"),
        ([1, 2, 3, 4] * 4, "cp", "number"),
        ([1, 2, 3, 4] * 10, "stage", "number"),
        ([1, 2, 3, 4] * 10, "Killip class", "number"),
        ([1, 2, 3, 4] * 10, "number_of_children", "number"),
        ([1, 2, 3, 4, 5, 6, 7] * 6, "x", "number"),
        ([0.0, 0.5, 1.0, 0.5] * 10, "edema", "number"),
        (["0042", "0017", "1234", "0042"] * 10, "x", "category"),
        ([4280, 25000, 4019, 5849, 41401, 42731, 53081, 2724] * 5, "icd9_code", "category"),
        ([1, 2, 5, 7, 8, 3, 25, 6] * 5, "admission_type_id", "category"),
        (["1.5", "2.5", "3.75", "4"] * 10, "x", "number"),
        (["1,5", "2,5", "3,75", "4"] * 10, "x", "number"),
        ([*["1.5", "2.5", "3.75"] * 12, "<0.5"], "x", "number"),
        (["2020-01-31", "2021-02-28", None, "2020-07-01"] * 10, "x", "date"),
        (["31/01/2020", "28/02/2021", "01/07/2020"] * 10, "x", "date"),
        ([20200131, 20210228, 20200701, 20190505] * 10, "x", "date"),
        (["red", "green", "blue", None] * 10, "x", "category"),
        ([f"the patient number {i} came with a cough" for i in range(40)], "note", "text"),
    ],
)
def test_modality(values, name, modality):
    column = one(values, name)
    assert column.modality == modality
    assert column.reason


def test_numbers_with_a_decimal_comma_say_so():
    assert one(["1,5", "2,5", "3,75", "4,25"] * 10).options["decimal"] == ","
    assert "decimal" not in one(["1.5", "2.5", "3.75", "4.25"] * 10).options


def test_words_for_missing_are_not_values():
    column = one(["?", "NA", "n/a", ".", "-", "Unknown"] * 5)
    assert (column.role, column.reason) == ("ignore", "every value is missing")
    assert "none" not in MISSING_WORDS
    assert one(["None", "Norm", ">7", ">8"] * 10).modality == "category"
    assert facts_of(pl.Series(["None", "Norm", "?"])).distinct == 2


def test_is_missing_word_ignores_case_and_spaces():
    values = pl.Series([" na ", "N/A", "nano", None, ""])
    assert is_missing_word(values).to_list() == [True, True, False, False, True]


# -- role ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["id", "patient_id", "mrn", "RANDID", "pidnum", "encounter_id", "PharmGKB Subject ID"])
def test_unique_identifiers(name):
    column = one([1000 + 7 * i for i in range(40)], name)
    assert column.role == "id"


@pytest.mark.parametrize("name", ["patient_id", "RANDID", "Subject", "patientId", "patient_nbr", "id", "pid"])
def test_repeated_person_is_the_unit(name):
    column = one([1000 + i // 2 for i in range(40)], name)
    assert column.role == "unit"
    assert "20" in column.reason


@pytest.mark.parametrize("name", ["uric_acid", "steroid", "opioid", "bid", "covid", "thyroid"])
def test_words_that_end_in_id_are_no_identifiers(name):
    rng = np.random.default_rng(1)
    assert one(rng.integers(10, 900, 200).tolist(), name).role == "input"


@pytest.mark.parametrize("name", ["labid", "treatmentid", "physicalexamid", "pmid"])
def test_words_joined_with_id_are_identifiers(name):
    rng = np.random.default_rng(1)
    assert one(rng.permutation(5000)[:200].tolist(), name).role == "id"


def test_running_number_without_a_telling_header():
    assert one(list(range(1, 41)), "obs").role == "id"
    assert one(list(range(1, 41)), "day").role == "input"
    assert one([i * 2 for i in range(40)], "obs").role == "input"


def test_codes_that_never_repeat():
    assert one([f"NCT{i:08d}" for i in range(40)], "x").role == "id"


def test_person_before_visit():
    table = pl.DataFrame(
        {
            "hadm_id": [100 + i // 2 for i in range(60)],
            "subject_id": [i // 3 for i in range(60)],
            "x": np.random.default_rng(0).normal(size=60),
        }
    )
    columns = by_name(table)
    assert columns["subject_id"].role == "unit"
    assert columns["hadm_id"].role == "id"


def test_only_repeating_identifier_keeps_its_rows_together():
    assert one([5000 + i // 4 for i in range(80)], "pmid").role == "unit"


def test_constants_and_empty_columns_are_ignored():
    assert one([3.0] * 40).role == "ignore"
    assert "constant" in one([3.0, None] * 20).reason
    assert one([None] * 40).role == "ignore"


def test_direct_identifiers_are_no_inputs():
    for name in ("surname", "Patient Name", "e-mail", "phone"):
        assert one([f"a{i} b" for i in range(40)], name).role == "id", name


def test_sites():
    assert one(["NY", "KY", "MN", "MS"] * 10, "Clinic").role == "site"
    assert one(["A1", "A2", "B1", "C4"] * 10, "site").role == "site"
    assert one(["breast", "lung", "colon of the left", "skin"] * 10, "site").role == "input"


def test_dates_and_time():
    days = [f"2020-{1 + i % 12:02d}-11" for i in range(40)]
    table = pl.DataFrame({"dob": days, "admittime": days[::-1], "deathtime": days, "visit_date": days})
    columns = by_name(table)
    assert columns["dob"].role == "input"
    assert columns["admittime"].role == "time"
    assert columns["deathtime"].role == "ignore"
    assert columns["visit_date"].role == "ignore"
    assert "admittime" in columns["visit_date"].reason


def test_row_column_is_passed_over_and_order_kept():
    table = pl.DataFrame({"b": [1.5, 2.5], ROW: [1, 2], "a": [0.1, 0.2]})
    assert [c.name for c in infer(table)[0]] == ["b", "a"]


def test_no_rows_and_no_columns():
    assert infer(pl.DataFrame()) == ([], [])
    assert infer(pl.DataFrame({"a": pl.Series([], dtype=pl.Float64)}))[0][0].role == "ignore"


# -- headers, units, dates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "name", "unit"),
    [
        ("chol_mg_dl", "chol", "mg/dL"),
        ("weight (kg)", "weight", "kg"),
        ("Hb [g/dL]", "Hb", "g/dL"),
        ("Height (cm)", "Height", "cm"),
        ("creatinine_umol_l", "creatinine", "µmol/L"),
        ("Temp (°F)", "Temp", "°F"),
        ("age_years", "age", "years"),
        ("vitamin_c", "vitamin_c", ""),
        ("score (total)", "score (total)", ""),
        ("kg", "kg", ""),
    ],
)
def test_units_in_headers(header, name, unit):
    assert unit_of(header) == (name, unit)


def test_unit_is_written_into_the_column():
    column = one(np.random.default_rng(0).normal(75, 12, 60).tolist(), "weight (kg)")
    assert column.unit == "kg"


def test_words_of_headers():
    assert words("BL.Diab.Type") == ("bl", "diab", "type")
    assert words("patientId") == ("patient", "id")
    assert words("TOTCHOL") == ("totchol",)


def test_day_first_or_month_first_is_told_by_the_values():
    assert formats_of(pl.Series(["31/01/2020", "05/06/2020"])) == (["%d/%m/%Y"], False)
    assert formats_of(pl.Series(["01/31/2020", "05/06/2020"])) == (["%m/%d/%Y"], False)
    assert formats_of(pl.Series(["01/02/2020", "05/06/2020"])) == (["%d/%m/%Y"], True)


def test_dates_outside_care_are_not_read():
    read_ = parse(pl.Series(["1020-01-01", "2020-01-01", "9999-12-31"]), ["%Y-%m-%d"])
    assert read_.is_null().to_list() == [True, False, True]


def test_parse_is_row_wise():
    values = pl.Series(["01/02/2020", "31/01/2020", None, "x"])
    whole = parse(values, ["%d/%m/%Y"])
    for i in range(4):
        assert parse(values[i : i + 1], ["%d/%m/%Y"])[0] == whole[i]


# -- clinical knowledge --------------------------------------------------------------------------------------------


def test_ranges_are_in_order_and_plausible_is_inside_possible():
    for q in physiology.QUANTITIES:
        assert q.possible[0] <= q.plausible[0] < q.plausible[1] <= q.possible[1], q.name
        for unit in q.units:
            low, high = q.range_in(unit)
            assert low < high, (q.name, unit)
    assert len(physiology.QUANTITIES) >= 60


def test_conversion_by_hand():
    chol = next(q for q in physiology.QUANTITIES if q.name == "total cholesterol")
    assert chol.range_in("mmol/L") == (pytest.approx(20 / 38.67, rel=1e-3), pytest.approx(2500 / 38.67, rel=1e-3))
    temp = next(q for q in physiology.QUANTITIES if q.name == "body temperature")
    assert temp.range_in("°F") == (pytest.approx(13 * 1.8 + 32), pytest.approx(47 * 1.8 + 32, rel=1e-3))
    hba1c = next(q for q in physiology.QUANTITIES if q.name == "HbA1c")
    factor, offset = hba1c.units["mmol/mol"]
    assert factor * 53 + offset == pytest.approx(7.0, abs=0.01)


@pytest.mark.parametrize(
    ("header", "centre", "spread", "quantity", "unit"),
    [
        ("chol", 240, 50, "total cholesterol", "mg/dL"),
        ("TOTCHOL", 5.2, 1.0, "total cholesterol", "mmol/L"),
        ("Serum creatinine", 90, 25, "creatinine", "µmol/L"),
        ("trestbps", 130, 17, "systolic blood pressure", "mmHg"),
        ("temp", 98.4, 0.9, "body temperature", "°F"),
        ("baseline_temp", 37.0, 0.5, "body temperature", "°C"),
        ("Hb [g/dL]", 13, 2, "haemoglobin", "g/dL"),
        ("hemo", 130, 20, "haemoglobin", "g/L"),
        ("mass", 32, 6, "body mass index", "kg/m²"),
        ("wt71", 72, 14, "body weight", "kg"),
        ("GLUCOSE", 5.5, 1.0, "glucose", "mmol/L"),
    ],
)
def test_quantity_and_unit(header, centre, spread, quantity, unit):
    x = np.random.default_rng(3).normal(centre, spread, 300).clip(centre / 3)
    found = physiology.match(header, x)
    assert found is not None
    assert (found.quantity.name, found.unit) == (quantity, unit)


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("bmi", np.random.default_rng(0).normal(0, 1, 300)),
        ("hemo", np.array([1.0, 2.0] * 50)),
        ("BL.CR", np.random.default_rng(0).exponential(5, 300)),
        ("wt82_71", np.random.default_rng(0).normal(2.6, 8, 300)),
        ("chol_change", np.random.default_rng(0).normal(5, 20, 300)),
        ("cardiac", np.array([1.0, 2.0] * 50)),
    ],
)
def test_what_only_looks_like_a_quantity(header, values):
    assert physiology.match(header, values) is None


def test_header_unit_wins_over_the_values():
    x = np.random.default_rng(0).normal(170, 10, 100)
    assert physiology.match("height (cm)", x).unit == "cm"


def test_zeros_stand_for_missing_only_where_zero_cannot_be():
    values = [0.0, 0.0, *np.random.default_rng(0).normal(220, 40, 100).round()]
    column = one(values, "chol")
    assert column.options["missing_codes"] == [0.0]
    assert column.options["possible"] == [20.0, 2500.0]
    assert "0 cannot be" in column.reason
    assert "missing_codes" not in one([0.0, *np.random.default_rng(0).uniform(1, 90, 100)], "crp").options


def test_doubtful_unit_changes_nothing():
    x = np.concatenate([np.random.default_rng(0).normal(37, 0.4, 100), np.random.default_rng(0).normal(98.6, 0.7, 40)])
    assert one(x.tolist(), "temp").options["impossible"] == "keep"


# -- real tables ----------------------------------------------------------------------------------------------------


def test_cleveland(mirror):
    columns = by_name(read(mirror, "heart_cleveland"))
    expected = {
        "age": "number", "sex": "boolean", "cp": "category", "trestbps": "number", "chol": "number", "fbs": "boolean",
        "restecg": "category", "thalach": "number", "exang": "boolean", "oldpeak": "number", "slope": "category",
        "ca": "category", "thal": "category", "num": "category",
    }  # fmt: skip
    assert {n: c.modality for n, c in columns.items()} == expected
    assert {c.role for c in columns.values()} == {"input"}


def test_units_of_real_tables(mirror):
    expected = {
        "framingham_teaching": "RANDID", "diabetes130": "patient_nbr", "colon": "id", "remifentanil": "Subject",
        "mimic3demo_admissions": "subject_id", "covid_testing": "subject_id",
        "breast_cancer_wisconsin_original": "sample_code",
    }  # fmt: skip
    for name, unit in expected.items():
        columns = infer(read(mirror, name))[0]
        assert [c.name for c in columns if c.role == "unit"] == [unit], name
    for name, identifier in {"gbsg": "pid", "pbc": "id", "actg175": "pidnum", "opt": "PID"}.items():
        assert by_name(read(mirror, name))[identifier].role == "id", name


def test_zeros_of_real_tables(mirror):
    pima = by_name(read(mirror, "pima_diabetes"))
    zeros = {n for n, c in pima.items() if c.options.get("missing_codes") == [0.0]}
    assert zeros == {"glucose", "pressure", "triceps", "insulin", "mass"}
    va = by_name(read(mirror, "heart_va"))
    assert {n for n, c in va.items() if c.options.get("missing_codes")} == {"trestbps", "chol"}
    swiss = by_name(read(mirror, "heart_switzerland"))
    assert swiss["chol"].role == "ignore"
    assert "never measured" in swiss["chol"].reason
    for name in ("actg175", "opt", "nhefs", "framingham_teaching", "rotterdam", "twins"):
        assert not [n for n, c in by_name(read(mirror, name)).items() if c.options.get("missing_codes")], name


def test_every_real_table_is_read_without_failing(mirror):
    for path in sorted((mirror / "clinical").glob("*.csv.gz")):
        columns, _ = infer(read(mirror, path.name.removesuffix(".csv.gz")).head(3000))
        assert all(c.modality in MODALITIES and c.role in ROLES and c.reason for c in columns), path.name


# -- anything -------------------------------------------------------------------------------------------------------

CELLS = st.one_of(
    st.lists(st.one_of(st.none(), st.text(max_size=8)), min_size=1, max_size=40),
    st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=40),
    st.lists(st.one_of(st.none(), st.integers(-(2**60), 2**60)), min_size=1, max_size=40),
    st.lists(st.one_of(st.none(), st.dates()), min_size=1, max_size=40),
    st.lists(st.one_of(st.none(), st.lists(st.integers(0, 3))), min_size=1, max_size=40),
)


@given(values=CELLS, name=st.text(min_size=1, max_size=12))
def test_any_column_gets_a_meaning(values, name):
    columns, _ = infer(pl.DataFrame({name: values}, strict=False)) if name != ROW else ([], [])
    for column in columns:
        assert column.modality in MODALITIES
        assert column.reason


@given(order=st.permutations(list(range(30))))
def test_the_order_of_rows_does_not_matter(order):
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "patient_id": [i // 2 for i in range(30)],
            "chol": rng.normal(220, 40, 30).round(),
            "cp": rng.integers(1, 5, 30),
            "sex": rng.choice(["M", "F"], 30),
            "when": [f"2020-{1 + i % 12:02d}-15" for i in range(30)],
        }
    )
    assert infer(table[order])[0] == infer(table)[0]
