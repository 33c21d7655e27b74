"""Thresholds and regions of pictures and volumes through scikit-image."""

from __future__ import annotations

import numpy as np

from osler.registry import optional


def otsu(values: np.ndarray) -> float:
    """The threshold that parts values into two classes of least spread (Otsu, IEEE Trans. Systems, Man and Cybernetics 1979;9:62-66).

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    filters = optional("skimage.filters", "imaging")
    return float(filters.threshold_otsu(values)) if values.min() < values.max() else float(values.max())


def parted(mask: np.ndarray, apart: float, least: int) -> np.ndarray:
    """Things of a mask, touching ones parted along the watershed of their distance from the background.

    Args:
        mask: (y, x) or (z, y, x) bool.
        apart: least distance between the middles of two things, in pixels.
        least: things of fewer pixels are left out.

    Returns:
        (y, x) or (z, y, x) uint16, things numbered from 1.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    feature, segmentation = optional("skimage.feature", "imaging"), optional("skimage.segmentation", "imaging")
    measure = optional("skimage.measure", "imaging")
    depth = gaussian_filter(distance_transform_edt(mask), 1.0)
    peaks = feature.peak_local_max(depth, min_distance=max(1, round(apart)), labels=measure.label(mask), exclude_border=False)
    seeds = np.zeros(mask.shape, dtype=np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    found = segmentation.watershed(-depth, seeds, mask=mask)
    counts = np.bincount(found.ravel())
    kept = np.flatnonzero(counts >= max(1, least))
    kept = kept[kept > 0][: np.iinfo(np.uint16).max]
    number = np.zeros(len(counts), dtype=np.uint16)
    number[kept] = np.arange(1, len(kept) + 1)
    return number[found]


def flooded(height: np.ndarray, seeds: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Every pixel of a mask given to one of the seeds by a watershed: seeds grow where the height is lowest first.

    Args:
        height: (y, x) or (z, y, x) numbers.
        seeds: the same shape, 0 or the number of a thing.
        mask: the same shape, bool; what no seed reaches stays 0.

    Returns:
        The same shape, int32.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    return optional("skimage.segmentation", "imaging").watershed(height, seeds, mask=mask)
