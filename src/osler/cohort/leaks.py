"""Columns that would give the answer away: found before anything is learnt, each with its evidence.

    target-copy         a predictor is the target under another name or coding
    target-giveaway     one predictor alone tells the target: an AUROC (or rank correlation) of 0.99 is a leak until shown
                        otherwise, from 0.96 on it is worth a look (the best honest single predictors that we know, in
                        kidney disease and in cytology, reach 0.97)
    missingness-tells   whether a cell was filled tells the target (a test that only cases get)
    order-input         a running number or another column that follows the order of the rows tells the target
    row-order           the order of the rows tells the target (cases listed first); the order itself is no predictor
    target-mean         a predictor is the mean of the target per level of another column, computed before the split
    after-time          a predictor was recorded after the prediction time
    id-input            a predictor names the row or the unit

`stop` means that a result would not be believable; `warning` that a person has to decide. Rates by level are learnt on one
half of the units and judged on the other, so that a column with many levels does not look informative by chance; columns
with fewer than 30 known rows, or 8 in a class, are not judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import PLAIN
from osler.cohort.finding import Finding
from osler.cohort.instants import instants
from osler.cohort.split import codes_of, groups_of

#: Finding code → the check of the certificate that it belongs to.
CHECK_OF = {
    "target-copy": "target among inputs",
    "id-input": "identifiers among inputs",
    "target-giveaway": "giveaway predictors",
    "missingness-tells": "missingness gives the target away",
    "order-input": "row order gives the target away",
    "row-order": "row order gives the target away",
    "target-mean": "pre-computed target means",
    "after-time": "predictors after the prediction time",
}

#: AUROC (or absolute rank correlation) from which a single predictor stops a run, or asks for a look.
STOP, LOOK = 0.99, 0.96

#: The same for the bare fact that a cell is filled.
STOP_MISSING, LOOK_MISSING = 0.95, 0.85

_LEAST, _LEAST_CLASS, _MOST_CLASSES = 30, 8, 20


@dataclass(frozen=True)
class _Question:
    """One outcome: class codes (n,) with −1 unknown if `classes`, else numbers (n,) with NaN unknown."""

    name: str
    y: np.ndarray
    classes: int

    @property
    def known(self) -> np.ndarray:
        return self.y >= 0 if self.classes else np.isfinite(self.y)


def find_leaks(cohort: Cohort) -> list[Finding]:
    """Every finding of the codes above, the gravest first."""
    questions = _questions(cohort)
    groups = groups_of(cohort)
    half = (groups % 2).astype(bool) if len(np.unique(groups)) > 1 else np.arange(len(cohort)) % 2 == 1
    findings = [*_after_time(cohort), *_identifiers(cohort), *_target_means(cohort, questions)]
    told = {f.column for f in findings if f.code == "target-mean"}
    for column in cohort.role("input"):
        values = cohort.table[column.name]
        if values.dtype.is_nested() or column.modality not in PLAIN:
            continue
        codes = codes_of(values)
        if codes.max(initial=-1) < 0:
            continue
        for question in questions:
            missing = _missingness(column.name, codes, question)
            single = None if column.name in told else _single(column.name, values, codes, question, half)
            findings += [f for f in (single, missing) if f is not None]
    findings += _row_order(cohort, questions)
    rank = {"stop": 0, "warning": 1, "note": 2}
    return sorted(findings, key=lambda f: rank[f.severity])


# -- outcomes -----------------------------------------------------------------------------------------------------------


def _questions(cohort: Cohort) -> list[_Question]:
    questions = []
    for column in (*cohort.role("target"), *cohort.role("event")):
        values = cohort.table[column.name]
        if values.dtype.is_nested():
            continue
        rule = column.options.get("positive") or column.options.get("event_value")
        codes = _positive(values, str(rule)) if rule else codes_of(values)
        k = int(codes.max(initial=-1)) + 1
        numeric = values.dtype.is_numeric() and column.modality not in ("category", "boolean")
        if k > _MOST_CLASSES or (numeric and k > 10):
            questions.append(_Question(column.name, instants(values), 0))
        elif k >= 2:
            questions.append(_Question(column.name, codes, k))
    for column in cohort.role("duration"):
        questions.append(_Question(column.name, instants(cohort.table[column.name]), 0))
    return questions


def _positive(values: pl.Series, rule: str) -> np.ndarray:
    """(n,) codes 1 where a value counts as positive (`yes`, `>0`, `>=2`, `<1`), 0 where not, −1 where missing."""
    sign = next((s for s in (">=", "<=", ">", "<") if rule.startswith(s)), "")
    if sign:
        x, limit = instants(values), float(rule[len(sign) :])
        yes = {">=": x >= limit, "<=": x <= limit, ">": x > limit, "<": x < limit}[sign]
        return np.where(np.isnan(x), -1, yes.astype(np.int64))
    if values.dtype.is_numeric():
        yes = (values.cast(pl.Float64) == float(rule)).fill_null(False).to_numpy()
    else:
        yes = (values.cast(pl.String).str.strip_chars() == rule).fill_null(False).to_numpy()
    return np.where(values.is_null().to_numpy(), -1, yes.astype(np.int64))


def _auroc(score: np.ndarray, case: np.ndarray) -> float:
    """Area under the ROC curve with ties counted half; NaN if a class is too small to judge."""
    n_case, n = int(case.sum()), len(case)
    if n < _LEAST or min(n_case, n - n_case) < _LEAST_CLASS:
        return np.nan
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2.0
    return float((middle[inverse][case].sum() - n_case * (n_case + 1) / 2.0) / (n_case * (n - n_case)))


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < _LEAST or len(np.unique(x)) < 5 or len(np.unique(y)) < 5:
        return np.nan
    middle = []
    for values in (x, y):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        middle.append((np.cumsum(counts) - counts / 2.0)[inverse])
    return float(np.corrcoef(*middle)[0, 1])


# -- single predictors --------------------------------------------------------------------------------------------------


def _single(name: str, values: pl.Series, codes: np.ndarray, q: _Question, half: np.ndarray) -> Finding | None:
    known = q.known & (codes >= 0)
    if known.sum() < _LEAST:
        return None
    ordered = values.dtype.is_numeric() or values.dtype == pl.Boolean or values.dtype.is_temporal()
    if _is_copy(codes[known], q.y[known], q.classes):
        message = f"predictor '{name}' is the target '{q.name}' under another name or coding in {int(known.sum())} rows"
        return Finding("target-copy", "stop", name, int(known.sum()), message, f"--ignore {name}")
    if q.classes:
        strength = _tells_class(codes, ordered, q, half)
        kind = "AUROC"
    else:
        strength = abs(_rank_correlation(codes[known], q.y[known])) if ordered else np.nan
        kind = "rank correlation"
    if not strength >= LOOK:
        return None
    grave = strength >= STOP
    why = "gives the target away" if grave else "tells the target almost alone"
    n = int(known.sum())
    message = f"predictor '{name}' {why}: {kind} {strength:.3f} with '{q.name}' by itself, in {n} rows"
    advice = (
        f"--ignore {name}"
        if grave
        else f"find out when and how '{name}' is recorded; --ignore {name} if after the outcome"
    )
    return Finding("target-giveaway", "stop" if grave else "warning", name, n, message, advice)


def _is_copy(codes: np.ndarray, y: np.ndarray, classes: int) -> bool:
    """Whether predictor and target determine each other (classes), or one rises strictly with the other (numbers)."""
    left, right = np.unique(codes, return_inverse=True)[1], np.unique(y, return_inverse=True)[1]
    k = left.max() + 1
    if k != right.max() + 1 or k < 2:
        return False
    if classes:
        pairs = np.unique(left * k + right)
        return len(pairs) == k and np.bincount(right).min() >= 2
    return k >= 10 and (np.array_equal(left, right) or np.array_equal(left, k - 1 - right))


def _tells_class(codes: np.ndarray, ordered: bool, q: _Question, half: np.ndarray) -> float:
    """The AUROC of a predictor alone, for the class that it tells worst: by rank where cells are known, and by rates of
    its levels (numbers: 20 bins; missing is a level) learnt on one half of the units and judged on the other.
    """
    known = q.known & (codes >= 0)
    levels = _levels(codes, ordered)
    worst = []
    for c in (1,) if q.classes == 2 else range(q.classes):
        ranked = abs(_auroc(codes[known], q.y[known] == c) - 0.5) + 0.5 if ordered else np.nan
        rates = _auroc(*_judged_rates(levels[q.known], (q.y == c)[q.known], half[q.known]))
        both = [a for a in (ranked, rates) if np.isfinite(a)]
        if both:
            worst.append(max(both))
    return min(worst, default=np.nan)


def _levels(codes: np.ndarray, ordered: bool) -> np.ndarray:
    if not ordered or codes.max() < 40:
        return codes + 1
    edges = np.unique(np.quantile(codes[codes >= 0], np.arange(1, 20) / 20))
    return np.where(codes >= 0, 1 + np.searchsorted(edges, codes, side="right"), 0)


def _judged_rates(levels: np.ndarray, case: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rate of cases at each row's level as learnt on the other half of the units, and the cases: (n,) and (n,)."""
    rate = np.zeros(len(levels))
    for side in (half, ~half):
        size = np.bincount(levels[~side], minlength=levels.max(initial=0) + 1)
        cases = np.bincount(levels[~side], weights=case[~side], minlength=len(size))
        base = case[~side].mean() if (~side).any() else 0.5
        rate[side] = ((cases + base) / (size + 1.0))[levels[side]]
    return np.round(rate, 9), case


