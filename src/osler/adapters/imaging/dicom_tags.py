"""The attributes of DICOM that pictures need, and a fast walk over the bytes of an ordinary file to find them.

DICOM PS3.5, chapter 7: a file is a preamble of 128 bytes, "DICM", a group of meta elements in explicit little endian, and elements of
tag, (value representation,) length and value in ascending order. The walk knows explicit and implicit little endian; whatever else it
meets, it gives up and pydicom reads the file (`dicom_read`). No length is trusted: nothing outside the bytes that are there is touched.
"""

from __future__ import annotations

import struct
from typing import Any

#: Keyword → (tag, kind of value): "text", "texts", "numbers" (decimal strings), "whole" (integer string), "short" (two bytes).
WANTED: dict[str, tuple[int, str]] = {
    "ImageType": (0x00080008, "texts"), "SOPClassUID": (0x00080016, "text"), "SOPInstanceUID": (0x00080018, "text"),
    "StudyDate": (0x00080020, "text"), "SeriesDate": (0x00080021, "text"), "AcquisitionTime": (0x00080032, "text"), "SeriesTime": (0x00080031, "text"),
    "Modality": (0x00080060, "text"), "Manufacturer": (0x00080070, "text"), "InstitutionName": (0x00080080, "text"),
    "ManufacturerModelName": (0x00081090, "text"), "PatientID": (0x00100020, "text"), "PatientWeight": (0x00101030, "numbers"),
    "BodyPartExamined": (0x00180015, "text"), "SliceThickness": (0x00180050, "numbers"), "EchoTime": (0x00180081, "numbers"),
    "SpacingBetweenSlices": (0x00180088, "numbers"), "GantryDetectorTilt": (0x00181120, "numbers"),
    "ImagerPixelSpacing": (0x00181164, "numbers"), "ViewPosition": (0x00185101, "text"),
    "StudyInstanceUID": (0x0020000D, "text"), "SeriesInstanceUID": (0x0020000E, "text"), "AcquisitionNumber": (0x00200012, "whole"),
    "InstanceNumber": (0x00200013, "whole"), "ImagePositionPatient": (0x00200032, "numbers"),
    "ImageOrientationPatient": (0x00200037, "numbers"), "Laterality": (0x00200060, "text"), "TemporalPositionIdentifier": (0x00200100, "whole"),
    "FrameOfReferenceUID": (0x00200052, "text"), "SamplesPerPixel": (0x00280002, "short"), "PhotometricInterpretation": (0x00280004, "text"),
    "PlanarConfiguration": (0x00280006, "short"), "NumberOfFrames": (0x00280008, "whole"), "Rows": (0x00280010, "short"),
    "Columns": (0x00280011, "short"), "PixelSpacing": (0x00280030, "numbers"), "CorrectedImage": (0x00280051, "texts"),
    "BitsAllocated": (0x00280100, "short"), "BitsStored": (0x00280101, "short"), "HighBit": (0x00280102, "short"),
    "PixelRepresentation": (0x00280103, "short"), "WindowCenter": (0x00281050, "numbers"), "WindowWidth": (0x00281051, "numbers"),
    "RescaleIntercept": (0x00281052, "numbers"), "RescaleSlope": (0x00281053, "numbers"), "RescaleType": (0x00281054, "text"),
    "Units": (0x00541001, "text"), "DecayCorrection": (0x00541102, "text"),
}  # fmt: skip
_BY_TAG = {tag: (name, kind) for name, (tag, kind) in WANTED.items()}
_LONG = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"))
#: Elements whose meaning lies in nested items, which pydicom reads: palettes, tables, functional groups, radiopharmaceutical.
_NESTED = frozenset((0x00283000, 0x00281101, 0x52009229, 0x52009230, 0x00540016, 0x00480105))
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_UNDEFINED = 0xFFFFFFFF
IMPLICIT, EXPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
#: Transfer syntaxes whose pixels lie open.
NATIVE = frozenset((IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN))
#: Deepest nesting of sequences that the walk follows.
_DEPTH = 16

_START, _SHORT, _FULL = struct.Struct("<HH2sH"), struct.Struct("<H"), struct.Struct("<I")


