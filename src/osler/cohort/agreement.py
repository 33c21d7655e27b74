"""How much it means that two rows agree: a Fellegi-Sunter score with frequencies estimated from the table itself.

Agreement on a rare value is evidence for one person, agreement on a common one is not, and a value that the row's other
values already imply says little. So the chance of an agreement is taken from the table, given the cell's bin of the one
other column that predicts it best (a Chow-Liu tree). Scores are in bits: log2 P(cells | same person) / P(cells | two persons).

Sources: Fellegi, Sunter, J. Am. Stat. Assoc. 64 (1969) 1183; Chow, Liu, IEEE Trans. Inf. Theory 14 (1968) 462.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.column import PLAIN
from osler.cohort.instants import instants
from osler.cohort.split import codes_of

#: Half-widths of "nearly equal", in standard deviations of the column; a pair is judged by the one that suits it best.
WIDTHS = (0.02, 0.06, 0.2)

#: P(outcome | same person): equal, nearly equal, different; day and month swapped; same day and month of another year.
SAME, NEAR, OTHER, SWAPPED, ANNIVERSARY = 0.60, 0.35, 0.05, 0.05, 0.03

#: Roles that describe a person; identifiers and ignored columns count only where they read as names or dates.
DESCRIBING = ("input", "target", "event", "duration", "treatment", "time")

_BINS, _SAMPLE, _MOST_FIELDS, _MOST_LOOKED_AT = 8, 5_000, 60, 300


@dataclass(frozen=True)
class Field:
    """One column as far as it can be compared.

    Attributes:
        name: the column.
        kind: `category`, `number`, `date` or `text`.
        code: (n,) int64 codes of equal cells, −1 where missing; texts are equal if they hold the same words.
        value: (n,) float64 numbers or days in standard deviations; empty for categories and texts.
        swapped: (n,) days (in standard deviations) with day and month exchanged; dates only.
        grams: per distinct text its set of letter pairs (or words) as a bit map (codes, words of 64 bits); texts only.
        tail: increasing similarities of random pairs of distinct texts; texts only.
        bits: (n,) float32, −log2 of the chance that another person has this very value.
        near: (len(WIDTHS), n) float32, the same for a value within each width; numbers and dates only.
    """

    name: str
    kind: str
    code: np.ndarray
    value: np.ndarray
    swapped: np.ndarray
    grams: np.ndarray
    tail: np.ndarray
    bits: np.ndarray
    near: np.ndarray


def fields_of(cohort: Cohort, rng: np.random.Generator) -> list[Field]:
    """The comparable columns of a cohort, the most informative ones first (at most 60, of at most 300 that are looked at:
    evenly spread ones if the table is wider).
    """
    spread = np.unique(np.linspace(0, len(cohort.columns) - 1, _MOST_LOOKED_AT).astype(int)) if cohort.columns else []
    raw = [f for at in spread if (f := _raw(cohort, cohort.columns[at].name)) is not None]
    raw = sorted(raw, key=lambda f: -_entropy(f.code))[:_MOST_FIELDS]
    if not raw:
        return []
    bins = [_binned(f) for f in raw]
    parents = _tree(bins, len(cohort), rng)
    return [_weighed(f, bins, i, parents[i], rng) for i, f in enumerate(raw)]


def bits_of(fields: list[Field], i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Evidence that rows `i` and `j` (m,) are one person: (m,) float64 bits, the best of the widths."""
    total = np.zeros((len(WIDTHS), len(i)))
    for field in fields:
        known = (field.code[i] >= 0) & (field.code[j] >= 0)
        equal = known & (field.code[i] == field.code[j])
        weight = (
            np.maximum(field.bits[i], field.bits[j])
            if field.kind == "text"
            else np.minimum(field.bits[i], field.bits[j])
        )
        base = np.where(known, np.log2(OTHER), 0.0)
        if field.kind == "text":
            base = np.where(known & ~equal, _text_bits(field, i, j), base)
        if field.kind == "date":
            base = np.where(known, np.maximum(base, _date_bits(field, i, j, weight)), base)
        base = np.where(equal, np.log2(SAME) + weight, base)
        if field.kind not in ("number", "date"):
            total += base
            continue
        gap = np.abs(field.value[i] - field.value[j])
        for w, width in enumerate(WIDTHS):
            close = np.log2(NEAR) + np.minimum(field.near[w][i], field.near[w][j])
            total[w] += np.where(known & (gap <= width), np.maximum(base, close), base)
    return total.max(axis=0) - np.log2(len(WIDTHS))


