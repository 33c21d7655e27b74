"""UMAP, the only place where umap-learn is imported (its first import compiles for half a minute)."""

from __future__ import annotations

import warnings

import numpy as np

from osler.registry import optional


def embed(x: np.ndarray, components: int, neighbours: int, min_distance: float, seed: int) -> np.ndarray:
    """(n, components) UMAP embedding of x (n, p); one thread and a fixed seed, so the same numbers every
    time.

    Source: McInnes, Healy, Melville, arXiv:1802.03426.

    Raises:
        MissingExtraError: umap-learn is not installed.
    """
    umap = optional("umap", "explain")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = umap.UMAP(
            n_components=components,
            n_neighbors=min(neighbours, len(x) - 1),
            min_dist=min_distance,
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(x), dtype=np.float64)
