"""The learning curve and the drift of a real fit: what the engine measured is what the page and the pictures say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest

import osler
from osler.report.charts import Axes, left_of
from osler.report.material import is_path
from osler.report.words import number
from tests.report.runs import Dom, dangers
from tests.report.test_equation import people

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit with a learning curve, judged on a file of people who are 12 years older and mostly without a dose."""
    place = tmp_path_factory.mktemp("moved")
    kept = ["age", "dose", "arm", "sick"]
    people(400).select(kept).write_csv(place / "here.csv")
    older = people(200, seed=6).select(kept).with_columns(
        pl.col("age") + 12, pl.when(pl.int_range(200) % 5 == 0).then("dose").otherwise(None).alias("dose")
    )  # fmt: skip
    older.write_csv(place / "there.csv")
    osler.fit(place / "here.csv", place / "run", target="sick", model=("logistic",), folds=2, repeats=1, boot=200,
              holdout=str(place / "there.csv"), workers=1, silent=True)  # fmt: skip
    return place / "run"


@pytest.fixture(scope="module")
def curves(run: Path) -> dict:
    """What the engine measured."""
    return json.loads((run / "curves.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dom(run: Path) -> Dom:
    """The page of the run."""
    return Dom((run / "report.html").read_text(encoding="utf-8"))


def test_the_learning_curve_is_drawn_as_it_was_measured(run: Path, curves: dict, dom: Dom):
    held = curves["learning_curve"]
    assert held["metric"] == "auroc"
    assert held["units"][-1] == 320
    picture = ElementTree.fromstring((run / "figures" / "learning.svg").read_text(encoding="utf-8"))
    ends = [min(v, 1.0) for v in (*held["mean"], *held["low"], *held["high"])]
    room = (max(ends) - min(ends)) * 0.1
    low, high = min(ends) - room, min(max(ends) + room, 1.0)
    axes = Axes(0, 320, low, high, left=left_of(low, high))
    drawn = {p.get("class"): p.get("d") for p in picture.iter(f"{SVG}path")}
    assert drawn["line s1 d1"] == axes.path(list(zip(held["units"], held["mean"])))
    assert len(re.findall(r"[ML]", drawn["band f1"])) == 2 * len(held["units"])
    said = [t.text for t in picture.iter(f"{SVG}text")]
    assert "Units that were learnt from" in said
    assert "AUROC" in said
    assert "300" in said


def test_the_page_says_what_the_learning_curve_means(curves: dict, dom: Dom):
    assert curves["learning_curve"]["sentence"].startswith("More data would")
    assert curves["learning_curve"]["sentence"] in dom.text
    assert dangers(dom) == []


def test_what_moved_is_tabled_first_with_its_numbers(curves: dict, dom: Dom):
    columns = curves["drift"]["holdout"]["columns"]
    assert columns["age"]["verdict"] == columns["dose"]["verdict"] == "large"
    assert columns["arm"]["verdict"] == "stable"
    order = sorted(columns, key=lambda name: -columns[name]["psi"])
    table = dom.text[dom.text.index("Predictors at hold-out against those that were learnt from") :]
    places = []
    for name in order:
        one = columns[name]
        shift = {"large": "✕ large", "stable": "✓ stable"}[one["verdict"]]
        shares = [f"{number(100 * one[k], 0)}%" for k in ("missing_before", "missing_after")]
        places.append(table.index(f"{name} {shift} {number(one['psi'], 2)} {shares[0]} {shares[1]}"))
    assert places == sorted(places)
    assert f"{columns['dose']['missing_after']:.2f}" == "0.83"


def test_the_two_groups_can_be_told_apart_and_the_page_says_so(curves: dict, dom: Dom):
    apart = curves["drift"]["holdout"]["domain_auroc"]
    assert apart["low"] > 0.6
    assert (
        f"AUROC {number(apart['value'])} ({number(apart['low'])} to {number(apart['high'])}); 0.5 would mean alike"
        in dom.text
    )
    assert "Predictors that moved: age (large) and dose (large) of 3" in dom.text


def test_files_are_named_without_their_folders(run: Path):
    assert str(run.parent) in (run / "study.json").read_text(encoding="utf-8")
    for name in ("report.html", "card.md", "tripod.csv", "tripod.json"):
        text = (run / name).read_text(encoding="utf-8")
        assert str(run.parent) not in text, name
    assert "hold-out of 200 rows (there.csv)" in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "is_file"),
    [
        ("/a/b.csv", True),
        ("data/b.parquet", True),
        ("C:\\x\\b.csv", True),
        ("b.csv", False),
        ("ward=a/b", False),
        ("year>=2015", False),
        ("0.3", False),
    ],
)
def test_a_rule_is_told_from_a_file(text: str, is_file: bool):
    assert is_path(text) is is_file


def test_an_external_evaluation_measures_the_same_drift(run: Path, curves: dict):
    """The hold-out file evaluated as an outside table drifts as the report says, and the page of the run stays as it was."""
    before = (run / "report.html").read_bytes()
    found = osler.evaluate(run, run.parent / "there.csv", refit=False)
    told, here = found.facts["drift"]["columns"], curves["drift"]["holdout"]["columns"]
    assert {name: one["verdict"] for name, one in told.items()} == {name: one["verdict"] for name, one in here.items()}
    assert told["dose"]["missing_after"] == pytest.approx(here["dose"]["missing_after"])
    assert (run / "report.html").read_bytes() == before