def agreed(fields: list[Field], i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """(m,) share of the information in the cells known to both rows on which they agree, equal or nearly, 0 to 1.

    Two persons of one kind can agree on many columns that say the same; a copy agrees on most of all there is to agree on.
    """
    got, most = np.zeros((len(WIDTHS), len(i))), np.full(len(i), 1e-9)
    for field in fields:
        known = (field.code[i] >= 0) & (field.code[j] >= 0)
        equal = known & (field.code[i] == field.code[j])
        full = np.where(known, (field.bits[i] + field.bits[j]) / 2.0, 0.0)
        base = np.where(equal, full, 0.0)
        if field.kind == "text":
            base = np.where(equal | ~known, base, np.clip(_text_bits(field, i, j), 0.0, full))
        if field.kind == "date":
            base = np.where(equal | ~known, base, np.clip(_date_bits(field, i, j, full), 0.0, full))
        most += full
        if field.kind not in ("number", "date"):
            got += base
            continue
        gap = np.abs(field.value[i] - field.value[j])
        for w, width in enumerate(WIDTHS):
            near = np.minimum(field.near[w][i], field.near[w][j])
            got[w] += np.where(known & (gap <= width), np.maximum(base, near), base)
    return got.max(axis=0) / most


def most_bits(fields: list[Field]) -> np.ndarray:
    """(n,) the evidence that an exact copy of each row would have."""
    n = len(fields[0].code) if fields else 0
    return sum((np.where(f.code >= 0, np.log2(SAME) + f.bits, 0.0) for f in fields), np.zeros(n))


# -- columns ----------------------------------------------------------------------------------------------------------


def _raw(cohort: Cohort, name: str) -> Field | None:
    column, values = cohort.column(name), cohort.table[name]
    if values.dtype.is_nested() or values.dtype == pl.Null or values.dtype == pl.Binary:
        return None
    if column.modality not in PLAIN and column.modality != "text":
        return None  # two molecules of nearly the same letters are two molecules; see grouping.identities_of
    textual = values.dtype in (pl.String, pl.Categorical, pl.Enum)
    if column.role not in DESCRIBING:
        named = textual and column.modality != "date" and _reads_as_name(values)
        if not (column.role in ("id", "ignore") and (named or column.modality == "date")):
            return None
    none = np.empty(0)
    code = codes_of(values)
    if code.max(initial=-1) < 1:
        return None
    if column.modality == "date" or values.dtype.is_temporal():
        days = instants(values)
        if np.isfinite(days).mean() > 0.5 * (code >= 0).mean():
            code = np.where(np.isfinite(days), code, -1)
            return Field(
                name, "date", code, days / _spread(days), _swapped(days) / _spread(days), none, none, none, none
            )
    if values.dtype.is_numeric():
        if code.max() < 10:
            return Field(name, "category", code, none, none, none, none, none, none)
        number = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
        number = np.where(np.isfinite(number), number, np.nan)
        return Field(
            name, "number", np.where(np.isnan(number), -1, code), number / _spread(number), none, none, none, none, none
        )
    if textual and code.max() >= 10 and (code.max() > 0.05 * len(code) or column.modality == "text"):
        code, words = _words(values.cast(pl.String), code)
        return Field(name, "text", code, none, none, _bit_maps(words), none, none, none)
    return Field(name, "category", code, none, none, none, none, none, none)


def _reads_as_name(values: pl.Series) -> bool:
    """Whether most cells are words without digits (names, not numbers of records) and there are many of them."""
    cells = values.cast(pl.String).drop_nulls().head(1000)
    words = cells.str.strip_chars().str.contains(r"^[^\d]{3,}$").mean() if len(cells) else 0.0
    return words > 0.5 and cells.n_unique() >= 20


def _spread(number: np.ndarray) -> float:
    known = number[np.isfinite(number)]
    if not len(known):
        return 1.0
    low, high = np.quantile(known, [0.25, 0.75])
    return float((high - low) / 1.349 or known.std() or 1.0)


def _swapped(days: np.ndarray) -> np.ndarray:
    """Days since 1970 with day and month exchanged; NaN where that is no date."""
    whole = pl.Series(np.where(np.isfinite(days), np.floor(days), 0).astype(np.int64))
    date = whole.cast(pl.Int32).cast(pl.Date)
    text = date.dt.strftime("%Y-%d-%m")
    swapped = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Float64).fill_null(np.nan).to_numpy()
    return np.where(np.isfinite(days), swapped, np.nan)


def _words(values: pl.Series, code: np.ndarray) -> tuple[np.ndarray, list[tuple[str, ...]]]:
    """Codes of equal sets of words (n,) and the words of each code: lower case, no accents, no punctuation, sorted."""
    known: dict[tuple[str, ...], int] = {}
    of_code: dict[int, int] = {-1: -1}
    first = np.unique(code, return_index=True)[1]
    for at in first:
        if code[at] >= 0:
            plain = unicodedata.normalize("NFKD", values[int(at)].lower()).encode("ascii", "ignore").decode()
            words = tuple(sorted(re.findall(r"[a-z0-9]+", plain))) or (values[int(at)],)
            of_code[int(code[at])] = known.setdefault(words, len(known))
    return np.array([of_code[c] for c in code.tolist()], dtype=np.int64), list(known)


def _bit_maps(texts: list[tuple[str, ...]]) -> np.ndarray:
    """(m, 4 or 16) uint64: letter pairs of short texts, words of long ones, as bit maps of 256 or 1,024."""
    long = np.mean([sum(map(len, words)) for words in texts]) > 40
    size = 1024 if long else 256
    maps = np.zeros((len(texts), size), dtype=np.uint8)
    for at, words in enumerate(texts):
        grams = words if long else [f"^{w}$"[k : k + 2] for w in words for k in range(len(w) + 1)]
        maps[at, [sum(ord(c) * 31**k for k, c in enumerate(g)) % (size - 5) for g in grams]] = 1
    return np.packbits(maps, axis=1).view(np.uint64)


