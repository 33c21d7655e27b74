"""A decision tree and forests of them: grown by scikit-learn, kept and walked as node arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.blocks import Block
from osler.errors import OptionError, nearest
from osler.models import nodes
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.models.design import TreeDesign
from osler.models.labels import case_weights, fit_per_label, inner_folds, predict_per_label, probabilities
from osler.models.nodes import Nodes, OneTree
from osler.tasks.base import Prediction

#: How a split is looked for: the best threshold, or the best of randomly drawn ones (extremely randomised trees).
SPLITTERS = ("best", "random")

#: Rows whose leaves are looked up at once, and the fewest trees that must have left a row out.
CHUNK = 2_000
LEAST_TREES = 10

#: The largest magnitude of scikit-learn's single-precision tree inputs.
_LARGEST = float(np.finfo(np.float32).max)


def single(X: np.ndarray) -> np.ndarray:
    """X (n, p) in single precision, as scikit-learn's trees see it; values beyond its range are set to its end."""
    return np.clip(X, -_LARGEST, _LARGEST).astype(np.float32)


def one_tree(fitted: Any, seen: np.ndarray | None, classes: int) -> OneTree:
    """The node arrays of a fitted scikit-learn tree; binary trees keep the share of the second class only.

    Args:
        seen: the class codes that training rows held, None for a number. classes: number of classes.
    """
    tree = fitted.tree_
    value = tree.value[:, 0, :]
    if seen is not None and len(seen) < classes:
        value = value @ np.eye(classes)[seen]
    if classes == 2:
        value = value[:, 1:]
    went = tree.__getstate__()["nodes"]["missing_go_to_left"]
    return OneTree(tree.feature, tree.threshold, tree.children_left, tree.children_right, went, value)


def _pack(design: TreeDesign, grown: list[OneTree], classes: int, facts: dict[str, Any]) -> Params:
    meta, arrays = design.to_params()
    tree_meta, tree_arrays = nodes.join(grown).to_params()
    return Params({"design": meta, "nodes": tree_meta, "classes": classes, **facts}, {**arrays, **tree_arrays})


def _average(params: Params, blocks: dict[str, Block]) -> Prediction:
    """The mean over trees of what their leaves say."""
    forest = Nodes.from_params(params)
    X = single(TreeDesign.from_params(params).matrix(blocks))
    out = forest.total(X) / len(forest.roots)
    return probabilities(out[:, 0]) if params.meta["classes"] == 2 else Prediction(out)


def _prepare(data: Encoded, weights: str) -> tuple[TreeDesign, np.ndarray, np.ndarray, int]:
    target = data.target
    classes = len(target.classes) if target.kind in ("binary", "multiclass") else 0
    design = TreeDesign.fit(data.blocks)
    return design, single(design.matrix(data.blocks)), case_weights(target, weights), classes


@dataclass(frozen=True)
class ForestOptions:
    """Options of `forest`.

    Attributes:
        n_trees: number of trees.
        min_leaf: fewest training rows in a leaf.
        features: share of the columns looked at in each split; 0 is the square root of their number (a third for
            numbers).
        splitter: "best", or "random" for extremely randomised trees.
        weights: "none", or "balanced" for classes of equal total weight.
    """

    n_trees: int = 300
    min_leaf: int = 5
    features: float = 0.0
    splitter: str = "best"
    weights: str = "none"


