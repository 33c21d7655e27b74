"""Volumes: a cell names a DICOM series, or a file in NIfTI, NRRD or MetaImage, which becomes a grid in three dimensions."""

from __future__ import annotations

from typing import ClassVar

from osler.adapters.imaging import scan
from osler.modalities.image import Image


class Volume(Image):
    """A volume by its path. Emits a grid (n, c, z, y, x) with spacing and affine; axes along the patient unless told otherwise."""

    name = "volume"
    asks = "the path of a volume in the folder that the rows come from, or null"
    dims: ClassVar[int] = 3
    ends: ClassVar[tuple[str, ...]] = scan.VOLUMES
