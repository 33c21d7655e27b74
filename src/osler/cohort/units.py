"""Whether one column holds one quantity in two units."""

from __future__ import annotations

import numpy as np

from osler.cohort.physiology import Match

#: The smaller part must be at least this share of the rows, and this many.
LEAST_SHARE, LEAST_ROWS = 0.02, 5
#: Ashman's D of two parts that are clearly apart (K. Ashman et al., Astron J 108:2348, 1994, call 2 the least).
APART = 3.0


def mixed_with(known: Match, x: np.ndarray) -> tuple[str, int]:
    """The second unit in a column and the number of values in it; ("", 0) if there is one unit only.

    Args:
        known: the quantity and the unit that most values are in.
        x: (n,) finite values other than 0.

    Two ways to find it. Where the plausible ranges of two units are apart (temperature in °C and °F): values that are
    implausible in the one and plausible in the other. Where they touch (kg and lb): the values fall into two heaps of
    like width whose middles differ by the factor between the units.
    """
    if x.size < 20:
        return "", 0
    low, high = known.plausible
    outside = (x < low) | (x > high)
    for unit in known.quantity.units:
        if unit == known.unit:
            continue
        low_other, high_other = known.quantity.range_in(unit, "plausible")
        in_other = outside & (x >= low_other) & (x <= high_other)
        n = int(in_other.sum())
        if (
            n >= max(LEAST_ROWS, LEAST_SHARE * x.size)
            and n >= 0.5 * outside.sum()
            and _is_a_heap(known, unit, x, in_other)
        ):
            return unit, n
    return _two_heaps(known, x)


def _is_a_heap(known: Match, unit: str, x: np.ndarray, other: np.ndarray) -> bool:
    """Whether the odd values, converted, lie where the rest lies: median within the rest's 2nd to 98th centile."""
    rest = _first_unit(known, known.unit, x[~other])
    converted = _first_unit(known, unit, x[other])
    low, high = np.quantile(rest, [0.02, 0.98]) if rest.size else (-np.inf, np.inf)
    return bool(low <= np.median(converted) <= high)


def _first_unit(known: Match, unit: str, x: np.ndarray) -> np.ndarray:
    factor, offset = known.quantity.units[unit]
    return factor * x + offset


def _two_heaps(known: Match, x: np.ndarray) -> tuple[str, int]:
    logs = np.log(x[x > 0])
    x = np.sort(logs[:: max(1, logs.size // 50_000)])
    if x.size < 40 or known.quantity.name == "age":  # infants and adults are two heaps of their own
        return "", 0
    factors = known.quantity.units
    own, own_offset = factors[known.unit]
    cut = _otsu(x)
    left, right = x[:cut], x[cut:]
    least = max(LEAST_ROWS, LEAST_SHARE * x.size)
    if min(left.size, right.size) < least or min(left.std(), right.std()) == 0:
        return "", 0
    ratio = right.std() / left.std()
    apart = np.sqrt(2.0) * (right.mean() - left.mean()) / np.sqrt(left.var() + right.var())
    if apart < APART or not 0.5 <= ratio <= 2.0:
        return "", 0
    for unit, (factor, offset) in factors.items():
        if unit == known.unit or offset or own_offset:
            continue
        wanted = abs(np.log(factor / own))
        if abs(np.median(right) - np.median(left) - wanted) <= 0.12 * wanted:
            n_left = int((logs < right[0]).sum())
            return unit, min(n_left, logs.size - n_left)
    return "", 0


def _otsu(x: np.ndarray) -> int:
    """The cut of sorted values that leaves the least variance within both parts (N. Otsu, 1979)."""
    n = x.size
    total = np.cumsum(x)
    k = np.arange(1, n)
    between = k * (n - k) * (total[:-1] / k - (total[-1] - total[:-1]) / (n - k)) ** 2
    return int(np.argmax(between)) + 1
