"""Which rows a model may learn from and which it is judged on. Nothing is fitted before a split exists.

    groups_of             what must stay together: the unit columns' connected components
    cross_validation      repeated, grouped, stratified K-fold
    by_site               leave one site out
    hold_out              one value of a column, everything later than a point in time, or a random share of the units

Units are never divided. Where a hold-out by site or time asks for a row whose unit also has rows on the other side, the
training rows of that unit are left out; any other split that would divide a unit is refused.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from osler.cohort.cohort import Cohort
from osler.cohort.grouping import codes_of, components, groups_of, join_codes
from osler.cohort.instants import instant, instants, is_time
from osler.errors import OptionError, TargetError, ViolationError, nearest


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge on.

    Attributes:
        part: `cv`, `holdout` or `site=NAME`.
        repeat: which repetition of a cross-validation, from 0.
        fold: which fold of it, from 0.
        train: positions of the training rows, int64, increasing.
        test: positions of the test rows, int64, increasing.
        by: how the parts were told apart: `unit`, `site`, `time:COLUMN`, `share` or `value:COLUMN`; "" if not said.
            It decides what the certificate demands (a hold-out by time must be later than everything learnt from).
    """

    part: str
    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray
    by: str = ""

    @property
    def key(self) -> str:
        """The split's name in every artefact, e.g. `cv/0/3`."""
        return f"{self.part}/{self.repeat}/{self.fold}"

    def at(self, positions: np.ndarray) -> Split:
        """The same split of a larger table: `positions` (m,) says where each of this split's rows lies there."""
        positions = np.asarray(positions, dtype=np.int64)
        return replace(self, train=np.sort(positions[self.train]), test=np.sort(positions[self.test]))


# -- dealing units out ------------------------------------------------------------------------------------------------


