"""Many columns as a few: principal components or UMAP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.lineage import Step
from osler.instruments import mixed
from osler.instruments.base import Findings, Instrument
from osler.instruments.columns import one_of, pick, within

_PERMUTATIONS = 20


@dataclass(frozen=True)
class ReduceOptions:
    """Options of `osler reduce`."""

    columns: tuple[str, ...] = field(
        default=(), metadata={"help": "columns to reduce; all inputs if none is named"}
    )
    method: str = field(default="pca", metadata={"help": "pca or umap"})
    components: int = field(
        default=2, metadata={"help": "how many; 0 (pca only) keeps those above chance by parallel analysis"}
    )
    neighbours: int = field(default=15, metadata={"help": "umap: size of the neighbourhood"})
    min_distance: float = field(default=0.1, metadata={"help": "umap: how tightly points may lie together"})
    seed: int = field(default=0, metadata={"help": "seed of all random draws"})


class Reduce(Instrument):
    """Principal components (with loadings and explained variance) or a UMAP embedding as new columns."""

    name = "reduce"
    summary = "principal components or UMAP of many columns"
    example = "osler reduce patients.csv --components 0"
    needs = "number, boolean or category columns; the extra 'explain' for umap"
    gives = "columns pc1, pc2, ... or umap1, umap2, ..."
    references = (
        "Jolliffe, Cadima: Principal component analysis. Phil Trans R Soc A 2016",
        "Horn: A rationale and test for the number of factors in factor analysis. Psychometrika 1965",
        "McInnes, Healy, Melville: UMAP. arXiv:1802.03426",
    )
    Options = ReduceOptions

    def run(self, cohort: Cohort, options: ReduceOptions) -> Findings:
        """Encode, reduce, add the columns; facts hold the state that `project` places new rows with (pca).

        Raises:
            InputError: too few rows, no column that varies, or an option out of range; MissingExtraError
                for umap.
        """
        one_of("method", options.method, ("pca", "umap"))
        columns = pick(cohort, options.columns)
        state = mixed.fit(cohort, columns)
        x = mixed.encode(cohort, state)
        facts: dict[str, Any] = {
            "rows": len(cohort),
            "features": x.shape[1],
            "constant_columns": state["constant"],
        }
        if options.method == "umap":
            from osler.adapters.umap import embed

            within("components", options.components, 1, 50)
            within("neighbours", options.neighbours, 2, max(len(x) - 1, 2))
            scores, head = (
                embed(x, options.components, options.neighbours, options.min_distance, options.seed),
                "umap",
            )
            facts["note"] = "distances between far groups and the size of a group mean nothing in a UMAP plot"
        else:
            within("components", options.components, 0, min(x.shape))
            pca = fit_pca(x, options.components, np.random.default_rng(options.seed))
            scores, head = x @ pca["loadings"].T, "pc"
            facts |= _pca_facts(pca, mixed.names(state), scores.shape[1])
            facts["state"] = {**state, "loadings": pca["loadings"].tolist()}
        out = cohort
        for i in range(scores.shape[1]):
            column = Column(
                f"{head}{i + 1}", "number", "prediction", reason=f"osler reduce, {options.method}"
            )
            out = out.with_column(pl.Series(column.name, scores[:, i]), column)
        step = Step(
            "reduce", len(cohort), len(cohort), {"method": options.method, "components": int(scores.shape[1])}
        )
        return Findings(Cohort(out.table, out.columns, (*out.lineage, step), out.root, out.refusals), facts)


def fit_pca(x: np.ndarray, components: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Principal axes of x (n, p), whose columns have mean 0: loadings (k, p), each with its largest entry
    positive, variances (p,).

    With `components` 0, k is the number of variances above the 95th percentile of those of column-wise
    permuted tables (Horn).
    """
    _, singular, axes = np.linalg.svd(x, full_matrices=False)
    variances = singular**2 / len(x)
    if components == 0:
        chance = np.array([_permuted_variances(x, rng) for _ in range(_PERMUTATIONS)])
        above = variances > np.quantile(chance, 0.95, axis=0)
        components = max(int(np.argmin(above)) if not above.all() else len(above), 1)
    axes = axes[:components]
    sign = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return {"loadings": axes * sign[:, None], "variances": variances}


def project(cohort: Cohort, state: dict[str, Any]) -> np.ndarray:
    """(n, k) principal components of new rows, row by row, from the facts' state."""
    return mixed.encode(cohort, state) @ np.array(state["loadings"]).T


def _permuted_variances(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shuffled = rng.permuted(x, axis=0)
    return np.linalg.svd(shuffled, compute_uv=False) ** 2 / len(x)


def _pca_facts(pca: dict[str, np.ndarray], names: list[str], kept: int) -> dict[str, Any]:
    share = pca["variances"] / pca["variances"].sum()
    loadings = {
        f"pc{i + 1}": dict(zip(names, np.round(pca["loadings"][i], 4).tolist(), strict=True))
        for i in range(kept)
    }
    return {
        "explained": np.round(share[:kept], 4).tolist(),
        "explained_together": round(float(share[:kept].sum()), 4),
        "loadings": loadings,
    }
