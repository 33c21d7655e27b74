"""Volumes that a run keeps for its pages: small, grey, and with what is drawn on them, as compressed NIfTI in base64."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping

import numpy as np

from osler.adapters.imaging import nifti
from osler.adapters.imaging.coarse import coarser, coarser_affine, hottest, steps_to

#: Voxels of a volume that is kept.
MOST_VOXELS = 1 << 18


def kept(values: np.ndarray, affine: np.ndarray, drawn: Mapping[str, np.ndarray], most: int = MOST_VOXELS) -> dict[str, str | list[float]]:
    """A volume with what is drawn on it, reduced by boxes of voxels to at most `most`.

    Args:
        values: (z, y, x); kept as 256 greys between its smallest and largest value.
        drawn: name → (z, y, x) uint8; of a box of voxels the largest value is kept. The first is what to look at first.

    Returns:
        `scan` and every name of `drawn` as base64 of a NIfTI file (gzip), and `at`: the place of the first one's largest values as shares of the axes
        to the patient's right, front and top.
    """
    steps = steps_to(values.shape, most)
    place, small = coarser_affine(affine, steps), coarser(np.nan_to_num(values), steps, mean=True)
    low, high = float(small.min()), float(small.max())
    layers = {"scan": np.rint((small - low) / max(high - low, 1e-9) * 255).astype(np.uint8)}
    layers |= {name: coarser(array, steps, mean=False).astype(np.uint8) for name, array in drawn.items()}
    held: dict[str, str | list[float]] = {n: base64.b64encode(gzip.compress(nifti.encoded(a, place), mtime=0)).decode() for n, a in layers.items()}
    return held | {"at": list(hottest(layers[next(iter(drawn))], place))}
