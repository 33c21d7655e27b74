"""Survival forests and boosted survival trees of our own, on scikit-learn's and LightGBM's tree growing.

`survival_forest` grows bagged trees by the relative-risk deviance of LeBlanc & Crowley (1992, Biometrics 48:411): a
split is judged by the Poisson deviance of events against expected events, each row expecting its own Nelson-Aalen
cumulative hazard. Leaves then hold their own Nelson-Aalen curve, and the curves of all trees are averaged (Ishwaran et
al. 2008, Ann Appl Stat 2:841), so hazards need not be proportional.

`survival_boosting` boosts Cox's partial likelihood with Efron's ties, once per inner fold, each time without the rows
of that fold. The mean of these boosters is the model; the number of trees, the slope of their sum and the baseline
hazard come from the rows that each booster did not see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from osler.blocks import Block
from osler.models import nodes
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.models.boosting import nodes_of_text
from osler.models.breslow import breslow, survival
from osler.models.cox import ridge_path
from osler.models.design import TreeDesign
from osler.models.labels import inner_folds
from osler.models.nodes import Nodes, OneTree
from osler.models.partial_likelihood import log_likelihood, risk_sets, row_derivatives
from osler.models.trees import LEAST_TREES
from osler.tasks.base import Prediction, Target
from osler.tasks.kaplan_meier import nelson_aalen
from osler.tasks.survival import horizon_of, time_grid

#: Curvature that a row has at least, so that no leaf divides by almost nothing.
LEAST_CURVATURE = 1e-3


@dataclass(frozen=True)
class SurvivalForestOptions:
    """Options of the survival forest.

    Attributes:
        trees: number of trees.
        min_leaf: fewest training rows in a leaf; 0 takes 10, or one in 200 rows where that is more.
        features: share of the columns tried at each split, at least two columns.
    """

    trees: int = 400
    min_leaf: int = 0
    features: float = 0.2


class SurvivalForest(Estimator):
    """A random survival forest."""

    name = "survival_forest"
    answers = frozenset({"survival"})
    copes_with_missing = True
    Options = SurvivalForestOptions

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Grow the trees, then fill their leaves with cumulative hazards.

        Params: design and node arrays (a leaf's value is its row in `hazard`), `hazard` (leaves, t) float32, `times`
            (t,).
        """
        return self._fit(batches.all(), rng)[0]

    def fit_out_of_bag(self, batches: Batches, rng: np.random.Generator) -> tuple[Params, Prediction] | None:
        """The forest, and each row's curve by the trees whose bootstrap left its unit out (Ishwaran et al. 2008)."""
        params, total, trees = self._fit(batches.all(), rng)
        if trees.min() < LEAST_TREES:
            return None
        return params, Prediction(np.exp(-total / trees[:, None]), params.arrays["times"])

    def _fit(self, data: Encoded, rng: np.random.Generator) -> tuple[Params, np.ndarray, np.ndarray]:
        """Params; every row's summed cumulative hazard (n, t) in the trees that left it out; how many (n,) they are."""
        design = TreeDesign.fit(data.blocks)
        x = _as_trees_see(design.matrix(data.blocks)).astype(np.float32)
        times = time_grid(horizon_of(data.target))
        trees, hazards, filled = [], [], 0
        total, n_trees = np.zeros((len(x), len(times))), np.zeros(len(x), dtype=np.int64)
        for grown, drawn in self._grow(x, data, rng):
            tree, n_leaves = _numbered(grown, filled)
            leaf = tree.value[grown.apply(x), 0].astype(np.int64) - filled
            hazards.append(leaf_hazards(data.target, drawn * _case(data.target), leaf, n_leaves, times))
            unseen = np.flatnonzero(drawn == 0)
            total[unseen] += hazards[-1][leaf[unseen]]
            n_trees[unseen] += 1
            trees.append(tree)
            filled += n_leaves
        meta, arrays = design.to_params()
        node_meta, node_arrays = nodes.join(trees).to_params()
        arrays |= {**node_arrays, "hazard": np.concatenate(hazards).astype(np.float32), "times": times}
        return Params({"design": meta, "nodes": node_meta}, arrays), total, n_trees

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Survival curves (n, t): exp(-mean over trees of the leaf's cumulative hazard)."""
        x = _as_trees_see(TreeDesign.from_params(params).matrix(blocks))
        trees, hazard = Nodes.from_params(params), params.arrays["hazard"]
        times = params.arrays["times"]
        total = np.zeros((len(x), len(times)))
        size = max(1, nodes.CHUNK // max(len(trees.roots), 1))
        for at in range(0, len(x), size):
            leaves = trees.value[trees.leaves(x[at : at + size]), 0].astype(np.int64)
            for leaf in leaves:
                total[at : at + size] += hazard[leaf]
        return Prediction(np.exp(-total / len(trees.roots)), times)

    def _grow(self, x: np.ndarray, data: Encoded, rng: np.random.Generator) -> Iterator[tuple[Any, np.ndarray]]:
        """scikit-learn's Poisson trees on bootstrap samples, and how often (n,) each of them drew every row.

        A tree learns rate = events / expected events, weighted by expected events; whole units are drawn evenly.
        """
        from sklearn.tree import DecisionTreeRegressor

        (n, p), target, case = x.shape, data.target, _case(data.target)
        _, unit = np.unique(data.groups, return_inverse=True)
        units = int(unit.max()) + 1
        expected = nelson_aalen(target.y, target.event, target.weight).at(target.y)
        expected = np.maximum(expected, 1e-3 * max(float(expected.max()), 1e-12))
        rate = target.event / expected
        tree = DecisionTreeRegressor(
            criterion="poisson",
            min_samples_leaf=max(1, min(self.options.min_leaf or max(10, n // 200), n // 3)),
            max_features=min(p, max(2, round(self.options.features * p))),
        )
        for _ in range(self.options.trees):
            drawn = np.bincount(rng.integers(0, units, units), minlength=units)[unit]
            seed = int(rng.integers(2**31 - 1))
            if not (target.event & (drawn * case > 0)).any():
                drawn = np.ones(n, dtype=np.int64)
            tree.set_params(random_state=seed).fit(x, rate, sample_weight=drawn * case * expected)
            yield tree.tree_, drawn


def _case(target: Target) -> np.ndarray:
    """(n,) case weights, ones where none are given."""
    return np.ones(len(target)) if target.weight is None else target.weight


def _as_trees_see(x: np.ndarray) -> np.ndarray:
    """(n, p) rounded to single precision as scikit-learn's trees do; one constant column where there is none."""
    return x.astype(np.float32).astype(np.float64) if x.shape[1] else np.zeros((len(x), 1))


def _numbered(tree: Any, first: int) -> tuple[OneTree, int]:
    """scikit-learn's tree with leaves numbered from `first` on as their value, and how many leaves it has."""
    leaf = tree.children_left < 0
    number = np.zeros(tree.node_count)
    number[leaf] = first + np.arange(leaf.sum())
    return OneTree(
        feature=np.where(leaf, 0, tree.feature),
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing_left=tree.missing_go_to_left.astype(bool),
        value=number[:, None],
    ), int(leaf.sum())


def leaf_hazards(target: Target, weight: np.ndarray, leaf: np.ndarray, n_leaves: int, times: np.ndarray) -> np.ndarray:
    """Nelson-Aalen cumulative hazard of every leaf of one tree at the times of the grid.

    Args:
        target: n training rows.
        weight: (n,) how often each row was drawn for this tree, times its case weight.
        leaf: (n,) leaf of each row, 0 ... n_leaves - 1.
        times: (t,) rising.

    Returns:
        (n_leaves, t).
    """
    order = np.lexsort((-target.y, leaf))
    place, time, w = leaf[order], target.y[order], weight[order]
    total = np.cumsum(w)
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    before = np.repeat(total[starts] - w[starts], np.diff(np.append(starts, len(place))))
    # The last of several equal times in a leaf knows everybody who is still at risk at that time.
    last = np.flatnonzero(np.append((np.diff(time) != 0) | (np.diff(place) != 0), True))
    at_risk = (total - before)[last[np.searchsorted(last, np.arange(len(place)))]]
    dead = target.event[order] & (w > 0)
    steps = w[dead] / at_risk[dead]
    cell = place[dead] * (len(times) + 1) + np.searchsorted(times, time[dead], side="left")
    filled = np.bincount(cell, weights=steps, minlength=n_leaves * (len(times) + 1))
    return np.cumsum(filled.reshape(n_leaves, -1)[:, :-1], axis=1)


@dataclass(frozen=True)
class SurvivalBoostingOptions:
    """Options of boosted survival trees.

    Attributes:
        learning_rate: how much of each tree is kept.
        leaves: most leaves of a tree; 0 takes 2 (no interactions) or 4, whichever predicts inner folds better.
        min_leaf: fewest training rows in a leaf (a tenth of the rows where that is fewer).
        rounds: number of trees; 0 lets inner folds decide when to stop, up to `max_rounds`.
        max_rounds: most trees that inner folds may ask for.
        features: share of the columns that each tree sees, at least three columns (one alone could hold no
            interaction).
        rows: share of the rows that each tree sees.
        ridge: L2 penalty on leaf values.
        folds: inner folds.
    """

    learning_rate: float = 0.05
    leaves: int = 0
    min_leaf: int = 20
    rounds: int = 0
    max_rounds: int = 800
    features: float = 0.3
    rows: float = 0.7
    ridge: float = 1.0
    folds: int = 5


class SurvivalBoosting(Estimator):
    """Gradient-boosted trees (LightGBM) on Cox's partial likelihood."""

    name = "survival_boosting"
    answers = frozenset({"survival"})
    copes_with_missing = True
    Options = SurvivalBoostingOptions

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Boost without each inner fold in turn.

        Params: design and node arrays (the mean of the boosters), `times` and `baseline` (t,); meta has the boosters
            as text models, the rounds of each and the slope.
        """
        return self._fit(batches.all(), rng)[0]

    def fit_out_of_bag(self, batches: Batches, rng: np.random.Generator) -> tuple[Params, Prediction] | None:
        """The model, and each row's curve by the booster that did not see its unit.

        Number of trees, slope and baseline behind the answers of an inner fold are chosen on the other folds, or the
        answers would look better than those for new rows. Only the size of the trees is chosen on all.
        """
        data = batches.all()
        params, fold, blind = self._fit(data, rng)
        if fold.max() < 1 or not all(data.target.event[fold != k].any() for k in range(fold.max() + 1)):
            return None
        times = params.arrays["times"]
        curves = np.empty((len(blind), len(times)))
        for k in range(fold.max() + 1):
            part = replace(data.target.take(fold != k), horizon=float(times[-1]))
            slope = _slope(part, blind[fold != k])
            _, baseline = breslow(part, slope * blind[fold != k])
            curves[fold == k] = survival(times, baseline, slope * blind[fold == k]).value
        return params, Prediction(curves, times)

    def _fit(self, data: Encoded, rng: np.random.Generator) -> tuple[Params, np.ndarray, np.ndarray]:
        """Params, inner fold (n,) of every row, and its sum of trees (n,) from the booster that did not see it, cut
        where the other folds say.
        """
        target = data.target
        design = TreeDesign.fit(data.blocks)
        x = design.matrix(data.blocks)
        fold = inner_folds(data, self.options.folds, rng)
        settings = self._settings(x.shape, int(rng.integers(2**31 - 1)))
        sizes = [self.options.leaves] if self.options.leaves else [2, 4] if fold.max() > 0 else [4]
        tried = [self._boosters(x, target, fold, {**settings, "num_leaves": size}) for size in sizes]
        best = int(np.argmax([gain for gain, *_ in tried]))
        _, texts, rounds, unseen, blind = tried[best]
        trees = _mean_of([nodes_of_text(text) for text in texts])
        slope = _slope(target, unseen)
        times, baseline = breslow(target, slope * unseen)
        meta, arrays = design.to_params()
        node_meta, node_arrays = trees.to_params()
        facts = {"texts": texts, "rounds": rounds, "leaves": sizes[best], "slope": slope}
        arrays |= {**node_arrays, "times": times, "baseline": baseline}
        return Params({"design": meta, "nodes": node_meta, **facts}, arrays), fold, blind

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Survival curves (n, t) on the time grid."""
        return survival(params.arrays["times"], params.arrays["baseline"], self.log_hazard(params, blocks))

    def log_hazard(self, params: Params, blocks: dict[str, Block]) -> np.ndarray:
        """(n,) slope times the mean sum of the trees: log hazard up to a constant that the baseline holds."""
        x = TreeDesign.from_params(params).matrix(blocks)
        return params.meta["slope"] * Nodes.from_params(params).total(x)[:, 0]

    def _settings(self, shape: tuple[int, ...], seed: int) -> dict[str, Any]:
        options, (n, p) = self.options, shape
        return {
            "learning_rate": options.learning_rate,
            "min_data_in_leaf": max(1, min(options.min_leaf, n // 10)),
            "feature_fraction": min(1.0, max(options.features, 3 / max(p, 1))),
            "bagging_fraction": options.rows,
            "bagging_freq": 1 if options.rows < 1 else 0,
            "lambda_l2": options.ridge,
            "min_sum_hessian_in_leaf": LEAST_CURVATURE,
            "min_data_in_bin": max(1, min(3, n // 50)),
            "metric": "None",
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }

    def _boosters(
        self, x: np.ndarray, target: Target, fold: np.ndarray, settings: dict[str, Any]
    ) -> tuple[float, list[str], int, np.ndarray, np.ndarray]:
        """The best cross-validated partial likelihood, text models, their number of trees, and every row's sum of
        trees (n,) from the booster that did not see it, with that number of trees and with the number that the other
        folds would choose. Without inner folds: one booster of all rows, and its own sums.
        """
        fixed, k = self.options.rounds, int(fold.max()) + 1
        if k < 2:
            rounds = fixed or 50
            model, _ = _boost(x, target, np.ones(len(x), dtype=bool), settings, rounds)
            own = model.predict(x, raw_score=True, num_threads=1)
            return 0.0, [model.model_to_string()], rounds, own, own
        boosted = [
            _boost(x, target, fold != i, settings, fixed or self.options.max_rounds, stop=not fixed) for i in range(k)
        ]
        longest = max(len(curve) for _, curve in boosted)
        gains = np.array([np.pad(curve, (0, longest - len(curve)), mode="edge") for _, curve in boosted])
        total = gains.sum(axis=0)
        rounds = fixed or int(np.argmax(total)) + 1
        unseen, blind = np.empty(len(x)), np.empty(len(x))
        for i, (model, _) in enumerate(boosted):
            elsewhere = fixed or int(np.argmax(total - gains[i])) + 1
            for sums, trees in ((unseen, rounds), (blind, elsewhere)):
                sums[fold == i] = model.predict(x[fold == i], num_iteration=trees, raw_score=True, num_threads=1)
        texts = [model.model_to_string(num_iteration=rounds) for model, _ in boosted]
        return float(total[rounds - 1]), texts, rounds, unseen, blind


def _slope(target: Target, log_hazard: np.ndarray) -> float:
    """By how much the log hazards (n,) must be multiplied to fit rows that they have not seen, 0.2 to 1.5."""
    sets = risk_sets(target.y, target.event, target.weight)
    return float(np.clip(ridge_path(sets, log_hazard[:, None], [1.0])[0, 0], 0.2, 1.5))


def _mean_of(parts: list[Nodes]) -> Nodes:
    """The trees of several boosters as one set whose sum is the mean of their sums."""
    shift = np.cumsum([0, *(len(p.feature) for p in parts[:-1])])
    return Nodes(
        feature=np.concatenate([p.feature for p in parts]),
        threshold=np.concatenate([p.threshold for p in parts]),
        children=np.concatenate([p.children + s for p, s in zip(parts, shift)]),
        missing_left=np.concatenate([p.missing_left for p in parts]),
        value=np.concatenate([p.value for p in parts]) / len(parts),
        roots=np.concatenate([p.roots + s for p, s in zip(parts, shift)]),
        depth=max(p.depth for p in parts),
    )


def _boost(
    x: np.ndarray, target: Target, train: np.ndarray, settings: dict[str, Any], rounds: int, stop: bool = False
) -> tuple[Any, np.ndarray]:
    """A booster of the rows `train` (n,), and its cross-validated partial likelihood after each tree (0 if all rows
    train).

    With `stop` it ends when that has not risen for a while. A training part without any event gives a booster of flat
    trees.
    """
    import lightgbm

    part = target.take(train)
    inside = risk_sets(part.y, part.event, part.weight)
    everyone = risk_sets(target.y, target.event, target.weight)

    def objective(score: np.ndarray, _: Any) -> tuple[np.ndarray, np.ndarray]:
        gradient, curvature = row_derivatives(inside, score)
        return -gradient, np.maximum(curvature, LEAST_CURVATURE)

    def gain(score: np.ndarray, _: Any) -> tuple[str, float, bool]:
        return "gain", log_likelihood(everyone, score) - log_likelihood(inside, score[train]), True

    data = lightgbm.Dataset(x[train], label=np.zeros(int(train.sum())), params=settings)
    settings = {**settings, "objective": objective}
    if rounds < 1 or train.all():
        return lightgbm.train(settings, data, num_boost_round=max(rounds, 1)), np.zeros(1)
    seen: dict[str, Any] = {}
    patience = int(np.clip(2.0 / settings["learning_rate"], 20, 100))
    calls = [lightgbm.record_evaluation(seen)]
    if stop:
        calls.append(lightgbm.early_stopping(patience, verbose=False))
    model = lightgbm.train(
        settings, data, num_boost_round=rounds,
        valid_sets=[lightgbm.Dataset(x, label=np.zeros(len(x)), reference=data)],
        valid_names=["all"], feval=gain, callbacks=calls,
    )  # fmt: skip
    return model, np.array(seen["all"]["gain"])
