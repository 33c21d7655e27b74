"""Drift, sample size, learning curves and other people's tables: values by hand, refusals, relations that must hold."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.errors import ColumnError, OptionError, TargetError
from osler.evaluation import drift, sample_size
from osler.evaluation.found import Asked, columns_of
from osler.evaluation.learning_curve import learning_curve, power_law, sentence

# -- drift ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [([10, 10], [10, 10], 0.0), ([0, 0], [0, 0], 0.0), ([9.5, 0], [0, 9.5], 19 / 10.5 * np.log(20))],
)
def test_stability_index_by_hand(first: list, second: list, value: float) -> None:
    a, b = np.array(first, dtype=float), np.array(second, dtype=float)
    assert drift.psi(a, b) == pytest.approx(value, rel=1e-9)
    assert drift.psi(b, a) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "bits"), [([5, 5], [1, 1], 0.0), ([3, 0], [0, 7], 1.0), ([1, 1], [2, 0], 0.3112781)]
)
def test_jensen_shannon_in_bits(first: list, second: list, bits: float) -> None:
    assert drift.jensen_shannon(np.array(first), np.array(second)) == pytest.approx(bits, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "word"), [(0.0, "stable"), (0.0999, "stable"), (0.1, "moderate"), (0.25, "large"), (3.0, "large")]
)
def test_reading_of_an_index(value: float, word: str) -> None:
    assert drift.verdict(value) == word


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pl.Series([1, 2, 1, 2] * 10), pl.Series([1.0, 2.0, 1.0, 2.0] * 10)),
        (pl.Series(["a", "b"] * 20), pl.Series([" a", "b "] * 20)),
        (pl.Series([1.0, None] * 20), pl.Series([1, None] * 20)),
    ],
)
def test_another_spelling_of_the_same_level_is_no_drift(before: pl.Series, after: pl.Series) -> None:
    found = drift.level_drift(before, after)
    assert found["psi"] == pytest.approx(0.0, abs=1e-12)
    assert (found["verdict"], found["new_levels"]) == ("stable", 0)


def test_a_new_level_and_new_gaps_are_seen() -> None:
    found = drift.level_drift(pl.Series(["a"] * 20 + ["b"] * 20), pl.Series(["c"] * 30 + [None] * 10))
    assert (found["new_levels"], found["verdict"]) == (1, "large")
    assert (found["missing_before"], found["missing_after"]) == (0.0, 0.25)
    assert found["missing_p"] < 0.01


# -- sample size ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda: sample_size.binary(0, 0.1, 0.1),
        lambda: sample_size.binary(5, 0.0, 0.1),
        lambda: sample_size.binary(5, 0.1, 0.95),
        lambda: sample_size.survival(0, 0.1, 2, 5, 0.1),
        lambda: sample_size.survival(5, -0.1, 2, 5, 0.1),
        lambda: sample_size.number(0, 0.3),
        lambda: sample_size.number(5, 1.0),
        lambda: sample_size.r2_from_auroc(0.4, 0.1),
        lambda: sample_size.r2_from_auroc(0.7, 0.0),
        lambda: sample_size.r2_from_auroc(0.7, 1.0),
    ],
)
def test_sample_sizes_of_nothing_are_refused(ask) -> None:
    with pytest.raises(OptionError):
        ask()


@given(st.integers(1, 40), st.floats(0.05, 0.5), st.floats(0.02, 0.2))
def test_more_candidates_need_more_people(parameters: int, prevalence: float, r2: float) -> None:
    few, many = (sample_size.binary(k, prevalence, r2)["n"] for k in (parameters, parameters + 5))
    assert few <= many
    got = sample_size.expected_shrinkage(int(np.ceil(sample_size.for_shrinkage(parameters, r2))), parameters, r2)
    assert got >= sample_size.SHRINKAGE - 1e-6


def test_judging_a_sample() -> None:
    needed = sample_size.binary(10, 0.2, 0.1)
    assert "enough" in sample_size.judge(needed["n"], needed)
    assert "too few" in sample_size.judge(needed["n"] - 1, needed)
    assert sample_size.r2_from_auroc(0.5, 0.3) == pytest.approx(0.0, abs=1e-9)


# -- learning curves -----------------------------------------------------------------------------------------


def test_a_power_law_is_found_again() -> None:
    n = np.array([20.0, 40, 80, 160, 320])
    law = power_law(n, 0.8 - 0.9 * n**-0.5)
    assert (law["limit"], law["rate"]) == pytest.approx((0.8, 0.5), abs=1e-6)
    assert law["at_double"] == pytest.approx(0.8 - 0.9 * 640**-0.5)
    assert "would help" in sentence(law, 320, law["now"], 0.0)
    assert "would help little" in sentence(law, 320, law["now"], 0.2)
    flat = power_law(n, 0.8 + 0.9 * n**-0.5)
    assert flat["limit"] is None
    assert "not help" in sentence(flat, 320, 0.8, 0.0)


def test_learning_curve_uses_whole_units_and_refuses_few() -> None:
    groups = np.repeat(np.arange(30), 2)

    def fit(train: np.ndarray, test: np.ndarray, rng: np.random.Generator) -> float:
        assert not set(groups[train]) & set(groups[test])
        assert len(test) == 12
        return float(len(train))

    found = learning_curve(fit, groups, np.random.default_rng(0), repeats=2)
    assert found["mean"] == [2.0 * u for u in found["units"]]
    with pytest.raises(TargetError):
        learning_curve(fit, np.arange(19), np.random.default_rng(0))


# -- tables of other people's predictions --------------------------------------------------------------------


def table(*names: str) -> pl.DataFrame:
    return pl.DataFrame({n: ["a", "b", "c"] if n in ("patient_id", "sex") else [0.1, 0.5, 1.0] for n in names})


@pytest.mark.parametrize(
    ("names", "asked", "y", "models", "unit"),
    [
        (("y", "p"), Asked(), "y", {"p": ("p",)}, None),
        (("y_true", "y_score", "patient_id"), Asked(), "y_true", {"y_score": ("y_score",)}, "patient_id"),
        (
            ("ill", "ill_prob_no", "ill_prob_yes"),
            Asked(),
            "ill",
            {"predictions": ("ill_prob_no", "ill_prob_yes")},
            None,
        ),
        (("ill", "ill_pred"), Asked(), "ill", {"ill_pred": ("ill_pred",)}, None),
        (("a", "b", "c"), Asked(y="a", p=("b", "c")), "a", {"b": ("b",), "c": ("c",)}, None),
        (("a", "b"), Asked(y="a"), "a", {"b": ("b",)}, None),
        (("Y True", "Risk"), Asked(), "Y True", {"Risk": ("Risk",)}, None),
    ],
)
def test_what_columns_were_taken_for(names, asked, y, models, unit) -> None:
    roles = columns_of(table(*names), asked)
    assert (roles.y, roles.models, roles.unit) == (y, models, unit)
    assert roles.to_json()["truth"] == y


@pytest.mark.parametrize(
    ("names", "asked", "error"),
    [
        (("y", "p"), Asked(y="z"), ColumnError),
        (("y", "p"), Asked(p=("q",)), ColumnError),
        (("y", "label", "p"), Asked(), TargetError),
        (("a", "p"), Asked(), TargetError),
        (("y", "a", "b"), Asked(), ColumnError),
        (("y", "sex"), Asked(), ColumnError),
        (("y", "p", "t"), Asked(duration="t"), ColumnError),
    ],
)
def test_tables_that_cannot_be_told(names, asked, error) -> None:
    with pytest.raises(error):
        columns_of(table(*names), asked)


def test_survival_tables_have_no_single_truth() -> None:
    roles = columns_of(table("duration", "event", "risk", "sex"), Asked())
    assert (roles.y, roles.duration, roles.event, roles.by) == ("", "duration", "event", ("sex",))
