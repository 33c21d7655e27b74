"""What is missing, where, together with what, and whether that could mislead a model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.lineage import Step
from osler.errors import ColumnError
from osler.instruments.base import Findings, Instrument
from osler.instruments.cells import HIDDEN, SMALL, hide, is_small, shown
from osler.instruments.columns import missing, numbers, within, words
from osler.instruments.littles_test import littles_test
from osler.instruments.ruletests import adjust, wilson

_LEVEL = 0.05


@dataclass(frozen=True)
class MissingOptions:
    """Options of `osler missing`."""

    columns: tuple[str, ...] = field(
        default=(), metadata={"help": "columns to look at; all but ids and ignored ones if none is named"}
    )
    target: str = field(
        default="",
        metadata={"help": "column that missingness must not tell, if the table does not say which it is"},
    )
    group: str = field(default="", metadata={"help": "column to compare missingness by, such as the site"})
    patterns: int = field(default=10, metadata={"help": "how many of the commonest patterns to show"})


class Missing(Instrument):
    """Missing cells by column, by pattern and by group, Little's test, and warnings where missingness tells
    the target."""

    name = "missing"
    summary = "missing-data patterns, Little's test, and missingness that tells the target"
    example = "osler missing patients.csv --target died --group site"
    gives = (
        "a table with one row per column: how many are missing, the share with its "
        "interval, p against the target"
    )
    references = (
        "Little: A test of missing completely at random for multivariate data with missing values. JASA 1988",
        "Lex et al.: UpSet: visualization of intersecting sets. IEEE TVCG 2014",
    )
    Options = MissingOptions

    def run(self, cohort: Cohort, options: MissingOptions) -> Findings:
        """Count, group, test.

        Raises:
            InputError: no rows, an unknown column, or an option out of range.
        """
        within("patterns", options.patterns, 1, 1000)
        if len(cohort) == 0:
            raise ColumnError("the table must have rows, it has none", "input")
        cohort = cohort.declare(target=options.target) if options.target else cohort
        columns = _columns(cohort, options)
        names = [c.name for c in columns]
        gone = np.stack([missing(cohort.values(n)) for n in names], axis=1)
        told = _against_target(cohort, gone)
        low, high = wilson(gone.sum(axis=0), np.full(len(names), len(cohort)))
        table = pl.DataFrame(
            {
                "column": names,
                "missing": gone.sum(axis=0).astype(np.int64),
                "share": gone.mean(axis=0),
                "share_low": low,
                "share_high": high,
                "p_target": told[0],
                "q_target": told[1],
            }
        )
        warnings = [
            f"whether '{n}' is missing tells the target: ask how it was recorded"
            for n, q in zip(names, told[1])
            if q < _LEVEL
        ]
        facts: dict[str, Any] = {
            "rows": len(cohort),
            "complete_rows": shown(int((~gone.any(axis=1)).sum()), False),
            "cells_missing_share": round(float(gone.mean()), 4),
            "patterns": _patterns(gone, names, options.patterns),
            "together": _together(gone, names),
            "little": littles_test(_numbers(cohort, columns)),
            "warnings": warnings,
        }
        if options.group:
            facts["by_group"] = _by_group(cohort, gone, names, options.group)
        kinds = [Column(c, "text" if c == "column" else "number") for c in table.columns]
        step = Step("missing", len(cohort), table.height, {"columns": len(names)})
        return Findings(Cohort(table, tuple(kinds), (*cohort.lineage, step)), facts)


def _columns(cohort: Cohort, options: MissingOptions) -> list[Column]:
    if options.columns:
        return [cohort.column(n) for n in options.columns]
    left_out = ("id", "unit", "ignore", "target", "event", "duration", "prediction", "split")
    return [c for c in cohort.columns if c.role not in left_out] or list(cohort.columns)


def _numbers(cohort: Cohort, columns: list[Column]) -> np.ndarray:
    """(n, p) the number columns that are measured at least twice."""
    held = [numbers(cohort.values(c.name)) for c in columns if c.modality == "number"]
    held = [x for x in held if (~np.isnan(x)).sum() > 1]
    return np.stack(held, axis=1) if held else np.empty((len(cohort), 0))


def _patterns(gone: np.ndarray, names: list[str], most: int) -> list[dict[str, Any]]:
    """The commonest sets of columns that are missing together, with small counts hidden."""
    patterns, counts = np.unique(gone, axis=0, return_counts=True)
    order = np.lexsort((np.arange(len(counts)), -counts))
    out: list[dict[str, Any]] = []
    for place in order[:most]:
        n = int(counts[place])
        absent = [name for name, is_gone in zip(names, patterns[place], strict=True) if is_gone]
        out.append(
            {
                "missing": absent,
                "n": shown(n, False),
                "share": None if is_small(n) else round(n / len(gone), 4),
            }
        )
    rest = int(counts[order[most:]].sum())
    if rest:
        out.append(
            {
                "missing": ["(other patterns)"],
                "n": shown(rest, False),
                "share": None if is_small(rest) else round(rest / len(gone), 4),
            }
        )
    return out


def _together(gone: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """Pairs of columns that go missing in the same rows (Jaccard of at least 0.5, ten rows or more)."""
    both = gone.T.astype(np.int64) @ gone.astype(np.int64)
    alone = both.diagonal()
    pairs = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            union = alone[i] + alone[j] - both[i, j]
            if both[i, j] >= SMALL and both[i, j] >= 0.5 * union:
                pairs.append(
                    {
                        "columns": [names[i], names[j]],
                        "n": int(both[i, j]),
                        "jaccard": round(float(both[i, j] / union), 4),
                    }
                )
    return sorted(pairs, key=lambda p: (-p["jaccard"], p["columns"]))


def _against_target(cohort: Cohort, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(p,) p and Benjamini-Hochberg q of missing against target; 1 where there is nothing to compare."""
    from scipy import stats

    p = np.ones(gone.shape[1])
    target = [c for c in (*cohort.role("target"), *cohort.role("event"))]
    if target:
        y = cohort.values(target[0].name)
        known = ~missing(y)
        is_number = target[0].modality == "number"
        held = numbers(y) if is_number else words(y)
        for j in range(gone.shape[1]):
            a, b = held[known & gone[:, j]], held[known & ~gone[:, j]]
            if len(a) < SMALL or len(b) < SMALL:
                continue
            if is_number:
                p[j] = float(stats.mannwhitneyu(a, b).pvalue)
            else:
                first, second = Counter(a.tolist()), Counter(b.tolist())
                cells = np.array(
                    [[count[level] for level in sorted(first | second)] for count in (first, second)]
                )
                p[j] = float(stats.chi2_contingency(cells).pvalue) if cells.shape[1] > 1 else 1.0
    return p, adjust(p, len(p), "bh")


def _by_group(cohort: Cohort, gone: np.ndarray, names: list[str], group: str) -> list[dict[str, Any]]:
    """Missing cells per column and level of a column; small counts, and what would give them away, hidden."""
    held = words(cohort.values(group))
    held = np.where(held == "", "(missing)", held)
    levels = sorted(set(held.tolist()))
    sizes = np.array([(held == level).sum() for level in levels])
    levels, sizes = [v for v, n in zip(levels, sizes) if n >= SMALL], sizes[sizes >= SMALL]
    out = []
    for j, name in enumerate(names):
        if name == group or not levels:
            continue
        n = np.array([gone[held == level, j].sum() for level in levels])
        hidden = hide(np.stack([n, sizes - n]))[0]
        out.append(
            {"column": name, **{v: shown(int(k), bool(h)) for v, k, h in zip(levels, n, hidden, strict=True)}}
        )
    return out or [{"note": f"no level of '{group}' has {HIDDEN.strip('<')} rows"}]