def _similar(field: Field, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(m,) Dice similarity of pairs of text codes."""
    first, second = field.grams[a], field.grams[b]
    both = np.bitwise_count(first & second).sum(axis=1, dtype=np.int64)
    one = np.bitwise_count(first).sum(axis=1, dtype=np.int64) + np.bitwise_count(second).sum(axis=1, dtype=np.int64)
    return 2.0 * both / np.maximum(one, 1)


def _text_bits(field: Field, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    similar = _similar(field, field.code[i], field.code[j])
    above = len(field.tail) - np.searchsorted(field.tail, similar - 1e-9)
    chance = (above + 1.0) / (len(field.tail) + 1.0)
    return np.maximum(np.log2(OTHER), np.log2(NEAR) - np.log2(chance))


def _date_bits(field: Field, i: np.ndarray, j: np.ndarray, weight: np.ndarray) -> np.ndarray:
    day = field.swapped  # NaN where no exchange is possible
    exchanged = (np.abs(day[i] - field.value[j]) < 1e-9) | (np.abs(day[j] - field.value[i]) < 1e-9)
    return np.where(exchanged, np.log2(SWAPPED) + np.maximum(weight, field.near[0][i]), np.log2(OTHER))


# -- chances ----------------------------------------------------------------------------------------------------------


def _entropy(code: np.ndarray) -> float:
    share = np.bincount(code + 1) / max(len(code), 1)
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())


def _binned(field: Field) -> np.ndarray:
    """(n,) bin 0 (missing) to `_BINS`: quantiles of numbers, the commonest categories, one bin for texts."""
    if field.kind == "text":
        return (field.code >= 0).astype(np.int64)
    if len(field.value):
        edges = np.unique(np.quantile(field.value[field.code >= 0], np.arange(1, _BINS) / _BINS))
        return np.where(field.code >= 0, 1 + np.searchsorted(edges, field.value, side="right"), 0)
    counts = np.bincount(field.code[field.code >= 0])
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return np.where(field.code >= 0, 1 + np.minimum(rank[field.code], _BINS - 1), 0)


def _tree(bins: list[np.ndarray], n: int, rng: np.random.Generator) -> list[int]:
    """For every column the one that predicts it best in a maximum spanning tree of mutual information; −1 for the root."""
    at = np.arange(n) if n <= _SAMPLE else np.sort(rng.choice(n, _SAMPLE, replace=False))
    width = _BINS + 1
    hot = np.concatenate([np.eye(width, dtype=np.float32)[b[at]] for b in bins], axis=1)
    joint = (hot.T @ hot).reshape(len(bins), width, len(bins), width).transpose(0, 2, 1, 3) / len(at)
    own = hot.mean(axis=0).reshape(len(bins), width)
    chance = own[:, None, :, None] * own[None, :, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        told = np.where(joint > 0, joint * np.log2(joint / chance), 0.0).sum(axis=(2, 3))
    parents, best, source = [-1] * len(bins), told[0].copy(), np.zeros(len(bins), dtype=np.int64)
    left = set(range(1, len(bins)))
    while left:
        new = max(left, key=lambda c: (best[c], -c))
        parents[new] = int(source[new])
        left.remove(new)
        closer = told[new] > best
        best, source = np.where(closer, told[new], best), np.where(closer, new, source)
    return parents


def _weighed(field: Field, bins: list[np.ndarray], at: int, parent: int, rng: np.random.Generator) -> Field:
    """The field with the chances of agreement filled in."""
    own, n = bins[at], len(field.code)
    lift = np.ones(n)
    if parent >= 0 and field.kind != "text":
        other = bins[parent]
        size, share = np.bincount(other, minlength=_BINS + 1), np.bincount(own, minlength=_BINS + 1) / n
        both = np.zeros((_BINS + 1, _BINS + 1))
        np.add.at(both, (own, other), 1)
        lift = ((both[own, other] + share[own]) / (size[other] + 1.0)) / share[own]
    counts = np.bincount(field.code[field.code >= 0])
    share = np.where(field.code >= 0, counts[field.code], n) / n
    bits = -np.log2(np.minimum(1.0, share * lift)).astype(np.float32)
    near = np.zeros((len(WIDTHS), n), dtype=np.float32)
    if len(field.value):
        ordered = np.sort(field.value[field.code >= 0])
        for w, width in enumerate(WIDTHS):
            inside = np.searchsorted(ordered, field.value + width, "right") - np.searchsorted(
                ordered, field.value - width
            )
            near[w] = -np.log2(np.clip(inside / n * lift, 1.0 / n, 1.0))
    tail = np.empty(0)
    if field.kind == "text":
        a, b = rng.integers(0, len(field.grams), (2, 100_000))
        tail = np.sort(_similar(field, a[a != b], b[a != b]))
    return Field(field.name, field.kind, field.code, field.value, field.swapped, field.grams, tail, bits, near)
