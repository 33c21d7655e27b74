"""Attributes of a DICOM file through pydicom, whatever its transfer syntax, and typed errors where there is none."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from pathlib import Path
from typing import IO, Any

from osler import registry
from osler.adapters.imaging.dicom_tags import DEFLATED, EXPLICIT, IMPLICIT, WANTED, meta, typed, walk
from osler.cohort import limits
from osler.errors import LimitError, OslerError, ReadError

#: Bytes of a file that are read to find its attributes before the pixels; more only where these do not suffice.
HEAD = 1 << 15
#: Largest file that is held whole, in bytes.
MAX_FILE = 4 << 30


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does, with or without its preamble."""
    with path.open("rb") as raw:
        head = raw.read(132)
    return head[128:132] == b"DICM" or (head[:2] in (b"\x08\x00", b"\x02\x00") and head[3:4] == b"\x00")


def attributes(path: Path) -> dict[str, Any]:
    """The attributes of `dicom_tags.WANTED` that the file has, with `syntax`, and `pixels_at`, `pixels_length` where the pixels
    lie open in an ordinary file; in others `pixels_tag_at`, where their element starts, or `inflated`.

    Raises:
        ReadError: the file is no DICOM, or damaged (code `image-format` or `image-truncated`).
    """
    with path.open("rb") as raw:
        head = raw.read(HEAD)
    found = walk(head)
    if found is not None and "pixels_at" in found:
        return found
    data = dataset(path, with_pixels=False)
    at = getattr(data, "stopped_at", None)
    return {**from_dataset(data), **({"inflated": True} if at is None else {"pixels_tag_at": at})}


def dataset(path: Path, with_pixels: bool = True) -> Any:
    """The file as a pydicom dataset; deflated files are unpacked within limits.

    Raises:
        ReadError: the file is no DICOM, or damaged.
        LimitError: it is larger, or unpacks to more, than is safe.
    """
    pydicom = library()
    size = path.stat().st_size
    if size > MAX_FILE:
        raise LimitError(f"'{path.name}' must be at most {MAX_FILE >> 30} GiB, it is larger: split its frames into files")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with path.open("rb") as raw:
                head = raw.read(HEAD)
            has_preamble = head[128:132] == b"DICM"
            start, syntax = _meta_end(head) if has_preamble else (0, "")
            if syntax == DEFLATED:
                return _inflated(path, start, pydicom)
            with path.open("rb") as raw:
                found = pydicom.dcmread(_Clamped(raw, size), force=not has_preamble, stop_before_pixels=not with_pixels)
                found.stopped_at = raw.tell()
            found.syntax = _syntax(found, head)
    except (OslerError, MemoryError):
        raise
    except Exception as error:
        raise ReadError(
            f"'{path.name}' must be a whole DICOM file, it is damaged or none: export it again", "image-format"
        ) from error
    if not has_preamble and "Rows" not in found and "SOPClassUID" not in found:
        raise ReadError(f"'{path.name}' must be a DICOM file, it is none: name a picture or a scan", "image-format")
    return found


def library() -> Any:
    """pydicom, whose log is turned off: it quotes values of patients."""
    pydicom = registry.optional("pydicom", "imaging")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    return pydicom


class _Clamped:
    """A file that reserves no more for a read than it still holds, whatever length a header claims."""

    def __init__(self, raw: IO[bytes], size: int) -> None:
        self._raw, self._size = raw, size
        self.tell, self.seek, self.close, self.name = raw.tell, raw.seek, raw.close, ""

    def read(self, n: int = -1) -> bytes:
        """At most n bytes, and at most what is left."""
        left = max(0, self._size - self._raw.tell())
        return self._raw.read(left if n < 0 else min(n, left))


def _syntax(found: Any, head: bytes) -> str:
    """The transfer syntax as named, or as the first element looks where none is (files without their meta group)."""
    group = getattr(found, "file_meta", None) or {}
    named = str(group.get("TransferSyntaxUID", "") or "")
    if named:
        return named
    at = 132 if head[128:132] == b"DICM" else 0
    return EXPLICIT if head[at + 4 : at + 6].isalpha() else IMPLICIT


def _meta_end(head: bytes) -> tuple[int, str]:
    """Where the meta group ends, and the transfer syntax, as far as they can be read."""
    try:
        syntax, at = meta(head)
    except (struct.error, UnicodeDecodeError):
        return 0, ""
    return at, syntax or ""


