"""How sure a network is of a number: losses against values by hand and SciPy, and intervals that hold what they promise."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from osler import models
from osler.errors import OptionError
from osler.evaluation.conformal import fit_number
from osler.models.base import Encoded, Params
from osler.models.ensemble import mix
from osler.models.neural import spreads
from osler.models.neural.heads import Head, head_of
from osler.models.neural.layers import layers
from osler.models.neural.tabular import MLP, MLPOptions
from osler.tasks.base import Prediction, Target
from tests.models.neural.planted_blocks import numbers

QUICK = MLPOptions(width=32, members=2, epochs=30, patience=30, batch_size=64, learning_rate=0.006, dropout=0.0)


def softplus(x: float) -> float:
    """log(1 + e^x)."""
    return math.log1p(math.exp(x))


def inverse(y: float) -> float:
    """The x with softplus(x) = y."""
    return math.log(math.expm1(y))


def test_pinball_losses_by_hand():
    """Mean 0, quantiles at -1 and 2; values 0 (inside), -3 (2 below), 5 (3 above)."""
    logits = torch.tensor([[0.0, inverse(1.0), inverse(2.0)]] * 3)
    found = spreads.quantile_loss(logits, torch.tensor([0.0, -3.0, 5.0])).numpy()
    np.testing.assert_allclose(
        found, [0.05 * 1 + 0.05 * 2, 0.95 * 2 + 0.05 * 5, 0.05 * 6 + 0.95 * 3], rtol=1e-5
    )


def test_the_quantiles_do_not_pull_the_mean():
    logits = torch.tensor([[0.3, 0.1, -0.2]], requires_grad=True)
    spreads.quantile_loss(logits, torch.tensor([2.0])).sum().backward()
    assert logits.grad[0, 0] == 0
    assert logits.grad[0, 2] < 0, "the upper quantile rises to the value"


def test_evidential_loss_is_that_of_students_t():
    """With 2a degrees of freedom and scale sqrt(b (1 + v) / (v a)): Amini et al. 2020, equation 7."""
    v, a, b, mean, y = 0.7, 2.5, 1.3, 0.4, 1.9
    logits = [mean, inverse(v - 1e-3), inverse(a - 1 - 1e-3), inverse(b - 1e-3)]
    found = spreads.evidential_loss(torch.tensor([logits], dtype=torch.float64), torch.tensor([y])).item()
    expected = -stats.t.logpdf(y, 2 * a, mean, math.sqrt(b * (1 + v) / (v * a)))
    assert found == pytest.approx(expected + 0.2 * abs(y - mean) * (2 * v + a), rel=1e-5)
    spread = spreads.SPREADS["evidential"](np.array([logits]))
    assert spread == pytest.approx([math.sqrt(b * (1 + v) / (v * a))], rel=1e-5)


def test_a_normal_distributions_quantiles_give_its_standard_deviation():
    half = float(stats.norm.ppf(0.95))
    logits = np.array([[5.0, inverse(2 * half), inverse(2 * half)]])
    assert spreads.SPREADS["quantile"](logits) == pytest.approx([2.0], abs=2e-3)


def test_the_start_is_a_spread_of_about_one():
    for kind in ("quantile", "evidential"):
        assert 0.5 < spreads.SPREADS[kind](np.array([spreads.BIAS[kind]]))[0] < 1.6
    assert softplus(spreads.BIAS["quantile"][1]) == pytest.approx(1.0)


def test_the_spread_of_a_mixture_holds_what_members_expect_and_how_they_differ():
    one = Prediction(np.array([[1.0], [2.0]]), spread=np.array([3.0, 1.0]))
    two = Prediction(np.array([[5.0], [2.0]]), spread=np.array([1.0, 1.0]))
    for found in (spreads.mean([one, two]), mix([one, two], np.ones(2))):
        assert found.value[:, 0].tolist() == [3.0, 2.0]
        np.testing.assert_allclose(found.spread, [math.sqrt((9 + 1) / 2 + 4), 1.0])
    assert mix([one, replace(two, spread=None)], np.ones(2)).spread is None


def test_spreads_follow_their_rows():
    whole = Prediction(np.arange(4.0)[:, None], spread=np.arange(1.0, 5.0))
    assert whole.take(np.array([3, 1])).spread.tolist() == [4.0, 2.0]
    assert Prediction.concat([whole, whole]).spread.tolist() == [1, 2, 3, 4, 1, 2, 3, 4]
    assert Prediction.concat([whole, Prediction(whole.value)]).spread is None


def test_answers_are_in_units_of_the_target():
    head = head_of(Target("regression", ("t",), np.array([10.0, 30.0])), "none", 0.0, 1, "quantile")
    assert (head.center, head.spread, head.n_outputs) == (20.0, 10.0, 3)
    answer = Head.from_json(head.to_json()).answer(np.array([[0.5, inverse(1.0), inverse(1.0)]]))
    assert answer.value.tolist() == [[25.0]]
    assert answer.spread == pytest.approx([10 / 1.6449], rel=2e-3)


def test_a_target_without_a_number_is_refused():
    with pytest.raises(OptionError, match="this one is binary"):
        head_of(Target("binary", ("t",), np.array([0, 1]), classes=("n", "y")), "none", 0.0, 1, "evidential")
    with pytest.raises(OptionError, match="did you mean 'quantile'"):
        models.get("mlp:uncertainty=quantiles")


@pytest.fixture(scope="module")
def uneven() -> Encoded:
    """A number whose noise is 0.2 for half of the rows and 2 for the others."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (1200, 2))
    y = 3 * x[:, 0] + rng.normal(size=1200) * np.where(x[:, 1] > 0, 2.0, 0.2)
    return Encoded({"lab": numbers(x)}, Target("regression", ("t",), y), np.arange(1200))