class Forest(Estimator):
    """Random forest (Breiman 2001) or extremely randomised trees (Geurts 2006); missing values find their own way."""

    name: ClassVar[str] = "forest"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = ForestOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"min_leaf": ("int", 1, 40), "splitter": ("choice", "best", "random")}

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Grow the trees on training rows.

        Raises:
            OptionError: an option has a value it cannot have.
        """
        data = batches.all()
        self._check()
        if data.target.kind == "multilabel":
            return fit_per_label(data, rng, self.fit)
        return self._grow(data, rng)[0]

    def fit_out_of_bag(self, batches: Batches, rng: np.random.Generator) -> tuple[Params, Prediction] | None:
        """The forest, and each row's mean over the trees whose bootstrap left its unit out (Breiman 2001, section
        3.1).
        """
        data = batches.all()
        self._check()
        if data.target.kind == "multilabel" or self.options.splitter == "random":
            return None
        params, X, drawn = self._grow(data, rng)
        forest, classes = Nodes.from_params(params), params.meta["classes"]
        kept = []
        for start in range(0, len(X), CHUNK):
            said = forest.value[forest.leaves(X[start : start + CHUNK])]
            unseen = drawn[:, start : start + CHUNK] == 0
            kept.append(np.einsum("tn,tnk->nk", unseen, said) / np.maximum(unseen.sum(axis=0), 1)[:, None])
        if (drawn == 0).sum(axis=0).min() < LEAST_TREES:
            return None
        out = np.concatenate(kept)
        return params, probabilities(out[:, 0]) if classes == 2 else Prediction(out)

    def _check(self) -> None:
        options = self.options
        if options.splitter not in SPLITTERS:
            known = nearest(options.splitter, SPLITTERS)
            raise OptionError(f"option 'splitter' must be best or random, was '{options.splitter}': {known}")
        if options.n_trees < 1 or options.min_leaf < 1:
            were = f"{options.n_trees} and {options.min_leaf}"
            raise OptionError(f"options 'n_trees' and 'min_leaf' must be at least 1, were {were}")

    def _grow(self, data: Encoded, rng: np.random.Generator) -> tuple[Params, np.ndarray, np.ndarray]:
        """Params, the design (n, p), and how often each tree drew each row (trees, n). Whole units are drawn."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        options = self.options
        design, X, w, classes = _prepare(data, options.weights)
        cls = DecisionTreeClassifier if classes else DecisionTreeRegressor
        share = options.features or ("sqrt" if classes else 1 / 3)
        _, unit = np.unique(data.groups, return_inverse=True)
        units = unit.max() + 1
        drawn = np.ones((options.n_trees, len(X)), dtype=np.int32)
        grown = []
        for t in range(options.n_trees):
            if options.splitter == "best":
                drawn[t] = np.bincount(rng.integers(0, units, units), minlength=units)[unit]
            seed = int(rng.integers(2**31 - 1))
            tree = cls(
                splitter=options.splitter, min_samples_leaf=options.min_leaf, max_features=share, random_state=seed
            )
            tree.fit(X, data.target.y, sample_weight=w * drawn[t], check_input=False)
            grown.append(one_tree(tree, tree.classes_ if classes else None, classes))
        return _pack(design, grown, classes, {}), X, drawn

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class or label probabilities, or the mean."""
        if "labels" in params.meta:
            return predict_per_label(params, blocks, self.predict)
        return _average(params, blocks)


@dataclass(frozen=True)
class TreeOptions:
    """Options of `tree`.

    Attributes:
        min_leaf: fewest training rows in a leaf.
        max_depth: most questions from root to leaf.
        pruning: cost-complexity penalty; chosen by inner cross-validation if not given.
        folds: inner folds for that choice.
        weights: "none", or "balanced" for classes of equal total weight.
    """

    min_leaf: int = 7
    max_depth: int = 6
    pruning: float | None = None
    folds: int = 5
    weights: str = "none"


class Tree(Estimator):
    """One decision tree (CART), pruned by cost-complexity with the penalty chosen inside `fit`: a model to read."""

    name: ClassVar[str] = "tree"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = TreeOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"min_leaf": ("int", 3, 60), "max_depth": ("int", 2, 10)}

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Grow and prune the tree on training rows."""
        data = batches.all()
        if data.target.kind == "multilabel":
            return fit_per_label(data, rng, self.fit)
        design, X, w, classes = _prepare(data, self.options.weights)
        folds = inner_folds(data, self.options.folds, rng)
        seed = int(rng.integers(2**31 - 1))
        pruning = self.options.pruning
        if pruning is None:
            pruning = self._choose(X, data.target.y, w, folds, classes, seed)
        fitted = self._grow(classes, seed, pruning).fit(X, data.target.y, sample_weight=w)
        seen = fitted.classes_ if classes else None
        return _pack(design, [one_tree(fitted, seen, classes)], classes, {"pruning": float(pruning)})

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class or label probabilities, or the mean."""
        if "labels" in params.meta:
            return predict_per_label(params, blocks, self.predict)
        return _average(params, blocks)

    def _grow(self, classes: int, seed: int, pruning: float) -> Any:
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        cls = DecisionTreeClassifier if classes else DecisionTreeRegressor
        options = self.options
        return cls(
            min_samples_leaf=options.min_leaf, max_depth=options.max_depth, random_state=seed, ccp_alpha=pruning
        )

    def _choose(self, X: np.ndarray, y: np.ndarray, w: np.ndarray, folds: np.ndarray, classes: int, seed: int) -> float:
        """The cost-complexity penalty with the least held-out squared error (Brier score for classes)."""
        steps = np.unique(self._grow(classes, seed, 0.0).cost_complexity_pruning_path(X, y, sample_weight=w).ccp_alphas)
        steps = np.maximum(steps, 0.0)
        if folds.max(initial=-1) < 1 or len(steps) < 2:
            return 0.0
        middles = np.append(np.sqrt(steps[:-1] * steps[1:]), steps[-1])
        middles = middles[np.unique(np.linspace(0, len(middles) - 1, 15).astype(int))]
        wanted = np.eye(classes)[y] if classes else y[:, None]
        error = np.zeros(len(middles))
        for fold in range(folds.max() + 1):
            held = folds == fold
            for i, pruning in enumerate(middles):
                fitted = self._grow(classes, seed, pruning).fit(X[~held], y[~held], sample_weight=w[~held])
                out = fitted.predict_proba(X[held]) if classes else fitted.predict(X[held])[:, None]
                full = np.zeros((held.sum(), wanted.shape[1]))
                full[:, fitted.classes_ if classes else [0]] = out
                error[i] += float(w[held] @ ((full - wanted[held]) ** 2).sum(axis=1))
        return float(middles[int(np.argmin(error))])
