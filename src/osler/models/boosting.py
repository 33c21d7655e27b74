"""Gradient-boosted trees (LightGBM): kept as its text model, and as node arrays for export and single rows."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.adapters import quickscorer
from osler.blocks import Block
from osler.models import held_out, nodes
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.models.bins import SharedBins, Table
from osler.models.design import TreeDesign, features_of
from osler.models.labels import (
    case_weights,
    fit_label_rows,
    inner_folds,
    predict_per_label,
    probabilities,
    sigmoid,
    softmax,
)  # fmt: skip
from osler.models.nodes import Nodes, OneTree
from osler.tasks.base import Prediction

#: Columns from which a table is wide.
WIDE = 300

#: Below this many rows every inner fold is held out in turn, in a wide table below the second; above it one fold decides.
ALL_FOLDS_BELOW = (5000, 500)

#: Rounds that lower the held-out loss by less than this share of the first round's are not worth their trees.
LEAST_GAIN = 1e-4

#: Rounds up to which a number in a wide table is boosted as long as its held-out loss is within that share of the least: the
#: loss is flat there, single folds are at rest far too early, and more trees were better in cross-validation.
STEADY, SLACK = 600, 0.02

#: A held-out loss that has risen by that share of the least ends the walk before it is steady.
RISEN = 0.1

#: Rows up to which the node arrays are quicker than the library, and from which compiled ones are, where there is Numba.
FEW_ROWS, MANY_ROWS = 16, 500

_BOOSTERS: OrderedDict[str, Any] = OrderedDict()


def booster(text: str) -> Any:
    """The LightGBM booster of a text model, kept per process by the hash of the text."""
    key = hashlib.sha256(text.encode()).hexdigest()
    if key not in _BOOSTERS:
        import lightgbm

        _BOOSTERS[key] = lightgbm.Booster(model_str=text)
        while len(_BOOSTERS) > 64:
            _BOOSTERS.popitem(last=False)
    _BOOSTERS.move_to_end(key)
    return _BOOSTERS[key]


def nodes_of_text(text: str) -> Nodes:
    """The trees of a LightGBM text model with numerical splits as node arrays; `total` sums all trees in column 0.

    Source: LightGBM `src/io/tree.cpp`: decision_type bit 0 categorical, bit 1 missing goes left, bits 2-3 how missing is
    known (0 none: a missing value counts as 0; 1 zero; 2 NaN).

    Raises:
        ValueError: a categorical split or zero-as-missing, which Osler's own models never have.
    """
    trees = []
    for chunk in text.split("\nTree=")[1:]:
        lines = chunk.split("\n\n")[0].splitlines()[1:]
        trees.append(_parse_tree(dict(line.split("=", 1) for line in lines if "=" in line)))
    return nodes.join(trees)


def _parse_tree(fields: dict[str, str]) -> OneTree:
    def numbers(name: str, kind: type) -> np.ndarray:
        return np.array(fields.get(name, "").split(), dtype=kind)

    value = numbers("leaf_value", np.float64)
    inner = int(fields["num_leaves"]) - 1
    if inner == 0:
        none = np.array([-1])
        return OneTree(np.zeros(1, int), np.zeros(1), none, none, np.ones(1, bool), value[:1, None])
    kind, threshold = numbers("decision_type", np.int64), numbers("threshold", np.float64)
    missing = (kind >> 2) & 3
    if (kind & 1).any() or (missing == 1).any():
        raise ValueError("a LightGBM model must have numerical splits without zero-as-missing to become node arrays")
    pad_int, pad = np.full(inner + 1, -1), np.zeros(inner + 1)
    went = np.where(missing == 2, (kind >> 1) & 1 == 1, threshold >= 0.0)

    def child(name: str) -> np.ndarray:
        at = numbers(name, np.int64)
        return np.concatenate([np.where(at >= 0, at, inner - at - 1), pad_int])

    return OneTree(
        feature=np.concatenate([numbers("split_feature", np.int64), np.zeros(inner + 1, int)]),
        threshold=np.concatenate([threshold, pad]),
        left=child("left_child"),
        right=child("right_child"),
        missing_left=np.concatenate([went, np.ones(inner + 1, bool)]),
        value=np.concatenate([np.zeros(inner), value])[:, None],
    )


@dataclass(frozen=True)
class BoostingOptions:
    """Options of `boosting`.

    Attributes:
        learning_rate: how much of each tree is kept.
        leaves: most leaves of a tree; 0 sets it by the number of rows (4, 8 or 15; wide tables 8 or 20).
        min_leaf: fewest training rows in a leaf; 0 sets it by the number of rows (5 to 100; wide tables 3 to 20).
        rounds: number of trees per class; 0 lets inner folds decide when to stop, up to `max_rounds`.
        max_rounds: most rounds that inner folds may ask for.
        features: share of the columns that each tree sees; 0 sets it (0.6; wide tables 0.1).
        rows: share of the rows that each tree sees.
        ridge: L2 penalty on leaf values.
        folds: inner folds for the number of rounds.
        weights: "none", or "balanced" for classes of equal total weight.
    """

    learning_rate: float = 0.04
    leaves: int = 0
    min_leaf: int = 0
    rounds: int = 0
    max_rounds: int = 1000
    features: float = 0.0
    rows: float = 0.8
    ridge: float = 3.0
    folds: int = 5
    weights: str = "none"


class Boosting(Estimator):
    """Gradient-boosted trees by LightGBM (Ke et al. 2017), deterministic, the number of rounds chosen inside."""

    name: ClassVar[str] = "boosting"
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = BoostingOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "learning_rate": ("log", 0.01, 0.2),
        "features": ("float", 0.3, 1.0),
        "ridge": ("log", 0.3, 30.0),
    }

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Choose the number of rounds on inner grouped folds, then learn from all training rows."""
        data = batches.all()
        design = TreeDesign.fit(data.blocks)
        X = design.matrix(data.blocks)
        if data.target.kind == "multilabel":
            bins = SharedBins(X, self._settings(X.shape, 2, 0))
            return fit_label_rows(data, rng, lambda part, rows, child: self._fit(part, design, bins.of(rows), child))
        return self._fit(data, design, Table(X), rng)

    def _fit(self, data: Encoded, design: TreeDesign, table: Table, rng: np.random.Generator) -> Params:
        """Learn from rows whose design is worked out; those of one label share their bins with those of the others."""
        target = data.target
        classes = len(target.classes) if target.kind in ("binary", "multiclass") else 0
        w = case_weights(target, self.options.weights)
        folds = inner_folds(data, self.options.folds, rng)
        settings = self._settings(table.shape, classes, int(rng.integers(2**31 - 1)))
        rounds, facts = self.options.rounds, {}
        if not rounds:
            rounds, facts = self._rounds(table, target.y, w, folds, settings)
        return _pack(design, _train(table, target.y, w, settings, rounds), classes, {"rounds": rounds, **facts})

    def fit_out_of_fold(
        self, batches: Batches, plan: held_out.Plan, rng: np.random.Generator
    ) -> tuple[Params, Prediction] | None:
        """The boosters that hold out the plan's folds choose the number of rounds and answer for their folds."""
        data = batches.all()
        target = data.target
        classes = len(target.classes) if target.kind in ("binary", "multiclass") else 0
        if target.kind == "multilabel" or self.options.rounds or not held_out.covers_classes(target.y, classes, plan):
            return None
        width = len(features_of(data.blocks)[0])
        settings = self._settings((len(data), width), classes, int(rng.integers(2**31 - 1)))
        steady = _steady(width, settings)
        w, walks, answers = case_weights(target, self.options.weights), [], []
        for train, test in plan:
            design = TreeDesign.fit(data.take(train).blocks)
            X = design.matrix(data.blocks)
            walks.append(
                (X[test], *_walk(Table(X), (train, test), target.y, w, settings, (self.options.max_rounds, steady)))
            )
        share = np.array([w[test].sum() for _, test in plan])
        losses = _table([curve for *_, curve in walks])
        best, own = held_out.best_steps(losses, share, [test for _, test in plan], lambda curve: _last_tied(curve, steady))
        for (X, model, _), step in zip(walks, own, strict=True):
            margin = model.predict(X, raw_score=True, num_iteration=step + 1, num_threads=1)
            answers.append(respond(np.asarray(margin).reshape(len(X), -1), classes))
        design = TreeDesign.fit(data.blocks)
        model = _train(Table(design.matrix(data.blocks)), target.y, w, settings, best + 1)
        facts = {
            "rounds": best + 1,
            "inner_loss": float(np.average(losses[:, best], weights=share)),
            "inner_folds": len(plan),
        }
        return _pack(design, model, classes, facts), Prediction.concat(answers)

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class or label probabilities, or the mean."""
        if "labels" in params.meta:
            return predict_per_label(params, blocks, self.predict)
        return respond(margins(params, TreeDesign.from_params(params).matrix(blocks)), params.meta["classes"])

    def _settings(self, shape: tuple[int, int], classes: int, seed: int) -> dict[str, Any]:
        """LightGBM's settings for a table of this shape. In a wide one (fingerprints) single columns say little and many say
        the same: deeper trees on a tenth of the columns in coarse bins were better and cheaper on inner folds of Lipophilicity.
        """
        options, (n, width) = self.options, shape
        wide = width >= WIDE
        leaves = (8 if n < 1000 else 20) if wide else 4 if n < 2000 else 8 if n < 20_000 else 15
        fewest = np.clip(n // 150, 3, 20) if wide else np.clip(n // 50, 5, 100)
        settings = {
            "objective": {0: "regression", 2: "binary"}.get(classes, "multiclass"),
            "learning_rate": options.learning_rate,
            "num_leaves": options.leaves or leaves,
            "min_data_in_leaf": options.min_leaf or int(fewest),
            "feature_fraction": options.features or (0.1 if wide else 0.6),
            "bagging_fraction": options.rows,
            "bagging_freq": 1 if options.rows < 1 else 0,
            "lambda_l2": options.ridge,
            "max_bin": 31 if wide else 255,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
            "feature_pre_filter": False,
        }
        return {**settings, "num_class": classes} if settings["objective"] == "multiclass" else settings

    def _rounds(
        self, table: Table, y: np.ndarray, w: np.ndarray, folds: np.ndarray, settings: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """The number of rounds with the least held-out loss, summed over the folds that are held out."""
        k = folds.max() + 1
        if k < 2:
            return 100, {}
        curves, share, steady = [], [], _steady(table.shape[1], settings)
        for fold in range(k if table.shape[0] < ALL_FOLDS_BELOW[table.shape[1] >= WIDE] else 1):
            train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            curves.append(_walk(table, (train, test), y, w, settings, (self.options.max_rounds, steady))[1])
            share.append(w[test].sum())
        curve = np.average(_table(curves), axis=0, weights=share)
        best = _last_tied(curve, steady) + 1
        return best, {"inner_loss": float(curve[best - 1]), "inner_folds": len(curves)}


def _pack(design: TreeDesign, model: Any, classes: int, facts: dict[str, Any]) -> Params:
    """Params of a booster: its text, and its trees as node arrays."""
    text = model.model_to_string()
    meta, arrays = design.to_params()
    tree_meta, tree_arrays = nodes_of_text(text).to_params()
    return Params(
        {"design": meta, "nodes": tree_meta, "classes": classes, "text": text, **facts}, {**arrays, **tree_arrays}
    )


def _train(table: Table, y: np.ndarray, w: np.ndarray, settings: dict[str, Any], rounds: int) -> Any:
    """A booster after that many rounds."""
    import lightgbm

    model = lightgbm.Booster(settings, table.part(np.arange(table.shape[0]), y, w, settings))
    for _ in range(max(int(rounds), 1)):
        model.update()
    return model


def _walk(
    table: Table, rows: tuple[np.ndarray, np.ndarray], y: np.ndarray, w: np.ndarray,
    settings: dict[str, Any], rounds: tuple[int, int],
) -> tuple[Any, np.ndarray]:  # fmt: skip
    """A booster of the training rows and its loss on the test rows after each round, until the loss is at rest.

    At rest: the least loss lies `patience` rounds back, or those rounds have lowered it by less than `LEAST_GAIN` of the
    loss after the first round (classes that can be told apart without error would else be boosted to the last round); but
    not before as many rounds as `_steady` asks for, unless the loss has risen.

    Args:
        rows: training and test positions in the table, y and w. rounds: most rounds, and steady ones.
    """
    import lightgbm

    train = table.part(rows[0], y, w, settings)
    model = lightgbm.Booster(settings, train)
    model.add_valid(table.part(rows[1], y, w, settings, train), "held out")
    patience = int(np.clip(2.0 / settings["learning_rate"], 20, 100))
    curve: list[float] = []
    least: list[float] = []
    for step in range(rounds[0]):
        model.update()
        curve.append(model.eval_valid()[0][2])
        least.append(min(curve[-1], least[-1]) if least else curve[-1])
        done = step + 1 >= rounds[1] or curve[-1] > (1.0 + RISEN) * least[-1]
        if done and step >= patience and least[step - patience] - least[step] <= LEAST_GAIN * curve[0]:
            break
    return model, np.array(curve)


def _steady(width: int, settings: dict[str, Any]) -> int:
    """Rounds that are walked in a table of that many columns before a fold may be at rest; 0 for classes, whose chances
    more trees make too sure.
    """
    return STEADY if width >= WIDE and settings["objective"] == "regression" else 0


def _last_tied(curve: np.ndarray, steady: int) -> int:
    """The step with the least loss; or a later one among the first `steady` whose loss is within `SLACK` of it."""
    best = int(np.argmin(curve))
    tied = np.flatnonzero(curve[:steady] <= (1.0 + SLACK) * curve[best])
    return max(best, int(tied[-1])) if len(tied) else best


def _table(curves: list[np.ndarray]) -> np.ndarray:
    """(folds, rounds) of curves, as many rounds as the shortest has."""
    shortest = min(len(c) for c in curves)
    return np.array([c[:shortest] for c in curves])


def margins(params: Params, X: np.ndarray) -> np.ndarray:
    """(n, 1) or (n, k) sums of leaf values for rows of the design's matrix: log odds, logits or the mean itself."""
    classes = params.meta["classes"]
    width = classes if classes > 2 else 1
    if len(X) >= MANY_ROWS and quickscorer.is_here():
        trees = Nodes.from_params(params)
        if quickscorer.takes(trees.children, trees.roots):
            arrays = {name: getattr(trees, name) for name in ("feature", "threshold", "children", "missing_left")}
            arrays["value"] = trees.value[:, 0]
            return np.column_stack([quickscorer.total(X, arrays, trees.roots[k::width]) for k in range(width)])
    if len(X) > FEW_ROWS:
        out = booster(params.meta["text"]).predict(X, raw_score=True, num_threads=1)
        return np.asarray(out).reshape(len(X), width)
    trees = Nodes.from_params(params)
    value = trees.value[:, 0][trees.leaves(X)]
    return np.column_stack([nodes.in_order(value[k::width]) for k in range(width)])


def respond(margin: np.ndarray, classes: int) -> Prediction:
    """Margins as probabilities, or as the mean."""
    if classes == 2:
        return probabilities(sigmoid(margin[:, 0]))
    return Prediction(softmax(margin) if classes else margin)
