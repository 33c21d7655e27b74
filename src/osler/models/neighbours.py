"""What the measured pairs of like things say about a pair: averages, nearest neighbours, and a ridge over all pairs.

The features follow SimBoost (T. He et al., J Cheminform 9:24, 2017), the ridge is that of the Kronecker product of two
kernels (T. Pahikkala et al., Brief Bioinform 16:325, 2015; A. Airola, T. Pahikkala, IEEE Trans Neural Netw Learn Syst
29:3374, 2018), solved for the pairs that were measured by conjugate gradients.

A thing that training did not have (`own` is −1) has no averages, no measured neighbours of its own and no profile; what
is left are its likenesses. `features` therefore asks which of the two things are new, and gives only what they have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osler.models.pairs import Asked

#: Which of the two things training did not have: neither, the first, the second, both.
SETTINGS = ("seen", "new_first", "new_second", "new_both")
#: Neighbours that are averaged, and of which values and likenesses are features.
AVERAGED, SHOWN = 10, 3
#: Pseudo-pairs of the grand mean in every average.
PRIOR = 3.0
#: Common pairs at which two profiles count half.
HALF = 5.0
#: The ridge: per side the weight of being the same thing and of being a thing at all, the noise, the most steps, and the
#: share of the values left to explain at which they end.
SAME, ANY, NOISE, STEPS, ENOUGH = (0.15, 0.05), (0.05, 0.05), 0.1, 60, 1e-3

_CHUNK = 8192


@dataclass(frozen=True)
class Table:
    """Means of what was measured, things by things.

    Attributes:
        value: (d, t) float64, 0 where nothing was measured.
        count: (d, t) number of measurements.
    """

    value: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, i: np.ndarray, j: np.ndarray, y: np.ndarray, shape: tuple[int, int]) -> Table:
        """The table of pairs (i, j) with values y (n,)."""
        at, size = i * shape[1] + j, shape[0] * shape[1]
        count = np.bincount(at, minlength=size).astype(np.float64).reshape(shape)
        total = np.bincount(at, weights=y, minlength=size).reshape(shape)
        return cls(total / np.maximum(count, 1.0), count)

    @property
    def turned(self) -> Table:
        """The same with sides exchanged."""
        return Table(np.ascontiguousarray(self.value.T), np.ascontiguousarray(self.count.T))

    @property
    def mean(self) -> float:
        """The mean over the measured cells; 0 if there are none."""
        there = self.count > 0
        return float(self.value[there].mean()) if there.any() else 0.0


def features(
    table: Table, duals: np.ndarray, asked: tuple[Asked, Asked], pairs: tuple[np.ndarray, np.ndarray], setting: str
) -> tuple[np.ndarray, list[str]]:
    """Features (n, p) of pairs and their names.

    Args:
        table: what was measured.
        duals: (d, t) of `ridge`.
        asked: the things on either side.
        pairs: (n,) and (n,) places in `asked`.
        setting: one of `SETTINGS`; all pairs must be of it.
    """
    new = (setting in ("new_first", "new_both"), setting in ("new_second", "new_both"))
    columns = [answers(duals, asked, pairs)[:, None] + table.mean]
    names = ["ridge"]
    if setting == "seen":
        cell = asked[0].own[pairs[0]], asked[1].own[pairs[1]]
        columns.append(np.where(table.count[cell] > 0, table.value[cell], np.nan)[:, None])
        names.append("same pair")
    for side, turned in enumerate((table, table.turned)):
        place = asked[side].own[pairs[side]]
        if not new[side]:
            columns.append(_averages(turned)[place])
            names += [f"{_SIDE[side]} {word}" for word in ("mean", "spread", "measurements", "upper fifth", "most")]
        if not new[1 - side]:
            other = asked[1 - side].own[pairs[1 - side]]
            columns.append(_nearest(asked[side].alike, asked[side].own, pairs[side], other, turned))
            names += _named(f"like {_SIDE[side]}")
            if not new[side]:
                alike = profiles(turned)
                columns.append(_nearest(alike, np.arange(len(alike)), place, other, turned))
                names += _named(f"profile {_SIDE[side]}")
    return np.concatenate(columns, axis=1), names


_SIDE = ("first", "second")


def _named(what: str) -> list[str]:
    shown = [f"{word} {k + 1}" for word in ("value", "likeness") for k in range(SHOWN)]
    return [f"{what} {word}" for word in (*shown, "average")]


def _averages(table: Table) -> np.ndarray:
    """(d, 5) per thing: shrunk mean, spread, number, 80th centile and largest of its cells; NaN without any."""
    there = table.count > 0
    n = there.sum(axis=1)
    total = np.where(there, table.value, 0.0).sum(axis=1)
    mean = (total + PRIOR * table.mean) / (n + PRIOR)
    raw = total / np.maximum(n, 1)
    spread = np.sqrt((np.where(there, table.value - raw[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(n, 1))
    upper = np.full((len(n), 2), np.nan)
    for i in np.flatnonzero(n):
        cells = table.value[i, there[i]]
        upper[i] = np.quantile(cells, 0.8), cells.max()
    out = np.column_stack([mean, spread, n, upper])
    out[n == 0] = np.nan
    return out


def profiles(table: Table) -> np.ndarray:
    """(d, d) correlation of what two things gave with the same n partners, means taken off, times n / (n + 5)."""
    there = (table.count > 0).astype(np.float64)
    partner = (table.value * there).sum(axis=0) / np.maximum(there.sum(axis=0), 1.0)
    centred = (table.value - partner) * there
    squares = (centred**2) @ there.T
    common = there @ there.T
    with np.errstate(invalid="ignore", divide="ignore"):
        related = (centred @ centred.T) / np.sqrt(squares * squares.T)
    return np.nan_to_num(related) * common / (common + HALF)


def _nearest(
    alike: np.ndarray, own: np.ndarray, one: np.ndarray, other: np.ndarray, table: Table
) -> np.ndarray:
    """(n, 2 SHOWN + 1) of pairs: values of the things most alike to `one` that were measured with `other`, how alike
    they are, and their mean weighed by squared likeness. A pair is never its own neighbour.

    Args:
        alike: (a, d); own: (a,) places of the a things among the d, or −1.
        one: (n,) which of the a; other: (n,) which column of the table.
    """
    out = np.full((len(one), 2 * SHOWN + 1), np.nan)
    order = np.argsort(other, kind="stable")
    starts = np.flatnonzero(np.diff(other[order], prepend=-2))
    for rows in np.split(order, starts[1:]):
        measured = np.flatnonzero(table.count[:, other[rows[0]]] > 0)
        for at in range(0, len(rows), _CHUNK):
            part = rows[at : at + _CHUNK]
            out[part] = _of_one(alike, own, one[part], measured, table.value[measured, other[rows[0]]])
    return out


def _of_one(alike: np.ndarray, own: np.ndarray, one: np.ndarray, measured: np.ndarray, value: np.ndarray) -> np.ndarray:
    """`_nearest` for pairs with the same other thing, whose measured partners have these values."""
    near = alike[np.ix_(one, measured)]
    near = np.where(own[one][:, None] == measured, -np.inf, near)
    width = max(AVERAGED, SHOWN) + 1
    if near.shape[1] < width:
        near = np.pad(near, ((0, 0), (0, width - near.shape[1])), constant_values=-np.inf)
        value = np.pad(value, (0, width - len(value)), constant_values=np.nan)
    best = np.sort(np.argpartition(-near, AVERAGED, axis=1)[:, :AVERAGED], axis=1)
    likeness = np.take_along_axis(near, best, axis=1)
    order = np.argsort(-likeness, axis=1, kind="stable")
    best, likeness = np.take_along_axis(best, order, axis=1), np.take_along_axis(likeness, order, axis=1)
    there = np.isfinite(likeness)
    found = np.where(there, value[best], np.nan)
    weight = np.where(there, np.maximum(likeness, 0.0) ** 2 + 1e-6, 0.0)
    with np.errstate(invalid="ignore"):
        average = np.nansum(weight * np.nan_to_num(found), axis=1) / weight.sum(axis=1)
    shown = np.where(there, likeness, np.nan)[:, :SHOWN]
    return np.column_stack([found[:, :SHOWN], shown, average])


# -- ridge -------------------------------------------------------------------------------------------------------------


def kernels(asked: tuple[Asked, Asked], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(a, d) and (b, t): squared likeness of first things and likeness of second things, each with a part for being the
    very same thing and one for being any.
    """
    made = []
    for side, power in enumerate((2, 1)):
        same = asked[side].own[:, None] == np.arange(shape[side])
        made.append((asked[side].alike ** power + SAME[side] * same + ANY[side]).astype(np.float32))
    return made[0], made[1]


