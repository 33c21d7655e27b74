"""The checklist has the published numbering, is never invented, and keeps the user's answers."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from osler.errors import OptionError, ReadError
from osler.report import tripod
from osler.report.answers import read_answers, write_questions
from osler.report.build import build
from osler.report.items import ITEMS, questions
from osler.report.material import Material
from osler.report.probast import ANSWERS, judge
from osler.report.tripod_texts import AUTO, NOT_APPLICABLE
from tests.report.runs import KINDS, Dom, members, write

#: Collins and others, BMJ 2024;385:e078378, table 1: item → its sub-items.
PUBLISHED = {
    1: "", 2: "", 3: "abc", 4: "", 5: "ab", 6: "abc", 7: "", 8: "abc", 9: "abc", 10: "", 11: "", 12: "abcdefg", 13: "", 14: "", 15: "", 16: "", 17: "",
    18: "abcdef", 19: "", 20: "abc", 21: "", 22: "", 23: "ab", 24: "", 25: "", 26: "", 27: "abc",
}  # fmt: skip


def test_the_inventory_is_the_published_one():
    expected = [f"{item}{letter}" for item, letters in PUBLISHED.items() for letter in (letters or [""])]
    assert [i.key for i in ITEMS] == expected
    assert len(ITEMS) == 52
    assert len({i.item for i in ITEMS}) == 27


def test_every_sub_item_is_filled_or_asked_or_both():
    for item in ITEMS:
        assert item.question or item.key in AUTO or item.key in NOT_APPLICABLE, item.key
        assert item.asks
        assert item.section
    assert set(AUTO) | set(NOT_APPLICABLE) <= {i.key for i in ITEMS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_status_is_one_of_four_and_every_sub_item_is_on_the_page(tmp_path: Path, kind: str):
    run = write(tmp_path / "run", KINDS[kind](members()))
    filled = tripod.fill(Material.load(run))
    assert len(filled) == 52
    assert {f.status for f in filled} <= set(tripod.STATUSES)
    assert all(f.text for f in filled if f.status in ("auto", "n/a"))
    build(run)
    ids = {a.get("id") for _, a in Dom((run / "report.html").read_text(encoding="utf-8")).elements}
    assert {f"tripod-{i.key}" for i in ITEMS} <= ids


def test_an_empty_run_invents_nothing(tmp_path: Path):
    filled = {f.item.key: f for f in tripod.fill(Material.load(tmp_path))}
    for key in ("17", "18a", "18b", "18c", "18d", "19", "25"):
        assert filled[key].status == "ask"
        assert filled[key].text == ""
    assert Counter(f.status for f in filled.values())["answered"] == 0


def test_what_only_people_know_is_asked_whatever_the_run_holds(tmp_path: Path):
    run = write(tmp_path / "run")
    asked = {f.item.key for f in tripod.fill(Material.load(run)) if f.status == "ask"}
    assert {"3a", "3b", "3c", "5b", "6b", "6c", "8b", "8c", "17", "18a", "18b", "19", "25", "27c"} <= asked


def test_sites_and_hold_out_decide_what_applies(tmp_path: Path):
    held = members()
    with_sites = {f.item.key: f.status for f in tripod.fill(Material.load(write(tmp_path / "a", held)))}
    held["scores"]["parts"] = {"cv": held["scores"]["parts"]["cv"]}
    without = {f.item.key: f.status for f in tripod.fill(Material.load(write(tmp_path / "b", held)))}
    assert (with_sites["12d"], with_sites["23b"]) == ("auto", "auto")
    assert (without["12d"], without["23b"]) == (
        "n/a",
        "n/a",
    )
    assert with_sites["16"] == "n/a"
    assert with_sites["24"] == "n/a"
    apart = tripod.fill(Material.load(write(tmp_path / "c", KINDS["regression"](members()))))
    assert {f.item.key: f.status for f in apart}["16"] == "auto"


def test_answers_are_asked_once_kept_and_read_again(tmp_path: Path):
    run = write(tmp_path / "run")
    build(run)
    text = (run / "answers.yaml").read_text(encoding="utf-8")
    assert all(f'"{key}": ""' in text for key in questions())
    (run / "answers.yaml").write_text(
        text.replace('"17": ""', '"17": "Approved by the board, 2024/17"'), encoding="utf-8"
    )
    build(run)
    assert "2024/17" in (run / "answers.yaml").read_text(encoding="utf-8")
    held = json.loads((run / "tripod.json").read_text(encoding="utf-8"))
    of = {i["item"]: i for i in held["items"]}
    assert of["17"]["status"] == "answered"
    assert of["17"]["answer"] == "Approved by the board, 2024/17"
    assert "2024/17" in Dom((run / "report.html").read_text(encoding="utf-8")).text
    assert sum(held["counts"].values()) == 52
    assert held["counts"]["answered"] == 1


def test_the_question_file_is_yaml_that_holds_no_answer(tmp_path: Path):
    assert write_questions(tmp_path) == tmp_path / "answers.yaml"
    assert read_answers(tmp_path) == {}
    assert write_questions(tmp_path) is None


def test_an_unknown_key_or_a_broken_file_is_refused(tmp_path: Path):
    (tmp_path / "answers.yaml").write_text("17a: yes\n")
    with pytest.raises(OptionError, match="was '17a'"):
        read_answers(tmp_path)
    (tmp_path / "answers.yaml").write_text("17: [a\n")
    with pytest.raises(ReadError, match=r"answers file 'answers\.yaml' must be YAML"):
        read_answers(tmp_path)


def test_the_csv_holds_every_sub_item_once(tmp_path: Path):
    run = write(tmp_path / "run")
    build(run)
    rows = list(csv.DictReader((run / "tripod.csv").open(encoding="utf-8")))
    assert [r["item"] for r in rows] == [i.key for i in ITEMS]
    assert all((r["question"] != "") == (r["status"] == "ask") for r in rows)


def test_risk_of_bias_answers_are_one_of_five_with_evidence(tmp_path: Path):
    judged = judge(Material.load(write(tmp_path / "run")))
    assert {j.answer for j in judged} <= set(ANSWERS)
    assert all(j.evidence for j in judged)
    assert {j.domain for j in judged} == {"Participants and data", "Predictors", "Outcome", "Analysis"}
    of = {j.question: j.answer for j in judged}
    assert of["Were clustering, repeated people and leakage dealt with?"] == "cannot tell"
    assert of["Were there enough people and events?"] == "yes"
    assert of["Is the source of the data fit for the intended use?"] == "cannot tell"
    assert of["Was tuning done inside the resampling?"] == "yes"


def test_a_violated_check_and_too_few_people_count_against(tmp_path: Path):
    held = members()
    held["certificate"]["checks"][0]["verdict"] = "violated"
    held["curves"]["sample_size"]["criteria"]["shrinkage"] = 900
    of = {j.question: j.answer for j in judge(Material.load(write(tmp_path / "run", held)))}
    assert of["Were clustering, repeated people and leakage dealt with?"] == "no"
    assert of["Were there enough people and events?"] == "probably no"


def test_an_empty_run_cannot_tell(tmp_path: Path):
    answers = {j.question: j.answer for j in judge(Material.load(tmp_path))}
    assert set(answers.values()) <= {"cannot tell", "no", "yes"}
    assert answers["Are all predictors known at the time of prediction?"] == "cannot tell"
