"""Whether a picture or scan is there to its last byte, told by its header, its size and its end.

What is surely whole is not read: pixels that lie open by the bytes that the header asks for (PS3.5 A.1 to A.3), packed ones by the
lengths of their fragments (A.4), NIfTI in gzip by the length in its last four bytes (RFC 1952, 2.3.1), PNG by its chunks, JPEG by its end mark
after the last start of a scan, TIFF by the places of its strips. Anything else is read as a prediction would read it, so that
nothing is refused here that can be read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osler import registry
from osler.adapters.imaging import dicom_tags, scan
from osler.cohort import limits

#: Bytes at the end of a JPEG in which its end mark is looked for.
_TAIL = 1 << 16
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_PNG = b"\x89PNG\r\n\x1a\n"


def check(path: Path, kind: str, fragment: str = "", head: dict[str, Any] | None = None) -> None:
    """Pass a file that is whole.

    Args:
        kind: as `scan.kind_of` says; of "dicom", "nifti" and "picture" the end is looked at, others are whole where their header is read.
        fragment: what follows `#` in its reference.
        head: the attributes of a DICOM file (`dicom_read.attributes`).

    Raises:
        ReadError: it ends too early (code `image-truncated`), or cannot be read for another reason.
    """
    if kind == "dicom":
        sure = _dicom(path, head or {})
    elif kind == "nifti":
        sure = _nifti(path)
    elif kind == "picture":
        sure = _picture(path, fragment)
    else:
        return
    if not sure:
        scan.read_at(path, fragment)


def _dicom(path: Path, head: dict[str, Any]) -> bool:
    """Whether the pixels of a DICOM file end within it."""
    syntax, size = head.get("syntax", ""), path.stat().st_size
    if syntax == dicom_tags.BIG_ENDIAN or not ("pixels_at" in head or "pixels_tag_at" in head):
        return head.get("inflated", False)
    with path.open("rb") as raw:
        start = head.get("pixels_at", -1)
        if start < 0:
            start = _value_at(raw, head["pixels_tag_at"], syntax)
        if start < 0:
            return False
        if syntax not in dicom_tags.NATIVE:
            return _fragments_end(raw, start, size)
    values = max(1, head.get("NumberOfFrames", 1)) * head.get("Rows", 0) * head.get("Columns", 0) * head.get("SamplesPerPixel", 1)
    bits = values * head.get("BitsAllocated", 64)
    return size - start >= (bits + 7) // 8


def _value_at(raw: Any, at: int, syntax: str) -> int:
    """Where the value of the element of pixels begins that starts at an offset; -1 where none starts there."""
    raw.seek(at)
    data = raw.read(12)
    if len(data) < 12 or data[:2] != b"\xe0\x7f":
        return -1
    return at + (8 if syntax == dicom_tags.IMPLICIT else 12)


def _fragments_end(raw: Any, at: int, size: int) -> bool:
    """Whether fragment follows fragment up to the end of their sequence."""
    while at + 8 <= size:
        raw.seek(at)
        start = raw.read(8)
        if start[:4] == _END:
            return True
        if start[:4] != _ITEM:
            return False
        at += 8 + int.from_bytes(start[4:], "little")
    return False


def _nifti(path: Path) -> bool:
    """Whether a NIfTI file, or what it is the gzip of, is as long as its header says."""
    from osler.adapters.imaging import nifti

    promised, size = nifti.promised(path), path.stat().st_size
    with path.open("rb") as raw:
        packing = limits.packing(raw.read(8))
        raw.seek(max(0, size - 4))
        last = int.from_bytes(raw.read(4), "little")
    if packing == "gzip":
        return last == promised % (1 << 32)
    return not packing and size >= promised


def _picture(path: Path, fragment: str) -> bool:
    """Whether a PNG, JPEG or TIFF has its end; False for other pictures."""
    with path.open("rb") as raw:
        head = raw.read(8)
        if head == _PNG:
            return _chunks_end(raw, path.stat().st_size)
        if head[:3] == b"\xff\xd8\xff":
            raw.seek(max(0, path.stat().st_size - _TAIL))
            tail = raw.read(_TAIL)
            return tail.rfind(b"\xff\xd9") > tail.rfind(b"\xff\xda")
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") and _strips_end(path, int(fragment or 0))


def _chunks_end(raw: Any, size: int) -> bool:
    at = len(_PNG)
    while at + 12 <= size:
        raw.seek(at)
        start = raw.read(8)
        at += 12 + int.from_bytes(start[:4], "big")
        if start[4:] == b"IEND":
            return at <= size
    return False


def _strips_end(path: Path, index: int) -> bool:
    tifffile = registry.optional("tifffile", "imaging")
    with tifffile.TiffFile(path) as file:
        if index >= len(file.pages):
            return True  # whoever asks for that page is told so
        page = file.pages[index]
        ends = [at + n for at, n in zip(page.dataoffsets, page.databytecounts)]
    return bool(ends) and min(page.databytecounts) > 0 and max(ends) <= path.stat().st_size
