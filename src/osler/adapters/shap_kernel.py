"""KernelSHAP, the only place where shap is imported: a second way to Shapley values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from osler.registry import optional


def kernel_values(
    worth: Callable[[np.ndarray], np.ndarray], p: int, samples: int, seed: int
) -> tuple[np.ndarray, float]:
    """Shapley values of a game over p columns by weighted regression on sampled sets.

    Source: Lundberg and Lee 2017, equation 8, as in `shap.KernelExplainer` without feature selection.

    Args:
        worth: (N, p) bool sets → (N,) their worth.
        p: number of columns.
        samples: sets that are drawn; from 2^p - 2 on every set is walked and the values are exact.
        seed: of the draws.

    Returns:
        (p,) values, and the worth of the empty set.

    Raises:
        MissingExtraError: shap is not installed.
    """
    shap = optional("shap", "explain")
    explainer = shap.KernelExplainer(lambda z: worth(np.asarray(z) > 0.5), np.zeros((1, p)), silent=True)
    state = np.random.get_state()
    try:
        np.random.seed(seed)  # the library draws from numpy's global state
        values = explainer.shap_values(np.ones((1, p)), nsamples=samples, l1_reg=0, silent=True)
    finally:
        np.random.set_state(state)
    return np.asarray(values, dtype=np.float64).reshape(p), float(np.ravel(explainer.expected_value)[0])
