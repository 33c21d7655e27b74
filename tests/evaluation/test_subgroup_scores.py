"""Subgroups: every metric by level, small cells hidden, and no hidden level to be had by subtraction."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler.evaluation.scores import value_only
from osler.evaluation.subgroups import against_rest, events, subgroups
from osler.tasks.base import Prediction, Target


def rows(
    sizes: dict[str, int], rng: np.random.Generator, share: float = 0.5
) -> tuple[Target, Prediction, list[str]]:
    """A binary target with levels of these sizes; each level has the share of events."""
    labels = [name for name, n in sizes.items() for _ in range(n)]
    y = np.concatenate([(np.arange(n) < round(n * share)).astype(int) for n in sizes.values()])
    p = np.clip(0.3 * y + 0.6 * rng.random(len(y)), 0.01, 0.99)
    target = Target("binary", ("t",), y, classes=("n", "p"))
    return target, Prediction(np.column_stack([1 - p, p])), labels


def by_name(found: list[dict]) -> dict[str, dict]:
    """Level → entry."""
    return {entry["group"]: entry for entry in found}


def test_each_level_has_the_scores_of_its_rows(rng):
    target, prediction, labels = rows({"f": 60, "m": 40}, rng)
    found = subgroups(target, prediction, labels, None, rng, n_boot=50)
    assert [e["group"] for e in found] == ["f", "m"]
    inside = np.array(labels) == "m"
    expected = value_only(target.take(inside), prediction.take(inside))
    assert by_name(found)["m"]["scores"]["auroc"]["value"] == pytest.approx(expected["auroc"])
    assert by_name(found)["m"]["n"] == 40
    assert by_name(found)["m"]["events"] == 20
    json.dumps(found, allow_nan=False)


def test_differences_of_two_levels_mirror_each_other(rng):
    target, prediction, labels = rows({"f": 60, "m": 40}, rng)
    found = by_name(subgroups(target, prediction, labels, None, rng, n_boot=50))
    a, b = (found[k]["difference"]["brier"] for k in "fm")
    assert a["value"] == pytest.approx(-b["value"])
    assert a["low"] <= a["value"] <= a["high"]


def test_small_levels_are_hidden_with_another_so_that_totals_tell_nothing(rng):
    target, prediction, labels = rows({"big": 80, "middle": 40, "tiny": 6}, rng)
    found = by_name(subgroups(target, prediction, labels, None, rng, n_boot=20))
    assert found["tiny"] == {"group": "tiny", "hidden": "fewer than 10 rows"}
    assert found["middle"]["hidden"].startswith("hidden so that the totals")
    assert set(found["middle"]) == {"group", "hidden"}
    assert found["big"]["hidden"] == ""


def test_few_events_or_few_without_hide_a_level_too(rng):
    target, prediction, labels = rows({"a": 100, "b": 100, "rare": 100}, rng)
    y = target.y.copy()
    inside = np.array(labels) == "rare"
    y[inside] = 0
    y[np.flatnonzero(inside)[:4]] = 1
    target = Target("binary", ("t",), y, classes=("n", "p"))
    found = by_name(subgroups(target, prediction, labels, None, rng, n_boot=20))
    assert found["rare"]["hidden"] == "fewer than 10 events"
    y[inside] = 1 - y[inside]
    target = Target("binary", ("t",), y, classes=("n", "p"))
    found = by_name(subgroups(target, prediction, labels, None, rng, n_boot=20))
    assert found["rare"]["hidden"] == "fewer than 10 rows without event"


def test_many_rows_of_few_patients_are_a_small_cell(rng):
    target, prediction, labels = rows({"a": 60, "b": 60, "few": 60}, rng)
    groups = np.arange(180)
    groups[120:] = 120 + np.arange(60) % 3
    found = by_name(subgroups(target, prediction, labels, groups, rng, n_boot=20))
    assert found["few"]["hidden"] == "fewer than 10 units"


def test_two_tiny_levels_that_sum_below_ten_take_a_third_with_them(rng):
    target, prediction, labels = rows({"a": 80, "b": 40, "c": 4, "d": 4}, rng)
    found = by_name(subgroups(target, prediction, labels, None, rng, n_boot=20))
    assert found["b"]["hidden"]
    assert not found["a"]["hidden"]


def test_hidden_entries_hold_no_counts_whatever_the_sizes(rng):
    for seed in range(20):
        sizes = {f"g{i}": int(n) for i, n in enumerate(np.random.default_rng(seed).integers(2, 60, 5))}
        target, prediction, labels = rows(sizes, rng)
        found = subgroups(target, prediction, labels, None, rng, n_boot=5)
        hidden = [e for e in found if e["hidden"]]
        assert all(set(e) == {"group", "hidden"} for e in hidden)
        assert len(hidden) != 1
        for e in found:
            if not e["hidden"]:
                assert min(e["n"], e["units"], e["events"], e["n"] - e["events"]) >= 10
        total = sum(sizes[e["group"]] for e in hidden)
        assert not hidden or total >= 10


def test_a_missing_level_is_a_level_of_its_own(rng):
    target, prediction, labels = rows({"a": 60, "b": 60}, rng)
    gone = [None if i % 2 else v for i, v in enumerate(labels)]
    assert "(missing)" in by_name(subgroups(target, prediction, gone, None, rng, n_boot=5))


def test_one_level_has_nothing_to_differ_from(rng):
    target, prediction, labels = rows({"a": 60}, rng)
    assert "difference" not in subgroups(target, prediction, labels, None, rng, n_boot=5)[0]


def test_a_planted_difference_is_found_and_none_is_invented(rng):
    target, prediction, labels = rows({"a": 300, "b": 300}, rng)
    value = prediction.value.copy()
    inside = np.array(labels) == "b"
    value[inside, 1] = rng.random(300)
    value[:, 0] = 1 - value[:, 1]
    found = against_rest(target, Prediction(value), inside, None, rng, n_boot=200)["auroc"]
    assert found["high"] < -0.1
    same = against_rest(target, prediction, inside, None, rng, n_boot=200)["auroc"]
    assert same["low"] < 0 < same["high"]


def test_numbers_have_no_events(rng):
    target = Target("regression", ("t",), rng.normal(size=40))
    assert events(target) is None
    found = subgroups(target, Prediction(rng.normal(size=(40, 1))), ["a", "b"] * 20, None, rng, n_boot=20)
    assert found[0]["events"] is None
    assert found[0]["scores"]["mae"]["n"] == 20
