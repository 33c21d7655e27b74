"""Parts of a mask that are too small to be meant."""

from __future__ import annotations

import numpy as np


def largest(labels: np.ndarray) -> np.ndarray:
    """Of every class only its largest connected part (voxels that share a face); the rest becomes background."""
    from scipy import ndimage

    kept = np.zeros_like(labels)
    for code in np.unique(labels[labels > 0]):
        parts, count = ndimage.label(labels == code)
        if count:
            kept[parts == 1 + np.bincount(parts.ravel())[1:].argmax()] = code
    return kept


def dice(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """(classes - 1,) Dice of each class but the background; NaN where neither has it."""
    values = np.full(classes - 1, np.nan)
    for code in range(1, classes):
        a, b = truth == code, found == code
        if a.any() or b.any():
            values[code - 1] = 2.0 * (a & b).sum() / (a.sum() + b.sum())
    return values
