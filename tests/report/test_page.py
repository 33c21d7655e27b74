"""The page can be read by everyone, says what the numbers say, hides small counts, and survives whatever is absent."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from osler.report import style
from osler.report.build import build
from osler.report.material import MEMBERS, Material, command_of
from osler.report.summary import sentences
from tests.report.runs import KINDS, Dom, dangers, estimate, members, survival, write


def page_of(folder: Path) -> Dom:
    """The parsed report of a run folder, built anew."""
    build(folder)
    return Dom((folder / "report.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_has_the_marks_that_readers_and_machines_need(tmp_path: Path, kind: str):
    dom = page_of(write(tmp_path / "run", KINDS[kind](members())))
    assert dangers(dom) == []
    assert dom.named("html")[0]["lang"] == "en"
    assert len(dom.named("h1")) == 1
    assert len(dom.named("title")) >= 1
    for landmark in ("header", "nav", "main", "footer"):
        assert len(dom.named(landmark)) == 1, landmark
    policy = next(a["content"] for a in dom.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    ids = [a["id"] for _, a in dom.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for attributes in dom.named("a"):
        assert attributes["href"].removeprefix("#") in ids
    assert len(dom.named("caption")) == len(dom.named("table")) > 5
    assert all(a.get("scope") in ("row", "col") for a in dom.named("th"))
    for attributes in dom.named("svg"):
        assert attributes["role"] == "img"
        assert set(attributes["aria-labelledby"].split()) <= set(ids)
    assert len(dom.named("desc")) == len(dom.named("svg")) == len(dom.named("figcaption")) > 1


def test_the_first_screen_answers_in_order(tmp_path: Path):
    text = page_of(write(tmp_path / "run")).text
    places = [
        text.index(s)
        for s in (
            "Predicting disease",
            "Can 2 predictors tell whether disease is >0, for 200 cases",
            "95% interval 0.85 to 0.94",
            "Judged on 200 cases",
            "Every check of the certificate",
            "Rows read",
            "Table one",
            "Models, cross-validation",
            "TRIPOD+AI 2024",
            "osler fit",
        )
    ]
    assert places == sorted(places)


def test_the_summary_says_what_the_numbers_say(tmp_path: Path):
    said = " ".join(str(s) for s in sentences(Material.load(write(tmp_path / "run")), 33))
    assert "of 100 pairs of one case with the outcome and one without, the model ranks about 90" in said
    assert "clearly better than saying the same for everyone" in said
    assert "The clinical score news2 reaches AUROC 0.700 (0.600 to 0.800)" in said
    assert "weakest result was AUROC 0.700 (0.600 to 0.800), at south" in said
    assert "Not proven: unit overlap" in said
    assert "Often not measured: sex (40.0%)" in said
    assert "cannot tell apart a and b" in said
    assert "33 questions" in said


def test_a_violated_certificate_is_said_first_among_what_is_missing(tmp_path: Path):
    held = members()
    held["certificate"] |= {"verdict": "violated"}
    held["certificate"]["checks"][0]["verdict"] = "violated"
    dom = page_of(write(tmp_path / "run", held))
    assert "✕ violated" in dom.text
    assert "Do not use these numbers" in dom.text
    assert any("violated" in (a.get("class") or "") for a in dom.named("div"))


def test_calibration_is_judged_by_its_interval(tmp_path: Path):
    held = members()
    slope = held["scores"]["parts"]["cv"]["logistic"]["calibration_slope"]
    for low, high, word in ((0.8, 1.3, "about as extreme"), (0.5, 0.9, "too extreme"), (1.1, 1.5, "too cautious")):
        slope |= {"low": low, "high": high}
        assert word in " ".join(str(s) for s in sentences(Material.load(write(tmp_path / "run", held)), 0))


def test_verdicts_are_a_symbol_and_a_word(tmp_path: Path):
    text = page_of(write(tmp_path / "run")).text
    for mark in ("✓ clean", "? unknown", "– not applicable", "! warning"):
        assert mark in text


def test_small_counts_are_hidden(tmp_path: Path):
    dom = page_of(write(tmp_path / "run"))
    page = " ".join(dom.texts)
    assert re.search(r"\b96\b", page) is None, "the partner of a hidden count would give it away"
    assert "<10" in page
    assert "7 yes" not in page
    assert "west 4" not in page


def test_residual_groups_below_ten_are_not_drawn(tmp_path: Path):
    run = write(tmp_path / "run", KINDS["regression"](members()))
    assert page_of(run).text.count("777") == 0
    assert (run / "figures" / "observed-cv.svg").read_text().count("<circle") == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", [*MEMBERS, "all"])
def test_absent_members_leave_sections_out_and_nothing_crashes(tmp_path: Path, kind: str, lost: str):
    held = {k: v for k, v in KINDS[kind](members()).items() if k != lost and lost != "all"}
    dom = page_of(write(tmp_path / "run", held))
    assert dangers(dom) == []
    assert len(dom.named("h1")) == 1


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '"x"', "[[[[", '{"parts": 3, "checks": [1], "columns": [1]}'])
def test_odd_members_count_as_absent(tmp_path: Path, text: str):
    run = write(tmp_path / "run")
    for name in MEMBERS:
        if not (text.startswith('{"parts"') and name not in ("scores", "certificate", "facts")):
            (run / f"{name}.json").write_text(text)
    assert len(page_of(run).named("h1")) == 1


def test_no_value_without_interval_in_the_table_of_models(tmp_path: Path):
    held = members()
    held["scores"]["parts"]["cv"]["logistic"]["auroc"] |= {"low": None, "high": None}
    assert "0.900 no interval" in page_of(write(tmp_path / "run", held)).text


def test_the_command_asks_the_same_question_again():
    study = {
        "target": ["num"],
        "positive": ">0",
        "folds": 5,
        "explain": False,
        "site": "my site",
        "source": "/x/a b.csv",
        "key": "00",
        "horizon": 365.0,
    }
    line = command_of(study, "a b.csv")
    assert (
        line
        == "osler fit 'a b.csv' --target num --positive '>0' --folds 5 --no-explain --site 'my site' --horizon 365 --out RUN"
    )


def test_what_moved_stands_first(tmp_path: Path):
    held = KINDS["regression"](members())
    entry = {"missing_before": 0.02, "missing_after": 0.6}
    held["curves"]["drift"] = {
        "holdout": {
            "columns": {
                "age": {"psi": 0.01, "verdict": "stable", **entry},
                "dose": {"psi": 0.4, "verdict": "large", **entry},
            },
            "domain_auroc": estimate(0.7, 0.6, 0.8),
        }
    }
    text = page_of(write(tmp_path / "run", held)).text
    assert (
        "dose ✕ large 0.40 2% 60% age ✓ stable 0.01 2% 60%" in text
    )
    assert (
        "AUROC 0.700 (0.600 to 0.800); 0.5 would mean alike" in text
    )
    assert "Predictors that moved: dose (large) of 2" in text


def test_the_learning_curve_says_whether_more_would_help(tmp_path: Path):
    run = write(tmp_path / "run", KINDS["regression"](members()))
    assert "More cases would help." in page_of(run).text
    assert (run / "figures" / "learning.svg").is_file()


def test_the_rank_box_names_the_columns(tmp_path: Path):
    text = page_of(write(tmp_path / "run")).text
    assert "The data cannot tell apart a and b: a − b is the same in every row." in text


def test_survival_shows_risk_groups_with_small_numbers_hidden(tmp_path: Path):
    run = write(tmp_path / "run", survival(members()))
    page_of(run)
    picture = (run / "figures" / "survival-cv.svg").read_text(encoding="utf-8")
    assert "&lt;10" in picture
    assert ">100<" in picture
    assert ">40<" in picture


def test_checks_are_folded_away_only_where_all_is_clean(tmp_path: Path):
    for verdict, is_open in (("clean", False), ("violated", True), ("unknown", True)):
        held = members()
        held["certificate"]["verdict"] = verdict
        dom = page_of(write(tmp_path / verdict, held))
        first = dom.named("details")[0]
        assert ("open" in first) is is_open
        assert "Every check of the certificate" in dom.text
        assert "no unit was declared" in dom.text


def test_a_curve_of_a_share_ends_at_one_and_ticks_leave_room_for_the_label(tmp_path: Path):
    held = KINDS["regression"](members())
    bounded = {
        "mean": [0.990, 0.995, 0.996],
        "low": [0.985, 0.99, 0.993],
        "high": [0.995, 1.003, 1.004],
        "metric": "r2",
    }
    held["curves"]["learning_curve"] |= bounded
    run = write(tmp_path / "run", held)
    page_of(run)
    picture = Dom((run / "figures" / "learning.svg").read_text(encoding="utf-8"))
    band = next(a["d"] for a in picture.named("path") if a["class"] == "band f1")
    assert min(float(point.split()[1]) for point in re.findall(r"[\d.]+ [\d.]+", band)) == 12.0
    ticks = [a for a in picture.named("text") if a.get("class") == "soft end"]
    longest = max(len(t) for t in picture.texts if re.fullmatch(r"[\d.]+", t))
    assert min(float(a["x"]) for a in ticks) - 7 * longest >= 20  # the upright label ends at 20


def test_table_one_has_no_column_of_levels_where_no_row_has_one(tmp_path: Path):
    held = members()
    text = page_of(write(tmp_path / "plain", held)).text
    assert "Variable Statistic all Std. difference age mean (SD) 54.0 (9.0) 0.2" in text
    held["facts"]["table_one"][0]["rows"].append(["sex", "f", "n (%)", "80 (40.0)", ""])
    assert "Variable Level Statistic all" in page_of(write(tmp_path / "levels", held)).text


def test_every_class_has_its_calibration_curve_but_a_small_one(tmp_path: Path):
    run = write(tmp_path / "run", KINDS["multiclass"](members()))
    text = page_of(run).text
    assert "Calibration of each class against all others." in text
    assert "Slopes: a 0.75 (0.50 to 1.00); c 0.75 (0.50 to 1.00)." in text
    assert "Not drawn, because fewer than 10 cases have it or lack it: b." in text
    picture = (run / "figures" / "calibration-by-class-cv.svg").read_text(encoding="utf-8")
    drawn = Dom(picture).named("path")
    # x from 56 to 366 and y from 310 to 12 stand for 0 to 1: (0.1, 0.2) lies at (87, 250.4), (0.9, 0.8) at (335, 71.6)
    assert [a["class"] for a in drawn if a["d"] == "M87 250.4L335 71.6"] == ["line s1 d1", "line s3 d3"]
    assert [a["class"] for a in drawn if a["class"].startswith("band")] == ["band f1", "band f3"]
    assert [a["class"] for a in drawn if "h26" in a["d"]] == ["line s1 d1", "line s3 d3"]


def test_no_class_large_enough_means_no_calibration_picture(tmp_path: Path):
    held = KINDS["multiclass"](members())
    held["curves"]["parts"]["cv"]["calibration_by_class"] = {"a": {"hidden": "few"}, "b": "odd"}
    run = write(tmp_path / "run", held)
    assert "Calibration of each class" not in page_of(run).text
    assert not (run / "figures" / "calibration-by-class-cv.svg").exists()


def test_the_same_run_gives_the_same_bytes_and_is_quick(tmp_path: Path):
    run = write(tmp_path / "run")
    build(run)
    first = {p.name: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    start = time.process_time()
    written = build(run)
    assert time.process_time() - start <= 2.0
    assert {p.name: p.read_bytes() for p in run.rglob("*") if p.is_file()} == first
    assert {p.name for p in written} >= {
        "report.html",
        "card.md",
        "tripod.csv",
        "tripod.json",
        "roc-cv.svg",
        "flow.svg",
    }


def test_pictures_stand_alone(tmp_path: Path):
    from xml.etree import ElementTree

    run = write(tmp_path / "run")
    build(run)
    pictures = sorted((run / "figures").glob("*.svg"))
    assert len(pictures) >= 6
    for path in pictures:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme:dark" in path.read_text()


def test_the_card_asks_the_owner(tmp_path: Path):
    run = write(tmp_path / "run")
    (run / "answers.json").write_text(json.dumps({"card.owner": "The ward"}))
    build(run)
    card = (run / "card.md").read_text(encoding="utf-8")
    assert "- Owner: The ward" in card
    assert "*to be answered:*" in card
    for heading in ("Intended use", "Factors", "Metrics", "Data", "Quantitative results", "Ethics and caveats"):
        assert f"## {heading}\n" in card
    assert "| AUROC | 0.900 (0.850 to 0.940) | 0.500 (0.500 to 0.500) | 200 |" in card


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1, 2])
def test_text_stands_out_from_its_ground(theme: int):
    """WCAG 2.2 contrast of at least 4.5 : 1, in the light, dark and printed theme."""
    named = dict(re.findall(r"--([a-z0-9]+):(#[0-9a-f]{3,6})", re.findall(r":root\{([^}]*)\}", style.PAGE)[theme]))
    grounds = ("ground", "raised", "goodground", "badground", "unsureground")
    pairs = (
        [("ink", g) for g in grounds]
        + [("soft", "ground"), ("soft", "raised")]
        + [(c, "ground") for c in ("c1", "c2", "c3", "c4", "c5", "good", "bad", "unsure")]
    )
    pairs += [("good", "goodground"), ("bad", "badground"), ("unsure", "unsureground")]
    for text, ground in pairs:
        light, dark = sorted((_luminance(named[text]), _luminance(named[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
