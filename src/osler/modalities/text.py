"""Free text: weights of the words and word pairs that many records share."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.blocks import Block, dense
from osler.cohort.column import Column
from osler.modalities.base import Modality

_WORD = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d")


@dataclass(frozen=True)
class TextOptions:
    """Options of a text column.

    Attributes:
        max_terms: most words and word pairs that become features, at most 1,000.
        min_count: a term in fewer training records is never learnt (at least 5): it could name a person.
        max_share: a term in more than this share of the training records says nothing and is left out.
        pairs: whether pairs of neighbouring words count as terms.
    """

    max_terms: int = 300
    min_count: int = 5
    max_share: float = 0.6
    pairs: bool = True


class Text(Modality):
    """Free text as tf-idf: tf times (1 + ln((1 + n) / (1 + df))), rows of length one (Salton and Buckley 1988)."""

    name = "text"
    Options = TextOptions

    def sniff(self, values: pl.Series) -> float:
        """High where values are several words long and seldom repeat."""
        present = values.drop_nulls().head(1000)
        if values.dtype != pl.String or not len(present):
            return 0.0
        words = present.str.count_matches(r"\s+").mean() + 1.0
        return float(
            np.clip((words - 2.0) / 4.0, 0.0, 1.0) * np.clip(2.0 * present.n_unique() / len(present), 0.0, 1.0)
        )

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but is not text."""
        return pl.Series(np.zeros(len(values), dtype=bool)) if values.dtype == pl.String else values.is_not_null()

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Learn the vocabulary and the inverse document frequencies from training rows."""
        options = self.options_of(column)
        n_min = max(5, int(options.min_count))
        records = [v for v in (values.to_list() if values.dtype == pl.String else []) if v is not None and v.strip()]
        seen: Counter[str] = Counter()
        for record in records:
            seen.update(set(terms(record, options.pairs)))
        n = len(records)
        kept = [(t, c) for t, c in seen.items() if c >= n_min and c <= options.max_share * n and not _is_private(t)]
        kept.sort(key=lambda pair: (-pair[1], pair[0]))
        kept = sorted(kept[: min(1000, int(options.max_terms))])
        return {
            "modality": self.name, "version": self.version, "column": column.name, "pairs": options.pairs,
            "n": len(values), "n_present": n, "terms": [t for t, _ in kept],
            "idf": [round(float(np.log((1 + n) / (1 + c)) + 1.0), 9) for _, c in kept],
        }  # fmt: skip

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """Features (n, terms): tf-idf weights, each row of length one or zero; NaN for a missing text."""
        place = {t: i for i, t in enumerate(state["terms"])}
        idf = np.asarray(state["idf"], dtype=np.float64)
        out = np.zeros((len(values), len(place)))
        present = np.zeros(len(values), dtype=bool)
        for row, record in enumerate(values.to_list() if values.dtype == pl.String else []):
            if record is None or not record.strip():
                continue
            present[row] = True
            for term, count in Counter(t for t in terms(record, state["pairs"]) if t in place).items():
                out[row, place[term]] = count
        out *= idf
        length = np.sqrt((out * out).sum(axis=1, keepdims=True))
        out /= np.where(length > 0, length, 1.0)
        out[~present] = np.nan
        return dense(out, [f"{state['column']}: {t}" for t in state["terms"]], present=present)

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """n, missing, and the median number of words; never any word."""
        present = values.drop_nulls() if values.dtype == pl.String else values.drop_nulls().cast(pl.String)
        facts: dict[str, Any] = {"n": len(values), "missing": len(values) - len(present)}
        if len(present) < 10:
            return facts
        words = present.str.strip_chars().str.count_matches(r"\s+") + 1
        return facts | {"median_words": float(words.median()), "distinct": present.n_unique()}


def terms(record: str, pairs: bool) -> list[str]:
    """Lower-case words of a text and, with `pairs`, neighbouring words joined by a space."""
    words = [w for w in _WORD.findall(record.lower()) if len(w) > 1]
    return words + [f"{a} {b}" for a, b in pairwise(words)] if pairs else words


def _is_private(term: str) -> bool:
    """Numbers (of a record, a telephone, a date) are never learnt: digits only, or four digits and more in a term."""
    return any(w.isdigit() for w in term.split()) or len(_DIGITS.findall(term)) >= 4
