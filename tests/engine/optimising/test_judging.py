"""Answers taken with caution, conditions around the lead, and what is not worth asking about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from osler import models
from osler.engine.batches import encode
from osler.engine.optimising.judging import Judging, _disagreement
from osler.engine.optimising.options import OptimiseOptions
from osler.engine.predict import rows_cohort
from osler.errors import ColumnError, OptionError
from osler.models.base import Params
from tests.engine.optimising.judges import committee
from tests.engine.screening.molecules import predictor

pytest.importorskip("rdkit")
LEAD = "CCCCCCc1ccccc1O"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Saved predictors: `size` (a number with an interval) and `ring` (a probability with a spread)."""
    folder = tmp_path_factory.mktemp("runs")
    return {"size": str(predictor().save(folder / "size")), "ring": str(committee().save(folder / "ring"))}


def judging(runs: dict[str, str], **more: Any) -> Judging:
    """Both runs, small size wanted."""
    given = {"run": tuple(runs.values()), "minimise": ("size_pred",), "lead": LEAD, "domain": "ignore", **more}
    return Judging(OptimiseOptions(**given))


@pytest.mark.parametrize("caution", [0.0, 0.5, 1.0])
def test_a_number_is_judged_by_the_worse_end_of_its_interval(runs: dict[str, str], caution: float):
    small, large = judging(runs, caution=caution), judging(runs, caution=caution, minimise=(), maximise=("size_pred",))
    for judge, end in ((small, "size_high"), (large, "size_low")):
        row = judge.judged(judge.rows(["CCCCCO"])[0])
        assert row["size_pred_cautious"] == pytest.approx(row["size_pred"] + caution * (row[end] - row["size_pred"]))
        assert row["score"] == pytest.approx((-1 if judge is small else 1) * row["size_pred_cautious"])
    assert small.sure == {"size_pred": "the worse end of its interval"}


def test_a_probability_of_an_ensemble_is_judged_two_spreads_worse(runs: dict[str, str]):
    for sign, aims in ((1, {"minimise": (), "maximise": ("ring_prob_1",)}), (-1, {"minimise": ("ring_prob_1",)})):
        judge = judging(runs, **aims)
        row = judge.judged(judge.rows(["CCCCc1ccccc1"])[0])
        assert row["ring_prob_1_spread"] > 0
        assert row["ring_prob_1_cautious"] == pytest.approx(row["ring_prob_1"] - sign * 2 * row["ring_prob_1_spread"])
    assert "members" in judge.sure["ring_prob_1"]


def test_the_spread_of_an_ensemble_is_that_of_its_weighted_members():
    predictor = committee()
    spec, params = predictor.models["ensemble"]
    blocks = encode(rows_cohort(predictor, [{"smiles": s} for s in ("CCCO", "c1ccccc1CC", "CC1CCCC1N")]), predictor.states)
    line, forest = (models.get(name).predict(params.part(str(i)), blocks).value[:, -1] for i, name in enumerate(params.meta["members"]))
    # two values with weights w and 1 - w have the standard deviation |a - b| sqrt(w (1 - w))
    assert _disagreement(spec, params, blocks) == pytest.approx(np.abs(line - forest) * np.sqrt(0.25 * 0.75))
    assert _disagreement("forest", params.part("1"), blocks) is None
    alone = Params({**params.meta, "weights": [0.0, 1.0]}, params.arrays)
    assert _disagreement(spec, alone, blocks) is None


def test_a_column_without_either_is_taken_as_it_is_and_that_is_said(runs: dict[str, str]):
    judge = judging(runs, minimise=(), maximise=("qed",))
    row = judge.judged(judge.rows(["CCCCc1ccccc1"])[0])
    assert row["qed_cautious"] == row["qed"] == row["score"]
    assert judge.sure["qed"].startswith("none")


def test_keeping_is_a_band_around_the_leads_own_value(runs: dict[str, str]):
    judge = judging(runs, keep=("logp:0.5",))
    own = judge.rows([judge.lead])[0]["logp"]
    low, high = judge.goals.limits
    assert (low.sign, high.sign) == (">=", "<=")
    assert (float(low.value), float(high.value)) == pytest.approx((own - 0.5, own + 0.5))
    assert judge.judged(judge.rows([judge.lead])[0])["unmet"] == 0
    assert judge.judged(judge.rows(["CCO"])[0])["unmet"] == 1


