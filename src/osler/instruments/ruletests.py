"""Intervals, tests and adjustment for association rules, as arrays over rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from osler.instruments.itemsets import Itemset

_Z = 1.959963984540054


def wilson(hits: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of a share (JASA 1927), (r,) each; NaN where there were no trials."""
    hits, trials = np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = hits / trials
        centre = (share + _Z**2 / (2 * trials)) / (1 + _Z**2 / trials)
        half = _Z / (1 + _Z**2 / trials) * np.sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def lift_interval(
    both: np.ndarray, left: np.ndarray, right: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """95 % interval of P(A and B) / (P(A) P(B)) on the log scale, by the delta method for four multinomial
    cells, (r,) each."""
    p11, pa, pb = both / n, left / n, right / n
    p10, p01 = pa - p11, pb - p11
    d11, d10, d01 = 1 / p11 - 1 / pa - 1 / pb, -1 / pa, -1 / pb
    mean = p11 * d11 + p10 * d10 + p01 * d01
    spread = np.sqrt(np.maximum(p11 * d11**2 + p10 * d10**2 + p01 * d01**2 - mean**2, 0.0) / n)
    lift = p11 / (pa * pb)
    return lift * np.exp(-_Z * spread), lift * np.exp(_Z * spread)


def improvement_p(
    rules: Sequence[tuple[Itemset, int, int]], counts: dict[Itemset, int], n: int
) -> np.ndarray:
    """(r,) the largest of Fisher's one-sided p against independence and against every simpler rule (Webb
    2007).

    For A → B and an item i of A: among the units that hold A without i, is i associated with B? A rule
    whose right side follows from a part of its left side alone has a large p.

    Args:
        rules: (left, right, units with both).
        counts: units that hold each frequent set.
        n: units.
    """
    from scipy import stats

    whole, marked, drawn, seen, owner = [], [], [], [], []
    for place, (left, right, both) in enumerate(rules):
        smaller = [()] + ([(*left[:i], *left[i + 1 :]) for i in range(len(left))] if len(left) > 1 else [])
        for part in smaller:
            whole.append(counts[part] if part else n)
            marked.append(counts[tuple(sorted((*part, right)))])
            drawn.append(counts[left])
            seen.append(both)
            owner.append(place)
    out = np.zeros(len(rules))
    if rules:
        p = stats.hypergeom.sf(np.array(seen) - 1, np.array(whole), np.array(marked), np.array(drawn))
        np.maximum.at(out, np.array(owner), np.clip(p, 0.0, 1.0))
    return out


def adjust(p: np.ndarray, m: int, control: str) -> np.ndarray:
    """(r,) q values of r p values among m hypotheses (the others count as p = 1): step-up of
    Benjamini-Hochberg or -Yekutieli."""
    m = max(m, len(p))
    factor = float(m) if control == "bh" else m * float((1 / np.arange(1, m + 1)).sum())
    order = np.argsort(p, kind="stable")
    scaled = p[order] * factor / np.arange(1, len(p) + 1)
    q = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    out = np.empty_like(q)
    out[order] = q
    return out
