"""Numbers that tell a doubtful picture or volume from a sound one. None is a verdict: thresholds are heuristics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from osler.adapters.imaging.scan import Scan

#: Most slices whose pixels are looked at; of more, evenly spaced ones are taken.
MOST_SLICES = 64
#: Half the width of the window (pixels) in which the contrast of an edge is looked for.
REACH = 6
_NOISE = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0])


@dataclass(frozen=True)
class Parts:
    """Slices (z, y, x) of one scan as float32, what is foreground in them, and the sides of a pixel (y, x) in mm."""

    values: np.ndarray
    foreground: np.ndarray
    pixel: np.ndarray

    @property
    def level(self) -> tuple[float, float]:
        """Medians of background and foreground; NaN where there is none."""
        inside = self.foreground
        return tuple(float(np.median(self.values[m])) if m.any() else math.nan for m in (~inside, inside))


def parts(scan: Scan) -> Parts:
    """Evenly spaced slices of a scan, channels averaged; foreground is what lies above Otsu's threshold after a blur of 1.5 pixels, so that
    noise does not choose it.
    """
    from scipy.ndimage import gaussian_filter

    grey = np.nan_to_num(scan.values.mean(axis=0), nan=float(np.nanmin(scan.values)) if np.isfinite(scan.values).any() else 0.0)
    stack = grey[None] if scan.dims == 2 else grey
    at = np.unique(np.linspace(0, len(stack) - 1, min(MOST_SLICES, len(stack))).round().astype(int))
    stack = np.ascontiguousarray(stack[at], dtype=np.float32)
    calm = gaussian_filter(stack, (0, 1.5, 1.5))
    return Parts(stack, calm > otsu(calm), np.asarray(scan.spacing[-2:], dtype=np.float64))


def otsu(values: np.ndarray) -> float:
    """The threshold with the largest variance between both sides (Otsu, IEEE Trans Syst Man Cybern 1979), of 256 bins; for values that are
    all alike, that value.
    """
    low, high = np.percentile(values, (0.1, 99.9))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if high <= low:
        return float(high)
    counts, edges = np.histogram(np.clip(values, low, high), bins=256, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)[:-1]
    means = sums / np.maximum(below, 1), (counts @ centres - sums) / np.maximum(above, 1)
    apart = below * above * (means[0] - means[1]) ** 2
    best = np.flatnonzero(apart >= apart.max() * (1 - 1e-9))
    return float(edges[1:-1][best].mean())


def noise(found: Parts) -> tuple[float, float]:
    """Standard deviation of the noise in background and foreground, in units of the image; NaN where a part is too small.

    The median of the absolute second difference along both axes, which slopes and straight edges do not touch, over that of a Gaussian of
    deviation 1 (0.6745 · 6); after Immerkær, Comput Vis Image Underst 1996. Smoothed or resampled noise is underestimated; the background of
    magnitude MR has 0.66 of the noise elsewhere, and none where a program has blanked it.
    """
    from scipy.ndimage import binary_erosion, convolve

    if min(found.values.shape[1:]) < 3:
        return math.nan, math.nan
    bent = np.abs(convolve(found.values, _NOISE[None].astype(np.float32), mode="nearest"))
    around = np.ones((1, 3, 3), dtype=bool)
    kept = [binary_erosion(part, around, border_value=0) for part in (~found.foreground, found.foreground)]
    return tuple(float(np.median(bent[k])) / (6 * 0.6745) if k.sum() >= 100 else math.nan for k in kept)


def edge_width(found: Parts) -> float:
    """Width of the steepest edges in pixels: the local contrast over the largest slope, 2.5 σ of an edge blurred by a Gaussian of σ; NaN for a
    flat picture. A sharp edge has 2 (a slope is taken over two pixels); beyond 10 edges are wider than the window.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    if min(found.values.shape[1:]) < 5:
        return math.nan
    slope = np.hypot(*np.gradient(found.values, axis=(1, 2)))
    if not slope.max() > 0:
        return math.nan
    steep = np.zeros_like(slope, dtype=bool)
    inner = slope[:, REACH:-REACH, REACH:-REACH] if min(slope.shape[1:]) > 4 * REACH else slope
    steep |= slope >= max(np.percentile(inner, 99), 1e-12)
    size = (1, 2 * REACH + 1, 2 * REACH + 1)
    contrast = maximum_filter(found.values, size) - minimum_filter(found.values, size)
    return float(np.median(contrast[steep] / slope[steep]))


def laplacian_variance(found: Parts) -> float:
    """Variance of the in-plane Laplacian over that of the values: falls with blur, rises with noise; NaN for a flat picture."""
    from scipy.ndimage import laplace

    spread = float(found.values.var())
    if not spread > 0:
        return math.nan
    return float(np.var([laplace(one) for one in found.values])) / spread


def ghosting(found: Parts) -> float:
    """How much brighter the background is beside the object than above and below it (or the other way round), over the object's level; the
    percent-signal ghosting of the American College of Radiology's MR phantom test as a share. NaN where the object leaves no margin.
    """
    seen = []
    background, object_level = found.level
    if not object_level > background:
        return math.nan
    for one, inside in zip(found.values, found.foreground, strict=True):
        rows, columns = np.flatnonzero(inside.mean(axis=1) > 0.02), np.flatnonzero(inside.mean(axis=0) > 0.02)
        if not len(rows) or not len(columns):
            continue
        top, bottom, left, right = rows[0] - 2, rows[-1] + 3, columns[0] - 2, columns[-1] + 3
        beside = np.concatenate([one[max(top, 0) : bottom, : max(left, 0)].ravel(), one[max(top, 0) : bottom, right:].ravel()])
        above = np.concatenate([one[: max(top, 0), max(left, 0) : right].ravel(), one[bottom:, max(left, 0) : right].ravel()])
        if min(beside.size, above.size) >= 50:
            seen.append(abs(float(beside.mean()) - float(above.mean())) / (2 * (object_level - background)))
    return float(np.median(seen)) if seen else math.nan


