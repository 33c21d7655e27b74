"""Conformal sets and intervals: their quantile by hand, the promise kept on real data, by group and by
class.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from osler.errors import OptionError
from osler.evaluation import conformal as con


def test_the_quantile_by_hand():
    scores = np.arange(1.0, 10.0)  # nine scores: the ceil(10 * 0.9) = 9th
    assert con.quantile(scores, 0.9) == 9
    assert con.quantile(scores, 0.8) == 8
    assert con.quantile(scores, 0.95) == float("inf")
    assert con.quantile(np.zeros(0), 0.9) == float("inf")


def test_lac_sets_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]])
    found = con.Conformal("classes", "lac", 0.9, "", {"": 0.7})
    assert found.sets(p).tolist() == [[True, False, False], [True, True, False]]


def test_aps_scores_by_hand():
    class Half:
        """A generator whose draws are all one half."""

        def random(self, shape):
            return np.full(shape, 0.5)

    scores = con.aps(np.array([[0.5, 0.2, 0.3]]), Half())
    assert scores[0] == pytest.approx([0.25, 0.8 + 0.1, 0.5 + 0.15])


def test_intervals_by_hand():
    y, mean = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.5, 2.0, 2.0, 4.2])
    found = con.fit_number(mean, y, 0.8)  # residuals .5 0 1 .2: the ceil(5 * .8) = 4th is 1
    low, high = found.interval(np.array([10.0]))
    assert (low[0], high[0]) == (9.0, 11.0)
    scaled = con.fit_number(mean, y, 0.8, scale=np.array([1.0, 1.0, 4.0, 1.0]))
    low, high = scaled.interval(np.array([10.0]), scale=np.array([2.0]))
    assert (low[0], high[0]) == (9.0, 11.0)
    assert scaled.method == "normalised"


def test_a_group_too_small_for_the_level_gets_no_false_promise():
    groups = np.array(["a"] * 50 + ["b"] * 3)
    found = con.fit_number(np.zeros(53), np.linspace(0, 1, 53), 0.9, by="group", groups=groups)
    low, high = found.interval(np.zeros(3), np.array(["a", "b", "unseen"]))
    assert np.isfinite(high[0])
    assert np.isinf(high[1:]).all()
    assert np.isinf(low[1:]).all()
    assert found.n == {"a": 50, "b": 3}


def test_it_survives_json_infinities_included():
    found = con.fit_number(np.zeros(5), np.arange(5.0), 0.99, by="group", groups=np.array(list("aaabb")))
    again = con.Conformal.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again == found


def test_cv_plus_by_brute_force(rng):
    n, k = 40, 4
    residual, fold = rng.random(n), np.arange(n) % k
    predictions = rng.normal(size=(7, k))
    low, high = con.cv_plus_interval(residual, fold, predictions, 0.9)
    rank = int(np.ceil(0.9 * (n + 1)))
    for row in range(7):
        upper = sorted(predictions[row, fold[i]] + residual[i] for i in range(n))[rank - 1]
        lower = sorted((predictions[row, fold[i]] - residual[i] for i in range(n)), reverse=True)[rank - 1]
        assert (low[row], high[row]) == pytest.approx((lower, upper))


def test_cv_plus_with_too_few_rows_promises_nothing():
    low, high = con.cv_plus_interval(np.ones(5), np.arange(5), np.zeros((2, 5)), 0.9)
    assert np.isinf(low).all()
    assert np.isinf(high).all()


def test_cv_plus_sets_by_brute_force(rng):
    n, k, m = 30, 3, 5
    fold = np.arange(n) % k
    scores, predictions = rng.random(n), rng.dirichlet([1, 1], (m, k))
    found = con.cv_plus_sets(scores, fold, predictions, 0.9)
    for row in range(m):
        for c in range(2):
            below = sum(scores[i] < 1 - predictions[row, fold[i], c] for i in range(n))
            assert found[row, c] == (below < 0.9 * (n + 1))


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """442 real patients: ten measurements and disease progression after a year."""
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True)


def least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coefficients with an intercept."""
    return np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0]