def _inflated(path: Path, start: int, pydicom: Any) -> Any:
    packed = path.read_bytes()[start:]
    data = inflate(packed, path.name)
    found = pydicom.filereader.read_dataset(io.BytesIO(data), is_implicit_VR=False, is_little_endian=True)
    found = pydicom.dataset.FileDataset(str(path), found, is_implicit_VR=False, is_little_endian=True)
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = EXPLICIT
    found.syntax = EXPLICIT
    return found


def inflate(packed: bytes, name: str, cap: int = MAX_FILE) -> bytes:
    """Raw deflate, unpacked in steps.

    Raises:
        LimitError: it unpacks to more than is safe.
        ReadError: it is damaged.
    """
    meter = limits.Meter(name, cap, packed=len(packed))
    unpacker, parts, rest = zlib.decompressobj(-zlib.MAX_WBITS), [], packed
    try:
        while rest and not unpacker.eof:
            part = unpacker.decompress(rest, limits.STEP)
            meter.add(len(part))
            parts.append(part)
            rest = unpacker.unconsumed_tail
    except zlib.error as error:
        raise ReadError(f"'{name}' must be a whole deflated file, it is damaged: export it again", "image-format") from error
    if not unpacker.eof:
        raise ReadError(f"'{name}' must be a whole deflated file, it ends too early: export it again", "image-truncated")
    return b"".join(parts)


def from_dataset(found: Any) -> dict[str, Any]:
    """The wanted attributes of a pydicom dataset, by keyword; what is empty or malformed is left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _wanted(found)


def _wanted(found: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"syntax": found.syntax}
    for name, (tag, kind) in WANTED.items():
        value = _value(found, tag, kind)
        if value is not None:
            out[name] = value
    for name, read in (("frames", _functional_groups), ("radiopharmaceutical", _dose)):
        try:
            value = read(found)
        except Exception:
            value = None
        if value:
            out[name] = value
    return out


def _value(found: Any, tag: int, kind: str) -> Any:
    """One attribute by its kind; None where it is absent, empty or malformed (pydicom converts, and fails, on access)."""
    try:
        element = found.get(tag)
        value = None if element is None else element.value
        if value is None or kind == "short":
            return None if value is None else int(value)
        listed = [value] if isinstance(value, (str, bytes, int, float)) else list(value)
        return typed("\\".join(_plain(one) for one in listed), kind)
    except Exception:
        return None


def _plain(value: Any) -> str:
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else str(value).strip(" \0")


def _functional_groups(found: Any) -> list[dict[str, Any]] | None:
    """Of an enhanced multi-frame object, position, orientation, spacing and rescaling of each frame (PS3.3 C.7.6.16)."""
    per_frame = found.get("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        return None
    shared = (found.get("SharedFunctionalGroupsSequence") or [None])[0]
    wanted = (
        ("PlanePositionSequence", "ImagePositionPatient"), ("PlaneOrientationSequence", "ImageOrientationPatient"),
        ("PixelMeasuresSequence", "PixelSpacing"), ("PixelMeasuresSequence", "SliceThickness"),
        ("PixelMeasuresSequence", "SpacingBetweenSlices"), ("PixelValueTransformationSequence", "RescaleSlope"),
        ("PixelValueTransformationSequence", "RescaleIntercept"), ("FrameVOILUTSequence", "WindowCenter"),
        ("FrameVOILUTSequence", "WindowWidth"), ("FrameContentSequence", "TemporalPositionIndex"),
    )  # fmt: skip
    frames = []
    for group in per_frame:
        one: dict[str, Any] = {}
        for sequence, name in wanted:
            for source in (group, shared):
                items = source.get(sequence) if source is not None else None
                value = items[0].get(name) if items else None
                if value is not None:
                    one[name] = tuple(float(x) for x in ([value] if isinstance(value, (int, float)) else value))
                    break
        frames.append(one)
    return frames


def _dose(found: Any) -> dict[str, float] | None:
    """What a standardised uptake value needs of the tracer: dose (Bq), half-life (s) and its start (HHMMSS as a text)."""
    items = found.get("RadiopharmaceuticalInformationSequence")
    if not items:
        return None
    item = items[0]
    return {
        "dose": float(item.RadionuclideTotalDose), "half_life": float(item.RadionuclideHalfLife),
        "start": str(item.RadiopharmaceuticalStartTime),
    }  # fmt: skip