def fitted(rows: Encoded, uncertainty: str) -> tuple[Params, Prediction]:
    """Trained on the first 600 rows, its answer for the others."""
    model = MLP(replace(QUICK, uncertainty=uncertainty))
    params = model.fit(rows.take(np.arange(600)), np.random.default_rng(0))
    return params, model.predict(params, rows.take(np.arange(600, 1200)).blocks)


@pytest.mark.parametrize("uncertainty", ["quantile", "evidential"])
def test_intervals_hold_what_they_promise_and_are_wide_where_values_scatter(uneven, uncertainty):
    params, answer = fitted(uneven, uncertainty)
    y, noisy = uneven.target.y[600:], uneven.blocks["lab"].values[600:, 1] > 0
    assert answer.value.shape == (600, 1)
    assert np.abs(answer.value[:, 0] - 3 * uneven.blocks["lab"].values[600:, 0]).mean() < 0.4
    assert np.median(answer.spread[noisy]) > 4 * np.median(answer.spread[~noisy])
    hits, widths = {"all": [], "noisy": [], "quiet": []}, []
    for half in range(20):
        learn = np.random.default_rng(half).permutation(600) < 300
        held = fit_number(answer.value[learn, 0], y[learn], 0.9, scale=answer.spread[learn])
        low, high = held.interval(answer.value[~learn, 0], scale=answer.spread[~learn])
        hit, loud = (low <= y[~learn]) & (y[~learn] <= high), noisy[~learn]
        for name, rows in (("all", hit), ("noisy", hit[loud]), ("quiet", hit[~loud])):
            hits[name].append(rows.mean())
        plain = fit_number(answer.value[learn, 0], y[learn], 0.9)
        widths.append((high - low).mean() / (2 * plain.quantiles[""]))
    assert 0.88 < np.mean(hits["all"]) < 0.92
    assert min(np.mean(hits["noisy"]), np.mean(hits["quiet"])) > 0.8, "within each kind of row too"
    assert np.mean(widths) < 0.85, "narrower on average than one width for all"
    with pytest.raises(OptionError, match="uncertainty=none"):
        layers(params)


def test_a_plain_network_has_no_spread(uneven):
    assert fitted(uneven, "none")[1].spread is None