def test_the_domain_is_a_condition_unless_it_is_ignored(runs: dict[str, str]):
    assert [str(limit) for limit in judging(runs, domain="penalise").goals.limits] == ["size_in_domain=true", "ring_in_domain=true"]
    strange = "FC(F)(F)S(=O)(=O)c1nnc(Br)s1"
    judge = judging(runs, domain="exclude")
    assert judge.judged(judge.rows([strange])[0])["unmet"] >= 1
    assert judging(runs).goals.limits == ()


def test_similarity_and_properties_are_columns(runs: dict[str, str]):
    judge = judging(runs)
    own, other = judge.rows([judge.lead, "CCO"])
    assert own["similarity"] == 1.0
    assert other["similarity"] < 0.3
    assert {"sa", "qed", "logp", "weight", "size_pred", "size_low", "size_in_domain", "ring_prob_1", "ring_in_domain"} <= set(own)
    assert judge.axes == ["size_pred_cautious", "similarity"]
    assert judge.objectives(judge.judged(own)) == [-own["size_pred_cautious"], 1.0]


def test_without_a_lead_the_front_weighs_how_hard_a_molecule_is_to_make(runs: dict[str, str]):
    judge = judging(runs, lead="")
    row = judge.judged(judge.rows(["CCO"])[0])
    assert "similarity" not in row
    assert judge.axes[-1] == "sa"
    assert judge.objectives(row)[-1] == -row["sa"]


def test_several_aims_are_put_together_as_desirabilities(runs: dict[str, str]):
    judge = judging(runs, minimise=("size_pred:40:0",), maximise=("qed:0:1",), caution=0.0)
    row = judge.judged(judge.rows(["CCCCc1ccccc1O"])[0])
    assert row["score"] == pytest.approx((min(max((40 - row["size_pred"]) / 40, 0), 1) * row["qed"]) ** 0.5)


@pytest.mark.parametrize(
    ("more", "smiles", "why"),
    [({"keep_similar": 0.5}, "CCO", "too unlike the lead"), ({"most_sa": 1.2}, "CC1(C)C2CCC1(C)C(=O)C2", "too hard to make"),
     ({"filter": ("pains",)}, "O=C1C=CC(=O)C=C1", "meets pains"), ({}, "CCCCCc1ccccc1O", "")],
)  # fmt: skip
def test_what_is_not_worth_asking_about(runs: dict[str, str], more: dict[str, Any], smiles: str, why: str):
    from osler.adapters.rdkit.parse import parse

    assert judging(runs, **more).why_not(parse(smiles).mol) == why


@pytest.mark.parametrize(
    ("more", "kind", "match"),
    [({"lead": "C1CC"}, OptionError, "lead must be a molecule"), ({"minimise": ("sise_pred",)}, ColumnError, "size_pred"),
     ({"keep": ("lokp:1",)}, ColumnError, "logp"), ({"keep": ("logp:x",)}, OptionError, "COLUMN:WIDTH"), ({"keep": ("logp:-1",)}, OptionError, "above 0"),
     ({"keep": ("ring_pred:1",)}, OptionError, "column of numbers"), ({"want": ("nonsense",)}, OptionError, "want must be")],
)  # fmt: skip
def test_what_cannot_be_is_refused(runs: dict[str, str], more: dict[str, Any], kind: type, match: str):
    with pytest.raises(kind, match=match):
        judging(runs, **more)


@pytest.mark.parametrize(
    ("given", "match"),
    [({}, "an aim"), ({"minimise": ("a",), "method": ("magic",)}, "genetic"), ({"minimise": ("a",), "method": ("reinforce",)}, "--generator"),
     ({"minimise": ("a",), "keep_similar": 0.4}, "--lead"), ({"minimise": ("a",), "budget": 0}, "budget"), ({"minimise": ("a",), "domain": "no"}, "domain"),
     ({"minimise": ("a",), "caution": 2.0}, "caution"), ({"minimise": ("a",), "most_sa": 0.0}, "most-sa")],
)  # fmt: skip
def test_options_are_checked(given: dict[str, Any], match: str):
    with pytest.raises(OptionError, match=match):
        OptimiseOptions(**given)
