"""First-order features of the intensities in a region, by the IBSI definitions (reference manual, chapters 3.3 and 3.4)."""

from __future__ import annotations

import numpy as np

from osler.errors import InputError


def intensity_features(values: np.ndarray, bin_width: float) -> dict[str, float]:
    """Every first-order feature by its name in `features.INTENSITY`.

    Args:
        values: (n,) intensities of the region; values that are not finite are left out.
        bin_width: width of a bin for entropy and uniformity, in units of the image; bins begin at multiples of it, so that they are the same
            for every image.

    Raises:
        InputError: no value is finite.
    """
    x = values[np.isfinite(values)].astype(np.float64)
    if not len(x):
        raise InputError("an image must have finite values in the region, it has none there: mask another region")
    p10, p25, p50, p75, p90 = np.percentile(x, (10, 25, 50, 75, 90))
    inner = x[(x >= p10) & (x <= p90)]
    mean, variance = float(x.mean()), float(x.var())
    away = x - mean
    energy = float(np.sum(x**2))
    shares = bin_shares(x, bin_width)
    return {
        "mean": mean, "variance": variance, "skewness": _moment(away, variance, 3), "excess_kurtosis": _moment(away, variance, 4, 3.0),
        "median": p50, "minimum": x.min(), "percentile_10": p10, "percentile_25": p25, "percentile_75": p75, "percentile_90": p90,
        "maximum": x.max(), "interquartile_range": p75 - p25, "range": np.ptp(x), "mean_absolute_deviation": np.abs(away).mean(),
        "robust_mean_absolute_deviation": np.abs(inner - inner.mean()).mean() if len(inner) else float("nan"),
        "median_absolute_deviation": np.abs(x - p50).mean(),
        "coefficient_of_variation": _ratio(np.sqrt(variance), mean), "quartile_coefficient_of_dispersion": _ratio(p75 - p25, p75 + p25),
        "energy": energy, "root_mean_square": np.sqrt(energy / len(x)),
        "entropy": max(0.0, -float(np.sum(shares * np.log2(shares)))), "uniformity": float(np.sum(shares**2)),
    }  # fmt: skip


def bin_shares(x: np.ndarray, bin_width: float) -> np.ndarray:
    """(k,) share of values in every bin that holds any; bins are [i·width, (i + 1)·width)."""
    _, counts = np.unique(np.floor(x / bin_width), return_counts=True)
    return counts / len(x)


def _moment(away: np.ndarray, variance: float, order: int, minus: float = 0.0) -> float:
    """A standardised central moment, 0 where nothing varies (as IBSI has it)."""
    return 0.0 if variance <= 1e-12 * max(1.0, float(np.max(np.abs(away)))) else float((away**order).mean() / variance ** (order / 2) - minus)


def _ratio(above: float, below: float) -> float:
    """A quotient, NaN where nothing is below."""
    return float(above / below) if below else float("nan")


def joint_features(values: np.ndarray, places: np.ndarray, volume: float) -> dict[str, float]:
    """Features of intensity and place together: how far the centre of intensity lies from that of the voxels (mm), and volume times mean.

    Args:
        values: (n,) intensities of the region's voxels.
        places: (n, 3) their places in mm.
        volume: of the mesh, mm³.
    """
    held = np.isfinite(values)
    x, where = values[held].astype(np.float64), places[held]
    total = float(x.sum())
    shift = float(np.linalg.norm(x @ where / total - places.mean(axis=0))) if total else float("nan")
    return {"centre_of_mass_shift_mm": shift, "integrated_intensity": volume * float(x.mean())}