def slice_jump(scan: Scan) -> float:
    """How far the oddest slice stands out: a slice's difference from the mean of both neighbours, over how much these differ from each other,
    largest over median of all slices. Near 1 for anatomy and for noise, since these go on from slice to slice; NaN below five slices.
    """
    if scan.dims == 2 or scan.values.shape[1] < 5:
        return math.nan
    stack = np.nan_to_num(scan.values[0])
    odd = []
    for before, here, after in zip(stack[:-2], stack[1:-1], stack[2:], strict=True):
        apart = float(np.abs(after - before).mean())
        if apart > 0:
            odd.append(float(np.abs(here - (before + after) / 2).mean()) / apart)
    usual = float(np.median(odd)) if odd else 0.0
    return max(odd) / usual if usual > 0 else math.nan


def border_foreground(found: Parts) -> float:
    """The largest share of foreground on one of the four sides of the picture, over all slices looked at."""
    inside = found.foreground
    if inside.all() or not inside.any():
        return math.nan
    return float(max(inside[:, 0].mean(), inside[:, -1].mean(), inside[:, :, 0].mean(), inside[:, :, -1].mean()))


def clipped(scan: Scan, found: Parts) -> float:
    """The largest value's count over that of foreground pixels, in the channel where that is most; 0 where each largest value is held once."""
    inside = float(found.foreground.mean()) * scan.values[0].size
    held = [int((one == np.nanmax(one)).sum()) for one in scan.values if np.isfinite(one).any()]
    return max((n / inside for n in held if n > 1), default=0.0) if inside else 0.0


def indices(scan: Scan) -> dict[str, float]:
    """Every index by its name in `INDICES`."""
    found = parts(scan)
    background, inside = noise(found)
    low, high = found.level
    width = edge_width(found)
    sides = scan.spacing[np.isfinite(scan.spacing)]
    return {
        "slices": 1 if scan.dims == 2 else scan.values.shape[1], "rows": scan.values.shape[-2], "columns": scan.values.shape[-1],
        "anisotropy": float(sides.max() / sides.min()) if len(sides) == scan.dims else math.nan,
        "foreground": float(found.foreground.mean()), "noise_background": background, "noise_foreground": inside,
        "signal_to_noise": (high - low) / inside if inside > 0 else math.nan,
        "edge_width_pixels": width, "edge_width_mm": width * float(found.pixel.mean()), "laplacian_variance": laplacian_variance(found),
        "ghosting": ghosting(found), "slice_jump": slice_jump(scan), "border_foreground": border_foreground(found), "clipped": clipped(scan, found),
    }  # fmt: skip


#: Index → (unit, meaning).
INDICES: dict[str, tuple[str, str]] = {
    "slices": ("", "slices of a volume, 1 of a picture"),
    "rows": ("", "rows of pixels"),
    "columns": ("", "columns of pixels"),
    "anisotropy": ("", "longest over shortest side of a voxel"),
    "foreground": ("", "share of pixels above Otsu's threshold"),
    "noise_background": ("", "standard deviation of the noise in the background, in units of the image"),
    "noise_foreground": ("", "the same in the foreground"),
    "signal_to_noise": ("", "difference of the medians of foreground and background, over the noise in the foreground"),
    "edge_width_pixels": ("", "width of the steepest edges; 2 is sharp"),
    "edge_width_mm": ("mm", "the same in mm"),
    "laplacian_variance": ("", "variance of the Laplacian over that of the values"),
    "ghosting": ("", "difference of the background beside and above the object, over twice the object's level"),
    "slice_jump": ("", "how far the oddest slice stands out from how slices follow each other; near 1 without motion"),
    "border_foreground": ("", "largest share of foreground on one side of the picture"),
    "clipped": ("", "pixels that hold the largest value, over those of the foreground"),
}


@dataclass(frozen=True)
class Threshold:
    """One finding: its word, the index, the side on which it is found, the limit, and a sentence."""

    word: str
    index: str
    is_above: bool
    limit: float
    sentence: str


#: Heuristics, chosen to be quiet on sound scans; no modality's standard.
THRESHOLDS = (
    Threshold("noisy", "signal_to_noise", False, 5.0, "signal is less than 5 times the noise"),
    Threshold("blurred", "edge_width_pixels", True, 7.0, "the steepest edges are wider than 7 pixels"),
    Threshold("ghosts", "ghosting", True, 0.03, "the background differs by more than 3 % of the signal between both directions"),
    Threshold("motion", "slice_jump", True, 1.7, "a slice follows its neighbours 1.7 times worse than slices usually do here"),
    Threshold("cut", "border_foreground", True, 0.2, "more than a fifth of one side of the picture is foreground"),
    Threshold("clipped", "clipped", True, 0.02, "more than 2 % of the foreground holds the largest value"),
    Threshold("thick", "anisotropy", True, 4.0, "voxels are more than 4 times as long as wide"),
    Threshold("empty", "foreground", False, 0.001, "less than 0.1 % of the pixels are foreground"),
)


def judged(found: dict[str, float]) -> list[Threshold]:
    """The thresholds that a scan passes on the wrong side; an index that could not be worked out passes none."""
    return [t for t in THRESHOLDS if math.isfinite(found[t.index]) and (found[t.index] > t.limit if t.is_above else found[t.index] < t.limit)]
