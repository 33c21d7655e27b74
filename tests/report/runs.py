"""Run folders in JSON, written by hand: what a report is built from, without a fit behind it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


def estimate(value: float, low: float, high: float, n: int = 200) -> dict[str, Any]:
    """An entry of scores.json."""
    return {"value": value, "low": low, "high": high, "n": n}


def members() -> dict[str, Any]:
    """The members of a binary run with two sites, a clinical score and a rank deficiency."""
    own = {
        "auroc": estimate(0.9, 0.85, 0.94),
        "calibration_slope": estimate(1.02, 0.8, 1.3),
        "brier": estimate(0.12, 0.1, 0.15),
        "observed_expected": estimate(1.0, 0.9, 1.1),
    }
    base = {"auroc": estimate(0.5, 0.5, 0.5), "brier": estimate(0.25, 0.24, 0.26)}
    curve = {"specificity": [1.0, 0.8, 0.0], "sensitivity": [0.0, 0.9, 1.0]}
    benefit = {"net_benefit": [0.5, 0.3, 0.1], "useful": [[0.1, 0.5]]}
    point = {"threshold": 0.5, "tp": 96.0, "fn": 4.0, "fp": 20.0, "tn": 80.0, "sensitivity": estimate(0.955, 0.9, 0.99), "specificity": estimate(0.8, 0.7, 0.9),
             "ppv": estimate(0.83, 0.75, 0.9), "npv": estimate(0.95, 0.9, 0.98)}  # fmt: skip
    return {
        "study": {"target": ["disease"], "task": "binary", "model": ["logistic"], "folds": 5, "repeats": 1, "site": "hospital", "level": 0.95, "seed": 3,
                  "positive": ">0", "threshold": "0.5", "imbalance": "none", "tune": 0, "holdout": "", "source": "/home/someone/heart table.csv", "source_sha256": "ab" * 32},
        "facts": {
            "rows_read": 203, "rows_used": 200, "rows_refused": 3, "cells_set_missing": 2, "units": 200, "inputs": ["age", "sex"], "task": "binary",
            "classes": {"no": 100, "yes": 100}, "splits": [{"key": "cv/0/0", "train": 160, "test": 40}], "ensemble_weights": {"logistic": 0.6, "boosting": 0.4},
            "rank": {"logistic": {"rank": 1, "p": 2, "unclear": ["a", "b"], "sentences": ["the data cannot tell apart a and b: a − b is the same in every row"]}},
            "columns": [
                {"name": "age", "modality": "number", "role": "input", "unit": "years", "reason": "numbers", "summary": {"n": 200, "missing": 4, "median": 54.0, "q1": 47.5, "q3": 61.0}},
                {"name": "sex", "modality": "boolean", "role": "input", "summary": {"n": 200, "missing": 80, "yes": 7}},
                {"name": "ward", "modality": "category", "role": "input", "summary": {"n": 200, "missing": 0, "levels": 2, "counts": {"east": 196, "west": 4}}},
            ],
            "table_one": [{"group": "disease", "columns": ["variable", "level", "statistic", "all", "smd"], "rows": [["age", "", "mean (SD)", "54.0 (9.0)", "0.2"]], "notes": []}],
            "study_digest": "0123456789abcdef", "card": {"target": ["disease"]},
        },
        "scores": {"chosen": "logistic", "parts": {
            "cv": {"logistic": own, "news2": {"auroc": estimate(0.7, 0.6, 0.8)}, "baseline": base},
            "site=north": {"logistic": {"auroc": estimate(0.8, 0.7, 0.9, 120)}}, "site=south": {"logistic": {"auroc": estimate(0.7, 0.6, 0.8, 80)}},
        }},
        "curves": {
            "parts": {"cv": {
                "roc": {"logistic": curve, "news2": curve}, "histogram": {"positive": [3, 40, 57], "negative": [60, 37, 3]},
                "calibration": {"curve": {"predicted": [0.1, 0.9], "observed": [0.12, 0.88], "low": [0.05, 0.8], "high": [0.2, 0.95]}, "bins": [{"predicted": 0.3, "observed": 0.31, "low": 0.2, "high": 0.4, "n": 100}]},
                "decision_curve": {"thresholds": [0.1, 0.3, 0.5], "all": [0.45, 0.3, 0.0], "n": 200, "models": {"logistic": benefit}},
                "compare": {"news2": {"auroc": {**estimate(-0.2, -0.3, -0.1), "p_value": 0.0001}}},
            }},
            "subgroups": {"sex": [{"group": "f", "hidden": "", "n": 120, "events": 60, "scores": {"auroc": estimate(0.88, 0.8, 0.95, 120)}}, {"group": "m", "hidden": "fewer than 10 events"}]},
            "coverage": {**estimate(0.91, 0.87, 0.95), "wanted": 0.9, "mean_size": 1.2}, "threshold": 0.5, "thresholds": {"chosen": point},
            "sample_size": {"parameters": 4, "criteria": {"shrinkage": 90, "optimism": 150}, "n": 200, "message": "200 people are enough for 4 candidate parameters."},
        },
        "certificate": {"verdict": "clean", "unit": "row", "fitted_states": [{}], "checks": [
            {"name": "unit overlap", "verdict": "unknown", "n": 0, "detail": "no unit was declared"}, {"name": "fitted states", "verdict": "clean", "n": 0, "detail": "as split"},
            {"name": "time order", "verdict": "not applicable", "n": 0, "detail": ""}, {"name": "split membership", "verdict": "clean", "n": 0, "detail": ""}]},
        "findings": [{"code": "missing", "severity": "note", "column": "sex", "n": 80, "message": "column 'sex' is missing in 80 rows", "advice": ""},
                     {"code": "duplicate-rows", "severity": "warning", "column": "", "n": 2, "message": "2 rows are the same", "advice": "ask whether one person was entered twice"}],
        "explanation": {"importance": {"age": estimate(0.05, 0.03, 0.07), "sex": estimate(0.01, -0.01, 0.03)}, "model": "logistic"},
        "environment": {"python": "3.11.7", "system": "linux", "machine": "x86_64", "libraries": {"osler": "0.1.0", "numpy": "2.4.6"}},
        "cohort": {"lineage": [{"name": "read"}]},
    }  # fmt: skip


def survival(held: dict[str, Any]) -> dict[str, Any]:
    """The same as a survival run."""
    group = {
        "group": "low risk",
        "n": 100,
        "times": [1.0, 2.0],
        "survival": [0.9, 0.8],
        "low": [0.8, 0.7],
        "high": [1.0, 0.9],
        "at_risk": [100, 40, None],
    }
    held["study"] |= {"task": "survival", "target": [], "duration": "time", "event": "dead"}
    held["facts"] |= {"task": "survival", "events": 80, "horizon": 5.0, "classes": {}, "card": {}}
    held["scores"]["parts"] = {
        "cv": {"logistic": {"c_uno": estimate(0.7, 0.6, 0.8)}, "baseline": {"c_uno": estimate(0.5, 0.4, 0.6)}}
    }
    bins = [{"n": 50, "events": 20, "predicted": 0.3, "observed": 0.35, "low": 0.2, "high": 0.5}]
    held["curves"] = {
        "parts": {
            "cv": {
                "calibration": {"horizon": 5.0, "bins": bins},
                "risk_groups": {"at": [0.0, 1.0, 2.0], "groups": [group]},
            }
        },
        "sample_size": {"parameters": 4},
    }
    return held


def regression(held: dict[str, Any]) -> dict[str, Any]:
    """The same as a regression run with a hold-out."""
    held["study"] |= {"task": "regression", "holdout": "0.3"}
    held["facts"] |= {"task": "regression", "classes": {}, "splits": [{"key": "holdout/0/0", "train": 140, "test": 60}]}
    scores = {"mae": estimate(44.1, 40.2, 48.3), "r2": estimate(0.48, 0.4, 0.55)}
    held["scores"]["parts"] = {
        p: {"logistic": scores, "baseline": {"mae": estimate(66.0, 60.0, 72.0)}} for p in ("cv", "holdout")
    }
    bins = [
        {"n": 20, "predicted": 100.0, "observed": 98.0, "sd": 30.0},
        {"n": 20, "predicted": 200.0, "observed": 205.0, "sd": 33.0},
        {"n": 4, "predicted": 300.0, "observed": 777.0, "sd": 1.0},
    ]
    held["curves"] = {"parts": {"cv": {"residuals": bins}, "holdout": {"residuals": bins[:2]}}, "coverage": {**estimate(0.9, 0.85, 0.94), "wanted": 0.9, "mean_size": 180.0},
                      "learning_curve": {"units": [50, 100, 200], "mean": [50.0, 46.0, 44.0], "low": [48.0, 45.0, 43.0], "high": [52.0, 47.0, 45.0], "metric": "mae", "sentence": "More cases would help."}}  # fmt: skip
    return held


def classes(held: dict[str, Any]) -> dict[str, Any]:
    """The same as a run with three classes."""
    held["study"] |= {"task": "multiclass"}
    held["facts"] |= {"task": "multiclass", "classes": {"a": 90, "b": 60, "c": 50}}
    curve = {"specificity": [1.0, 0.5, 0.0], "sensitivity": [0.0, 0.6, 1.0]}
    told = {"predicted": [0.1, 0.9], "observed": [0.2, 0.8], "low": [0.1, 0.7], "high": [0.3, 0.9]}
    slope = estimate(0.75, 0.5, 1.0)
    held["curves"] = {
        "parts": {
            "cv": {
                "calibration_by_class": {
                    "a": {"slope": slope, "curve": told},
                    "b": {"hidden": "fewer than 10 rows with or without it"},
                    "c": {"slope": slope, "curve": told},
                },
                "confusion_matrix": [[80, 7, 3], [10, 40, 10], [5, 5, 40]],
                "roc_by_class": {k: curve for k in "abc"},
            }
        }
    }
    return held


KINDS = {"binary": lambda held: held, "survival": survival, "regression": regression, "multiclass": classes}


def write(
    folder: Path,
    held: dict[str, Any] | None = None,
    refusals: str = "row,column,reason,action\n4,age,no target,row refused\n9,age,no target,row refused\n",
) -> Path:
    """Write a run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (members() if held is None else held).items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    (folder / "plan.md").write_text("# Plan\n\nWritten before any model was fitted.\n", encoding="utf-8")
    (folder / "refusals.csv").write_text(refusals, encoding="utf-8")
    return folder


