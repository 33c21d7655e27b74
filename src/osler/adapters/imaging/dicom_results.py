"""What every result that goes back into an archive shares: the series it was made from, who made it, its codes and its UIDs."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from osler import registry
from osler.adapters.imaging import dicom_read, dicom_series
from osler.errors import OptionError, ReadError

#: Attributes that a result takes from its source, and that it must have even where the source says nothing (type 2).
EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
#: Scheme of codes that no published scheme has.
PRIVATE = "99OSLER"
#: Names of findings and organs that are known here → (value, scheme, meaning); CID 7151 and CID 7159 of PS3.16.
KNOWN: dict[str, tuple[str, str, str]] = {
    "lesion": ("52988006", "SCT", "Lesion"), "mass": ("4147007", "SCT", "Mass"), "tumour": ("108369006", "SCT", "Neoplasm"),
    "tumor": ("108369006", "SCT", "Neoplasm"), "neoplasm": ("108369006", "SCT", "Neoplasm"), "nodule": ("27925004", "SCT", "Nodule"),
    "oedema": ("79654002", "SCT", "Edema"), "edema": ("79654002", "SCT", "Edema"), "necrosis": ("6574001", "SCT", "Necrosis"),
    "cyst": ("367643001", "SCT", "Cyst"), "haemorrhage": ("50960005", "SCT", "Hemorrhage"), "pneumonia": ("233604007", "SCT", "Pneumonia"),
    "lung": ("39607008", "SCT", "Lung"), "liver": ("10200004", "SCT", "Liver"), "spleen": ("78961009", "SCT", "Spleen"),
    "kidney": ("64033007", "SCT", "Kidney"), "heart": ("80891009", "SCT", "Heart"), "brain": ("12738006", "SCT", "Brain"),
    "prostate": ("41216001", "SCT", "Prostate"), "pancreas": ("15776009", "SCT", "Pancreas"), "hippocampus": ("5366008", "SCT", "Hippocampus"),
}  # fmt: skip
_ORGANS = frozenset(("lung", "liver", "spleen", "kidney", "heart", "brain", "prostate", "pancreas", "hippocampus"))


@dataclass(frozen=True)
class Code:
    """A coded meaning.

    Attributes:
        value, scheme: the code, such as 4147007 in SCT (SNOMED CT).
        meaning: what it says, at most 64 letters.
        is_organ: it is a part of a body and not a finding.
    """

    value: str
    scheme: str
    meaning: str
    is_organ: bool = False


def code_of(text: str) -> Code:
    """A code from `SCHEME:VALUE:MEANING`, or from a name: one that is known here, or a code of this maker's own.

    Raises:
        OptionError: it is none.
    """
    parts = [part.strip() for part in text.split(":", 2)]
    if len(parts) == 3 and all(parts):
        found = Code(parts[1], parts[0], parts[2])
    elif len(parts) == 1 and parts[0]:
        name = parts[0].lower()
        own = (hashlib.sha256(name.encode()).hexdigest()[:12].upper(), PRIVATE, parts[0])
        found = Code(*KNOWN.get(name, own), name in _ORGANS)
    else:
        found = Code("", "", "")
    if not (0 < len(found.value) <= 16 and 0 < len(found.scheme) <= 16 and 0 < len(found.meaning) <= 64 and text.isprintable()) or "\\" in text:
        raise OptionError("a meaning must be a name or SCHEME:VALUE:MEANING (16, 16 and 64 letters at most), one is not: write it as SCT:4147007:Mass")
    return found


@dataclass(frozen=True)
class Algorithm:
    """Who answered.

    Attributes:
        name: of the model or predictor.
        version: of it.
    """

    name: str = "osler"
    version: str = field(default_factory=lambda: version("osler"))


@dataclass(frozen=True)
class Source:
    """The series that a result was made from.

    Attributes:
        datasets: its objects without pixels, in the order of the volume's slices.
        stack: the same as a volume or a picture (`dicom_series.Stack`).
    """

    datasets: tuple[Any, ...]
    stack: dicom_series.Stack

    def uid(self, *parts: str | bytes) -> str:
        """A UID made of this series and what is said: the same result made again is the same object (PS3.5 Annex B.2)."""
        seed = [str(self.datasets[0].get("StudyInstanceUID", "")), str(self.datasets[0].get("SeriesInstanceUID", "")), *parts]
        whole = b"\0".join(p if isinstance(p, bytes) else p.encode() for p in seed)
        return f"2.25.{int.from_bytes(hashlib.sha256(whole).digest()[:16], 'big')}"


def library() -> Any:
    """highdicom, whose log is turned off: it names objects by their UIDs.

    Raises:
        MissingExtraError: it is not installed.
    """
    highdicom = registry.optional("highdicom", "imaging")
    logging.getLogger("highdicom").setLevel(logging.CRITICAL + 1)
    return highdicom


def source_of(path: Path, fragment: str = "") -> Source:
    """A series, or one picture, as what results refer to.

    Raises:
        ReadError: there is none, several where none was named, or one lacks what an object must have to be referred to.
    """
    if not path.exists():
        raise ReadError(f"'{path.name}' must be a folder of a series or a file, it does not exist: check the path", "read-missing")
    if path.is_dir():
        stack = dicom_series.chosen(path, fragment)
    else:
        stack = dicom_series.Stack("", 0, (path,), (dicom_read.attributes(path),))
    datasets = tuple(dicom_read.dataset(p, with_pixels=False) for p in stack.paths)
    wanted = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
    if any(not one.get(word) for one in datasets for word in wanted):
        raise ReadError("a series must say of each object what it is and to what it belongs, one lacks a UID: fetch it from its archive again", "image-format")
    for one in datasets:
        for word in EMPTY:
            if word not in one:
                setattr(one, word, "")
        if stack.spacing is not None and not one.get("SliceThickness"):
            one.SliceThickness = f"{float(stack.spacing[0]):.8g}"  # the step between slices, where the scanner wrote no thickness
    return Source(datasets, stack)


def check_labels(labels: np.ndarray, source: Source) -> np.ndarray:
    """Labels as (z, y, x), one plane per object or frame of the series.

    Raises:
        OptionError: they have another shape.
    """
    first = source.datasets[0]
    planes = len(source.datasets) if len(source.datasets) > 1 else int(first.get("NumberOfFrames", 1) or 1)
    shape = (planes, int(first.Rows), int(first.Columns))
    found = labels if labels.ndim == 3 else labels[None]
    if found.shape != shape:
        raise OptionError(f"a mask must have its series' {' x '.join(map(str, shape[::-1]))} voxels, it has {' x '.join(map(str, found.shape[::-1]))}")
    return found
