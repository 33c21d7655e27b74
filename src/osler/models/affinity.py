"""Pairs of things (a molecule and a protein) → a number or a class: boosted trees over what like pairs gave.

Of a pair the trees see what `osler.models.neighbours` makes of the training pairs, and where the two things lie among
those of training (the first axes of a principal coordinates analysis of their likenesses). Features of a training pair
are made from other training pairs only, held out in the way in which the pair will be asked about:

    seen         both things are in training, the pair is not: random pairs are held out
    new_first    the first thing is not: whole things are held out
    new_second   the second is not
    new_both     neither is: pairs of held-out things, judged by pairs of the things that are left

One booster per setting; a row is answered by the one of its setting, which training tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from osler.blocks import Block, dense
from osler.cohort.grouping import join_codes
from osler.errors import OptionError
from osler.models.base import Batches, Encoded, Estimator, Params
from osler.models.boosting import Boosting, BoostingOptions
from osler.models.neighbours import SETTINGS, Table, features, kernels, ridge
from osler.models.pairs import Asked, Known, Things, pair_of
from osler.tasks.base import Prediction

#: Rows that are answered at a time.
CHUNK = 20_000
#: Pairs from which trees may be larger and more.
MANY = 50_000
#: Most leaves of trees for pairs with a new thing.
MOST_LEAVES_NEW = 8
#: Parts of the things of either column, where both things of a pair are held out.
BOTH = 3


@dataclass(frozen=True)
class AffinityOptions:
    """Options of `affinity`.

    Attributes:
        rounds: trees for pairs of known things, and most trees for pairs with new ones; 0 is 300, from 50,000 pairs 600.
        learning_rate: how much of each tree is kept.
        leaves: most leaves of a tree; 0 is 31, from 50,000 pairs 63; at most 8 where a thing is new.
        folds: parts in which pairs (and things) are held out to make the features of training rows, at least 2.
        axes: axes on which the things of either column are placed.
    """

    rounds: int = 0
    learning_rate: float = 0.05
    leaves: int = 0
    folds: int = 5
    axes: int = 24


class Affinity(Estimator):
    """Boosted trees over neighbours (after SimBoost: T. He et al., J Cheminform 9:24, 2017) for pairs of columns with
    counts; further dense columns stand beside them.
    """

    name: ClassVar[str] = "affinity"
    answers: ClassVar[frozenset[str]] = frozenset({"regression", "binary"})
    copes_with_missing: ClassVar[bool] = True
    Options: ClassVar[type] = AffinityOptions
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "learning_rate": ("log", 0.02, 0.15), "leaves": ("int", 8, 96), "rounds": ("choice", 150, 300, 600),
    }  # fmt: skip

    def fit(self, batches: Batches, rng: np.random.Generator) -> Params:
        """Learn likenesses, the table of what was measured, and one booster per setting.

        Raises:
            ColumnError: there are not two columns of things.
            OptionError: an option has a value it cannot have.
        """
        if self.options.folds < 2 or self.options.axes < 1:
            raise OptionError("options 'folds' and 'axes' of affinity must be at least 2 and 1")
        data = batches.all()
        names = pair_of(data.blocks)
        sides = [Things.of(data.blocks[name]) for name in names]
        known = [Known.of(side.counts, self.options.axes) for side in sides]
        rows = np.flatnonzero((sides[0].code >= 0) & (sides[1].code >= 0))
        seen = data.take(rows)
        pairs = (sides[0].code[rows], sides[1].code[rows])
        y = np.asarray(seen.target.y, dtype=np.float64)
        rest = {name: block for name, block in seen.blocks.items() if name not in names}
        parts = {}
        for setting in SETTINGS:
            plan = list(self._plan(pairs, seen.groups, setting, rng))
            if not plan:
                continue
            block = _held_out(known, pairs, y, setting, plan)
            child = np.random.default_rng(rng.integers(2**63))
            units = _units(pairs, seen.groups, setting)
            parts[setting] = self._booster(setting, len(rows)).fit(Encoded({"pair": block, **rest}, seen.target, units), child)
        table, duals = _learnt(known, pairs, y)
        mean = float(np.average(data.target.y, weights=data.target.weight))
        nested = Params.nest(parts, {"names": list(names), "kind": data.target.kind, "mean": mean})
        stored = {"table/value": table.value, "table/count": table.count, "duals": duals}
        for side, word in zip(known, ("first", "second")):
            stored |= {f"{word}/{name}": array for name, array in side.arrays().items()}
        return Params(nested.meta, {**nested.arrays, **stored})

    def predict(self, params: Params, blocks: dict[str, Block]) -> Prediction:
        """Each row by the booster of its setting; one whose setting could not be learnt by the mean of training.

        Raises:
            ColumnError: there are not two columns of things.
        """
        n = len(next(iter(blocks.values())))
        learnt = _Learnt.of(params)
        starts = range(0, max(n, 1), CHUNK)
        parts = [{k: b.take(np.arange(at, min(at + CHUNK, n))) for k, b in blocks.items()} for at in starts]
        return Prediction.concat([self._answer(learnt, params, part) for part in parts])

    def _answer(self, learnt: _Learnt, params: Params, blocks: dict[str, Block]) -> Prediction:
        names = params.meta["names"]
        sides = [Things.of(blocks[name]).with_none() for name in names]
        asked = tuple(side.asked(things.counts) for side, things in zip(learnt.known, sides))
        new = [asked[k].own[sides[k].code] < 0 for k in (0, 1)]
        code = new[0] + 2 * new[1]
        mean = params.meta["mean"]
        start = [1.0 - mean, mean] if params.meta["kind"] == "binary" else [mean]
        value = np.tile(np.array(start), (len(code), 1))
        for k, setting in enumerate(SETTINGS):
            rows = np.flatnonzero(code == k)
            if not len(rows) or setting not in params.meta["parts"]:
                continue
            pairs = tuple(side.code[rows] for side in sides)
            block = _features(learnt, asked, pairs, setting)
            rest = {name: b.take(rows) for name, b in blocks.items() if name not in names}
            value[rows] = self._booster(setting).predict(params.part(setting), {"pair": block, **rest}).value
        return Prediction(value)

    def _booster(self, setting: str, n: int = 0) -> Boosting:
        """For pairs of known things with the rounds that were asked for; for new things with smaller trees, and inner
        folds
        of things decide when to stop, as trees soon learn the things of training by heart.
        """
        o = self.options
        rate, many = o.learning_rate, n >= MANY
        leaves, rounds = o.leaves or (63 if many else 31), o.rounds or (600 if many else 300)
        if setting == "seen":
            return Boosting(BoostingOptions(rate, leaves, min_leaf=20, rounds=rounds, features=0.3))
        return Boosting(BoostingOptions(rate, min(leaves, MOST_LEAVES_NEW), max_rounds=rounds, features=0.3))

    def _plan(
        self, pairs: tuple[np.ndarray, np.ndarray], groups: np.ndarray, setting: str, rng: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Training and test masks (n,) in which every pair is held out once, as its setting says; none if there are too
        few things.
        """
        i, j = pairs
        folds = self.options.folds
        if setting == "seen":
            one, other = _dealt(_within(i * (j.max(initial=0) + 1) + j, groups), folds, rng), None
        elif setting == "new_both":
            one, other = (_dealt(_together(code, groups, folds), BOTH, rng) for code in pairs)
        else:
            one, other = _dealt(_together(i if setting == "new_first" else j, groups, folds), folds, rng), None
        for a in range(one.max(initial=0) + 1):
            for b in range(1 if other is None else other.max(initial=0) + 1):
                test = (one == a) if other is None else (one == a) & (other == b)
                train = (one != a) if other is None else (one != a) & (other != b)
                if test.any() and train.any():
                    yield train, test


