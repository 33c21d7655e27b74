"""Groups of similar patients, if there are any."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.grouping import groups_of
from osler.cohort.lineage import Step
from osler.errors import LimitError
from osler.instruments import clusters, mixed
from osler.instruments.base import Findings, Instrument
from osler.instruments.cells import HIDDEN, is_small
from osler.instruments.columns import numbers, one_of, pick, within, words

_MOST_ROWS_HDBSCAN = 20_000


@dataclass(frozen=True)
class ClusterOptions:
    """Options of `osler cluster`."""

    columns: tuple[str, ...] = field(
        default=(), metadata={"help": "columns to compare patients by; all inputs if none is named"}
    )
    method: str = field(
        default="kmeans", metadata={"help": "kmeans, gmm (Gaussian mixture) or hdbscan (density)"}
    )
    k: int = field(
        default=0, metadata={"help": "number of clusters; 0 chooses it, and may answer that there are none"}
    )
    k_max: int = field(default=6, metadata={"help": "largest number of clusters to try"})
    references: int = field(
        default=20, metadata={"help": "tables without clusters that the data are compared with, of each kind"}
    )
    resamples: int = field(
        default=50, metadata={"help": "half samples of the patients for the stability of each cluster"}
    )
    seed: int = field(default=0, metadata={"help": "seed of all random draws"})


class Cluster(Instrument):
    """Clusters with a test whether there are any, a choice of their number, their stability and their
    profile."""

    name = "cluster"
    summary = "find groups of similar patients, or say that there are none"
    example = "osler cluster patients.csv --columns age --columns bmi --columns hba1c"
    needs = "number, boolean or category columns"
    gives = "a column 'cluster' (1 is the largest)"
    references = (
        "Tibshirani, Walther, Hastie: Estimating the number of clusters via the gap statistic. JRSS B 2001",
        "Hennig: Cluster-wise assessment of cluster stability. Comput Stat Data Anal 2007",
        "Liu, Hayes, Nobel, Marron: Statistical significance of clustering (SigClust). JASA 2008",
    )
    Options = ClusterOptions

    def run(self, cohort: Cohort, options: ClusterOptions) -> Findings:
        """Encode, test against tables without clusters, choose k, cluster all rows, resample, describe.

        Raises:
            InputError: too few rows, no column that varies, or an option out of range.
        """
        _check(cohort, options)
        columns = pick(cohort, options.columns)
        state = mixed.fit(cohort, columns)
        x = mixed.encode(cohort, state)
        rng = np.random.default_rng(options.seed)
        choice = clusters.choose(x, state, options, rng)
        labels, stability = np.ones(len(cohort), dtype=np.int64), []
        if choice.k > 1:
            labels = clusters.assign(x, choice.k, options.method, rng)
            stability = clusters.stability(x, labels, groups_of(cohort), choice.k, options, rng)
        facts = {
            "answer": f"{labels.max()} clusters" if labels.max() > 1 else "no clusters",
            **choice.facts,
            "rows": len(cohort),
            "columns": [s["name"] for s in state["columns"]],
            "constant_columns": state["constant"],
            "missing_cells_filled": int(sum(cohort.values(c.name).null_count() for c in columns)),
            "clusters": _profile(cohort, columns, labels, stability),
        }
        text = pl.Series([str(v) if v > 0 else "noise" for v in labels.tolist()], dtype=pl.String)
        out = cohort.with_column(
            text, Column("cluster", "category", "prediction", reason=f"osler cluster, {options.method}")
        )
        step = Step("cluster", len(cohort), len(cohort), {"method": options.method, "k": int(labels.max())})
        return Findings(Cohort(out.table, out.columns, (*out.lineage, step), out.root, out.refusals), facts)


def _check(cohort: Cohort, options: ClusterOptions) -> None:
    one_of("method", options.method, ("kmeans", "gmm", "hdbscan"))
    within("k", options.k, 0, max(len(cohort) // 2, 1))
    within("k_max", options.k_max, 2, 30)
    within("references", options.references, 5, 1000)
    within("resamples", options.resamples, 5, 1000)
    if options.method == "hdbscan" and len(cohort) > _MOST_ROWS_HDBSCAN:
        raise LimitError(
            f"method hdbscan must have at most {_MOST_ROWS_HDBSCAN:,} rows, the table has "
            f"{len(cohort):,}: use kmeans"
        )


def _profile(
    cohort: Cohort, columns: list[Column], labels: np.ndarray, stability: list[float]
) -> list[dict[str, Any]]:
    """One dict per cluster: how many, how stable, and each column's mean and SD or commonest level; small
    ones hidden."""
    out = []
    for number in sorted(set(labels.tolist()), key=lambda v: (v == 0, v)):
        rows = labels == number
        n = int(rows.sum())
        one: dict[str, Any] = {
            "cluster": str(number) if number else "noise",
            "n": HIDDEN if is_small(n) else n,
        }
        if number and stability:
            mean = stability[number - 1]
            verdict = "stable" if mean >= 0.75 else "doubtful" if mean >= 0.6 else "not stable"
            one |= {"jaccard": round(mean, 3), "verdict": verdict}
        if not is_small(n):
            one["profile"] = {
                c.name: _describe(cohort.values(c.name).filter(pl.Series(rows)), c) for c in columns
            }
        out.append(one)
    return out


def _describe(values: pl.Series, column: Column) -> dict[str, Any]:
    if column.modality == "number":
        x = numbers(values)
        x = x[~np.isnan(x)]
        if len(x) < 10:
            return {"n": HIDDEN}
        return {"n": len(x), "mean": round(float(x.mean()), 4), "sd": round(float(x.std(ddof=1)), 4)}
    held = words(values)
    held = held[held != ""]
    levels, counts = np.unique(held, return_counts=True)
    shares = {str(v): round(int(k) / len(held), 4) for v, k in zip(levels, counts, strict=True) if k >= 10}
    return {"n": len(held) if len(held) >= 10 else HIDDEN, "shares": shares}
