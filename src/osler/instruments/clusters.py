"""The workers of `osler cluster`: partitions, the test against tables without clusters, the choice of k,
stability.

The test: a statistic of the data is compared with the same statistic of tables that hold one population
only, of two kinds: a normal distribution with the data's covariance, and a uniform one in the box of the
principal axes; columns of classes keep their shares and are drawn independently. The data must lie above
both (one-sided prediction interval, level `ALPHA`), else the answer is "no clusters". The statistic is, for
k-means, the best mean silhouette over k; for a Gaussian mixture, the gain in BIC over one component; for
HDBSCAN, the mean membership when it finds two clusters or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from osler.instruments.mixed import is_discrete

ALPHA = 0.01
#: Rows that the choice of k looks at (a random sample of a larger table).
SAMPLE = 400


class Settings(Protocol):
    """The options of `osler cluster` that the workers read."""

    method: str
    k: int
    k_max: int
    references: int
    resamples: int


@dataclass(frozen=True)
class Choice:
    """How many clusters, and why."""

    k: int
    facts: dict[str, Any]


def choose(x: np.ndarray, state: dict[str, Any], options: Settings, rng: np.random.Generator) -> Choice:
    """The number of clusters in x (n, p), 1 if it looks like a table without clusters."""
    if options.k:
        return Choice(options.k, {"k": options.k, "chosen_by": "the user; no test was made"})
    sample = x if len(x) <= SAMPLE else x[np.sort(rng.choice(len(x), SAMPLE, replace=False))]
    k_max = max(2, min(options.k_max, len(sample) // 5))
    seen = _measure(sample, options.method, k_max, rng)
    spans = is_discrete(state)
    facts: dict[str, Any] = {"method": options.method, "rows_looked_at": len(sample), "level": ALPHA}
    worst = 0.0
    gap: list[float] = []
    for kind in ("normal", "uniform"):
        draws = [
            _measure(_without_clusters(sample, spans, kind, rng), options.method, k_max, rng)
            for _ in range(options.references)
        ]
        p = _above(seen.statistic, np.array([d.statistic for d in draws]))
        facts[f"p_against_{kind}"] = round(p, 5)
        worst = max(worst, p)
        if kind == "uniform" and options.method == "kmeans":
            inside = np.log(np.array([d.inertia for d in draws]))
            gap = (inside.mean(axis=0) - np.log(np.array(seen.inertia))).tolist()
    k = seen.k if worst < ALPHA else 1
    facts |= {"k": k, "k_if_there_were_clusters": seen.k, "by_k": seen.by_k, "chosen_by": seen.by}
    if gap:
        facts["gap"] = {str(i + 1): round(g, 4) for i, g in enumerate(gap)}
    return Choice(k, facts)


def assign(x: np.ndarray, k: int, method: str, rng: np.random.Generator) -> np.ndarray:
    """(n,) int: cluster numbers from 1, the largest first; 0 is noise (HDBSCAN only)."""
    seed = int(rng.integers(2**31))
    if method == "kmeans":
        raw = _kmeans(x, k, seed, 10)[0]
    elif method == "gmm":
        raw = _mixture(x, k, seed, 5)[0].predict(x)
    else:
        raw = _density(x)[0]
    found, counts = np.unique(raw[raw >= 0], return_counts=True)
    rank = {int(found[i]): place for place, i in enumerate(np.lexsort((found, -counts)), start=1)}
    return np.array([rank.get(int(v), 0) for v in raw], dtype=np.int64)


def stability(
    x: np.ndarray, labels: np.ndarray, unit: np.ndarray, k: int, options: Settings, rng: np.random.Generator
) -> list[float]:
    """Mean best Jaccard of each cluster over half samples of the units (Hennig 2007): 0.75 and more is
    stable."""
    found = int(labels.max())
    total = np.zeros(found)
    n_units = int(unit.max()) + 1
    for _ in range(options.resamples):
        half = np.zeros(n_units, dtype=bool)
        half[rng.choice(n_units, max(n_units // 2, 1), replace=False)] = True
        rows = np.flatnonzero(half[unit])
        again = assign(x[rows], k, options.method, rng)
        total += [_best_jaccard(labels[rows] == c, again) for c in range(1, found + 1)]
    return (total / options.resamples).tolist()


def _best_jaccard(cluster: np.ndarray, labels: np.ndarray) -> float:
    if not cluster.any() or labels.max() < 1:
        return 0.0
    both = np.bincount(labels[cluster], minlength=labels.max() + 1)[1:]
    sizes = np.bincount(labels, minlength=labels.max() + 1)[1:]
    return float((both / (cluster.sum() + sizes - both)).max())


@dataclass(frozen=True)
class _Measured:
    statistic: float
    k: int
    by_k: dict[str, float]
    by: str
    inertia: list[float]


def _measure(x: np.ndarray, method: str, k_max: int, rng: np.random.Generator) -> _Measured:
    seed = int(rng.integers(2**31))
    if method == "kmeans":
        distance = _distances(x)
        inertia, shape = [float(((x - x.mean(axis=0)) ** 2).sum())], {}
        for k in range(2, k_max + 1):
            labels, within = _kmeans(x, k, seed, 2)
            inertia.append(max(within, 1e-12))
            shape[k] = silhouette(distance, labels)
        best = max(shape, key=lambda k: shape[k])
        return _Measured(
            shape[best], best, {str(k): round(v, 4) for k, v in shape.items()}, "mean silhouette", inertia
        )
    if method == "gmm":
        bic = {k: _mixture(x, k, seed, 2)[1] for k in range(1, k_max + 1)}
        best = min(bic, key=lambda k: bic[k])
        gain = (bic[1] - bic[best]) / len(x)
        return _Measured(gain, max(best, 1), {str(k): round(v, 1) for k, v in bic.items()}, "BIC", [])
    labels, membership = _density(x)
    found = int(labels.max()) + 1
    statistic = float(membership.mean()) if found > 1 else 0.0
    return _Measured(statistic, max(found, 1), {}, "HDBSCAN", [])


def _without_clusters(
    x: np.ndarray, spans: list[tuple[int, int, bool]], kind: str, rng: np.random.Generator
) -> np.ndarray:
    """A table of the same size with one population: normal or uniform numbers, independent classes."""
    out = np.empty_like(x)
    smooth = [i for start, stop, discrete in spans if not discrete for i in range(start, stop)]
    if smooth:
        centre = x[:, smooth].mean(axis=0)
        _, scale, axes = np.linalg.svd(x[:, smooth] - centre, full_matrices=False)
        if kind == "normal":
            scores = rng.standard_normal((len(x), len(scale))) * scale / np.sqrt(len(x))
        else:
            along = (x[:, smooth] - centre) @ axes.T
            scores = rng.uniform(along.min(axis=0), along.max(axis=0), (len(x), len(scale)))
        out[:, smooth] = scores @ axes + centre
    for start, stop, discrete in spans:
        if discrete:
            out[:, start:stop] = x[rng.permutation(len(x)), start:stop]
    return out


def _above(seen: float, draws: np.ndarray) -> float:
    """One-sided p that one more draw would reach `seen` (prediction interval of a normal sample)."""
    from scipy import stats

    spread = draws.std(ddof=1) * np.sqrt(1 + 1 / len(draws))
    if spread == 0:
        return 0.0 if seen > draws.mean() else 1.0
    return float(stats.t.sf((seen - draws.mean()) / spread, len(draws) - 1))


def silhouette(distance: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette (Rousseeuw 1987) from an (n, n) distance matrix; 0 for a row alone in its cluster."""
    k = int(labels.max()) + 1
    member = np.eye(k)[labels]
    sizes = member.sum(axis=0)
    sums = distance @ member
    rows = np.arange(len(labels))
    own = sums[rows, labels] / np.maximum(sizes[labels] - 1, 1)
    means = sums / np.maximum(sizes, 1)
    means[:, sizes == 0] = np.inf
    means[rows, labels] = np.inf
    other = means.min(axis=1)
    score = np.where(sizes[labels] > 1, (other - own) / np.maximum(np.maximum(own, other), 1e-300), 0.0)
    return float(score.mean())


