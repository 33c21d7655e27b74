"""Slow shading of magnetic resonance scans evened out by N4 (Tustison et al. 2010, IEEE TMI 29:1310), as SimpleITK has it."""

from __future__ import annotations

import numpy as np

from osler import registry
from osler.adapters.imaging.scan import Scan
from osler.errors import ReadError

#: The shading is worked out on every k-th voxel, so that no axis has more than about this many.
LONGEST = 64
#: Iterations at each of the levels, from coarse to fine.
ITERATIONS = (30, 30, 20)
#: Levels of grey by which tissue is told from air (Otsu).
LEVELS = 200


def n4(found: Scan) -> Scan:
    """The scan divided by its shading, channel by channel: the mean of the tissue stays, one thread, the same answer every time.

    The shading is fitted where Otsu's threshold finds tissue, and on voxels above 0 only, of which it takes the logarithm.

    Raises:
        MissingExtraError: SimpleITK is not installed (extra "mri").
        ReadError: a channel has one value only (`image-format`).
    """
    itk = registry.optional("SimpleITK", "mri")
    values = np.stack([_corrected(itk, channel, found.spacing) for channel in found.values])
    applied = [*found.facts.get("applied", ()), "N4 bias field correction"]
    return Scan(values, found.spacing, found.affine, {**found.facts, "applied": applied})


def _corrected(itk: object, channel: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    low, high = float(channel.min()), float(channel.max())
    if low == high:
        raise ReadError("a scan must differ from place to place for its shading to be evened out, one has a single value: leave out bias=n4")
    image = itk.GetImageFromArray((channel - min(low, 0.0)).astype(np.float32))
    if np.isfinite(spacing).all():
        image.SetSpacing([float(s) for s in spacing[::-1]])
    tissue = itk.OtsuThresholdImageFilter()
    tissue.SetInsideValue(0)
    tissue.SetOutsideValue(1)
    tissue.SetNumberOfHistogramBins(LEVELS)
    tissue.SetNumberOfThreads(1)
    mask = tissue.Execute(image)
    factors = [max(1, round(n / LONGEST)) for n in image.GetSize()]
    worker = itk.N4BiasFieldCorrectionImageFilter()
    worker.SetNumberOfThreads(1)
    worker.SetMaximumNumberOfIterations(list(ITERATIONS))
    worker.Execute(itk.Shrink(image, factors), itk.Shrink(mask, factors))
    shading = np.exp(itk.GetArrayFromImage(worker.GetLogBiasFieldAsImage(image))).astype(np.float32)
    inside = itk.GetArrayFromImage(mask) > 0
    shading /= shading[inside].mean()
    evened = (channel - np.float32(min(low, 0.0))) / shading
    evened *= (channel[inside] - np.float32(min(low, 0.0))).mean() / evened[inside].mean()
    return (evened + np.float32(min(low, 0.0))).astype(np.float32)
