"""Table one: who is in the table, by group."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.lineage import Step
from osler.errors import ColumnError
from osler.instruments import groups
from osler.instruments.base import Findings, Instrument
from osler.instruments.cells import HIDDEN, SMALL, hide, is_small, shown
from osler.instruments.columns import numbers, one_of, pick, within, words, yes

_EVERYONE = "all"


@dataclass(frozen=True)
class TableOneOptions:
    """Options of `osler tableone`."""

    group: str = field(
        default="",
        metadata={
            "help": "column whose levels become the table's columns; treatment or target if none is named"
        },
    )
    columns: tuple[str, ...] = field(
        default=(), metadata={"help": "variables to describe; all inputs if none is named"}
    )
    summary: str = field(default="auto", metadata={"help": "auto (median if skewed), mean or median"})
    digits: int = field(default=1, metadata={"help": "digits after the point; more where a spread is small"})
    p_values: bool = field(default=False, metadata={"help": "add p values (not for a randomised comparison)"})


class TableOne(Instrument):
    """Mean (SD), median [quartiles] or n (%) by group, standardised mean differences, missing cells, small
    counts hidden."""

    name = "tableone"
    summary = "table one by group: means, medians, counts, standardised differences"
    example = "osler tableone patients.csv --group treatment"
    gives = "a table of text cells, and the same as Markdown and HTML"
    references = (
        "Austin: Balance diagnostics for comparing the distribution of baseline covariates. Stat Med 2009",
        "Yang, Dalton: A unified approach to measuring the effect size between two groups. "
        "SAS Global Forum 2012, paper 335",
    )
    Options = TableOneOptions

    def run(self, cohort: Cohort, options: TableOneOptions) -> Findings:
        """Describe every variable by group.

        Raises:
            InputError: an unknown column, no group of ten rows or more, or an option out of range.
        """
        one_of("summary", options.summary, ("auto", "mean", "median"))
        within("digits", options.digits, 0, 6)
        group = options.group or next(
            (c.name for role in ("treatment", "target") for c in cohort.role(role)), ""
        )
        columns = [c for c in pick(cohort, options.columns) if c.name != group]
        kept, masks, notes = _groups(cohort, group)
        rows = [_sizes(masks, len(kept))]
        for column in columns:
            describe = _number if column.modality == "number" else _classes
            rows += describe(kept, column, masks, options)
        table = pl.DataFrame(rows, schema=dict.fromkeys(_header(masks, options), pl.String))
        facts = {
            "group": group,
            "rows": len(cohort),
            "notes": notes,
            "markdown": markdown(table),
            "html": to_html(table),
        }
        step = Step("tableone", len(cohort), table.height, {"group": group})
        return Findings(
            Cohort(table, tuple(Column(c, "text") for c in table.columns), (*cohort.lineage, step)), facts
        )


def markdown(table: pl.DataFrame) -> str:
    """The table as Markdown, with "|" in names escaped."""
    lines = [[c if c != "_row" else "" for c in table.columns], ["---"] * table.width]
    lines += [["" if v is None else v for v in row] for row in table.rows()]
    return "\n".join(
        "| " + " | ".join(v.replace("|", "\\|").replace("\n", " ") for v in line) + " |" for line in lines
    )


def to_html(table: pl.DataFrame) -> str:
    """The table as HTML, with all text escaped."""
    head = "".join(f'<th scope="col">{html.escape(c)}</th>' for c in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(v or '')}</td>" for v in row) + "</tr>" for row in table.rows()
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _header(masks: dict[str, np.ndarray], options: TableOneOptions) -> list[str]:
    compared = ["smd"] + (["p"] if options.p_values else []) if len(masks) > 2 else []
    return ["variable", "level", "statistic", *masks, *compared]


def _groups(cohort: Cohort, group: str) -> tuple[Cohort, dict[str, np.ndarray], list[str]]:
    """The rows that are described, and each group's mask over them; groups below ten rows are left out of
    every number."""
    if not group:
        if len(cohort) < SMALL:
            raise ColumnError(f"the table must have at least {SMALL} rows, it has {len(cohort)}", "input")
        return cohort, {_EVERYONE: np.ones(len(cohort), dtype=bool)}, []
    held = words(cohort.values(group))
    levels, counts = np.unique(held[held != ""], return_counts=True)
    large = [str(v) for v, n in zip(levels, counts, strict=True) if n >= SMALL]
    if not large:
        raise ColumnError(
            f"column '{group}' must have a level with {SMALL} rows or more, it has none", "column-kind"
        )
    inside = np.isin(held, large)
    notes = []
    if len(large) < len(levels):
        notes.append(f"{len(levels) - len(large)} groups below {SMALL} rows are left out of all numbers")
    if (held == "").any():
        notes.append(
            f"rows without a value of '{group}' are left out of all numbers: "
            f"{shown(int((held == '').sum()), False)}"
        )
    name = lambda v: f"{group}={v}" if v in ("variable", "level", "statistic", "smd", "p", _EVERYONE) else v  # noqa: E731
    return (
        cohort.where(inside, "tableone"),
        {_EVERYONE: np.ones(inside.sum(), dtype=bool), **{name(v): held[inside] == v for v in large}},
        notes,
    )


def _sizes(masks: dict[str, np.ndarray], n: int) -> dict[str, str]:
    return {
        "variable": "rows",
        "level": "",
        "statistic": "n",
        **{g: f"{int(m.sum()):,}" for g, m in masks.items()},
    }


def _number(
    cohort: Cohort, column: Column, masks: dict[str, np.ndarray], options: TableOneOptions
) -> list[dict[str, str]]:
    """One line of the summary, and one of the missing cells if there are any."""
    x = numbers(cohort.values(column.name))
    known = x[~np.isnan(x)]
    skewed = (
        len(known) > 2
        and known.std() > 0
        and abs(((known - known.mean()) ** 3).mean() / known.std() ** 3) > 1
    )
    median = options.summary == "median" or (options.summary == "auto" and skewed)
    digits = max(options.digits, _places(known))
    cells = {g: _summary(x[m & ~np.isnan(x)], median, digits) for g, m in masks.items()}
    unit = f", {column.unit}" if column.unit else ""
    line = {
        "variable": f"{column.name}{unit}",
        "level": "",
        "statistic": "median [quartiles]" if median else "mean (SD)",
        **cells,
    }
    split = [x[m & ~np.isnan(x)] for m in list(masks.values())[1:]]
    if len(split) > 1 and all(len(part) >= SMALL for part in split):
        line["smd"] = f"{groups.smd_numbers(split):.3f}"
        if options.p_values:
            line["p"] = groups.p_text(groups.p_numbers(split, median))
    return [line, *_missing(column.name, np.isnan(x), masks)]


def _places(x: np.ndarray) -> int:
    """Digits after the point that show two figures of the spread of x (n,), at most 6: none where it is 10 or more."""
    low, high = np.quantile(x, [0.25, 0.75]) if len(x) else (0.0, 0.0)
    spread = float(high - low) or (float(x.std()) if len(x) else 0.0)
    return min(max(1 - int(np.floor(np.log10(spread))), 0), 6) if spread > 0 else 0


def _summary(x: np.ndarray, median: bool, digits: int) -> str:
    if len(x) < SMALL:
        return HIDDEN if len(x) else ""
    if median:
        low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
        return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{x.mean():.{digits}f} ({x.std(ddof=1):.{digits}f})"


def _missing(name: str, gone: np.ndarray, masks: dict[str, np.ndarray]) -> list[dict[str, str]]:
    if not gone.any():
        return []
    counts = np.array(
        [[int((gone & m).sum()) for m in masks.values()], [int((~gone & m).sum()) for m in masks.values()]]
    )
    hidden = hide(counts)[0]
    cells = {g: shown(int(n), bool(h)) for g, n, h in zip(masks, counts[0], hidden, strict=True)}
    return [{"variable": name, "level": "(missing)", "statistic": "n", **cells}]


def _classes(
    cohort: Cohort, column: Column, masks: dict[str, np.ndarray], options: TableOneOptions
) -> list[dict[str, str]]:
    """One line per level: n (%) of the rows that are not missing."""
    values = cohort.values(column.name)
    held = words(values)
    if column.modality == "boolean":
        truth = yes(values)
        held = np.where(np.isnan(truth), held, np.where(truth == 1, "yes", "no"))
    levels = sorted(set(held[held != ""].tolist()))
    lines = [*levels, ""] if (held == "").any() else levels
    place = {v: i for i, v in enumerate(lines)}
    code = np.array([place[v] for v in held.tolist()], dtype=np.int64)
    counts = np.column_stack([np.bincount(code[m], minlength=len(lines)) for m in masks.values()])
    hidden = hide(counts)
    known = counts[: len(levels)].sum(axis=0)
    out = []
    for i, level in enumerate(lines):
        if level:
            cells = {
                g: _share(counts[i, j], known[j], hidden[i, j], options.digits) for j, g in enumerate(masks)
            }
        else:
            cells = {g: shown(int(counts[i, j]), bool(hidden[i, j])) for j, g in enumerate(masks)}
        label = column.coding.get(level, level) if level else "(missing)"
        out.append({"variable": column.name, "level": label, "statistic": "n (%)" if level else "n", **cells})
    split = counts[: len(levels), 1:].T
    if len(split) > 1 and len(levels) > 1 and (split.sum(axis=1) >= SMALL).all():
        out[0]["smd"] = f"{groups.smd_classes(split):.3f}"
        if options.p_values:
            out[0]["p"] = groups.p_text(groups.p_classes(split))
    return out


def _share(n: int, known: int, hidden: bool, digits: int) -> str:
    if hidden or is_small(int(n)):
        return shown(int(n), bool(hidden))
    return f"{int(n):,} ({100 * n / known:.{digits}f})" if known else "0"
