"""What a column means and how it becomes numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from osler.blocks import Block
from osler.cohort.column import Column
from osler.errors import OptionError, nearest

#: Options that inference writes into a column; they stay when a column is declared to be of another modality.
INFERRED = frozenset({"missing_codes", "possible", "impossible", "quantity", "quantity_unit", "decimal", "formats"})
#: Options of a target or event column that the task reads, not the modality.
ASKED = frozenset({"positive", "event_value"})


@dataclass(frozen=True)
class NoOptions:
    """A modality, model or instrument without options."""


class Modality(ABC):
    """A kind of column. Stateless: what is learnt from rows is the JSON state that `fit` returns.

    Class attributes: `name`; `version` (stored with every state); `emits` (a layout of `osler.blocks`); `also` (other layouts
    that `encode_as` gives); `extra` (the optional install it needs, or None); `Options` (a frozen dataclass, read from
    `Column.options`); `suggests` (models to fit where none are named, if this modality wants others than plain tables do);
    `unit_kinds` (names that `units` knows); `is_thing` (a cell writes out a thing that may stand in many rows: two such columns make
    a table of pairs); `asks` (what the service asks for in such a cell); `by_reference` (a cell names a file, which the service takes itself).
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    emits: ClassVar[str] = "dense"
    also: ClassVar[tuple[str, ...]] = ()
    suggests: ClassVar[tuple[str, ...]] = ()
    unit_kinds: ClassVar[tuple[str, ...]] = ()
    is_thing: ClassVar[bool] = False
    asks: ClassVar[str] = "a text or null"
    by_reference: ClassVar[bool] = False
    extra: ClassVar[str | None] = None
    Options: ClassVar[type] = NoOptions

    @abstractmethod
    def sniff(self, values: pl.Series) -> float:
        """How well values fit this modality, 0 to 1 (a sample is enough)."""

    @abstractmethod
    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """(n,) bool, true where a value is present but not of this modality (each becomes a line of the ledger)."""

    @abstractmethod
    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Learn the state (JSON values only) from training rows, without looking at any target."""

    @abstractmethod
    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """Turn n values into a block of n rows. Row-wise: a permutation or slice of the rows gives the same rows."""

    def encode_as(self, layout: str, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """The same values in one of the layouts `emits` and `also`."""
        if layout != self.emits:
            raise OptionError(
                f"layout of a {self.name} column must be {' or '.join((self.emits, *self.also))}, was '{layout}'"
            )
        return self.encode(values, state, root)

    def steps(self, column: Column) -> tuple[str, ...]:
        """What happens to each cell before a model sees it, step after step in words for `plan.md`; () where encoding says it all."""
        return ()

    def reasons(self, values: pl.Series, root: Path | None) -> dict[str, str]:
        """Of a modality whose cells name files: distinct reference → error code of why what it names cannot be used."""
        return {}

    def units(self, kind: str, values: pl.Series) -> pl.Series:
        """(n,) text, null where unknown: what must stay together when rows are split by one of `unit_kinds`."""
        raise OptionError(
            f"unit of a {self.name} column must be one of {', '.join(self.unit_kinds) or 'no kind'}, was '{kind}'"
        )

    def identities(self, values: pl.Series, root: Path | None = None) -> dict[str, pl.Series]:
        """Senses in which two cells are the same thing, the strictest first: name of the sense → (n,) text that is equal for
        the same, null where unknown. Rows that are the same in any sense are kept on one side of every split; {} where equal cells need
        not be the same thing (two persons of one age).
        """
        return {}

    def pretraining(self, values: pl.Series, column: Column) -> str:
        """What a pre-trained part of this column's features saw of these cells: "" where there is no such part; else
        `disjoint`, `seen` (without any target) or `unknown`, a colon and a sentence for the certificate.
        """
        return ""

    def augment(self, block: Block, rng: np.random.Generator) -> Block:
        """A randomly changed copy for training; unchanged where augmentation has no meaning."""
        return block

    @abstractmethod
    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """JSON facts for `look` and the report: n, missing, and what describes this modality."""

    def preview(self, value: Any) -> str:
        """One value as a short text for a page."""
        return "" if value is None else str(value)[:80]

    def options_of(self, column: Column) -> Any:
        """The column's options as this modality's dataclass, defaults filled; foreign keys of `INFERRED` are left out.

        Raises:
            OptionError: an option that neither this modality has nor inference writes; the nearest is suggested.
        """
        known = asdict(self.Options())
        for name in column.options:
            if name not in known and name not in INFERRED | ASKED:
                where = f"option of {self.name} column '{column.name}'"
                raise OptionError(f"{where} must be one it has, was '{name}': {nearest(name, known)}")
        return self.Options(**{k: v for k, v in column.options.items() if k in known})
