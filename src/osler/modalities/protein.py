"""Proteins: composition, properties, k-mer counts and letters of what a cell writes as a sequence of amino acids."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.blocks import Block, dense
from osler.cohort.column import Column
from osler.cohort.facts import is_missing_word
from osler.errors import OptionError, nearest
from osler.modalities import residues
from osler.modalities.base import Modality

#: Code of a residue that is not known.
UNKNOWN = 0
#: Letters that alone would be a nucleic acid.
_NUCLEIC = r"^[ACGTUN]+$"


@dataclass(frozen=True)
class ProteinOptions:
    """Options of a protein column.

    Attributes:
        features: of the dense block, any of properties, composition, ctd, dipeptides, triads, kmers.
        rare: read selenocysteine (U) and pyrrolysine (O) as the "near" C and K, or as "unknown".
        ambiguous: B, Z, J and X are "unknown" residues, or the cell is refused ("refuse").
    """

    features: tuple[str, ...] = ("properties", "composition", "ctd", "kmers")
    rare: str = "near"
    ambiguous: str = "unknown"


class Protein(Modality):
    """A protein. Emits properties and counts of short stretches, or the sequence of its residues."""

    name = "protein"
    also = ("sequence",)
    suggests = ("boosting",)
    is_thing = True
    asks = "a protein as letters of its residues or FASTA, or null"
    unit_kinds = ("sequence", "family")
    Options = ProteinOptions

    def sniff(self, values: pl.Series) -> float:
        """Share of a sample of 200 values that are proteins; 0 where they are short, or nucleic acids."""
        if values.dtype != pl.String:
            return 0.0
        present = _texts(values).drop_nulls().head(200)
        held = [residues.letters(text)[0] for text in present.to_list()]
        plain = pl.Series(held, dtype=pl.String)
        if not len(plain) or float(plain.str.len_chars().median() or 0.0) < 20.0:
            return 0.0
        return float(((plain != "") & ~plain.str.contains(_NUCLEIC)).mean() or 0.0)

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but is no protein that the options take."""
        return self.reasons(values, column) != ""

    def reasons(self, values: pl.Series, column: Column) -> pl.Series:
        """(n,) why a cell is refused, "" elsewhere; no reason holds any part of a cell."""
        options = _checked(self.options_of(column))
        if values.dtype != pl.String:
            return pl.Series(["not text" if there else "" for there in values.is_not_null()], dtype=pl.String)
        found = ["" if t is None else _read(t, options.ambiguous)[1] for t in _texts(values).to_list()]
        return pl.Series(found, dtype=pl.String)

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Write down the options; nothing is learnt from rows."""
        settings = asdict(_checked(self.options_of(column)))
        n_present = sum(bool(one) for one in _sequences(values, settings["ambiguous"]))
        return {
            "modality": self.name, "version": self.version, "column": column.name, **settings,
            "features": list(settings["features"]), "n": len(values), "n_present": n_present,
        }  # fmt: skip

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """Features (n, p) of the sequences: continuous, and counts of dipeptides, triads or k-mers; NaN where there is
        none.
        """
        kinds = tuple(state["features"])
        made = [f"{state['column']}: {name}" for name in residues.names(kinds)]
        held = _sequences(values, state["ambiguous"])
        numbers = np.full((len(held), len(made)), np.nan)
        for i, sequence in enumerate(held):
            if sequence:
                numbers[i] = _features(sequence, state["rare"], kinds)
        types = [k for f in kinds for k in ("count" if f in residues.COUNTS else "continuous",) * residues.WIDTH[f]]
        return dense(numbers, made, present=np.array([bool(s) for s in held], dtype=bool), kinds=types)

    def encode_as(self, layout: str, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """The dense block, or a ragged sequence (sum t, 1) of codes: 1 to 20 in the order of `residues.RESIDUES`, 0 for
        a residue that is not known.
        """
        if layout != "sequence":
            return super().encode_as(layout, values, state, root)
        held = _sequences(values, state["ambiguous"])
        codes = [residues.codes(sequence, state["rare"]) + 1 for sequence in held]
        offsets = np.cumsum([0, *map(len, codes)]).astype(np.int64)
        flat = np.concatenate([np.empty(0), *codes])[:, None]
        present = np.array([bool(s) for s in held], dtype=bool)
        return Block("sequence", {"values": flat, "offsets": offsets}, present, (f"{state['column']}: residue",))

    def units(self, kind: str, values: pl.Series) -> pl.Series:
        """(n,) the sequence itself (kind "sequence"), or the name of its family (kind "family": `residues.families`,
        connected by a Jaccard index of 5-mers of at least 0.1); null where there is none.
        """
        if kind not in self.unit_kinds:
            return super().units(kind, values)
        held = _sequences(values, "unknown")
        if kind == "sequence":
            return pl.Series(values.name, [s or None for s in held], dtype=pl.String)
        distinct = list(dict.fromkeys(s for s in held if s))
        found = residues.families([residues.codes(s) for s in distinct]).tolist() if distinct else []
        name = {s: f"family {code + 1}" for s, code in zip(distinct, found)}
        return pl.Series(values.name, [name.get(s) for s in held], dtype=pl.String)

    def identities(self, values: pl.Series, root: Path | None = None) -> dict[str, pl.Series]:
        """One sense of being the same protein: an equal sequence."""
        return {"sequence": self.units("sequence", values)}

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """n, missing, unreadable, and the range of lengths."""
        text = _texts(values)
        missing = int(text.null_count()) if values.dtype == pl.String else values.null_count()
        facts: dict[str, Any] = {"n": len(values), "missing": missing}
        if len(values) - missing < 10 or values.dtype != pl.String:
            return facts
        held = _sequences(values, _checked(self.options_of(column)).ambiguous)
        lengths = [len(s) for s in held if s]
        if lengths:
            p5, median, p95 = np.quantile(lengths, [0.05, 0.5, 0.95]).tolist()
            facts |= {"length_p5": p5, "length_median": median, "length_p95": p95}
            facts["distinct"] = len({s for s in held if s})
        return facts | {"unreadable": len(values) - missing - len(lengths)}


def _checked(options: ProteinOptions) -> ProteinOptions:
    for name in options.features:
        if name not in residues.WIDTH:
            known = ", ".join(residues.WIDTH)
            raise OptionError(f"features of proteins must be of {known}, was '{name}': {nearest(name, residues.WIDTH)}")
    if not options.features:
        raise OptionError(f"features of proteins must be one or more of {', '.join(residues.WIDTH)}, there were none")
    for name, allowed in (("rare", ("near", "unknown")), ("ambiguous", ("unknown", "refuse"))):
        if getattr(options, name) not in allowed:
            raise OptionError(f"{name} of proteins must be {' or '.join(allowed)}, was '{getattr(options, name)}'")
    return options


def _texts(values: pl.Series) -> pl.Series:
    """Texts without outer blanks; null where a cell is missing, holds a word for "no value", or is no text."""
    if values.dtype != pl.String:
        return pl.Series([None] * len(values), dtype=pl.String)
    text = values.str.strip_chars()
    return text.set((is_missing_word(text) | (text == "")).fill_null(False), None)


def _sequences(values: pl.Series, ambiguous: str) -> list[str]:
    """The letters of every cell, "" where there is no protein."""
    return [_read(text, ambiguous)[0] if text is not None else "" for text in _texts(values).to_list()]


@lru_cache(maxsize=20_000)
def _read(text: str, ambiguous: str) -> tuple[str, str]:
    held, reason = residues.letters(text)
    at = next((i for i, c in enumerate(held) if c in residues.AMBIGUOUS), None) if ambiguous == "refuse" else None
    return (held, reason) if at is None else ("", f"an ambiguous residue at position {at + 1}")


@lru_cache(maxsize=20_000)
def _features(sequence: str, rare: str, kinds: tuple[str, ...]) -> np.ndarray:
    return residues.features(residues.codes(sequence, rare), kinds)
