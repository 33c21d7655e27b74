"""How something is learnt: an estimator turns blocks and a target into params, and params and blocks into predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Protocol

import numpy as np

from osler.blocks import Block
from osler.errors import ColumnError, OptionError, nearest
from osler.tasks.base import Prediction, Target


@dataclass(frozen=True)
class Params:
    """What was learnt, in a form that outlives the library that learnt it.

    Attributes:
        meta: JSON values only (a LightGBM model is its text in here).
        arrays: named numeric arrays; no object arrays.
    """

    meta: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def nest(parts: Mapping[str, Params], meta: dict[str, Any] | None = None) -> Params:
        """Several params as one; `part(name)` takes one out again. Names must not hold '/'."""
        arrays = {f"{name}/{key}": value for name, p in parts.items() for key, value in p.arrays.items()}
        return Params({**(meta or {}), "parts": {name: p.meta for name, p in parts.items()}}, arrays)

    def part(self, name: str) -> Params:
        """One of the nested params."""
        head = f"{name}/"
        arrays = {k[len(head) :]: v for k, v in self.arrays.items() if k.startswith(head)}
        return Params(self.meta["parts"][name], arrays)


@dataclass(frozen=True)
class Encoded:
    """Rows that are already blocks: what an estimator that needs everything at once works on. Itself a `Batches`.

    Attributes:
        blocks: column name → block, all of n rows.
        target: n asked-for values.
        groups: (n,) int codes of the unit of independence; rows of one group stay together in any inner split.
    """

    blocks: dict[str, Block]
    target: Target
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.target)

    def all(self) -> Encoded:
        """Itself."""
        return self

    def seen_as(self, layouts: tuple[str, ...]) -> Encoded:
        """The same rows with every column in the first of these layouts that it has."""
        return replace(self, blocks={name: block.seen_as(layouts) for name, block in self.blocks.items()})

    def only(self, columns: Sequence[str]) -> Encoded:
        """The same rows with some columns alone."""
        return replace(self, blocks={name: self.blocks[name] for name in columns})

    def take(self, rows: np.ndarray) -> Encoded:
        """Some rows (positions or mask)."""
        blocks = {k: b.take(rows) for k, b in self.blocks.items()}
        return replace(self, blocks=blocks, target=self.target.take(rows), groups=self.groups[rows])

    def slices(self, size: int, rng: np.random.Generator | None = None) -> Iterator[Encoded]:
        """Walk all rows in slices of `size`, shuffled if a generator is given."""
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        for start in range(0, len(order), size):
            yield self.take(order[start : start + size])


class Batches(Protocol):
    """A re-iterable source of encoded rows; the engine's walks files, `Encoded` is already in memory."""

    def __len__(self) -> int: ...
    def all(self) -> Encoded: ...
    def seen_as(self, layouts: tuple[str, ...]) -> Batches: ...
    def take(self, rows: np.ndarray) -> Batches: ...
    def slices(self, size: int, rng: np.random.Generator | None = None) -> Iterator[Encoded]: ...
    @property
    def target(self) -> Target: ...
    @property
    def groups(self) -> np.ndarray: ...


