"""Cox: coefficients against lifelines (Efron), derivatives by differences, splines by hand, penalties that shrink."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.blocks import dense
from osler.errors import OptionError
from osler.evaluation.concordance import concordance
from osler.models import cox
from osler.models import get as model
from osler.models.base import Encoded, Params
from osler.models.breslow import breslow
from osler.models.cox import Cox, CoxOptions
from osler.models.partial_likelihood import derivatives, log_likelihood, risk_sets, row_derivatives
from osler.tasks.base import Target
from osler.tasks.kaplan_meier import nelson_aalen
from tests import survival_data


def plain(name: str) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """Complete rows as a plain matrix with one column per level but the first, names, times, events."""
    duration, event = survival_data.COLUMNS[name]
    frame = survival_data.table(name).drop_nulls()
    texts = [c for c in frame.columns if frame[c].dtype == pl.String]
    frame = frame.to_dummies(texts, drop_first=True) if texts else frame
    x = frame.drop(duration, event)
    return x.to_numpy().astype(float), x.columns, frame[duration].to_numpy().astype(float), frame[event].to_numpy() > 0


@pytest.mark.parametrize("name", ["rossi", "lung", "gbsg2"])
def test_coefficients_agree_with_lifelines(name):
    import pandas as pd
    from lifelines import CoxPHFitter

    x, names, time, event = plain(name)
    frame = pd.DataFrame(x, columns=names).assign(T=time, E=event)
    fitter = CoxPHFitter().fit(frame, "T", "E", fit_options={"precision": 1e-12})
    sets = risk_sets(time, event)
    scale = x.std(axis=0)
    beta = cox.ridge_path(sets, x / scale, [1e-10])[0] / scale
    assert beta == pytest.approx(fitter.params_.to_numpy(), abs=1e-5)
    assert log_likelihood(sets, x @ beta) == pytest.approx(fitter.log_likelihood_, abs=1e-6)


def test_weights_are_treated_as_lifelines_and_r_do(rng):
    import pandas as pd
    from lifelines import CoxPHFitter

    x, names, time, event = plain("rossi")
    weight = rng.integers(1, 4, len(time)).astype(float)
    frame = pd.DataFrame(x, columns=names).assign(T=time, E=event, W=weight)
    fitter = CoxPHFitter().fit(frame, "T", "E", weights_col="W", robust=False, fit_options={"precision": 1e-12})
    beta = cox.ridge_path(risk_sets(time, event, weight), x, [0.0])[0]
    assert beta == pytest.approx(fitter.params_.to_numpy(), abs=1e-5)


def test_efron_likelihood_by_hand():
    # Three at risk with hazards a, b, c; the first two die together: log a + log b - log(a+b+c) - log(a+b+c -
    # (a+b)/2).
    eta = np.array([0.3, -0.2, 0.5])
    a, b, c = np.exp(eta)
    want = eta[0] + eta[1] - np.log(a + b + c) - np.log(a + b + c - (a + b) / 2)
    sets = risk_sets(np.array([2.0, 2.0, 4.0]), np.array([True, True, False]))
    assert log_likelihood(sets, eta) == pytest.approx(want)


@given(st.integers(0, 10_000))
def test_derivatives_are_differences(seed):
    rng = np.random.default_rng(seed)
    time, event = rng.integers(1, 6, 15).astype(float), rng.random(15) < 0.6
    x, beta, eta = rng.normal(size=(15, 3)), rng.normal(size=3) * 0.5, rng.normal(size=15)
    sets = risk_sets(time, event, rng.uniform(0.5, 2, 15))
    gradient, curvature = row_derivatives(sets, eta)
    for i in range(15):
        step = np.eye(15)[i] * 1e-3
        up, middle, down = (log_likelihood(sets, eta + s) for s in (step, 0 * step, -step))
        assert gradient[i] == pytest.approx((up - down) / 2e-3, abs=1e-5)
        assert curvature[i] == pytest.approx((2 * middle - up - down) / 1e-6, abs=1e-4)
    if not event.any():
        return
    value, slope, hessian = derivatives(sets, x[sets.order], beta)
    assert value == pytest.approx(log_likelihood(sets, x @ beta))
    for j in range(3):
        step = np.eye(3)[j] * 1e-5
        up, down = (derivatives(sets, x[sets.order], beta + s) for s in (step, -step))
        assert slope[j] == pytest.approx((up[0] - down[0]) / 2e-5, abs=1e-4)
        assert -hessian[j] == pytest.approx((up[1] - down[1]) / 2e-5, abs=1e-4)


def test_breslow_without_effects_is_nelson_aalen():
    target = survival_data.target("lung", 300.0)
    times, hazard = breslow(target, np.zeros(len(target)))
    assert hazard == pytest.approx(nelson_aalen(target.y, target.event).at(times))


def test_breslow_agrees_with_lifelines():
    import pandas as pd
    from lifelines import CoxPHFitter

    x, names, time, event = plain("gbsg2")
    fitter = CoxPHFitter().fit(pd.DataFrame(x, columns=names).assign(T=time, E=event), "T", "E")
    target = Target("survival", ("T", "E"), time, event, horizon=1500.0)
    times, hazard = breslow(target, (x - x.mean(axis=0)) @ fitter.params_.to_numpy())
    reference = fitter.baseline_cumulative_hazard_.iloc[:, 0]
    want = [reference[reference.index <= t].iloc[-1] for t in times[2:]]
    assert hazard[2:] == pytest.approx(want, rel=1e-6)


def test_more_predictors_than_rows_gives_the_same_answer_in_either_space(rng):
    x = rng.normal(size=(40, 25))
    time, event = rng.exponential(np.exp(-x[:, 0])), rng.random(40) < 0.8
    sets = risk_sets(time, event)
    direct = cox.ridge_path(sets, x, [3.0])[0]
    # Each column split into two equal halves of it: 50 predictors of 40 rows, whose sum must act as before.
    wide = np.hstack([x, x]) / np.sqrt(2)
    assert cox.ridge_path(sets, wide, [3.0])[0].reshape(2, -1).sum(axis=0) / np.sqrt(2) == pytest.approx(
        direct, abs=1e-6
    )


def test_a_column_twice_shares_the_effect_without_penalty(rng):
    x = rng.normal(size=(80, 1))
    sets = risk_sets(rng.exponential(np.exp(-x[:, 0])), np.ones(80, bool))
    alone = cox.ridge_path(sets, x, [0.0])[0]
    assert cox.ridge_path(sets, np.hstack([x, x]), [0.0])[0] == pytest.approx([alone[0] / 2] * 2, abs=1e-6)


def test_separated_rows_do_not_run_away():
    x = np.arange(20.0)[:, None]
    beta = cox.ridge_path(risk_sets(20.0 - x[:, 0], np.ones(20, bool)), x / x.std(), [1.0])[0]
    assert np.isfinite(beta).all()
    assert beta[0] > 1


def test_spline_is_straight_outside_the_knots_and_smooth_inside():
    knots, which = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0]]), np.array([0])
    x = np.linspace(-5, 5, 2001)[:, None]
    terms = cox.spline_terms(x, knots, which)
    assert terms[x[:, 0] <= -2] == pytest.approx(0.0)
    second = np.diff(terms, n=2, axis=0) / (x[1, 0] - x[0, 0]) ** 2
    assert np.abs(second[x[1:-1, 0] > 2.01]).max() < 1e-6
    assert np.abs(np.diff(second, axis=0)).max() < 0.01  # the second derivative has no jump
    # Harrell's formula at x = 1.5, first term: ((3.5)^3 - (0.5)^3 (4) / 1 + 0) / 4^2.
    at = cox.spline_terms(np.array([[1.5]]), knots, which)
    assert at[0, 0] == pytest.approx((3.5**3 - 0.5**3 * 4.0) / 16)


def made(rng, n=400, bent=False) -> Encoded:
    x = rng.normal(size=(n, 3))
    effect = 1.5 * x[:, 0] ** 2 if bent else x[:, 0]
    time, lost = rng.exponential(10 * np.exp(-effect)), rng.uniform(0, 20, n)
    target = Target("survival", ("t", "e"), np.minimum(time, lost) + 1e-3, time <= lost, horizon=10.0)
    return Encoded({"x": dense(x, ["a", "b", "c"])}, target, np.arange(n))


def test_it_finds_the_effect_and_the_curve(rng):
    data = made(rng, 2000)
    params = Cox(CoxOptions(spline="no")).fit(data, rng)
    scale = params.arrays["design/inverse_scale"]
    assert params.arrays["coefficient"] * scale == pytest.approx([1, 0, 0], abs=0.1)
    x = np.array([[1.0, 0, 0], [-1.0, 0, 0]])
    answer = Cox().predict(params, {"x": dense(x, ["a", "b", "c"])})
    assert answer.event_probability(10.0) == pytest.approx(1 - np.exp(-np.exp([1.0, -1.0])), abs=0.04)
    assert params.meta["rank"] == 3
    assert params.meta["log_likelihood"] > params.meta["log_likelihood_null"] + 100


def test_auto_bends_where_it_helps_only(rng):
    assert Cox().fit(made(rng, bent=True), rng).meta["spline"] is True
    assert Cox(CoxOptions(spline="no")).fit(made(rng, bent=True), rng).meta["spline"] is False
    noise = made(rng)
    noise = Encoded(noise.blocks, noise.target.take(rng.permutation(400)), noise.groups)
    params = Cox().fit(noise, rng)
    assert np.abs(params.arrays["coefficient"]).max() < 0.1


def test_real_tables_with_missing_values_and_categories(rng):
    for name, least in (("lung", 0.60), ("gbsg2", 0.66)):
        data = survival_data.encoded(name)
        test = np.arange(len(data)) % 4 == 0
        params = Cox().fit(data.take(~test), rng)
        answer = Cox().predict(params, data.take(test).blocks)
        seen = data.target.take(test)
        assert concordance(seen.y, seen.event, answer.risk).value > least
        assert np.isfinite(answer.value).all()
        assert (np.diff(answer.value, axis=1) <= 0).all()
        assert answer.times[-1] == data.target.horizon


def test_params_are_arrays_and_json_only(rng):
    import json

    data = made(rng, 120)
    params = Cox().fit(data, rng)
    again = Params(json.loads(json.dumps(params.meta)), {k: v.copy() for k, v in params.arrays.items()})
    assert all(v.dtype != object for v in params.arrays.values())
    assert (Cox().predict(again, data.blocks).value == Cox().predict(params, data.blocks).value).all()
    ratios = cox.fitted_facts(params)["hazard_ratios"]
    assert ratios[0][0].startswith("a")


def test_same_seed_same_params(rng):
    data = made(rng, 150)
    first, second = (Cox().fit(data, np.random.default_rng(3)) for _ in range(2))
    assert first.meta == second.meta
    assert all((first.arrays[k] == second.arrays[k]).all() for k in first.arrays)


def test_options_are_checked():
    assert model("cox:penalty=2.5,spline=no").options == CoxOptions(2.5, "no")
    with pytest.raises(OptionError, match="must be auto, yes or no"):
        model("cox:spline=maybe")
    with pytest.raises(OptionError, match="0 or above"):
        model("cox:penalty=-1")
