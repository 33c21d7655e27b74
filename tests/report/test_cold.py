"""The table of what is new about a pair, cell by cell."""

from __future__ import annotations

from osler.report.cold import in_words, whats_new
from osler.report.figures import where
from tests.report.hand import material, rows
from tests.report.runs import estimate


def held(**parts: dict) -> dict:
    """Scores of a run of pairs."""
    scores = {"chosen": "affinity", "parts": parts}
    return {"scores": scores, "study": {"task": "regression", "target": ["affinity"]}, "facts": {"task": "regression"}}


def part(mse: float, index: float, n: int) -> dict:
    """One part: the chosen model and the baseline."""
    own = {"mse": estimate(mse, mse - 0.1, mse + 0.1, n), "concordance": estimate(index, index - 0.05, index + 0.05, n)}
    return {"affinity": own, "baseline": {"mse": estimate(0.8, 0.7, 0.9, n)}}


def test_one_row_for_each_way_in_which_a_pair_is_new() -> None:
    made = whats_new(material(held(**{
        "cv": part(0.25, 0.9, 300), "cold=drug": part(0.5, 0.7, 300), "cold=drug+protein": part(0.7, 0.6, 90),
    })))  # fmt: skip
    found = rows(str(made))
    assert found[0] == ["What is new", "n", "MSE", "Concordance index", "MSE, same for everyone"]
    assert [r[:2] for r in found[1:]] == [
        ["the pair only, or as the unit says", "300"], ["new drug", "300"], ["new drug and new protein", "90"],
    ]  # fmt: skip
    assert found[2][2].startswith("0.500") and "0.400 to 0.600" in found[2][2]
    assert found[3][3].startswith("0.600")
    assert found[1][4] == "0.800 (0.700 to 0.900)"


def test_other_tables_have_no_such_table() -> None:
    assert whats_new(material(held(cv=part(0.25, 0.9, 300)))) is None


def test_parts_in_words() -> None:
    assert in_words("cv") == "the pair only, or as the unit says"
    assert in_words("cold=drug+protein") == "new drug and new protein"
    assert where("cold=drug") == "new drug, kept out of training"
    assert where("cold=a+b") == "new a and new b, kept out of training"
