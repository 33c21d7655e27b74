"""The report's table of a fusion: every kind of columns beside it, the paired difference, and which is kept."""

from __future__ import annotations

from typing import Any

import pytest

from osler.report.fused import fused, sentence
from tests.report.hand import material, nothing
from tests.report.runs import Dom


def held(first: tuple[float, float, float], kept: str = "fusion") -> dict[str, Any]:
    """Facts of a fusion with two single models, the first with this difference (value, low, high)."""
    one = dict(zip(("value", "low", "high"), first)) | {"p_value": 0.04, "n": 90}
    two = {"value": 0.2, "low": 0.1, "high": 0.3, "p_value": 0.0001, "n": 90}
    singles = {"logistic:inputs=table": one, "pls:inputs=mri": two}
    return {"fused": "fusion", "kept": kept, "best_single": "logistic:inputs=table", "measure": "auroc", "singles": singles}


def test_a_run_without_a_fusion_has_no_such_table():
    assert fused(nothing()) is None


def test_the_table_holds_every_model_with_its_measure_and_difference():
    score = lambda v: {"auroc": {"value": v, "low": v - 0.05, "high": v + 0.05, "n": 90}}  # noqa: E731
    cv = {"fusion": score(0.9), "logistic:inputs=table": score(0.88), "pls:inputs=mri": score(0.7)}
    made = material({"scores": {"chosen": "fusion", "parts": {"cv": cv}, "fusion": held((0.02, 0.001, 0.04))}})
    text = Dom(str(fused(made))).text
    for said in ("0.900", "0.880", "0.700", "0.020", "p 0.040", "p < 0.001", "pls:inputs=mri"):
        assert said in text, said


@pytest.mark.parametrize(
    ("difference", "kept", "words"),
    [
        ((0.02, 0.001, 0.04), "fusion", "fusion is kept, and the paired test tells it from the best of these, logistic:inputs=table"),
        ((0.02, -0.01, 0.05), "fusion", "the paired test does not tell it from"),
        ((-0.02, -0.05, 0.01), "logistic:inputs=table", "though the paired test does not tell them apart. logistic:inputs=table is kept"),
        ((-0.04, -0.07, -0.01), "logistic:inputs=table", "and the paired test tells them apart"),
    ],
)
def test_the_sentence_says_which_is_kept_and_how_sure_that_is(difference, kept, words):
    assert words in sentence(held(difference, kept))