def predicted(beta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Linear predictions."""
    return beta[0] + x @ beta[1:]


def test_split_intervals_keep_their_promise_on_real_patients():
    x, y = diabetes()
    rng, hits = np.random.default_rng(0), []
    for _ in range(200):
        order = rng.permutation(len(y))
        train, calibrate, test = order[:200], order[200:320], order[320:]
        beta = least_squares(x[train], y[train])
        found = con.fit_number(predicted(beta, x[calibrate]), y[calibrate], 0.9)
        low, high = found.interval(predicted(beta, x[test]))
        hits.append(np.mean((low <= y[test]) & (y[test] <= high)))
    assert np.mean(hits) == pytest.approx(0.9, abs=0.015)


def test_cv_plus_intervals_keep_their_promise_on_real_patients():
    x, y = diabetes()
    rng, hits = np.random.default_rng(1), []
    for _ in range(60):
        order = rng.permutation(len(y))
        train, test = order[:300], order[300:]
        fold = rng.permutation(300) % 10
        betas = [least_squares(x[train][fold != k], y[train][fold != k]) for k in range(10)]
        out = np.array([abs(y[train][i] - predicted(betas[fold[i]], x[train][i])) for i in range(300)])
        new = np.column_stack([predicted(b, x[test]) for b in betas])
        low, high = con.cv_plus_interval(out, fold, new, 0.9)
        hits.append(np.mean((low <= y[test]) & (y[test] <= high)))
    assert np.mean(hits) == pytest.approx(0.9, abs=0.02)


def simulated(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, over-confident probabilities and a group in which the model is much worse."""
    group = rng.integers(0, 2, n)
    x = rng.normal(size=(n, 3))
    truth = np.exp(x * np.where(group == 1, 0.3, 2.0)[:, None])
    truth /= truth.sum(axis=1, keepdims=True)
    y = (truth.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    p = np.exp(3 * x)
    return y, p / p.sum(axis=1, keepdims=True), group


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_sets_cover_even_when_the_model_is_wrong(method, rng):
    hits, sizes = [], []
    for _ in range(100):
        y, p, _ = simulated(rng, 600)
        found = con.fit_classes(p[:300], y[:300], 0.9, method=method, rng=rng)
        sets = found.sets(p[300:], rng=rng)
        hits.append(sets[np.arange(300), y[300:]].mean())
        sizes.append(sets.sum(axis=1).mean())
    assert np.mean(hits) == pytest.approx(0.9, abs=0.015)
    assert 1 < np.mean(sizes) < 3


def test_mondrian_covers_each_group_where_the_plain_one_does_not(rng):
    plain, by_group = [[], []], [[], []]
    for _ in range(60):
        y, p, group = simulated(rng, 1000)
        cal, new = slice(0, 500), slice(500, 1000)
        one = con.fit_classes(p[cal], y[cal], 0.9)
        each = con.fit_classes(p[cal], y[cal], 0.9, by="group", groups=group[cal])
        for g in (0, 1):
            rows = group[new] == g
            truth = y[new][rows]
            picked = np.arange(rows.sum())
            plain[g].append(one.sets(p[new][rows])[picked, truth].mean())
            by_group[g].append(each.sets(p[new][rows], group[new][rows])[picked, truth].mean())
    assert np.mean(plain[1]) < 0.88
    assert [np.mean(v) for v in by_group] == pytest.approx([0.9, 0.9], abs=0.02)


def test_by_class_covers_each_class(rng):
    hits = [[], [], []]
    for _ in range(60):
        y, p, _ = simulated(rng, 1200)
        found = con.fit_classes(p[:600], y[:600], 0.9, by="class")
        sets = found.sets(p[600:])
        for c in range(3):
            hits[c].append(sets[y[600:] == c, c].mean())
    assert [np.mean(v) for v in hits] == pytest.approx([0.9] * 3, abs=0.02)


def test_coverage_has_an_interval():
    found = con.coverage(np.array([True] * 90 + [False] * 10))
    assert found["value"] == pytest.approx(0.9)
    assert found["low"] < 0.9 < found["high"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": 1.0}, "between 0 and 1"),
        ({"method": "raps"}, "one of lac, aps"),
        ({"by": "sex"}, "'group' or 'class'"),
        ({"by": "group"}, "needs the group"),
        ({"method": "aps"}, "random generator"),
    ],
)
def test_impossible_options_are_refused(options, words):
    p, y = np.full((4, 2), 0.5), np.array([0, 1, 0, 1])
    with pytest.raises(OptionError, match=words):
        con.fit_classes(p, y, **options)


def test_groups_are_needed_to_answer_by_group():
    found = con.fit_number(np.zeros(4), np.arange(4.0), 0.5, by="group", groups=np.array(list("aabb")))
    with pytest.raises(OptionError, match="need the group"):
        found.interval(np.zeros(2))
    with pytest.raises(OptionError, match="not by class"):
        con.fit_number(np.zeros(4), np.arange(4.0), 0.5, by="class")
