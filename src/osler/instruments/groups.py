"""Differences between groups: standardised mean differences and tests."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def smd_numbers(parts: list[np.ndarray]) -> float:
    """The largest absolute standardised mean difference of any two groups: difference over the root of the
    mean variance."""
    return max(_smd(a, b) for a, b in combinations(parts, 2))


def smd_classes(counts: np.ndarray) -> float:
    """The same for classes, from counts (groups, levels): Mahalanobis distance of the shares (Yang and
    Dalton 2012)."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    return max(_smd_shares(a, b) for a, b in combinations(shares, 2))


def p_numbers(parts: list[np.ndarray], ranks: bool) -> float:
    """Welch's t for two groups, one-way analysis of variance for more; Mann-Whitney or Kruskal-Wallis on
    ranks."""
    from scipy import stats

    if all((part == parts[0][0]).all() for part in parts):
        return 1.0
    if len(parts) == 2:
        return float(
            stats.mannwhitneyu(*parts).pvalue if ranks else stats.ttest_ind(*parts, equal_var=False).pvalue
        )
    return float(stats.kruskal(*parts).pvalue if ranks else stats.f_oneway(*parts).pvalue)


def p_classes(counts: np.ndarray) -> float:
    """Pearson's chi-squared without correction; Fisher's exact test for 2 x 2 where an expected count is
    below 5."""
    from scipy import stats

    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 1.0
    expected = stats.contingency.expected_freq(counts)
    if counts.shape == (2, 2) and (expected < 5).any():
        return float(stats.fisher_exact(counts).pvalue)
    return float(stats.chi2_contingency(counts, correction=False).pvalue)


def p_text(p: float) -> str:
    """A p value as it is printed."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _smd(a: np.ndarray, b: np.ndarray) -> float:
    spread = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    apart = abs(float(a.mean() - b.mean()))
    return apart / float(spread) if spread > 0 else (0.0 if apart == 0 else float("inf"))


def _smd_shares(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a[1:], b[1:]
    covariance = (np.diag(a) - np.outer(a, a) + np.diag(b) - np.outer(b, b)) / 2
    apart = a - b
    return float(np.sqrt(max(apart @ np.linalg.pinv(covariance) @ apart, 0.0)))
