"""Every instrument of INDEX keeps the contract: it says what it is, runs, repeats itself, changes nothing,
and names no patient."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler import instruments
from osler.cohort import ROW, Cohort, Column
from osler.cohort.column import ROLES
from osler.errors import InputError
from osler.instruments.base import Findings, Instrument

NAMES = sorted(instruments.INDEX)
#: Instruments whose input is more than a table of patients: their own tests run the contract on what they need.
OWN_INPUT = {"dock", "measure", "mesh", "quality"}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    """120 rows of 100 patients: two numbers, a yes-or-no, a class, a target; with missing cells and an
    identifier."""
    rng = np.random.default_rng(3)
    n = 120
    frame = pl.DataFrame(
        {
            "patient": [f"SECRET-{i % 100:03d}" for i in range(n)],
            "note": [f"PRIVATE words of {i}" for i in range(n)],
            "age": rng.normal(60, 10, n).round(1),
            "crp": np.where(rng.random(n) < 0.2, np.nan, np.exp(rng.normal(1, 1, n))),
            "smoker": rng.random(n) < 0.4,
            "stage": rng.choice(["I", "II", "III"], n),
            "died": rng.random(n) < 0.3,
        }
    ).with_columns(pl.col("crp").fill_nan(None))
    meanings = (
        ("patient", "category", "unit"),
        ("note", "text", "input"),
        ("age", "number", "input"),
        ("crp", "number", "input"),
        ("smoker", "boolean", "input"),
        ("stage", "category", "input"),
        ("died", "boolean", "target"),
    )
    return Cohort(frame, tuple(Column(*m) for m in meanings))


@pytest.fixture(params=NAMES)
def tool(request) -> Instrument:
    return instruments.get(request.param)


@pytest.fixture(params=[n for n in NAMES if n not in OWN_INPUT])
def on_patients(request) -> Instrument:
    return instruments.get(request.param)


def test_it_says_what_it_is(tool):
    assert tool.name in instruments.INDEX
    assert tool.summary
    assert not tool.summary.endswith(".")
    assert tool.example.startswith(f"osler {tool.name} ")
    assert tool.needs
    assert tool.gives
    assert tool.references
    assert type(tool).__doc__


def test_every_option_has_a_default_and_help(tool):
    assert is_dataclass(tool.Options)
    for f in fields(tool.Options):
        assert f.metadata.get("help"), f.name
        assert type(getattr(tool.Options(), f.name)) in (str, int, float, bool, tuple), f.name


def test_every_option_is_on_its_page(tool):
    page = (ROOT / "docs" / "reference" / "instruments" / f"{tool.name}.md").read_text(encoding="utf-8")
    for f in fields(tool.Options):
        assert f"`--{f.name.replace('_', '-')}`" in page, f.name
    assert tool.example in page


def test_it_runs_and_gives_a_cohort(on_patients, cohort):
    found = on_patients.run(cohort, on_patients.Options())
    assert isinstance(found, Findings)
    assert ROW in found.cohort.table.columns
    assert all(c.role in ROLES for c in found.cohort.columns)
    assert found.cohort.lineage[-1].name == on_patients.name
    json.dumps(found.facts, allow_nan=False)
    assert all(isinstance(v, str) for v in found.figures.values())


def test_it_repeats_itself_and_leaves_its_input_alone(on_patients, cohort):
    before = cohort.table.clone()
    first, second = (on_patients.run(cohort, on_patients.Options()) for _ in range(2))
    assert first.cohort.table.equals(second.cohort.table, null_equal=True)
    assert first.facts == second.facts
    assert cohort.table.equals(before, null_equal=True)


def test_no_patient_is_named(on_patients, cohort):
    found = on_patients.run(cohort, on_patients.Options())
    told = json.dumps(found.facts) + "".join(found.figures.values())
    assert "SECRET" not in told
    assert "PRIVATE" not in told
    new = [c.name for c in found.cohort.columns if c.name not in {c.name for c in cohort.columns}]
    assert "SECRET" not in str(found.cohort.table.select(new).rows())


def test_an_unknown_column_is_an_input_error(on_patients, cohort):
    options = on_patients.Options(columns=("crpp",))
    with pytest.raises(InputError, match="did you mean 'crp'"):
        on_patients.run(cohort, options)


def test_a_tiny_table_is_refused_or_hidden(on_patients, cohort):
    """Five rows: an input error, or an answer in which every count is hidden; never a count from 1 to 9."""
    tiny = cohort.take(np.arange(5))
    if on_patients.name != "missing":
        with pytest.raises(InputError, match=r"at least|10"):
            on_patients.run(tiny, on_patients.Options())
        return
    told = json.dumps(on_patients.run(tiny, on_patients.Options()).facts["patterns"])
    assert '"n": "<10"' in told
    assert not any(f'"n": "{k}"' in told for k in range(1, 10))


def test_the_shape_of_all_names():
    assert all(name.isidentifier() and name == name.lower() for name in NAMES)
