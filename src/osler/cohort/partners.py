"""Tables of pairs: two columns of things (a molecule and a protein), and splits that keep things out of training.

A model of pairs is asked in four ways, which differ more than models do (T. Pahikkala et al., Brief Bioinform 16:325,
2015): both things are known and their pair is not (the usual cross-validation), the first thing is new, the second is,
or both are. The last three are parts of their own:

    cold=NAME          every fold tests all pairs of some things of the column; training has none of these things
    cold=NAME+NAME     every fold tests the pairs of some things of either column; training has neither
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from osler.cohort.grouping import join_codes
from osler.cohort.split import Split, stratified_group_folds

#: How the part is named, before the columns.
COLD = "cold="
#: Folds of each part.
FOLDS = 3


def cold_splits(
    things: Mapping[str, np.ndarray], groups: np.ndarray, strata: np.ndarray, rng: np.random.Generator, *, classes: bool
) -> list[Split]:
    """The three parts that keep things out of training.

    Training pairs of a unit that is also tested, and pairs of which a thing is missing, are in neither. A part is left
    out where that would cost half of the training pairs of some fold (the unit is the other thing), where there are
    fewer things than folds, or where some training part would lack a class.

    Args:
        things: two columns → (n,) codes of things, −1 where missing (`osler.cohort.grouping.things_of`).
        groups: (n,) codes of the units.
        strata: (n,) codes to balance over the folds.
        classes: whether the strata are classes that every training part must hold.
    """
    names, codes = list(things), list(things.values())
    known = np.all([code >= 0 for code in codes], axis=0)
    dealt = [_dealt(code, known, groups, strata, rng) for code in codes]
    asked = {names[0]: [dealt[0]], names[1]: [dealt[1]], "+".join(names): dealt}
    found = []
    for name, folds in asked.items():
        if any(fold is None for fold in folds):
            continue
        parts = [_split(name, k, folds, known, groups) for k in range(FOLDS)]
        held = set(strata[known].tolist()) if classes else set()
        if all(s is not None and held <= set(strata[s.train].tolist()) for s in parts):
            found += parts
    return found


def _dealt(
    code: np.ndarray, known: np.ndarray, groups: np.ndarray, strata: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """(n,) fold of every row, −1 of those with a missing thing; whole things stay together, and with them, where that
    leaves enough, the things of one unit (scaffolds, families). None if there are too few things.
    """
    rows = np.flatnonzero(known)
    joined = join_codes(len(rows), [code[rows], groups[rows]])
    kept = joined if len(np.unique(joined)) >= 2 * FOLDS else code[rows]
    if len(np.unique(kept)) < FOLDS:
        return None
    fold = np.full(len(code), -1, dtype=np.int64)
    fold[rows] = stratified_group_folds(kept, strata[rows], FOLDS, rng)
    return fold


def _split(name: str, k: int, folds: list[np.ndarray], known: np.ndarray, groups: np.ndarray) -> Split | None:
    test = known & np.all([fold == k for fold in folds], axis=0)
    whole = known & np.all([fold != k for fold in folds], axis=0)
    train = whole & ~np.isin(groups, groups[test])
    if not test.any() or train.sum() < 0.5 * whole.sum():
        return None
    return Split(f"{COLD}{name}", 0, k, np.flatnonzero(train), np.flatnonzero(test), "things")


def columns_of(part: str, names: list[str]) -> list[str]:
    """The columns whose things a part keeps out of training; none if it is no such part."""
    asked = part.removeprefix(COLD) if part.startswith(COLD) else ""
    return names if asked == "+".join(names) else [name for name in names if name == asked]


def unit_of(part: str, things: Mapping[str, np.ndarray], groups: np.ndarray) -> np.ndarray:
    """(n,) what is independent in a part: the things that it keeps out of training (of two columns those that are
    fewer), else the units.
    """
    named = columns_of(part, list(things))
    return min((things[name] for name in named), key=lambda code: len(np.unique(code))) if named else groups