def stratified_group_folds(groups: np.ndarray, strata: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Deal whole groups into k folds so that rows and strata are balanced.

    Args:
        groups: (n,) integer codes of what stays together.
        strata: (n,) integer codes of what is to be balanced (classes, bins of a number).
        k: number of folds, at least 2.
        rng: decides between equally good answers only.

    Returns:
        (n,) int64 fold 0, ..., k - 1 of every row.

    Raises:
        TargetError: fewer groups than folds (`target-rows`).
    """
    if k < 2:
        raise OptionError(f"folds must be at least 2, was {k}")
    n_groups = len(np.unique(groups))
    if n_groups < k:
        raise TargetError(
            f"folds must be at most the number of units ({n_groups}), was {k}: ask for fewer folds", "target-rows"
        )
    return _deal(groups, strata, np.full(k, 1.0 / k), rng)


def _deal(groups: np.ndarray, strata: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n,) part of every row. Groups with the same counts per stratum are interchangeable: of each such kind, every part
    gets its whole share but one; the rest goes, large groups first, to the part whose sum of squares (per stratum,
    relative to its total and the part's share) grows least.
    """
    _, group = np.unique(groups, return_inverse=True)
    _, stratum = np.unique(strata, return_inverse=True)
    n_groups, n_strata = group.max() + 1, stratum.max() + 1
    counts = np.bincount(group * n_strata + stratum, minlength=n_groups * n_strata).reshape(n_groups, n_strata)
    counts = np.concatenate([counts, counts.sum(axis=1, keepdims=True)], axis=1)
    kinds, kind_of = np.unique(counts, axis=0, return_inverse=True)
    weight = 1.0 / counts.sum(axis=0).astype(np.float64) ** 2
    part = np.full(n_groups, -1, dtype=np.int64)
    load = np.zeros((len(shares), counts.shape[1]))
    shuffled = rng.permutation(n_groups)
    members = np.split(shuffled[np.argsort(kind_of[shuffled], kind="stable")], np.cumsum(np.bincount(kind_of))[:-1])
    for kind in np.argsort(-((kinds**2) @ weight), kind="stable"):
        whole = np.maximum(np.floor(len(members[kind]) * shares + 1e-9).astype(np.int64) - 1, 0)
        given = np.repeat(np.arange(len(shares)), whole)
        load += np.outer(whole, kinds[kind])
        part[members[kind][: len(given)]] = given
        for member in members[kind][len(given) :]:
            cost = (2 * load @ (weight * kinds[kind]) + (kinds[kind] ** 2) @ weight) / shares
            best = rng.choice(np.flatnonzero(cost <= cost.min() * (1 + 1e-12)))
            part[member] = best
            load[best] += kinds[kind]
    return part[group]


def cross_validation(
    groups: np.ndarray,
    strata: np.ndarray,
    folds: int,
    repeats: int,
    rng: np.random.Generator,
    *,
    classes: Sequence[str] | None = (),
) -> list[Split]:
    """Repeated, grouped, stratified K-fold: every row is tested once per repeat, whole units stay together.

    Args:
        groups: (n,) codes of the units.
        strata: (n,) codes to balance over the folds.
        folds: number of folds K.
        repeats: how often to deal again.
        rng: one generator for all repeats.
        classes: names of the strata in code order, for messages. None if the strata are not classes (bins of a number)
            and need not be in every fold.

    Raises:
        TargetError: fewer units than folds (`target-rows`), or a class in fewer units than folds (`target-class`).
    """
    if classes is not None:
        _check_classes(groups, strata, folds, classes)
    splits = []
    for repeat in range(repeats):
        fold_of = stratified_group_folds(groups, strata, folds, rng)
        for fold in range(folds):
            test = np.flatnonzero(fold_of == fold)
            splits.append(Split("cv", repeat, fold, np.flatnonzero(fold_of != fold), test, "unit"))
    return splits


def _check_classes(groups: np.ndarray, strata: np.ndarray, folds: int, classes: Sequence[str]) -> None:
    pairs = np.unique(np.stack([strata, groups]), axis=1)
    codes, units = np.unique(pairs[0], return_counts=True)
    n_units = len(np.unique(groups))
    for code, n in zip(codes, units):
        if n < folds <= n_units:
            name = f"'{classes[code]}'" if code < len(classes) else f"number {code}"
            raise TargetError(
                f"every class must be in at least as many units as there are folds ({folds}), class {name} is in {n} "
                f"({int((strata == code).sum())} rows): ask for at most {max(int(n), 2)} folds or join classes",
                "target-class",
            )


# -- sites ------------------------------------------------------------------------------------------------------------


def by_site(cohort: Cohort, groups: np.ndarray) -> list[Split]:
    """Leave one site out: each site once as the test rows, all others to learn from.

    Training rows whose unit was also seen at the tested site, and rows without a site, are in neither.

    Args:
        groups: (n,) codes of the units.

    Returns:
        One split per site, part `site=NAME`, in order of name; none if there are fewer than two sites.
    """
    names = site_names(cohort)
    known = np.array([s is not None for s in names], dtype=bool)
    sites = sorted({s for s in names if s is not None})
    splits = []
    for site in sites if len(sites) > 1 else ():
        test = np.array([s == site for s in names], dtype=bool)
        train = known & ~test & ~np.isin(groups, groups[test])
        if train.any():
            splits.append(Split(f"site={site}", 0, 0, np.flatnonzero(train), np.flatnonzero(test), "site"))
    return splits


def site_names(cohort: Cohort) -> list[str | None]:
    """The site of each row (n); several site columns are joined with ' + '; None where any of them is missing."""
    columns = [cohort.table[c.name].cast(pl.String).str.strip_chars() for c in cohort.role("site")]
    if not columns:
        return [None] * len(cohort)
    return pl.select(pl.concat_str(columns, separator=" + ", ignore_nulls=False)).to_series().to_list()


# -- hold-out ----------------------------------------------------------------------------------------------------------


def hold_out(
    cohort: Cohort,
    spec: str,
    groups: np.ndarray,
    rng: np.random.Generator,
    *,
    key: bytes = b"",
    show_ids: bool = False,
) -> Split:
    """One part of the table that no model learns from.

    Args:
        spec: `COLUMN=VALUE` (a site, a year, the user's own split column), `COLUMN>=VALUE` (dates or numbers: the later
            part) or a share of the units such as `0.3`, balanced by the target. Rows whose COLUMN is missing are in
            neither part.
        groups: (n,) codes of the units.
        rng: used by a share only.
        key: the run's key; with it a refusal names shared units by their keyed pseudonyms.
        show_ids: let a refusal also name up to five shared units by their own ids (for the user's terminal only).

    Returns:
        A split of part `holdout`. In a hold-out by site or time, training rows of units that are also held out are in
        neither part.

    Raises:
        OptionError: the specification does not read, names no column or leaves a part empty.
        ViolationError: `leak`: any other column puts rows of one unit on both sides.
    """
    name, sign, value = read_spec(cohort, spec)
    if not name:
        test = _share(cohort, float(value), groups, rng)
        return _parts(spec, ~test, test, "share")
    test, known = _asked(cohort, name, sign, value)
    train = known & ~test
    shared = train & np.isin(groups, groups[test])
    if sign == ">=":
        return _parts(spec, train & ~shared, test, f"time:{name}")
    if cohort.column(name).role == "site":
        return _parts(spec, train & ~shared, test, "site")
    if not is_time(cohort, name):
        refuse_shared(cohort, groups, train, test, f"hold-out '{spec}'", key=key, show_ids=show_ids)
    return _parts(spec, train & ~shared, test, f"value:{name}")


def read_spec(cohort: Cohort, spec: str) -> tuple[str, str, str]:
    """Column, sign (`=` or `>=`) and value of a hold-out; column and sign are empty for a share of the units.

    Raises:
        OptionError: it reads as none of the three.
    """
    names = {c.name for c in cohort.columns}
    for sign in (">=", "="):
        for at in [i for i in range(len(spec)) if spec.startswith(sign, i)]:
            if spec[:at].strip() in names:
                return spec[:at].strip(), sign, spec[at + len(sign) :].strip()
    try:
        share = float(spec)
    except ValueError:
        asked = spec.split("=")[0].rstrip(">").strip()
        hint = nearest(asked, sorted(names))
        raise OptionError(
            f"holdout must be COLUMN=VALUE, COLUMN>=VALUE or a share such as 0.3, was '{spec}': {hint}"
        ) from None
    if not 0.0 < share < 1.0:
        raise OptionError(f"holdout as a share must lie between 0 and 1, was {spec}")
    return "", "", spec


def _parts(spec: str, train: np.ndarray, test: np.ndarray, by: str) -> Split:
    for side, mask in (("held-out", test), ("training", train)):
        if not mask.any():
            raise OptionError(f"holdout must leave rows on both sides, '{spec}' leaves no {side} rows")
    return Split("holdout", 0, 0, np.flatnonzero(train), np.flatnonzero(test), by)


def _asked(cohort: Cohort, name: str, sign: str, value: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) rows that are asked for, (n,) rows whose cell is known."""
    values = cohort.table[name]
    if sign == ">=" or values.dtype.is_temporal():
        at, limit = instants(values), instant(value)
        if np.isnan(limit) or np.isnan(at).all():
            raise OptionError(f"holdout '{name}{sign}{value}' must compare dates or numbers: write dates as 2021-06-30")
        known = ~np.isnan(at)
        return (known & (at >= limit if sign == ">=" else at == limit)), known
    if values.dtype.is_numeric():
        try:
            found = values == float(value)
        except ValueError:
            raise OptionError(f"holdout value of column '{name}' must be a number, was '{value}'") from None
    elif values.dtype == pl.Boolean:
        found = values == (value.lower() in ("true", "1", "yes"))
    else:
        found = values.cast(pl.String).str.strip_chars() == value
    return found.fill_null(False).to_numpy(), values.is_not_null().to_numpy()


def _share(cohort: Cohort, share: float, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if len(np.unique(groups)) < 2:
        raise TargetError("a hold-out needs at least 2 units, the table has 1", "target-rows")
    return _deal(groups, _strata(cohort), np.array([1.0 - share, share]), rng) == 1


def _strata(cohort: Cohort) -> np.ndarray:
    """(n,) codes of the target to balance by: its values if they are few, five bins otherwise."""
    columns = cohort.role("event") or cohort.role("target")
    if len(columns) != 1:
        return np.zeros(len(cohort), dtype=np.int64)
    codes = codes_of(cohort.table[columns[0].name])
    if codes.max(initial=0) >= 20:
        codes = np.searchsorted(np.quantile(codes, [0.2, 0.4, 0.6, 0.8]), codes)
    return codes


# -- refusing -----------------------------------------------------------------------------------------------------------


def refuse_shared(
    cohort: Cohort,
    groups: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    what: str,
    *,
    key: bytes = b"",
    show_ids: bool = False,
) -> None:
    """Refuse a split that puts a unit on both sides.

    Args:
        groups: (n,) codes of the units.
        train, test: (n,) masks or positions of the two sides.
        what: names the split in the message.
        key, show_ids: as in `hold_out`.

    Raises:
        ViolationError: `leak`, with the number of shared units, their source rows and, if asked for, who they are.
    """
    shared = np.intersect1d(groups[train], groups[test])
    if not len(shared):
        return
    rows, shown = cohort.rows, []
    for unit in shared[:5]:
        at = np.flatnonzero(groups == unit)
        text = "rows " + ", ".join(str(rows[i]) for i in at[:6]) + (", ..." if len(at) > 6 else "")
        if key:
            text += f" = unit {pseudonym(key, unit_text(cohort, at[0]))}"
        if show_ids:
            text += f" = '{unit_text(cohort, at[0])}'"
        shown.append(f"({text})")
    more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""
    n = "1 unit has" if len(shared) == 1 else f"{len(shared)} units have"
    raise ViolationError(
        f"{what} must keep all rows of a unit on one side, {n} rows on both: {' '.join(shown)}{more}; "
        f"split by unit instead, or use a hold-out by site or time, which leaves such rows out of training",
        "leak",
    )


def unit_text(cohort: Cohort, position: int) -> str:
    """The unit of one row as text: its unit cells, or its row number if it has none."""
    cells = [cohort.table[c.name][int(position)] for c in cohort.role("unit")]
    cells = [str(c) for c in cells if c is not None]
    return " + ".join(cells) if cells else f"row {cohort.rows[position]}"


def pseudonym(key: bytes, text: str) -> str:
    """A keyed name for a text: 16 hex digits of HMAC-SHA-256, the same within a run and meaningless without its key."""
    return hmac.digest(key, text.encode(), "sha256").hex()[:16]


__all__ = [
    "Split", "by_site", "codes_of", "components", "cross_validation", "groups_of", "hold_out", "join_codes", "pseudonym",
    "read_spec", "refuse_shared", "site_names", "stratified_group_folds", "unit_text",
]  # fmt: skip
