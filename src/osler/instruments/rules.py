"""What goes together more often than chance: association rules with intervals and a bound on false
discoveries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import Column
from osler.cohort.grouping import groups_of
from osler.cohort.lineage import Step
from osler.errors import ColumnError
from osler.instruments.base import Findings, Instrument
from osler.instruments.columns import missing, one_of, pick, within, words, yes
from osler.instruments.itemsets import Itemset, eclat, fp_growth
from osler.instruments.ruletests import adjust, improvement_p, lift_interval, wilson

#: Under this many baskets with the whole rule, a rule would describe single people.
_FEWEST = 10

_NUMBERS = (
    "n_both",
    "n_antecedent",
    "n_consequent",
    "support",
    "confidence",
    "confidence_low",
    "confidence_high",
    "lift",
    "lift_low",
    "lift_high",
    "p",
    "q",
)


@dataclass(frozen=True)
class RulesOptions:
    """Options of `osler rules`."""

    items: str = field(
        default="",
        metadata={
            "help": "column with one item per row (long form); else each yes and each class is an item"
        },
    )
    unit: str = field(
        default="", metadata={"help": "column of the patient or drug, if the table does not say which it is"}
    )
    columns: tuple[str, ...] = field(
        default=(), metadata={"help": "wide form: columns to use; all inputs if none is named"}
    )
    consequent: str = field(
        default="", metadata={"help": "only rules that end in this item, such as 'died' or 'stage=IV'"}
    )
    min_support: float = field(
        default=0.05, metadata={"help": "smallest share of units that hold the whole rule"}
    )
    min_confidence: float = field(default=0.0, metadata={"help": "smallest confidence"})
    longest: int = field(default=3, metadata={"help": "most items in a rule, both sides together"})
    fdr: float = field(
        default=0.05, metadata={"help": "bound on the share of false rules among those reported"}
    )
    control: str = field(
        default="bh", metadata={"help": "bh (Benjamini-Hochberg) or by (Benjamini-Yekutieli, any dependence)"}
    )
    algorithm: str = field(
        default="fpgrowth", metadata={"help": "fpgrowth or eclat: the same rules, eclat for few long baskets"}
    )
    keep_redundant: bool = field(
        default=False, metadata={"help": "keep rules that add nothing to a simpler one"}
    )


class Rules(Instrument):
    """Association rules between items of one unit (patient, drug), tested and freed of redundant ones."""

    name = "rules"
    summary = "association rules with intervals and false-discovery control"
    example = "osler rules prescriptions.csv --unit subject_id --items drug --min-support 0.2"
    needs = "an item column beside a unit column, or boolean and category columns"
    gives = "a table of rules: support, confidence and lift with intervals, p and q"
    references = (
        "Han, Pei, Yin: Mining frequent patterns without candidate generation. SIGMOD 2000",
        "Webb: Discovering significant patterns. Machine Learning 2007",
        "Benjamini, Hochberg: Controlling the false discovery rate. JRSS B 1995",
        "Benjamini, Yekutieli: The control of the false discovery rate under dependency. Ann Stat 2001",
    )
    Options = RulesOptions

    def run(self, cohort: Cohort, options: RulesOptions) -> Findings:
        """One basket per unit, all frequent sets, all rules with one item on the right, tests, adjustment,
        pruning.

        Raises:
            InputError: no item column, an unknown consequent, too few baskets, or an option out of range.
        """
        _check(options)
        cohort = cohort.declare(unit=options.unit) if options.unit else cohort
        names, baskets = _baskets(cohort, options)
        if len(baskets) < 2 * _FEWEST:
            raise ColumnError(
                f"rules need at least {2 * _FEWEST} units with items, the table has {len(baskets)}", "input"
            )
        if options.consequent and options.consequent not in names:
            raise ColumnError(
                f"consequent must be an item, '{options.consequent}' is none: write it as "
                f"in the table, or COLUMN=CLASS"
            )
        least = max(math.ceil(options.min_support * len(baskets)), _FEWEST)
        mine = fp_growth if options.algorithm == "fpgrowth" else eclat
        counts = mine(baskets, least, options.longest)
        wanted = names.index(options.consequent) if options.consequent else None
        table, n_tested = _tested(counts, len(baskets), names, wanted, options)
        kept = table if options.keep_redundant else table.filter(~pl.col("redundant"))
        kept = kept.filter(
            (pl.col("q") <= options.fdr) & (pl.col("confidence") >= options.min_confidence)
        ).drop("redundant")
        kept = kept.sort(["q", "lift", "antecedent", "consequent"], descending=[False, True, False, False])
        facts = {
            "units": len(baskets),
            "items": len(names),
            "least_units_per_rule": least,
            "frequent_sets": len(counts),
            "rules_tested": n_tested,
            "rules_reported": kept.height,
            "false_discovery_control": {"bh": "Benjamini-Hochberg", "by": "Benjamini-Yekutieli"}[
                options.control
            ],
            "false_discovery_bound": options.fdr,
        }
        columns = [Column(c, "text" if c in ("antecedent", "consequent") else "number") for c in kept.columns]
        step = Step(
            "rules", len(cohort), kept.height, {"items": options.items, "min_support": options.min_support}
        )
        return Findings(Cohort(kept, tuple(columns), (*cohort.lineage, step)), facts)


def _check(options: RulesOptions) -> None:
    within("min_support", options.min_support, 0, 1)
    within("min_confidence", options.min_confidence, 0, 1)
    within("longest", options.longest, 2, 10)
    within("fdr", options.fdr, 0, 1)
    one_of("control", options.control, ("bh", "by"))
    one_of("algorithm", options.algorithm, ("fpgrowth", "eclat"))


def _baskets(cohort: Cohort, options: RulesOptions) -> tuple[list[str], list[list[int]]]:
    """Item names, and for each unit the codes of its items."""
    unit = groups_of(cohort)
    if options.items:
        if not cohort.role("unit"):
            raise ColumnError(
                "the long form must have a unit column, none is declared: name the patient "
                "or drug with --unit"
            )
        held = words(cohort.values(options.items))
        pairs = [(unit[held != ""], held[held != ""])]
    else:
        pairs = [
            pair
            for c in pick(cohort, options.columns, ("boolean", "category"))
            for pair in _items(cohort, c, unit)
        ]
    names = sorted({str(v) for _, held in pairs for v in np.unique(held)})
    code = {name: i for i, name in enumerate(names)}
    baskets: list[set[int]] = [set() for _ in range(int(unit.max()) + 1)] if len(unit) else []
    for who, held in pairs:
        for u, item in zip(who.tolist(), held.tolist(), strict=True):
            baskets[u].add(code[item])
    return names, [sorted(b) for b in baskets]


def _items(cohort: Cohort, column: Column, unit: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(units, items) of a wide column: its name where yes, or NAME=CLASS."""
    values = cohort.values(column.name)
    if column.modality == "boolean":
        rows = yes(values) == 1
        yield unit[rows], np.full(int(rows.sum()), column.name)
    else:
        rows = ~missing(values)
        yield unit[rows], np.array([f"{column.name}={v}" for v in words(values)[rows].tolist()], dtype=str)


