"""Partial least squares over the voxels of pictures and volumes: one map of weights per output, learnt on few scans.

Every scan is smoothed and, if asked, averaged with its mirror image; every voxel is centred and divided by its spread over
the training scans plus the median spread (so that voxels which hardly vary count little). The first directions of most
covariance with the target (S. Wold et al., SIAM J. Sci. Stat. Comput. 5:735, 1984) are found from products of scans alone
(R. Rosipal and L. J. Trejo, J. Mach. Learn. Res. 2:97, 2001), and as many of them are kept as answer held-out scans best. All
of it is linear, so what is kept is a map that is multiplied with a raw scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.blocks import Block
from osler.errors import ColumnError, OptionError
from osler.models import solvers
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.models.labels import case_weights, fit_per_label, inner_folds, predict_per_label, probabilities, sigmoid
from osler.tasks.base import Prediction, Target

#: Voxels of scans that are held in double precision at once.
AT_ONCE = 1 << 22


@dataclass(frozen=True)
class PlsOptions:
    """Options of `pls`.

    Attributes:
        directions: most directions; how many of them are kept is chosen on inner folds.
        smooth: standard deviation of the Gaussian that scans are smoothed with, in voxels of the grid.
        mirror: axis along which a scan is averaged with its mirror image: `x`, `y` or `z` of the grid, or "" for none; for
            organs that are alike on both sides.
        folds: inner folds for the number of directions and for turning sums into probabilities.
        max_rows: at most about that many training rows are used (whole groups, drawn at random).
        weights: "none", or "balanced" for classes of equal total weight.
    """

    directions: int = 4
    smooth: float = 1.0
    mirror: str = ""
    folds: int = 5
    max_rows: int = 2000
    weights: str = "none"

    def __post_init__(self) -> None:
        if self.directions < 1 or self.smooth < 0 or self.folds < 2:
            raise OptionError("options of pls must be directions >= 1, smooth >= 0 and folds >= 2")
        if self.mirror not in ("", "x", "y", "z"):
            raise OptionError(f"option 'mirror' of pls must be x, y, z or left out, was '{self.mirror}'")


class Pls(Estimator):
    """Partial least squares over grids; a scan that is missing adds nothing to the answer."""

    name: ClassVar[str] = "pls"
    accepts: ClassVar[frozenset[str]] = frozenset({"grid"})
    prefers: ClassVar[tuple[str, ...]] = ("grid",)
    answers: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass", "multilabel", "regression"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = PlsOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"smooth": ("float", 0.0, 3.0)}

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn the maps from the training rows that have a scan.

        Raises:
            ColumnError: no column is a grid.
            OptionError: the mirror's axis is not one of the scans'.
        """
        data = _with_scans(batches.all())
        if data.target.kind == "multilabel":
            return fit_per_label(data, rng, self.fit)
        folds = inner_folds(data, self.options.folds, rng, self.options.max_rows)
        if folds.max(initial=-1) >= 1:
            data, folds = data.take(np.flatnonzero(folds >= 0)), folds[folds >= 0]
        scans = _Scans.of(data, self.options)
        learnt, classes = _columns(data.target, self.options), _classes(data.target)
        outputs = [_learn(scans.products, y, w, folds, (self.options.directions, classes > 0)) for y, w in learnt]
        maps = scans.maps(np.column_stack([o.dual for o in outputs]))
        return Params(
            {"columns": list(scans.names), "classes": classes, "directions": [o.directions for o in outputs]},
            {"lines": np.array([o.line for o in outputs]), "constant": np.array([o.constant for o in outputs])} | maps,
        )

    def fit_out_of_fold(
        self, batches: Batches, plan: Sequence[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
    ) -> tuple[Params, Prediction] | None:
        """As `Estimator.fit_out_of_fold`: scans are read and smoothed once, and their products serve all folds. The spread by
        which voxels are divided is that of all rows; no target is in it.
        """
        data = batches.all()
        if data.target.kind == "multilabel" or len(data) > self.options.max_rows or len(_with_scans(data)) < len(data):
            return None
        scans, parts = _Scans.of(data, self.options), []
        for train, test in plan:
            inside = data.target.take(train)
            folds = inner_folds(Encoded({}, inside, data.groups[train]), self.options.folds, rng)
            own, across = scans.products[np.ix_(train, train)], scans.products[np.ix_(test, train)]
            sums = []
            for y, w in _columns(inside, self.options):
                found = _learn(own, y, w, folds, (self.options.directions, inside.kind != "regression"))
                sums.append(found.line[0] * (across @ found.dual + found.constant) + found.line[1])
            parts.append(_answered(np.column_stack(sums), _classes(data.target)))
        return self.fit(data, rng), Prediction.concat(parts)

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Class or label probabilities, or the mean (n, 1).

        Raises:
            ColumnError: a scan has another shape than those of the training.
        """
        if "labels" in params.meta:
            return predict_per_label(params, blocks, self.predict)
        lines = params.arrays["lines"]
        total = np.tile(params.arrays["constant"], (len(next(iter(blocks.values()))), 1))
        for i, name in enumerate(params.meta["columns"]):
            if name in blocks:
                total += _sums(blocks[name].seen_as(("grid",)), params.arrays[f"map/{i}"], params.arrays[f"middle/{i}"], name)
        return _answered(total * lines[:, 0] + lines[:, 1], params.meta["classes"])


def weight_map(params: Params, column: str) -> np.ndarray:
    """(outputs, c, [z,] y, x) float32: what one unit of each voxel adds to each output's sum."""
    return params.arrays[f"map/{params.meta['columns'].index(column)}"]


def _sums(block: Block, weights: np.ndarray, middle: np.ndarray, name: str) -> np.ndarray:
    """(n, outputs) scan times map, less that of the mean training scan; 0 where there is no scan."""
    values = block.values
    if values.shape[1:] != weights.shape[1:]:
        raise ColumnError(f"scans of '{name}' must have shape {weights.shape[1:]}, they have {values.shape[1:]}", "column-kind")
    flat, found = weights.reshape(len(weights), -1).astype(np.float64), np.zeros((len(values), len(weights)))
    step = max(1, AT_ONCE // flat.shape[1])
    for start in range(0, len(values), step):
        part = values[start : start + step].reshape(-1, flat.shape[1])
        found[start : start + step] = np.nan_to_num(part).astype(np.float64) @ flat.T
    return np.where(block.present[:, None], found - middle, 0.0)


def _answered(total: np.ndarray, classes: int) -> Prediction:
    """Sums (n, outputs) as an answer."""
    if classes == 2:
        return probabilities(sigmoid(total[:, 0]))
    if not classes:
        return Prediction(total)
    each = sigmoid(total) + 1e-12
    return Prediction(each / each.sum(axis=1, keepdims=True))


def _classes(target: Target) -> int:
    return len(target.classes) if target.kind in ("binary", "multiclass") else 0


def _columns(target: Target, options: PlsOptions) -> list[tuple[np.ndarray, np.ndarray]]:
    """(n,) numbers to learn, one per output, and (n,) case weights."""
    w, classes = case_weights(target, options.weights), _classes(target)
    if classes == 2:
        return [(target.y.astype(float), w)]
    return [((target.y == k).astype(float), w) for k in range(classes)] if classes else [(target.y.astype(float), w)]


def _with_scans(data: Encoded) -> Encoded:
    """The rows that have any scan, grid columns only."""
    blocks = {n: b.seen_as(("grid",)) for n, b in data.blocks.items()}
    blocks = {n: b for n, b in blocks.items() if b.layout == "grid"}
    if not blocks:
        raise ColumnError("pls needs a column of pictures or volumes, there is none: take another model", "column-kind")
    there = np.any([b.present for b in blocks.values()], axis=0)
    found = Encoded(blocks, data.target, data.groups)
    return found if there.all() or not there.any() else found.take(np.flatnonzero(there))


@dataclass(frozen=True)
class _Scans:
    """Training scans, prepared.

    Attributes:
        names: of the grid columns. shapes: (c, [z,] y, x) of each.
        rows: per column (n, voxels) float32 prepared, centred and scaled; 0 where there is no scan.
        means, scales: per column (voxels,), in prepared units. products: (n, n) of the rows.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    rows: tuple[np.ndarray, ...]
    means: tuple[np.ndarray, ...]
    scales: tuple[np.ndarray, ...]
    products: np.ndarray
    options: PlsOptions

    @classmethod
    def of(cls, data: Encoded, options: PlsOptions) -> _Scans:
        """Scans of the grid columns of n rows."""
        data = Encoded({n: b.seen_as(("grid",)) for n, b in data.blocks.items()}, data.target, data.groups)
        grids = {n: b for n, b in data.blocks.items() if b.layout == "grid"}
        rows, means, scales = [], [], []
        for block in grids.values():
            x = np.stack([_prepared(v, options).reshape(-1) for v in np.nan_to_num(block.values)])
            there = block.present if block.present.any() else np.ones(len(block), dtype=bool)
            mean, spread = x[there].mean(axis=0), x[there].std(axis=0)
            usual = float(np.median(spread[spread > 0])) if (spread > 0).any() else 1.0
            x = (x - mean) / (spread + usual)
            x[~block.present] = 0.0
            rows.append(x / np.sqrt(x.shape[1]))
            means.append(mean)
            scales.append((spread + usual) * np.sqrt(x.shape[1]))
        products = sum(np.asarray(x @ x.T, dtype=np.float64) for x in rows)
        shapes = tuple(b.values.shape[1:] for b in grids.values())
        return cls(tuple(grids), shapes, tuple(rows), tuple(means), tuple(scales), products, options)

    def maps(self, dual: np.ndarray) -> dict[str, np.ndarray]:
        """`map/i` (outputs, *shape) on raw scans and `middle/i` (outputs,), the mean scan's sum, from (n, outputs) weights of rows."""
        found = {}
        for i, shape in enumerate(self.shapes):
            inner = (self.rows[i].T @ dual.astype(np.float32)).T / self.scales[i]
            weights = np.stack([_prepared(w.reshape(shape), self.options) for w in inner]).astype(np.float32)
            found[f"map/{i}"] = weights
            found[f"middle/{i}"] = inner.astype(np.float64) @ self.means[i].astype(np.float64)
        return found


def _prepared(values: np.ndarray, options: PlsOptions) -> np.ndarray:
    """One scan (c, [z,] y, x), smoothed and mirrored. Both are their own transposes: a map is prepared in the same way."""
    from scipy.ndimage import gaussian_filter

    dims = values.ndim - 1
    if options.smooth:
        values = np.stack([gaussian_filter(v, options.smooth, mode="constant") for v in values])
    if options.mirror:
        axis = "xyz".index(options.mirror) + 1
        if axis > dims:
            raise OptionError("option 'mirror' of pls must be x or y, the scans have two axes")
        values = (values + np.flip(values, -axis)) / 2
    return values.astype(np.float32)


# -- directions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Output:
    """One output: (n,) `dual` weights of rows and a constant make a sum, and a line (slope, constant) makes that an answer."""

    dual: np.ndarray
    constant: float
    line: np.ndarray
    directions: int


def _learn(products: np.ndarray, y: np.ndarray, w: np.ndarray, folds: np.ndarray, asked: tuple[int, bool]) -> _Output:
    """As many directions as answer held-out rows best, by the square that is left after the best rising line.

    Args:
        folds: (n,) of each row, -1 where there are none. asked: most directions, and whether y are classes.
    """
    most, is_class = asked
    held = np.zeros((most, len(y)))
    for fold in range(folds.max(initial=-1) + 1):
        train, test = np.flatnonzero((folds >= 0) & (folds != fold)), np.flatnonzero(folds == fold)
        duals, constants = directions(products[np.ix_(train, train)], y[train], w[train], most)
        held[:, test] = (products[np.ix_(test, train)] @ duals + constants).T
    seen = folds >= 0
    kept, best = 1, 0.0
    for k in range(most) if seen.any() else ():
        fit = max(_correlation(held[k, seen], y[seen], w[seen]), 0.0)
        kept, best = (k + 1, fit) if fit > best else (kept, best)
    duals, constants = directions(products, y, w, kept)
    line = _line(held[kept - 1, seen], y[seen], w[seen], is_class) if seen.any() else np.array([1.0, 0.0])
    return _Output(duals[:, -1], float(constants[-1]), line, kept)


def directions(products: np.ndarray, y: np.ndarray, w: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Partial least squares with 1 to `most` directions.

    Args:
        products: (n, n) inner products of rows. y: (n,) numbers. w: (n,) case weights.

    Returns:
        (n, most) weights of rows, and (most,) constants: an answer is its products with the rows times a column, plus its constant.
    """
    share, root = w / w.sum(), np.sqrt(w)
    centre = np.eye(len(y)) - np.outer(np.ones(len(y)), share)
    whole = root[:, None] * (centre @ products @ centre.T) * root
    wanted = root * (y - share @ y)
    left, rest, scores, loads, found = whole.copy(), wanted.copy(), [], [], []
    for _ in range(most):
        score = left @ rest
        size = float(np.linalg.norm(score))
        if size > 1e-10 * max(float(np.linalg.norm(wanted)), 1e-300) * max(float(np.trace(whole)), 1e-300):
            score = score / size
            loads.append(rest.copy())
            scores.append(score)
            left = left - np.outer(score, score @ left)
            left = left - np.outer(left @ score, score)
            rest = rest - score * (score @ rest)
        T, U = (np.array(v).T.reshape(len(y), -1) for v in (scores, loads))
        dual = root * (U @ np.linalg.lstsq(T.T @ whole @ U, T.T @ wanted, rcond=None)[0])
        found.append(centre.T @ dual)
    duals = np.column_stack(found)
    return duals, share @ y - share @ (products @ duals)


def _correlation(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    x, y = x - np.average(x, weights=w), y - np.average(y, weights=w)
    size = float(np.sqrt((w @ x**2) * (w @ y**2)))
    return float(w @ (x * y)) / size if size > 0 else 0.0


def _line(held: np.ndarray, y: np.ndarray, w: np.ndarray, is_class: bool) -> np.ndarray:
    """Slope (not below 0) and constant from held-out sums to the log odds of a class, or to a number."""
    if is_class:
        line = solvers.platt_line(held, y, w)
        return line if line[0] >= 0 else np.array([0.0, _log_odds(float(np.average(y, weights=w)))])
    slope = max(_correlation(held, y, w), 0.0) * float(np.std(y)) / max(float(np.std(held)), 1e-300)
    return np.array([slope, float(np.average(y, weights=w) - slope * np.average(held, weights=w))])


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return float(np.log(p / (1 - p)))