def _missingness(name: str, codes: np.ndarray, q: _Question) -> Finding | None:
    if not q.classes or (codes >= 0).all():
        return None
    filled = (codes >= 0)[q.known]
    each = [abs(_auroc(filled, (q.y == c)[q.known]) - 0.5) + 0.5 for c in range(1 if q.classes == 2 else 0, q.classes)]
    strength = max((a for a in each if np.isfinite(a)), default=np.nan)
    if not strength >= LOOK_MISSING:
        return None
    n = int((~filled).sum())
    message = f"whether '{name}' was filled in tells the target '{q.name}': AUROC {strength:.3f}, {n} cells are missing"
    severity = "stop" if strength >= STOP_MISSING else "warning"
    return Finding("missingness-tells", severity, name, n, message, f"--ignore {name}")


# -- order, identifiers, times --------------------------------------------------------------------------------------------


def _row_order(cohort: Cohort, questions: list[_Question]) -> list[Finding]:
    findings, order = [], np.argsort(np.argsort(cohort.rows)).astype(np.float64)
    for q in questions:
        if q.classes:
            each = [
                abs(_auroc(order[q.known], (q.y == c)[q.known]) - 0.5)
                for c in range(1 if q.classes == 2 else 0, q.classes)
            ]
            strength = 0.5 + min((a for a in each if np.isfinite(a)), default=0.0)
        else:
            strength = abs(_rank_correlation(order[q.known], q.y[q.known]))
        if not strength >= 0.9:
            continue
        message = (
            f"the order of the rows tells the target '{q.name}' (AUROC {strength:.3f}): the table is sorted by outcome"
        )
        findings.append(
            Finding(
                "row-order",
                "warning",
                "",
                len(cohort),
                message,
                "keep numbers that follow the row order out of --input",
            )
        )
        for column in cohort.role("input"):
            x = (
                instants(cohort.table[column.name])
                if not cohort.table[column.name].dtype.is_nested()
                else order * np.nan
            )
            if (
                np.isfinite(x).sum() > 0.9 * len(x)
                and abs(_rank_correlation(x[np.isfinite(x)], order[np.isfinite(x)])) > 0.98
            ):
                message = f"predictor '{column.name}' follows the order of the rows, which tells the target '{q.name}'"
                findings.append(
                    Finding("order-input", "stop", column.name, len(cohort), message, f"--ignore {column.name}")
                )
    return findings


