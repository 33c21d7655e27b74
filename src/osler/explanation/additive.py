"""Models that are a sum over columns: their Shapley values have a closed form.

For g(x) = c + sum_j f_j(x_j) the interventional value of column j is f_j(x_j) - E f_j(b_j) over the background
(Lundberg and Lee 2017, corollary 1, for any f_j).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osler.blocks import Block
from osler.models import ebm, splines
from osler.models.base import Params
from osler.models.cox import spline_terms
from osler.models.design import Design, TreeDesign

LINEAR = ("linear", "logistic", "elastic", "spline")


@dataclass(frozen=True)
class Terms:
    """A prediction as a sum.

    Attributes:
        scale: on which scale it is a sum.
        values: (n, p) one term per column of the blocks.
        constant: what is added to their sum.
    """

    scale: str
    values: np.ndarray
    constant: float


def terms_of(family: str, params: Params, blocks: dict[str, Block], horizon: float | None = None) -> Terms | None:
    """The terms of every row, or None where the model is no sum over columns on any scale that Osler explains on."""
    if family == "cox":
        return _cox(params, blocks, horizon)
    if family in LINEAR and params.meta["classes"] <= 2:
        return _linear(params, blocks)
    if family == "ebm" and params.meta["classes"] <= 2 and all(len(t) == 1 for t in params.meta["terms"]):
        design = TreeDesign.from_params(params)
        owner = owners(design.sources, blocks)[design.arrays["column"]]
        at = owner[[t[0] for t in params.meta["terms"]]] if params.meta["terms"] else np.zeros(0, dtype=np.int64)
        scale = "log-odds" if params.meta["classes"] == 2 else "mean"
        said = ebm.terms(params, blocks)[:, :, 0]
        return Terms(scale, by_column(said, at, len(blocks)), float(params.arrays["intercept"][0]))
    return None


def owners(sources: list, blocks: dict[str, Block]) -> np.ndarray:
    """(q,) which block each raw feature of a design comes from."""
    order = {name: i for i, name in enumerate(blocks)}
    return np.repeat([order[name] for name, _ in sources], [width for _, width in sources]).astype(np.int64)


def by_column(terms: np.ndarray, owner: np.ndarray, p: int) -> np.ndarray:
    """(n, p) sums of terms (n, q) that belong to the same column; owner (q,)."""
    out = np.zeros((len(terms), p))
    np.add.at(out.T, owner, terms.T)
    return out


def _linear(params: Params, blocks: dict[str, Block]) -> Terms:
    design = Design.from_params(params)
    X = design.matrix(blocks)
    owner = owners(design.sources, blocks)[list(design.origin)]
    bends = {k[7:]: v for k, v in params.arrays.items() if k.startswith("spline/")}
    if bends and len(bends["column"]):
        extra = (params.arrays["coef"].shape[1] - 1 - X.shape[1]) // len(bends["column"])
        owner = np.append(owner, np.repeat(owner[bends["column"]], extra))
        X = splines.expand(X, bends)
    coef = params.arrays["coef"][0]
    scale = "log-odds" if params.meta["classes"] == 2 else "mean"
    return Terms(scale, by_column(X * coef[:-1], owner, len(blocks)), float(coef[-1]))


def _cox(params: Params, blocks: dict[str, Block], horizon: float | None) -> Terms:
    a, design = params.arrays, Design.from_params(params)
    X = design.matrix(blocks)
    owner = owners(design.sources, blocks)[list(design.origin)]
    if "knots" in a:
        bent = spline_terms(X, a["knots"], a["bent"]) / a["spline_scale"]
        owner = np.append(owner, np.repeat(owner[a["bent"]], bent.shape[1] // max(len(a["bent"]), 1)))
        X = np.hstack([X, bent])
    constant = log_baseline(params, horizon)
    return Terms("log-hazard", by_column(X * a["coefficient"], owner, len(blocks)), constant)


def log_baseline(params: Params, horizon: float | None) -> float:
    """Log of the cumulative baseline hazard at the horizon."""
    at = np.searchsorted(params.arrays["times"], horizon, side="right") - 1
    return float(np.log(max(params.arrays["baseline"][at], 1e-300))) if at >= 0 else float(np.log(1e-300))