def _distances(x: np.ndarray) -> np.ndarray:
    square = (x**2).sum(axis=1)
    return np.sqrt(np.maximum(square[:, None] + square[None, :] - 2 * x @ x.T, 0.0))


def _kmeans(x: np.ndarray, k: int, seed: int, starts: int) -> tuple[np.ndarray, float]:
    from sklearn.cluster import KMeans

    fitted = KMeans(min(k, len(x)), n_init=starts, random_state=seed).fit(x)
    return fitted.labels_.astype(np.int64), float(fitted.inertia_)


def _mixture(x: np.ndarray, k: int, seed: int, starts: int) -> tuple[Any, float]:
    """The mixture of k normals with the best BIC among full and diagonal covariances."""
    from sklearn.mixture import GaussianMixture

    best: tuple[Any, float] | None = None
    for shape in ("full", "diag"):
        if shape == "full" and k * x.shape[1] * (x.shape[1] + 3) / 2 > len(x) / 3:
            continue
        model = GaussianMixture(
            k, covariance_type=shape, n_init=starts, random_state=seed, reg_covar=1e-3, max_iter=200
        ).fit(x)
        bic = float(model.bic(x))
        if best is None or bic < best[1]:
            best = (model, bic)
    return best


def _density(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """HDBSCAN with clusters of at least 5 % of the rows: labels (-1 is noise) and membership (n,)."""
    from sklearn.cluster import HDBSCAN

    fitted = HDBSCAN(min_cluster_size=max(10, len(x) // 20), copy=True).fit(x)
    return fitted.labels_.astype(np.int64), fitted.probabilities_