class Dom(HTMLParser):
    """Every element with its attributes, and the text around them."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self._open: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        (self.styles if self._open and self._open[-1] == "style" else self.texts).append(data)

    @property
    def text(self) -> str:
        """All text, blanks collapsed."""
        return " ".join(" ".join(self.texts).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a name."""
        return [a for t, a in self.elements if t == tag]


def dangers(dom: Dom) -> list[str]:
    """What could run or fetch: scripts, embedding elements, event attributes, addresses that leave the page."""
    active = {
        "script",
        "iframe",
        "object",
        "embed",
        "link",
        "base",
        "form",
        "use",
        "video",
        "audio",
        "source",
        "foreignobject",
        "animate",
        "template",
        "math",
        "input",
        "button",
    }
    found = [f"<{t}>" for t, _ in dom.elements if t in active]
    for t, attributes in dom.elements:
        for name, value in attributes.items():
            held = (value or "").strip().lower()
            if name.startswith("on"):
                found.append(f"{t} {name}")
            if name in (
                "href",
                "xlink:href",
                "src",
                "srcset",
                "action",
                "formaction",
                "data",
                "poster",
                "background",
            ) and not re.match(r"#|data:image/(png|jpeg);base64,[a-z0-9+/=]+$", held):
                found.append(f"{t} {name}={held[:40]}")
            if name == "style" or (name == "http-equiv" and held != "content-security-policy"):
                found.append(f"{t} {name}")
    found += [
        "style sheet with an address" for s in dom.styles if "url(" in s.lower() or "@import" in s.lower() or "//" in s
    ]
    return found
