"""The checks of a certificate. Those of a split table need no patient's value; those of a cohort read its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.finding import Finding
from osler.cohort.leaks import CHECK_OF, find_leaks
from osler.cohort.partners import columns_of
from osler.cohort.record import rows_hash, unit_codes
from osler.cohort.split import Split, codes_of

VERDICTS = ("clean", "violated", "unknown", "not applicable")


@dataclass(frozen=True)
class Check:
    """One thing that was looked for.

    Attributes:
        name: stable name.
        verdict: one of `VERDICTS`.
        n: rows, units, columns or states that offend (0 if clean).
        detail: one sentence without any patient's value.
    """

    name: str
    verdict: str
    n: int
    detail: str

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise AssertionError(self.verdict)

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {"name": self.name, "verdict": self.verdict, "n": self.n, "detail": self.detail}


@dataclass(frozen=True)
class FittedState:
    """Something that was fitted, and the rows that it saw.

    Attributes:
        name: `column:NAME` or `model:NAME`.
        split_key: the split whose training rows it was fitted on.
        rows_sha256: `rows_hash` of the source rows it saw.
        n: how many rows it saw.
    """

    name: str
    split_key: str
    rows_sha256: str
    n: int

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {"name": self.name, "split_key": self.split_key, "rows_sha256": self.rows_sha256, "n": self.n}


def _found(name: str, n: int, bad: str, good: str) -> Check:
    return Check(name, "violated" if n else "clean", int(n), bad if n else good)


# -- from the split table ------------------------------------------------------------------------------------------


def table_checks(
    table: pl.DataFrame, splits: Sequence[Split], states: Sequence[FittedState], key: bytes, tells: str
) -> list[Check]:
    """Every check that needs only the split table and the fitted states.

    Args:
        table: as `osler.cohort.record.split_table` makes it.
        splits: the splits in it.
        tells: "" if its columns are fine enough to tell persons apart, otherwise why near duplicates were not looked for.
    """
    return [
        _membership(table.height, splits),
        _held_apart(splits),
        _unit_overlap(table, splits),
        *_same_things(table, splits),
        *_new_things(table, splits),
        _site_overlap(table, splits),
        _time_order(table, splits),
        _exact_duplicates(table, splits, tells),
        _near_duplicates(table, splits, tells),
        _fitted_states(table, splits, states, key),
    ]


def _membership(n: int, splits: Sequence[Split]) -> Check:
    repeats: dict[int, np.ndarray] = {}
    known: dict[int, np.ndarray] = {}
    for s in splits:
        if s.part == "cv":
            repeats.setdefault(s.repeat, np.zeros(n, dtype=np.int64))[s.test] += 1
            seen = known.setdefault(s.repeat, np.zeros(n, dtype=bool))
            seen[s.train] = seen[s.test] = True
    wrong = sum(int((repeats[r][known[r]] != 1).sum()) for r in repeats)
    for s in splits:
        if s.part == "cv":
            wrong += int(known[s.repeat].sum()) - len(s.train) - len(s.test)
    both = sum(len(np.intersect1d(s.train, s.test)) for s in splits)
    return _found(
        "split membership", wrong + both,
        f"{both} rows are on both sides of a split and {wrong} are not tested exactly once per repeat",
        f"every row is on one side of each of {len(splits)} splits, and is tested exactly once per cross-validation repeat",
    )  # fmt: skip


def _held_apart(splits: Sequence[Split]) -> Check:
    held = [s.test for s in splits if s.part == "holdout"]
    if not held:
        return Check("hold-out kept apart", "not applicable", 0, "no hold-out was asked for")
    held = np.unique(np.concatenate(held))
    inside = [np.intersect1d(np.concatenate([s.train, s.test]), held) for s in splits if s.part != "holdout"]
    n = len(np.unique(np.concatenate(inside))) if inside else 0
    return _found(
        "hold-out kept apart", n, f"{n} held-out rows are also part of a development split",
        f"none of {len(held)} held-out rows is in a development split",
    )  # fmt: skip


def _shared(codes: np.ndarray, splits: Sequence[Split]) -> np.ndarray:
    """Codes (not −1) that are on both sides of any split."""
    both = [np.intersect1d(codes[s.train], codes[s.test]) for s in splits]
    both = np.unique(np.concatenate(both)) if both else np.empty(0, dtype=np.int64)
    return both[both >= 0]


def _unit_overlap(table: pl.DataFrame, splits: Sequence[Split]) -> Check:
    codes = unit_codes(table)
    n = len(_shared(codes, splits))
    named = [c.removeprefix("unit:") for c in table.columns if c.startswith("unit:")]
    if not named and not n:
        detail = "no unit was declared: every row counts as its own unit, which is right only if no person has two rows"
        return Check("unit overlap", "unknown", 0, detail)
    by = " and ".join(f"'{c}'" for c in named)
    return _found(
        "unit overlap", n, f"{n} units (by {by}) have rows on both sides of a split",
        f"none of {len(np.unique(codes))} units (by {by}) has rows on both sides of any split",
    )  # fmt: skip


def _same_things(table: pl.DataFrame, splits: Sequence[Split]) -> list[Check]:
    """One check per sense in which two rows may be the same thing (a molecule as another salt, the same scan twice)."""
    checks = []
    for name in (c for c in table.columns if c.startswith("same:")):
        codes, sense = codes_of(table[name]), name.removeprefix("same:")
        n, several = _across(codes, splits), len(codes) - len(np.unique(codes[codes >= 0])) - int((codes < 0).sum())
        kept = f"; {several} rows repeat another row and are kept on its side" if several else ""
        checks.append(_found(
            f"same {sense}", n, f"{n} test rows are the same thing as a training row ({sense})",
            f"no test row is the same thing as a training row ({sense}){kept}",
        ))  # fmt: skip
    return checks


def _new_things(table: pl.DataFrame, splits: Sequence[Split]) -> list[Check]:
    """In a table of pairs: whether the parts that keep things out of training do, and what every part shares."""
    things = {c.removeprefix("thing:"): codes_of(table[c]) for c in table.columns if c.startswith("thing:")}
    if not things:
        return []
    wrong, said = 0, []
    for part in dict.fromkeys(s.part for s in splits if len(s.test)):
        of_part = [s for s in splits if s.part == part]
        n = sum(len(s.test) for s in of_part)
        out = columns_of(part, list(things))
        shared = {name: sum(int(_known(codes, s).sum()) for s in of_part) for name, codes in things.items()}
        wrong += sum(shared[name] for name in out)
        said.append(f"{part}: " + ", ".join(f"{100 * shared[name] / n:.0f} % {name}" for name in things))
    return [_found(
        "new things", wrong, f"{wrong} test pairs hold a thing that training has, in parts that keep it out ({'; '.join(said)})",
        f"test pairs whose thing training has too: {'; '.join(said)}",
    )]  # fmt: skip


def _known(codes: np.ndarray, split: Split) -> np.ndarray:
    """(m,) whether the code of each test row (not −1) is also one of a training row."""
    return (codes[split.test] >= 0) & np.isin(codes[split.test], codes[split.train])


def _site_overlap(table: pl.DataFrame, splits: Sequence[Split]) -> Check:
    asked = [s for s in splits if s.part.startswith("site=") or s.by == "site"]
    if not asked:
        return Check("site overlap", "not applicable", 0, "no split was asked for by site")
    codes = codes_of(table["site"])
    n = 0
    for s in asked:
        tested = np.unique(codes[s.test])
        n += int(np.isin(codes[s.train], tested).sum()) + int((codes[s.train] < 0).sum())
    return _found(
        "site overlap", n, f"{n} training rows come from a tested or an unknown site",
        f"in {len(asked)} splits by site no training row comes from the tested site",
    )  # fmt: skip


def _time_order(table: pl.DataFrame, splits: Sequence[Split]) -> Check:
    asked = [s for s in splits if s.by.startswith("time:")]
    if not asked:
        return Check("time order", "not applicable", 0, "no hold-out was asked for by time")
    at = table["time"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    late = lost = 0
    for s in asked:
        lost += int(np.isnan(at[s.train]).sum() + np.isnan(at[s.test]).sum())
        first = np.nanmin(at[s.test]) if np.isfinite(at[s.test]).any() else np.inf
        late += int((at[s.train] >= first).sum())
    if lost and not late:
        return Check("time order", "unknown", lost, f"{lost} rows of a hold-out by time have no time")
    return _found(
        "time order", late, f"{late} training rows are not earlier than the first held-out row",
        "every training row is earlier than every held-out row",
    )  # fmt: skip


def _across(codes: np.ndarray, splits: Sequence[Split]) -> int:
    """Rows of any test side that share a code (not −1) with a training row."""
    hit = np.zeros(len(codes), dtype=bool)
    for s in splits:
        both = np.intersect1d(codes[s.train], codes[s.test])
        both = both[both >= 0]
        if len(both):
            mine = np.isin(codes[s.test], both)
            hit[s.test[mine]] = True
    return int(hit.sum())


def _exact_duplicates(table: pl.DataFrame, splits: Sequence[Split], tells: str) -> Check:
    same, person = codes_of(table["content"]), codes_of(table["person"])
    real = np.where(person >= 0, same, -1)
    n, chance = _across(real, splits), _across(same, splits)
    if not n and chance and tells:
        detail = f"{chance} test rows equal a training row, which says nothing here: {tells}"
        return Check("exact duplicates", "unknown", chance, detail)
    extra = (
        f"; {chance} equal a training row of another unit in coarse values that many persons share" if chance else ""
    )
    return _found(
        "exact duplicates", n, f"{n} test rows equal a training row that is filed under another unit",
        f"no test row is a copy of a training row{extra}",
    )  # fmt: skip


def _near_duplicates(table: pl.DataFrame, splits: Sequence[Split], tells: str) -> Check:
    person = codes_of(table["person"])
    n = _across(person, splits)
    if tells and not n:
        return Check("near duplicates", "unknown", 0, f"not checked: {tells}")
    clusters = len(np.unique(person[person >= 0]))
    kept = f"; {clusters} clusters of near duplicates are kept on one side each" if clusters else ""
    return _found(
        "near duplicates", n, f"{n} test rows are near duplicates of a training row that is filed under another unit",
        f"no test row is a near duplicate of a training row of another unit{kept}",
    )  # fmt: skip


def _fitted_states(table: pl.DataFrame, splits: Sequence[Split], states: Sequence[FittedState], key: bytes) -> Check:
    name = "fitted states"
    if not states:
        return Check(name, "unknown", 0, "nothing fitted was reported")
    rows = table["row"].to_numpy()
    expected = {s.key: (rows_hash(rows[s.train], key), len(s.train)) for s in splits}
    wrong = [s for s in states if expected.get(s.split_key) != (s.rows_sha256, s.n)]
    bare = len(set(expected) - {s.split_key for s in states})
    rest = f"; {bare} splits report no fitted state" if bare else ""
    first = f", first '{wrong[0].name}' of split {wrong[0].split_key}" if wrong else ""
    return _found(
        name, len(wrong), f"{len(wrong)} of {len(states)} fitted states saw other rows than the training rows of their split{first}",
        f"each of {len(states)} fitted states saw exactly the training rows of its split{rest}",
    )  # fmt: skip


# -- from the cohort -----------------------------------------------------------------------------------------------


def cohort_checks(cohort: Cohort, pretraining: str = "none") -> list[Check]:
    """Every check that needs the table's values.

    Args:
        pretraining: overlap of the rows with data that a pre-trained part saw: `none`, `disjoint`, `seen` (without a
            target), `unknown` or `known` (with it), or such a word, a colon and what is known of it.
    """
    findings = find_leaks(cohort)
    checks = [
        _of_findings(name, [f for f in findings if CHECK_OF[f.code] == name])
        for name in dict.fromkeys(CHECK_OF.values())
    ]
    return [*checks, _accounting(cohort), _pretraining(pretraining)]


def _of_findings(name: str, findings: list[Finding]) -> Check:
    stops = [f for f in findings if f.severity == "stop"]
    if stops:
        return Check(name, "violated", len(stops), "; ".join(f.message for f in stops[:5]))
    if findings:
        return Check(name, "clean", 0, "to be looked at: " + "; ".join(f.message for f in findings[:5]))
    return Check(name, "clean", 0, "nothing found")


def _accounting(cohort: Cohort) -> Check:
    """Rows read = rows used + rows refused + rows that a named step set aside."""
    name, used = "row accounting", len(cohort)
    refused = cohort.refusals.filter(pl.col("action") == "row refused")["row"].unique().to_numpy()
    doubled = used - len(np.unique(cohort.rows)) + len(np.intersect1d(cohort.rows, refused))
    dropped = sum(max(0, s.rows_before - s.rows_after) for s in cohort.lineage)
    added = sum(max(0, s.rows_after - s.rows_before) for s in cohort.lineage)
    read = cohort.lineage[0].rows_before + added if cohort.lineage else used + len(refused)
    aside = read - used - len(refused)
    lost = doubled + max(0, -aside) + max(0, aside - dropped)
    by_step = f" + {aside} set aside by a named step" if aside > 0 else ""
    return _found(
        name, lost, f"{lost} rows are unaccounted for: {read} read, {used} used, {len(refused)} refused",
        f"{read} rows read = {used} used + {len(refused)} refused{by_step}",
    )  # fmt: skip


def _pretraining(overlap: str) -> Check:
    word, _, said = overlap.partition(": ")
    usual = {
        "none": "no part was trained before on other data",
        "disjoint": "no row or unit of this table was in the table of the run started from",
        "seen": "a pre-trained part saw rows of this table without their target",
        "known": "a pre-trained part saw rows of this table",
    }
    word = word if word in usual else "unknown"
    verdict = {"none": "clean", "disjoint": "clean", "known": "violated"}.get(word, "unknown")
    detail = said or usual.get(word, "it was not declared what a pre-trained part saw")
    return Check("pre-training overlap", verdict, int(word == "known"), f"{word}: {detail}")