def _identifiers(cohort: Cohort) -> list[Finding]:
    findings, n = [], len(cohort)
    units = {c.name: cohort.table[c.name].cast(pl.String) for c in cohort.role("unit")}
    for column in cohort.role("input"):
        values = cohort.table[column.name]
        if values.dtype.is_nested() or n < _LEAST:
            continue
        text = values.cast(pl.String) if units else values
        for unit, cells in units.items():
            if (text == cells).fill_null(False).mean() > 0.99:
                message = f"predictor '{column.name}' holds the same values as the unit column '{unit}'"
                findings.append(Finding("id-input", "stop", column.name, n, message, f"--ignore {column.name}"))
        named = values.null_count() == 0 and (column.modality == "category" or _is_running_number(values))
        if named and values.n_unique() == n:
            message = f"predictor '{column.name}' is different in every row, as an identifier is"
            findings.append(Finding("id-input", "warning", column.name, n, message, f"--ignore {column.name}"))
    return findings


def _is_running_number(values: pl.Series) -> bool:
    if not values.dtype.is_numeric():
        return False
    x = values.cast(pl.Float64).to_numpy()
    return bool((x == np.floor(x)).all() and x.max() - x.min() < 1.05 * len(x))


def _after_time(cohort: Cohort) -> list[Finding]:
    findings = []
    for time in cohort.role("time"):
        if not (time.modality == "date" or cohort.table[time.name].dtype.is_temporal()):
            continue
        asked = instants(cohort.table[time.name])
        for column in cohort.role("input"):
            values = cohort.table[column.name]
            if not (column.modality == "date" or values.dtype.is_temporal()):
                continue
            at = instants(values)
            n, known = int((np.floor(at) > np.floor(asked)).sum()), int((np.isfinite(at) & np.isfinite(asked)).sum())
            if n:
                message = (
                    f"predictor '{column.name}' is dated after the prediction time '{time.name}' in {n} of {known} rows"
                )
                grave = n >= 3 and n > 0.01 * known
                findings.append(
                    Finding(
                        "after-time", "stop" if grave else "warning", column.name, n, message, f"--ignore {column.name}"
                    )
                )
    return findings