def _tested(
    counts: dict[Itemset, int], n: int, names: list[str], wanted: int | None, options: RulesOptions
) -> tuple[pl.DataFrame, int]:
    """All rules as a table with p and q, and how many rules stood to be found.

    The adjustment counts every pair of a frequent antecedent and a frequent consequent, not only those
    whose union is frequent: which unions are frequent is itself chosen by looking at the association.
    """
    rules = [
        (tuple(i for i in s if i != b), b, k)
        for s, k in counts.items()
        if len(s) > 1
        for b in s
        if wanted in (None, b)
    ]
    n_items = sum(len(s) == 1 for s in counts)
    right = n_items if wanted is None else 1
    n_tested = sum(
        max(right - (len(s) if wanted is None else wanted in s), 0)
        for s in counts
        if len(s) < options.longest
    )
    both = np.array([k for _, _, k in rules], dtype=np.int64)
    left = np.array([counts[a] for a, _, _ in rules], dtype=np.int64)
    end = np.array([counts[(b,)] for _, b, _ in rules], dtype=np.int64)
    p = improvement_p(rules, counts, n)
    low, high = wilson(both, left)
    lift = both * n / np.maximum(left * end, 1)
    lift_low, lift_high = lift_interval(both, left, end, n)
    confidence = both / np.maximum(left, 1)
    numbers = (
        both,
        left,
        end,
        both / n,
        confidence,
        low,
        high,
        lift,
        lift_low,
        lift_high,
        p,
        adjust(p, n_tested, options.control),
    )
    data: dict[str, Any] = {
        "antecedent": [" & ".join(names[i] for i in a) for a, _, _ in rules],
        "consequent": [names[b] for _, b, _ in rules],
        **dict(zip(_NUMBERS, numbers, strict=True)),
        "redundant": [_is_redundant(a, b, k, counts) for a, b, k in rules],
    }
    kinds = {"antecedent": pl.String, "consequent": pl.String, "redundant": pl.Boolean}
    return pl.DataFrame(data, schema_overrides=kinds), n_tested


def _is_redundant(left: Itemset, right: int, both: int, counts: dict[Itemset, int]) -> bool:
    """True if a simpler rule has at least the same confidence (Bayardo and Agrawal 1999)."""
    for i in range(len(left) if len(left) > 1 else 0):
        simpler = (*left[:i], *left[i + 1 :])
        if both * counts[simpler] <= counts[tuple(sorted((*simpler, right)))] * counts[left]:
            return True
    return False