def walk(data: bytes) -> dict[str, Any] | None:
    """The wanted attributes of an ordinary file, or None where pydicom has to read it.

    Args:
        data: the file, or its beginning: the walk ends before the pixels.

    Returns:
        Keyword → value (text, tuple of texts or floats, int), with `syntax`, and, if pixels were reached, `pixels_at` (offset of
        their value) and `pixels_length` (bytes as declared; -1 for undefined).
    """
    if data[128:132] != b"DICM":
        return None
    try:
        syntax, at = meta(data)
        if syntax is None or (syntax not in (IMPLICIT, EXPLICIT) and not syntax.startswith("1.2.840.10008.1.2.4")
                              and syntax != "1.2.840.10008.1.2.5"):  # fmt: skip
            return None
        return _elements(data, at, syntax)
    except (struct.error, ValueError, UnicodeDecodeError, IndexError):
        return None


def meta(data: bytes) -> tuple[str | None, int]:
    """Transfer syntax and the offset of the first element after the meta group."""
    at, syntax = 132, None
    while data[at : at + 2] == b"\x02\x00":
        _, element, vr, length = _START.unpack_from(data, at)
        at += 8
        if vr in _LONG:
            length = _FULL.unpack_from(data, at)[0]
            at += 4
        if element == 0x0010:
            syntax = data[at : at + length].decode("ascii").strip(" \0")
        at += length
    return syntax, at


def _elements(data: bytes, at: int, syntax: str) -> dict[str, Any] | None:
    is_implicit, found, end = syntax == IMPLICIT, {"syntax": syntax}, len(data)
    while at + 8 <= end:
        tag, length, value_at = _head(data, at, is_implicit)
        if tag in _PIXELS:
            if tag != 0x7FE00010:
                return None
            return {**found, "pixels_at": value_at, "pixels_length": -1 if length == _UNDEFINED else length}
        if tag in _NESTED:
            return None
        if length == _UNDEFINED:
            if not is_implicit and data[at + 4 : at + 6] != b"SQ":
                return None
            at = _past_items(data, value_at, is_implicit, 0)
            continue
        at = value_at + length
        if tag in _BY_TAG:
            if at > end:
                return None
            name, kind = _BY_TAG[tag]
            value = _value(data[value_at:at], kind)
            if value is not None:
                found[name] = value
    return found if at == end else None


def _head(data: bytes, at: int, is_implicit: bool) -> tuple[int, int, int]:
    """Tag, length and offset of the value of the element at an offset."""
    group, element, vr, length = _START.unpack_from(data, at)
    tag = group << 16 | element
    if is_implicit or group == 0xFFFE:
        return tag, _FULL.unpack_from(data, at + 4)[0], at + 8
    if vr in _LONG:
        return tag, _FULL.unpack_from(data, at + 8)[0], at + 12
    if not vr.isalpha():
        raise ValueError("no value representation")
    return tag, length, at + 8


def _past_items(data: bytes, at: int, is_implicit: bool, depth: int) -> int:
    """The offset after a sequence of undefined length whose items start at `at`."""
    if depth > _DEPTH:
        raise ValueError("nested too deep")
    while True:
        tag, length, at = _head(data, at, is_implicit)
        if tag == 0xFFFEE0DD:
            return at
        if tag != 0xFFFEE000:
            raise ValueError("no item")
        if length != _UNDEFINED:
            at += length
            continue
        while True:
            start = at
            tag, length, at = _head(data, at, is_implicit)
            if tag == 0xFFFEE00D:
                break
            if length != _UNDEFINED:
                at += length
            elif is_implicit or data[start + 4 : start + 6] == b"SQ":
                at = _past_items(data, at, is_implicit, depth + 1)
            else:
                raise ValueError("undefined length of no sequence")


def _value(raw: bytes, kind: str) -> Any:
    """One value by its kind; None where it is empty or does not read so."""
    if kind == "short":
        return _SHORT.unpack_from(raw)[0] if len(raw) >= 2 else None
    return typed(raw.decode("latin-1").strip(" \0"), kind)


def typed(text: str, kind: str) -> Any:
    """A text by its kind, or None where it is empty or not of it."""
    if not text:
        return None
    if kind == "text":
        return text
    if kind == "texts":
        return tuple(part.strip() for part in text.split("\\"))
    try:
        numbers = tuple(float(part) for part in text.split("\\") if part.strip())
    except ValueError:
        return None
    if not numbers or any(x != x or abs(x) > 1e30 for x in numbers):
        return None
    return int(numbers[0]) if kind == "whole" else numbers