class Estimator(ABC):
    """A way to learn. Holds its options, and the columns it is confined to, and nothing else: what is learnt is in the returned
    `Params`.

    Class attributes: `name`; `version` (stored with params); `accepts` (layouts); `prefers` (layouts other than dense that it
    wants of a column that has several, best first); `answers` (task kinds);
    `copes_with_missing`; `extra` (optional install, or None); `Options` (frozen dataclass with documented defaults);
    `space` (what tuning may change: option → ("log", low, high), ("float", low, high), ("int", low, high) or
    ("choice", a, b, ...); empty where there is nothing to tune).
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    accepts: ClassVar[frozenset[str]] = frozenset({"dense"})
    prefers: ClassVar[tuple[str, ...]] = ()
    answers: ClassVar[frozenset[str]]
    copes_with_missing: ClassVar[bool] = False
    extra: ClassVar[str | None] = None
    Options: ClassVar[type]
    space: ClassVar[dict[str, tuple[Any, ...]]] = {}

    #: Columns that this one learns from, `table` for all plain ones together; () for every column.
    confined_to: tuple[str, ...] = ()

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    def confined(self, data: Encoded) -> Encoded:
        """The same rows with the columns of `confined_to` alone: what `fit` is then given. Predicting needs no such step, for what
        was learnt names its columns.

        Raises:
            ColumnError: an input is not there.
        """
        return data.only(inputs_of(self.confined_to, data.blocks)) if self.confined_to else data

    @abstractmethod
    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn from training rows. Everything fitted (imputation, scaling, selection, tuning) happens in here."""

    def fit_out_of_bag(self, batches: Batches, rng: np.random.Generator) -> tuple[Params, Prediction] | None:
        """Params, and for every training row an answer by parts of the model that never saw the row's group; None where a
        model has no such parts. It saves an ensemble the inner folds.
        """
        return None

    def layouts(self, kind: str) -> tuple[str, ...]:
        """Layouts other than dense that this estimator wants for a task of this kind; an ensemble's are its members'."""
        return self.prefers

    def fit_out_of_fold(
        self, batches: Batches, plan: Sequence[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
    ) -> tuple[Params, Prediction] | None:
        """Params, and answers for the plan's test rows, one fold after the other, by models that never saw their groups;
        None where a model cannot use the plan's folds for its own choices too. It saves an ensemble the folds within folds.

        Args:
            plan: training and test positions of every fold.
        """
        return None

    @abstractmethod
    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Answer for the rows of `blocks`; needs only numpy (and the library of a text model), never what fitted it."""


#: The name for all plain columns of a table together, where models are confined to some columns.
TABLE = "table"


def is_plain(block: Block) -> bool:
    """Whether a column is one of a table: numbers and codes that are looked at in no other way."""
    return block.layout == "dense" and not block.views and "count" not in block.kinds


def groups_of(blocks: Mapping[str, Block]) -> dict[str, tuple[str, ...]]:
    """Columns that are learnt from together: `table` for the plain ones, and each scan, molecule or series by itself."""
    plain = tuple(name for name, block in blocks.items() if is_plain(block))
    others = {name: (name,) for name, block in blocks.items() if not is_plain(block)}
    return ({TABLE: plain} if plain else {}) | others


def inputs_of(asked: Sequence[str], blocks: Mapping[str, Block]) -> tuple[str, ...]:
    """Columns by the names in `inputs`, in the order of the blocks.

    Raises:
        ColumnError: one of them is not there; the nearest is named.
    """
    groups, wanted = groups_of(blocks), set()
    for name in asked:
        if name not in blocks and name not in groups:
            raise ColumnError(f"inputs of a model must be columns or '{TABLE}', was '{name}': {nearest(name, [*blocks, TABLE])}", "column-kind")
        wanted |= {name} if name in blocks else set(groups[name])
    return tuple(name for name in blocks if name in wanted)


def options_from(cls: type, given: Mapping[str, str | Any], what: str) -> Any:
    """An options dataclass from names and texts ("200", "true", "0.1"), each turned into its field's type.

    Raises:
        OptionError: an unknown name (the nearest is suggested) or a value of the wrong type.
    """
    known = {f.name: f for f in fields(cls)}
    values = {}
    for name, value in given.items():
        if name not in known:
            raise OptionError(f"option of {what} must be one it has, was '{name}': {nearest(name, known)}")
        values[name] = _typed(value, known[name].default, f"option '{name}' of {what}")
    return cls(**values)


def _typed(value: Any, default: Any, where: str) -> Any:
    if not isinstance(value, str) or isinstance(default, str):
        return value
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[value.lower()]
        if isinstance(default, int) and not isinstance(default, bool):
            return int(value)
        if isinstance(default, float) or default is None:
            return float(value)
        if isinstance(default, tuple):
            return tuple(type(default[0])(v) for v in value.split("+")) if default else tuple(value.split("+"))
    except (KeyError, ValueError) as error:
        kind = {bool: "true or false", int: "a whole number", float: "a number", type(None): "a number"}.get(
            type(default), "a list joined by +"
        )
        raise OptionError(f"{where} must be {kind}, was '{value}'") from error
    return value
