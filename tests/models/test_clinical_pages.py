"""Every score has its page, and the page says what the code does; scores on real tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from osler import models
from osler.cohort import Cohort, Column

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "models"


@pytest.mark.parametrize("name", sorted(models.SCORES))
def test_the_page_names_inputs_units_reference_and_outcome(name):
    model, page = models.get(name), (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert model.reference in page
    assert model.outcome in page
    for i in model.inputs:
        line = next(line for line in page.splitlines() if line.startswith(f"| {i.name} |"))
        assert ("needed" if i.default is None else "counts as no") in line
        for alias in i.aliases:
            assert alias in line
        for unit in i.units:
            assert unit in line


def test_the_common_page_names_every_score_and_option():
    page = (PAGES / "clinical_scores.md").read_text(encoding="utf-8")
    for name in models.SCORES:
        assert f"[`{name}`]({name}.md)" in page
    for option in models.get("pce").options.__dataclass_fields__:
        assert f"| `{option}` |" in page
    assert "QRISK" in page


def framingham_cohort() -> Cohort:
    """Third examinations of the teaching data, where HDL was measured; sex 1 is male."""
    from osler import catalogue

    raw = catalogue.table("framingham_teaching").filter((pl.col("PERIOD") == 3) & (pl.col("PREVCHD") == 0))
    names = ["SEX", "AGE", "TOTCHOL", "HDLC", "SYSBP", "BPMEDS", "CURSMOKE", "DIABETES", "CVD"]
    booleans = {"BPMEDS", "CURSMOKE", "DIABETES", "CVD"}
    columns = tuple(
        Column(n, "boolean" if n in booleans else "number", "target" if n == "CVD" else "input")
        for n in names
    )
    return Cohort(raw.select(names), columns)


def test_framingham_on_the_teaching_data(mirror):
    """Known for all complete rows; orders events better than chance; men lie above women."""
    cohort, model = framingham_cohort(), models.get("framingham:male=1")
    assert model.applicable(cohort) == []
    risk = model.compute(cohort)
    complete = cohort.table.drop("_row", "CVD").drop_nulls().height
    assert (~np.isnan(risk)).sum() == complete
    known = ~np.isnan(risk)
    event, male = cohort.table["CVD"].to_numpy() == 1, cohort.table["SEX"].to_numpy() == 1
    with_event, without = risk[known & event], risk[known & ~event]
    above = (with_event[:, None] > without[None]).mean()
    assert above > 0.55
    assert np.median(risk[known & male]) > np.median(risk[known & ~male])


def test_without_the_code_of_sex_the_score_is_not_applicable(mirror):
    assert models.get("framingham").applicable(framingham_cohort()) == ["sex"]


def test_bound_columns_and_units_are_kept_as_options(mirror):
    bound = models.get("framingham:male=1").bind(framingham_cohort())
    assert "hdl_cholesterol=HDLC" in bound.options.columns
    assert "total_cholesterol=mg/dL" in bound.options.units
    assert bound.options.male == "1"
    assert np.allclose(
        bound.compute(framingham_cohort()),
        bound.bind(framingham_cohort()).compute(framingham_cohort()),
        equal_nan=True,
    )


def test_scores_are_not_applicable_where_their_columns_are_absent(mirror):
    from osler import catalogue

    frame = catalogue.table("pima_diabetes")
    cohort = Cohort(frame, tuple(Column(c, "number") for c in frame.columns))
    for name in models.SCORES:
        assert models.get(name).applicable(cohort), name
