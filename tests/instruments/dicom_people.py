"""Small DICOM files of made-up people, for tests of de-identification."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

CT = "1.2.840.10008.5.1.4.1.1.2"
ROOT = "1.2.826.0.1.3680043.10.99"
#: What must not be found in any output, of the person below.
SECRETS = (
    "Kwiatkowski",
    "Wilhelmina",
    "Thistlewood",
    "MRN4711008",
    "ACC998877",
    "19570312",
    "Quittengasse",
    "Mirabilis",
    ROOT,
)


def person(instance: str = "1", **more: Any) -> Any:
    """A CT slice of Wilhelmina Kwiatkowski with names where they belong and where they do not."""
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = CT, f"{ROOT}.3.{instance}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.4"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Kwiatkowski^Wilhelmina", "MRN4711008", "19570312"
    ds.PatientSex, ds.PatientAge, ds.AccessionNumber = "F", "093Y", "ACC998877"
    ds.ReferringPhysicianName, ds.PatientAddress = "Thistlewood^Barnabas^^Dr", "Quittengasse 7, Fabelstadt"
    ds.InstitutionName, ds.StationName, ds.Manufacturer = "St. Mirabilis Hospital", "CTSCAN0815", "Fable Works"
    ds.Modality, ds.ImageType, ds.BodyPartExamined = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], "CHEST"
    ds.StudyDate, ds.StudyTime, ds.SeriesDate, ds.ContentDate, ds.ContentTime = (
        "20210301",
        "233000",
        "20210301",
        "20210301",
        "233000.500",
    )
    ds.AcquisitionDateTime = "20210301233000.25+0100"
    ds.StudyDescription = "Chest of KWIATKOWSKI, Wilhelmina, seen by Dr. Thistlewood on 01.03.2021"
    ds.SeriesDescription, ds.ProtocolName, ds.SequenceName = "thin slices", "chest routine", "fl Kwiatkowski"
    ds.InstanceNumber, ds.KVP, ds.SeriesNumber = int(instance), "120", "4"
    inner = pydicom.Dataset()
    inner.RequestedProcedureDescription, inner.RequestedProcedureID = "for Wilhelmina", "RP1234567"
    ds.RequestAttributesSequence = [inner]
    reference = pydicom.Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CT, f"{ROOT}.3.99"
    ds.ReferencedImageSequence = [reference]
    ds.private_block(0x0009, "FABLE", create=True).add_new(1, "LO", "Kwiatkowski")
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.PixelData = np.arange(256, dtype="<u2").tobytes()
    for word, value in more.items():
        setattr(ds, word, value)
    return ds


def packed(ds: Any) -> bytes:
    """A data set as the bytes of a file whose preamble and sender tell the name."""
    ds.preamble = b"Kwiatkowski".ljust(128, b"\0")
    ds.file_meta.SourceApplicationEntityTitle = "THISTLEWOOD"
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def write(folder: Path, *datasets: Any) -> Path:
    """Data sets as files of a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, ds in enumerate(datasets):
        (folder / f"Kwiatkowski_{i}.dcm").write_bytes(packed(ds))
    return folder


def outputs(folder: Path) -> list[Path]:
    """The DICOM files below a folder, in order."""
    return sorted(folder.rglob("*.dcm"))


def found_in(data: bytes) -> list[str]:
    """Which secrets are in bytes, in any of four encodings and any case."""
    low = data.lower()
    return [
        s for s in SECRETS if any(s.lower().encode(e) in low for e in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"))
    ]
