"""How alike two thumbnails are in what belongs to one person: fine detail, without what all pictures of a device have in common.

Pictures of one device share their frame (the round field of a fundus camera, the black around a film) and their slow shading, and may so
correlate nearly perfectly though they show two persons. Both are taken away here: pixels of a flat frame, the local mean, and the local
contrast (local normalisation, as N. Pinto, D. Cox and J. DiCarlo, Why is real-world visual object recognition hard?, 2008). A copy that was
cut, turned or resized a little is first laid on the other one: the shift, turn and scale that leave the least squares
(B. Lucas and T. Kanade, An iterative image registration technique, 1981).
"""

from __future__ import annotations

import numpy as np

#: Pixels (of 64) over which the local mean and the local contrast are taken, and the least contrast, as a share of the thumbnail's own.
MEAN, CONTRAST, LEAST = 2.5, 5.0, 0.05
#: How far a frame's pixels may differ from its corners, its least and largest share, and pixels at its edge that are left out.
_FLAT, _FRAME, _EDGE = 0.12, (0.05, 0.8), 2
#: Largest change of scale and turn (radians), largest shift in pixels, steps, and the least share of pixels to compare.
_TURN, _SHIFT, _STEPS, _OVERLAP = 0.15, 6.0, 15, 0.25


def details(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fine detail (n, y, x) float32 of thumbnails (n, y, x) of mean 0 and spread 1, 0 outside of what is compared; and what is (n, y, x) bool."""
    from scipy.ndimage import gaussian_filter

    seen = np.stack([_inside(one) for one in thumbnails])
    weight = seen.astype(np.float32)
    over = (0, MEAN, MEAN), (0, CONTRAST, CONTRAST)
    mean = gaussian_filter(thumbnails * weight, over[0]) / (gaussian_filter(weight, over[0]) + 1e-6)
    fine = (thumbnails - mean) * weight
    contrast = np.sqrt(gaussian_filter(fine * fine, over[1]) / (gaussian_filter(weight, over[1]) + 1e-6))
    return (fine / (contrast + LEAST) * weight).astype(np.float32), seen


def _inside(thumbnail: np.ndarray) -> np.ndarray:
    """Pixels that are not of a flat frame around the picture, nor at its edge; all where there is none."""
    from scipy.ndimage import binary_erosion, label

    corners = np.concatenate([thumbnail[y, x].ravel() for y in (slice(3), slice(-3, None)) for x in (slice(3), slice(-3, None))])
    areas, _ = label(np.abs(thumbnail - np.median(corners)) < _FLAT)
    rim = np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]])
    frame = np.isin(areas, np.unique(rim[rim > 0]))
    if not _FRAME[0] < frame.mean() < _FRAME[1]:
        return np.ones(thumbnail.shape, dtype=bool)
    return binary_erosion(~frame, iterations=_EDGE)


def aligned(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    """Correlation of the details of two pictures, each (detail, what is compared), once the second is laid on the first; -1 where it cannot be."""
    found = _way(first, second)
    if found is None:
        return -1.0
    values, inside = _moved(second[0], found)
    shown, _ = _moved(second[1].astype(np.float32), found)
    both = first[1] & inside & (shown > 0.99)
    if both.mean() < _OVERLAP:
        return -1.0
    x, y = first[0][both] - first[0][both].mean(), values[both] - values[both].mean()
    return float((x @ y) / np.sqrt((x @ x) * (y @ y) + 1e-9))


def _way(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> np.ndarray | None:
    """Scale less 1, turn, and shift along y and x that lay the second on the first; None where they leave what a copy can have."""
    from scipy.ndimage import gaussian_filter

    target, moving = gaussian_filter(first[0], 1.0), gaussian_filter(second[0], 1.0)
    y, x = _places(target.shape)
    way = np.zeros(4)
    for _ in range(_STEPS):
        values, inside = _moved(moving, way)
        both = inside & first[1]
        if both.mean() < _OVERLAP:
            return None
        along_y, along_x = np.gradient(values)
        slopes = np.stack([along_y * y + along_x * x, along_x * y - along_y * x, along_y, along_x], axis=-1)[both]
        wanted, there = target[both], values[both]
        gain = (there @ wanted) / (there @ there + 1e-9)
        step = np.linalg.lstsq(slopes * gain, wanted - gain * there, rcond=None)[0]
        way = way + step
        if max(abs(way[:2])) > _TURN or max(abs(way[2:])) > _SHIFT:
            return None
        if np.abs(step) @ np.array([30.0, 30.0, 1.0, 1.0]) < 0.02:
            break
    return way


def _places(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    return y - (shape[0] - 1) / 2, x - (shape[1] - 1) / 2


def _moved(values: np.ndarray, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values turned, scaled and shifted about their middle, and which of them come from inside of the picture."""
    from scipy.ndimage import map_coordinates

    y, x = _places(values.shape)
    at = np.stack([(1 + way[0]) * y - way[1] * x + way[2], way[1] * y + (1 + way[0]) * x + way[3]])
    at += (np.array(values.shape) - 1).reshape(2, 1, 1) / 2
    inside = ((at >= 0) & (at <= np.array(values.shape).reshape(2, 1, 1) - 1)).all(axis=0)
    return map_coordinates(values, at, order=1, mode="nearest"), inside
