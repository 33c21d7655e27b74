"""What an optimisation writes down can be held against the runs: every number again, every parent known, every total right."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from osler.engine.optimising.archive import front
from osler.engine.optimising.judging import Judging
from osler.engine.optimising.optimise import Optimised, optimise
from osler.engine.optimising.options import OptimiseOptions
from tests.engine.optimising.judges import committee
from tests.engine.screening.molecules import predictor

pytest.importorskip("rdkit")
LEAD = "CCCCCCCCc1ccccc1O"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> OptimiseOptions:
    """Two runs, two aims, a condition, a band, a domain."""
    folder = tmp_path_factory.mktemp("runs")
    runs = (str(predictor().save(folder / "size")), str(committee().save(folder / "ring")))
    return OptimiseOptions(
        run=runs, minimise=("size_pred:30:5",), maximise=("ring_prob_1:0:1",), want=("weight<400",), keep=("logp:3",), lead=LEAD,
        domain="penalise", budget=60, batch=25, population=20, show=7, keep_similar=0.2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(asked: OptimiseOptions, tmp_path_factory: pytest.TempPathFactory) -> Optimised:
    """One search for all tests."""
    return optimise(tmp_path_factory.mktemp("out") / "o", asked)


def rows(found: Optimised, name: str) -> list[dict[str, str]]:
    """A table as text."""
    with (found.folder / name).open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def test_every_number_is_the_runs_own(found: Optimised, asked: OptimiseOptions):
    judging = Judging(asked)
    told = rows(found, "scored.csv")
    again = [judging.judged(row) for row in judging.rows([row["smiles"] for row in told])]
    for before, after in zip(told, again, strict=True):
        for name in ("size_pred", "size_high", "ring_prob_1", "size_pred_cautious", "ring_prob_1_cautious", "score", "sa", "similarity"):
            assert float(before[name]) == pytest.approx(after[name], rel=1e-9), name
        assert int(before["unmet"]) == after["unmet"]
        assert before["size_in_domain"] == str(after["size_in_domain"]).lower()


def test_every_parent_was_scored_before_its_child(found: Optimised):
    seen: set[str] = set()
    for row in rows(found, "scored.csv"):
        assert not row["parent"] or row["parent"] in seen
        seen.add(row["smiles"])


def test_totals_are_those_of_the_table(found: Optimised):
    told, facts = rows(found, "scored.csv"), found.facts
    assert facts["scored"] == len(told) == sum(facts["scored_by_method"].values()) == 60
    assert facts["meet_every_condition"] == sum(row["unmet"] == "0" for row in told)
    assert facts["rounds"] == 1 + max(int(row["round"]) for row in told)
    assert facts["front"] == len(rows(found, "front.csv")) == len(found.front)
    assert len(rows(found, "best.csv")) == 7


def test_the_written_front_is_the_front_of_the_table(found: Optimised, asked: OptimiseOptions):
    judging = Judging(asked)
    table = [judging.judged(row) for row in judging.rows([row["smiles"] for row in rows(found, "scored.csv")])]
    expected = {row["smiles"] for row in front(table, judging.objectives)}
    assert {row["smiles"] for row in rows(found, "front.csv")} == expected
    assert judging.axes == found.facts["axes"] == ["ring_prob_1_cautious", "size_pred_cautious", "similarity"]


def test_the_record_is_whole_json_with_every_option_and_condition(found: Optimised, asked: OptimiseOptions):
    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} in the record")

    facts = json.loads((found.folder / "optimise.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert facts["options"]["keep_similar"] == asked.keep_similar
    assert facts["conditions"][0] == "weight<400"
    assert {"size_in_domain=true", "ring_in_domain=true"} <= set(facts["conditions"])
    assert sum(condition.startswith("logp") for condition in facts["conditions"]) == 2
    assert len(facts["runs"]) == 2
    assert all(len(mark) == 64 for mark in facts["runs"])
    assert set(facts["caution"]) == {"size_pred", "ring_prob_1"}


def test_nobody_else_may_read_what_was_found(found: Optimised):
    assert found.folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in found.folder.iterdir())


def test_a_larger_budget_goes_on_from_the_same_beginning(found: Optimised, asked: OptimiseOptions, tmp_path: Path):
    more = OptimiseOptions(**{**{k: getattr(asked, k) for k in asked.__dataclass_fields__}, "budget": 80})
    longer = rows(optimise(tmp_path / "o", more), "scored.csv")
    first = [row["smiles"] for row in rows(found, "scored.csv")][:51]
    assert [row["smiles"] for row in longer][:51] == first
    assert len(longer) == 80