def ridge(
    i: np.ndarray, j: np.ndarray, y: np.ndarray, kernel: tuple[np.ndarray, np.ndarray], steps: int = STEPS
) -> np.ndarray:
    """(d, t) duals of a kernel ridge over the pairs (i, j) with values y, by conjugate gradients that stop early.

    Args:
        kernel: (d, d) and (t, t) of the things of training; the kernel of two pairs is the product.
    """
    shape = (len(kernel[0]), len(kernel[1]))
    at = i * shape[1] + j

    def spread(dual: np.ndarray) -> np.ndarray:
        return np.bincount(at, weights=dual, minlength=shape[0] * shape[1]).reshape(shape)

    dual = np.zeros(len(y))
    left = np.array(y, dtype=np.float64)
    step, norm = left.copy(), float(left @ left)
    enough = ENOUGH**2 * norm
    for _ in range(steps):
        if norm <= enough:
            break
        moved = (kernel[0] @ spread(step).astype(np.float32) @ kernel[1]).reshape(-1)[at] + NOISE * step
        size = norm / float(step @ moved)
        dual += size * step
        left -= size * moved
        before, norm = norm, float(left @ left)
        step = left + norm / before * step
    return spread(dual)


def answers(duals: np.ndarray, asked: tuple[Asked, Asked], pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(n,) the ridge's answers for pairs of asked things, about the mean."""
    first, second = kernels(asked, duals.shape)
    half = first @ duals.astype(np.float32)
    out = np.empty(len(pairs[0]))
    for at in range(0, len(out), _CHUNK):
        part = slice(at, at + _CHUNK)
        out[part] = np.einsum("nt,nt->n", half[pairs[0][part]], second[pairs[1][part]])
    return out