# -- pre-computed target means ------------------------------------------------------------------------------------------


def _target_means(cohort: Cohort, questions: list[_Question]) -> list[Finding]:
    roles = ("unit", "site", "input", "ignore", "id")
    levels = {}
    for column in (c for role in roles for c in cohort.role(role)):
        values = cohort.table[column.name]
        if not values.dtype.is_nested() and not values.dtype.is_float() and column.modality in PLAIN:
            codes = codes_of(values)
            if 3 <= codes.max(initial=-1) + 1 <= len(cohort) // 2:
                levels[column.name] = codes
    findings = []
    for column in cohort.role("input"):
        values = cohort.table[column.name]
        if not values.dtype.is_float():
            continue
        x = values.fill_null(np.nan).to_numpy().astype(np.float64)
        hit = next(((g, q) for q in questions for g, codes in levels.items() if _is_mean(x, codes, q)), None)
        if hit:
            message = (
                f"predictor '{column.name}' is the mean of the target '{hit[1].name}' per level of '{hit[0]}', "
                "computed on all rows before the split"
            )
            findings.append(
                Finding("target-mean", "stop", column.name, len(cohort), message, f"--ignore {column.name}")
            )
    return findings


def _is_mean(x: np.ndarray, codes: np.ndarray, q: _Question) -> bool:
    """Whether x is the (smoothed, leave-one-out, or monotonely transformed) mean of the target per level."""
    if q.classes > 2:
        return False
    known = q.known & (codes >= 0) & np.isfinite(x)
    n_x = len(np.unique(x[known]))
    if known.sum() < _LEAST or n_x < 3 or n_x > 3 * (codes.max() + 1):
        return False
    x, y, level = x[known], q.y[known].astype(np.float64), np.unique(codes[known], return_inverse=True)[1]
    size, total = np.bincount(level), np.bincount(level, weights=y)
    spread = y.std() or 1.0
    near = lambda guess: np.mean(np.abs(x - guess) <= 0.006 * spread) > 0.98  # noqa: E731
    out = (total[level] - y) / np.maximum(size[level] - 1, 1)
    if out.std() > 0.01 * spread and near(out):
        return True
    x_level = np.bincount(level, weights=x) / size
    if np.abs(x - x_level[level]).max() > 1e-9 * max(1.0, np.abs(x).max()):
        return False
    for weight in (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0):
        guess = (total + weight * y.mean()) / (size + weight)
        if guess.std() > 0.02 * spread and near(guess[level]):
            return True
    means = total / size
    monotone = len(size) >= 8 and abs(_rank_of_levels(x_level, means)) > 0.9999
    return bool(monotone and abs(np.corrcoef(x_level, means)[0, 1]) > 0.9)


def _rank_of_levels(x: np.ndarray, y: np.ndarray) -> float:
    ranks = [np.unique(v, return_inverse=True)[1] for v in (x, y)]
    return float(np.corrcoef(*ranks)[0, 1]) if min(len(np.unique(r)) for r in ranks) > 1 else 0.0