@dataclass(frozen=True)
class _Learnt:
    """What a fit keeps beside its boosters."""

    known: tuple[Known, Known]
    table: Table
    duals: np.ndarray

    @classmethod
    def of(cls, params: Params) -> _Learnt:
        a = params.arrays
        known = tuple(Known.from_arrays(a, word) for word in ("first", "second"))
        return cls(known, Table(a["table/value"], a["table/count"]), a["duals"])


def _learnt(
    known: list[Known], pairs: tuple[np.ndarray, np.ndarray], y: np.ndarray
) -> tuple[Table, np.ndarray]:
    """The table of some pairs and the duals of the ridge over them."""
    shape = (len(known[0].counts), len(known[1].counts))
    table = Table.of(*pairs, y, shape)
    kernel = kernels((known[0].asked(), known[1].asked()), shape)
    return table, ridge(*pairs, y - table.mean, kernel)


def _held_out(
    known: list[Known],
    pairs: tuple[np.ndarray, np.ndarray],
    y: np.ndarray,
    setting: str,
    plan: list[tuple[np.ndarray, np.ndarray]],
) -> Block:
    """Features of training pairs, each made from the pairs of the parts that do not hold it out."""
    out: np.ndarray | None = None
    names: tuple[str, ...] = ()
    for train, test in plan:
        table, duals = _learnt(known, tuple(side[train] for side in pairs), y[train])
        new = _new(setting)
        asked = tuple(
            side.asked(without=np.unique(code[test]) if is_new else None)
            for side, code, is_new in zip(known, pairs, new)
        )
        learnt = _Learnt(tuple(known), table, duals)
        block = _features(learnt, asked, tuple(side[test] for side in pairs), setting)
        out = np.full((len(y), block.values.shape[1]), np.nan) if out is None else out
        out[test], names = block.values, block.names
    return dense(out, names)


