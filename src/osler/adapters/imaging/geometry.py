"""Where the voxels of a scan lie: slices in order along their normal, one affine, and a name for what cannot be one volume.

An affine maps voxel indices (x, y, z) to millimetres of the patient in DICOM's axes: left, posterior, superior (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from osler.errors import ReadError

#: Slices that a volume must have.
LEAST = 3
#: How far one step between slices may be from the median step, as a share.
STEP_SHARE = 0.05
#: How far slices may slide sideways per step, as a share of the step: 1 % is an angle of 0.6 degrees.
TILT_SHARE = 0.01
#: Cosines of one orientation agree within this.
SAME_COSINES = 1e-3
#: Positions closer than this (mm) are one.
SAME_PLACE = 1e-3


def oriented(frame: Mapping[str, Any]) -> np.ndarray | None:
    """(3, 3) unit vectors of columns (x), rows (y) and their normal, or None where the header has none that is orthogonal."""
    cosines = frame.get("ImageOrientationPatient")
    if not cosines or len(cosines) != 6:
        return None
    x, y = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(x), np.linalg.norm(y)
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(x @ y) > 0.01:
        return None
    x, y = x / lengths[0], y / lengths[1]
    return np.stack([x, y, np.cross(x, y)])


def stacked(frames: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The order of slices, the affine (4, 4) and the spacing (z, y, x) in mm of one volume.

    Args:
        frames: per slice `ImagePositionPatient`, `ImageOrientationPatient`, `PixelSpacing` (mm between rows, between columns).

    Raises:
        ReadError: `series-geometry` (positions, orientations or spacings are missing), `series-orientation` (they differ),
            `series-few`, `series-duplicates`, `series-tilt`, `series-gap`.
    """
    axes = [oriented(f) for f in frames]
    if any(a is None for a in axes) or any(len(f.get("ImagePositionPatient", ())) != 3 for f in frames):
        raise ReadError(
            f"'{name}' must say where each slice lies, a position or an orientation is missing: read it as pictures", "series-geometry"
        )
    spacing = frames[0].get("PixelSpacing", ())
    if any(len(f.get("PixelSpacing", ())) != 2 or min(f["PixelSpacing"]) <= 0 for f in frames):
        raise ReadError(f"'{name}' must say the spacing of its pixels, it is missing: read it as pictures", "series-geometry")
    if any(np.abs(a - axes[0]).max() > SAME_COSINES for a in axes) or any(
        not np.allclose(f["PixelSpacing"], spacing, rtol=1e-3) for f in frames
    ):
        raise ReadError(f"'{name}' must lie in one orientation and spacing, its slices lie in several: split it", "series-orientation")
    if len(frames) < LEAST:
        raise ReadError(f"'{name}' must hold at least {LEAST} slices to be a volume, it holds {len(frames)}: read it as pictures", "series-few")
    places = np.array([f["ImagePositionPatient"] for f in frames], dtype=np.float64)
    order = np.argsort(places @ axes[0][2], kind="stable")
    places = places[order]
    steps = np.diff(places, axis=0)
    along = steps @ axes[0][2]
    _check_steps(steps, along, axes[0][2], name)
    step = (places[-1] - places[0]) / (len(places) - 1)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = axes[0][0] * spacing[1], axes[0][1] * spacing[0], step
    affine[:3, 3] = places[0]
    return order, affine, np.array([np.linalg.norm(step), spacing[0], spacing[1]])


def _check_steps(steps: np.ndarray, along: np.ndarray, normal: np.ndarray, name: str) -> None:
    step = float(np.median(along))
    if (along < SAME_PLACE).any():
        n = int((along < SAME_PLACE).sum())
        raise ReadError(
            f"'{name}' must hold one slice per place, {n} lie where another does: split it by time or echo", "series-duplicates"
        )
    sideways = np.linalg.norm(steps - along[:, None] * normal, axis=1)
    if float(np.median(sideways / along)) > TILT_SHARE:
        angle = float(np.degrees(np.arctan(np.median(sideways / along))))
        raise ReadError(
            f"'{name}' must be scanned straight, its slices slide sideways by {angle:.1f} degrees (a tilted gantry): straighten it first",
            "series-tilt",
        )
    if (np.abs(along - step) > STEP_SHARE * step).any():
        worst = float(along[np.argmax(np.abs(along - step))])
        raise ReadError(
            f"'{name}' must hold slices at equal steps, most are {step:.2f} mm apart and two {worst:.2f} mm: fetch the missing slices",
            "series-gap",
        )


def right_handed(values: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """A volume (c, z, y, x) whose axes turn right: the slices of a left-handed one are put in the opposite order."""
    if np.linalg.det(affine[:3, :3]) >= 0:
        return values, affine, False
    turned = affine.copy()
    turned[:3, 3] += turned[:3, 2] * (values.shape[1] - 1)
    turned[:3, 2] *= -1
    return values[:, ::-1], turned, True


def to_patient_axes(values: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A volume (c, z, y, x) with its axes swapped and turned so that x runs to the left, y to the back and z up as nearly as they
    do; nothing is interpolated.
    """
    from scipy.optimize import linear_sum_assignment

    vectors = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    towards, which = linear_sum_assignment(-np.abs(vectors))
    order = which[np.argsort(towards)]  # order[i]: the voxel axis (x, y, z) that runs along patient axis i
    out = np.transpose(values, (0, *(3 - order[::-1])))
    made = affine.copy()
    made[:3, :3] = affine[:3, order]
    for axis in range(3):
        if made[axis, axis] < 0:
            out = np.flip(out, axis=3 - axis)
            made[:3, 3] += made[:3, axis] * (out.shape[3 - axis] - 1)
            made[:3, axis] *= -1
    return out, made


def spacing_of(affine: np.ndarray) -> np.ndarray:
    """(z, y, x) in mm of an affine."""
    return np.linalg.norm(affine[:3, :3], axis=0)[::-1].copy()
