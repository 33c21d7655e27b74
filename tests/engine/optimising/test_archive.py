"""Ranks, parents and the Pareto front: by hand, and the front against its definition on random values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from osler.engine.optimising.archive import Archive, front


def row(smiles: str, score: float | None, unmet: int = 0, **more: Any) -> dict[str, Any]:
    """A scored molecule."""
    return {"smiles": smiles, "score": score, "unmet": unmet, **more}


def filled() -> Archive:
    """Five molecules."""
    archive = Archive()
    archive.add([row("A", 1.0, 1), row("B", 0.5), row("C", 0.7), row("D", None), row("E", 0.7)])
    return archive


def both(one: dict[str, Any]) -> list[float]:
    """Two objectives."""
    return [one["x"], one["y"]]


def test_conditions_come_before_the_score_and_no_score_comes_last():
    assert [one["smiles"] for one in filled().ranked()] == ["C", "E", "B", "D", "A"]


def test_places_count_from_one_and_go_on():
    archive = filled()
    archive.add([row("F", 0.1)])
    assert [one["place"] for one in archive.rows] == [1, 2, 3, 4, 5, 6]
    assert "F" in archive
    assert "X" not in archive
    assert len(Archive(archive.rows)) == 6
    assert "F" in Archive(archive.rows)


def test_shares_fall_from_the_best_to_the_worst():
    assert filled().shares(["C", "E", "A", "X"]) == [1.0, 0.75, 0.0, 0.0]
    assert Archive().shares(["X"]) == [0.0]


@pytest.mark.parametrize("seed", range(6))
def test_the_front_is_what_its_definition_says(seed: int):
    rng = np.random.default_rng(seed)
    rows = [row(str(i), 0.0, int(rng.random() < 0.2), x=float(x), y=float(y)) for i, (x, y) in enumerate(rng.integers(0, 12, (60, 2)))]
    inside = [one for one in rows if one["unmet"] == 0]

    def beaten(one: dict[str, Any]) -> bool:
        return any(o["x"] >= one["x"] and o["y"] >= one["y"] and both(o) != both(one) for o in inside)

    expected = {tuple(both(one)) for one in inside if not beaten(one)}
    found = front(rows, both)
    assert {tuple(both(one)) for one in found} == expected
    assert len(found) == len(expected)
    assert [one["x"] for one in found] == sorted((one["x"] for one in found), reverse=True)


def test_no_front_without_a_molecule_that_meets_all():
    assert front([row("A", 1.0, 1, x=1.0, y=1.0), row("B", 1.0, 0, x=float("nan"), y=1.0)], both) == []


def test_parents_are_the_best_with_the_front_among_them():
    archive = Archive()
    archive.add([row(str(i), float(i), x=float(i), y=0.0) for i in range(10)])
    archive.add([row("edge", -5.0, x=-1.0, y=9.0)])
    assert [one["smiles"] for one in archive.parents(4, both, strict=False)] == ["9", "edge", "8", "7"]


def test_molecules_out_of_domain_are_no_parents_unless_there_are_no_others():
    archive = Archive()
    archive.add([row("A", 1.0, 1, x=1.0, y=1.0, h_in_domain=False), row("B", 0.0, 0, x=0.0, y=0.0, h_in_domain=True)])
    assert [one["smiles"] for one in archive.parents(5, both, strict=True)] == ["B"]
    assert len(archive.parents(5, both, strict=False)) == 2
    only = Archive()
    only.add([row("A", 1.0, 1, x=1.0, y=1.0, h_in_domain=False)])
    assert len(only.parents(5, both, strict=True)) == 1