def _features(
    learnt: _Learnt, asked: tuple[Asked, Asked], pairs: tuple[np.ndarray, np.ndarray], setting: str
) -> Block:
    """What the trees see of some pairs of one setting."""
    values, names = features(learnt.table, learnt.duals, asked, pairs, setting)
    columns = [values]
    new = _new(setting)
    for word, side, one, code, is_new in zip(("first", "second"), learnt.known, asked, pairs, new):
        if is_new:  # where a new thing lies was no help on things that were held out
            continue
        places = side.places(one.alike)
        columns.append(places[code])
        names += [f"{word} axis {k + 1}" for k in range(places.shape[1])]
    values = np.concatenate(columns, axis=1)
    return dense(values, names, present=np.ones(len(values), dtype=bool))


def _dealt(codes: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) fold of every row: distinct codes are dealt at random."""
    _, code = np.unique(codes, return_inverse=True)
    n = int(code.max(initial=-1)) + 1
    return (rng.permutation(n) % max(min(folds, n), 1))[code] if n else np.empty(0, dtype=np.int64)


def _new(setting: str) -> tuple[bool, bool]:
    """Whether the first and the second thing are new in a setting."""
    return setting in ("new_first", "new_both"), setting in ("new_second", "new_both")


def _units(pairs: tuple[np.ndarray, np.ndarray], groups: np.ndarray, setting: str) -> np.ndarray:
    """(n,) what inner folds keep together: the things that are new (of both columns those that are fewer), or the
    units.
    """
    if setting == "seen":
        return groups
    if setting == "new_both":
        return min(pairs, key=lambda code: len(np.unique(code)))
    return pairs[SETTINGS.index(setting) - 1]


def _within(cell: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(n,) units, where each has rows of one pair of things only; else the pairs."""
    least, most = (np.full(int(groups.max(initial=-1)) + 1, v) for v in (np.iinfo(np.int64).max, -1))
    np.minimum.at(least, groups, cell)
    np.maximum.at(most, groups, cell)
    return groups if (least[groups] == most[groups]).all() else cell


def _together(code: np.ndarray, groups: np.ndarray, folds: int) -> np.ndarray:
    """(n,) things, joined where a unit holds several of them, unless that leaves too few to hold out."""
    joined = join_codes(len(code), [code, groups])
    return joined if len(np.unique(joined)) >= 4 * folds else code
