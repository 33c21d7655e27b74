"""Drawn pictures as secondary captures (PS3.3 A.8): one colour picture, or one of many frames, in the study of its source."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import numpy as np

from osler.adapters.imaging.dicom_read import library
from osler.adapters.imaging.dicom_results import EMPTY, Algorithm, Source
from osler.errors import OptionError

SINGLE, FRAMES = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4"
_EXPLICIT = "1.2.840.10008.1.2.1"
#: What a capture takes over from its source, so that it lies in the same study of the same patient.
_TAKEN = (
    *EMPTY, "SpecificCharacterSet", "IssuerOfPatientID", "PatientAge", "StudyInstanceUID", "StudyDescription", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence",
)  # fmt: skip


def capture(pictures: np.ndarray, source: Source, algorithm: Algorithm, described: str) -> Any:
    """A secondary capture as a pydicom data set.

    Args:
        pictures: (y, x, 3), or (z, y, x, 3) with one picture per plane of the source, uint8.
        described: what it shows, for the series' description.

    Raises:
        OptionError: the pictures have another form.
    """
    pydicom = library()
    if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4) or pictures.shape[-1] != 3:
        raise OptionError("a capture must be of colour pictures (y, x, 3) or (z, y, x, 3) of bytes, it is not")
    seed = hashlib.sha256(np.ascontiguousarray(pictures).tobytes() + repr((pictures.shape, algorithm, described)).encode()).digest()
    made = pydicom.Dataset()
    first = source.datasets[0]
    for word in _TAKEN:
        if word in first:
            made[word] = first[word]
    made.SOPClassUID, made.SOPInstanceUID = SINGLE if pictures.ndim == 3 else FRAMES, source.uid("capture", seed)
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = source.uid("capture series", seed), 9003, 1
    made.Modality, made.ConversionType, made.ImageType = "OT", "WSD", ["DERIVED", "SECONDARY"]
    made.Manufacturer, made.ManufacturerModelName, made.SoftwareVersions = "Osler", algorithm.name[:64], algorithm.version[:64]
    made.SeriesDescription, made.DerivationDescription = f"{algorithm.name}: {described}"[:64], described[:1024]
    made.PatientOrientation, made.BurnedInAnnotation = "", "NO"
    now = datetime.datetime.now()
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = made.ContentDate, made.ContentTime
    _pixels(made, pictures, source, pydicom)
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = _EXPLICIT
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = made.SOPClassUID, made.SOPInstanceUID
    return made


def _pixels(made: Any, pictures: np.ndarray, source: Source, pydicom: Any) -> None:
    made.Rows, made.Columns = pictures.shape[-3:-1]
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    if pictures.ndim == 4:
        made.NumberOfFrames = len(pictures)
        made.FrameIncrementPointer = pydicom.tag.Tag("PageNumberVector")
        made.PageNumberVector = list(range(1, len(pictures) + 1))
    made.SourceImageSequence = [_reference(one, pydicom) for one in source.datasets]
    data = np.ascontiguousarray(pictures).tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OB"


def _reference(one: Any, pydicom: Any) -> Any:
    item = pydicom.Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
    return item
