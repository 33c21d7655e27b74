"""Small pictures and scans, written for the tests by other libraries or byte by byte."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

DATA = Path(os.environ.get("OSLER_DATA_MIRROR", "")) / "imaging"
UID = "1.2.826.0.1.3680043.8.498.1"
EXPLICIT = "1.2.840.10008.1.2.1"


def unpacked(name: str, folder: Path) -> Path:
    """A zip of the imaging data, unpacked into a folder; skips where the data is absent."""
    if not os.environ.get("OSLER_DATA_MIRROR") or not (DATA / name).is_file():
        pytest.skip(f"needs {name} of the imaging data: set OSLER_DATA_MIRROR")
    with zipfile.ZipFile(DATA / name) as archive:
        archive.extractall(folder)
    return folder


def dicom(values: np.ndarray, syntax: str = EXPLICIT, **attributes: object) -> FileDataset:
    """A CT slice of (y, x) or frames of (z, y, x) integers."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = f"{UID}.{attributes.get('InstanceNumber', 1)}"
    meta.TransferSyntaxUID = syntax
    out = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    out.SOPClassUID, out.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    out.StudyInstanceUID, out.SeriesInstanceUID, out.Modality, out.PatientID = f"{UID}.8", f"{UID}.9", "CT", "p1"
    out.Rows, out.Columns = values.shape[-2:]
    if values.ndim == 3:
        out.NumberOfFrames = len(values)
    out.SamplesPerPixel, out.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 8 * values.dtype.itemsize
    out.BitsAllocated, out.BitsStored, out.HighBit = bits, bits, bits - 1
    out.PixelRepresentation = int(values.dtype.kind == "i")
    out.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    for name, value in attributes.items():
        setattr(out, name, value)
    return out


def series(folder: Path, volume: np.ndarray, places: np.ndarray, **attributes: object) -> Path:
    """Slices of (z, y, x) integers at (z, 3) places, written in an order that is not theirs."""
    folder.mkdir(exist_ok=True)
    known = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [0.8, 0.5], **attributes}
    for i in np.random.default_rng(0).permutation(len(volume)).tolist():
        one = dicom(volume[i], InstanceNumber=100 - i, ImagePositionPatient=[float(x) for x in places[i]], **known)
        one.save_as(folder / f"{(7 * i) % 101:03d}-{i}.dcm", enforce_file_format=True)
    return folder


def straight(n: int, step: float = 2.5) -> np.ndarray:
    """(n, 3) places along z."""
    return np.array([[-10.0, -20.0, 5.0 + step * i] for i in range(n)])


def item(**attributes: object) -> Dataset:
    """An item of a sequence."""
    out = Dataset()
    for name, value in attributes.items():
        setattr(out, name, value)
    return out


__all__ = ["DATA", "EXPLICIT", "UID", "dicom", "item", "pydicom", "series", "straight", "unpacked"]
