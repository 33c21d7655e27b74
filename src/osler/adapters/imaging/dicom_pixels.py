"""Pixels of a DICOM file in physical units: decoded, rescaled, MONOCHROME1 turned, palettes and luminance-chroma as colours.

PS3.3 C.7.6.3 (pixels), C.11.1 (Modality LUT), C.11.2 (window), C.8.9.1 (uptake values); PS3.5 A.4 (packed frames). What the header
says is compared with the bytes that are there before anything is reserved.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from osler.adapters.imaging import decoder, dicom_read
from osler.adapters.imaging.dicom_tags import BIG_ENDIAN, NATIVE
from osler.adapters.imaging.scan import MAX_VALUES
from osler.errors import LimitError, OslerError, ReadError

_J2K = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203))
_DEFLATED_FRAMES, _RLE = "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.5"
_PALETTE = "PALETTE COLOR"
#: Largest decoded picture per packed byte; a plain black frame packs far better than any scan.
MAX_PACKING = 2000
_FREE = 64 << 20


def frames(path: Path, head: dict[str, Any], index: int | None = None) -> np.ndarray:
    """Stored values (frames, y, x) or (frames, y, x, 3), of one frame where `index` names it.

    Raises:
        ReadError: no pixels (`image-pixels`), too few of them (`image-truncated`), or no decoder (`image-codec`).
        LimitError: the header claims more than is safe.
    """
    shape = shape_of(head, path.name)
    if index is not None and not 0 <= index < shape[0]:
        raise ReadError(f"'{path.name}' must hold picture #{index}, it holds {shape[0]}: count from 0", "image-frame")
    if "pixels_at" in head and head["syntax"] in NATIVE and head.get("BitsAllocated") in (8, 16, 32):
        raw = _open_pixels(path, head, shape, index)
        if raw is not None:
            return raw
    if "pixels_at" in head and head["syntax"] not in (*NATIVE, _RLE, _DEFLATED_FRAMES) and head.get("PhotometricInterpretation") != _PALETTE:
        return decoder.decoded(path, index, _bytes_asked(head, shape, index, path))
    data = dicom_read.dataset(path)
    if not any(name in data for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise ReadError(f"'{path.name}' must hold pixels, it holds none: name a file of pictures", "image-pixels")
    if data.syntax in NATIVE:
        raw = _native(data, head, shape, path.name)
        raw = raw if index is None else raw[index : index + 1]
    else:
        raw = _packed(data, shape, index, path)
    return _coloured(raw, data, path.name)


def shape_of(head: dict[str, Any], name: str) -> tuple[int, int, int, int]:
    """(frames, rows, columns, samples) as the header has it.

    Raises:
        ReadError: it has none. LimitError: it claims more values than are read at once.
    """
    rows, columns = head.get("Rows", 0), head.get("Columns", 0)
    if not rows or not columns:
        raise ReadError(f"'{name}' must hold pixels, its header names no rows and columns: name a file of pictures", "image-pixels")
    count, samples = max(1, head.get("NumberOfFrames", 1)), head.get("SamplesPerPixel", 1)
    if samples not in (1, 3):
        raise ReadError(f"'{name}' must hold 1 or 3 samples per pixel, its header says {samples}: export it again")
    if count * rows * columns * samples > MAX_VALUES:
        raise LimitError(f"'{name}' must hold at most {MAX_VALUES:,} values, its header claims more: split it")
    return count, rows, columns, samples


def _dtype(head: dict[str, Any]) -> np.dtype:
    sign = "i" if head.get("PixelRepresentation", 0) == 1 else "u"
    order = ">" if head["syntax"] == BIG_ENDIAN else "<"
    return np.dtype(f"{order}{sign}{head['BitsAllocated'] // 8}")


def _open_pixels(path: Path, head: dict[str, Any], shape: tuple[int, ...], index: int | None) -> np.ndarray | None:
    """Values that lie open at a known place; None where colours need pydicom."""
    if shape[3] != 1 or head.get("PhotometricInterpretation") not in (None, "MONOCHROME1", "MONOCHROME2"):
        return None
    dtype, (count, rows, columns, _) = _dtype(head), shape
    start = head["pixels_at"] + (index or 0) * rows * columns * dtype.itemsize
    wanted = rows * columns * (1 if index is not None else count)
    if path.stat().st_size < start + wanted * dtype.itemsize:
        raise _truncated(path.name)
    raw = np.fromfile(path, dtype=dtype, count=wanted, offset=start)
    return significant(raw.reshape(-1, rows, columns), head)


def _truncated(name: str) -> ReadError:
    return ReadError(f"'{name}' must hold as many pixels as its header says, it ends too early: copy it again", "image-truncated")


def _native(data: Any, head: dict[str, Any], shape: tuple[int, int, int, int], name: str) -> np.ndarray:
    count, rows, columns, samples = shape
    n = count * rows * columns * samples
    for keyword, kind in (("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")):
        if keyword in data:
            found = data[keyword].value
            if len(found) < n * int(kind[2]):
                raise _truncated(name)
            return np.frombuffer(found, dtype=kind, count=n).reshape(count, rows, columns)
    bits, packed = head.get("BitsAllocated", 0), data.PixelData
    if bits == 1:
        if len(packed) * 8 < n:
            raise _truncated(name)
        return np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little", count=n).reshape(count, rows, columns)
    if bits not in (8, 16, 32):
        raise ReadError(f"'{name}' must allocate 1, 8, 16 or 32 bits to a value, its header says {bits}: export it again")
    photometric = head.get("PhotometricInterpretation", "")
    if photometric == "YBR_FULL_422":
        return _by_pydicom(data, None, name)
    if len(packed) < n * bits // 8:
        raise _truncated(name)
    raw = np.frombuffer(packed, dtype=_dtype(head), count=n)
    if samples == 3:
        planar = head.get("PlanarConfiguration", 0) == 1
        raw = np.moveaxis(raw.reshape(count, 3, rows, columns), 1, -1) if planar else raw.reshape(count, rows, columns, 3)
        if photometric == "YBR_FULL" and raw.dtype == np.uint8:
            from pydicom.pixels import convert_color_space

            raw = convert_color_space(np.ascontiguousarray(raw), "YBR_FULL", "RGB")
        return raw
    return significant(raw.reshape(count, rows, columns), head)


def significant(raw: np.ndarray, head: dict[str, Any]) -> np.ndarray:
    """Only the bits that are stored, the sign carried up; overlays in unused bits are left out."""
    allocated, stored = 8 * raw.dtype.itemsize, head.get("BitsStored", 0)
    if not 0 < stored < allocated or head.get("HighBit", stored - 1) != stored - 1:
        return raw
    if raw.dtype.kind == "u":
        return raw & raw.dtype.type((1 << stored) - 1)
    return (raw << (allocated - stored)) >> (allocated - stored)


def _packed(data: Any, shape: tuple[int, int, int, int], index: int | None, path: Path) -> np.ndarray:
    asked = _bytes_asked(data, shape, index, path)
    if data.syntax not in (_RLE, _DEFLATED_FRAMES):
        return decoder.decoded(path, index, asked)
    return _unpacked(data, shape, index, path)


def _bytes_asked(head: Any, shape: tuple[int, int, int, int], index: int | None, path: Path) -> int:
    """Bytes that packed frames will take.

    Raises:
        LimitError: far more than the file can hold (code `limit-ratio`).
    """
    count, rows, columns, samples = shape
    asked = (1 if index is not None else count) * rows * columns * samples * max(1, int(head.get("BitsAllocated", 8)) // 8)
    if asked > _FREE and asked > MAX_PACKING * path.stat().st_size:
        raise LimitError(
            f"'{path.name}' must unpack to at most {MAX_PACKING:,} times its size, its header claims more: export it again",
            "limit-ratio",
        )
    return asked


def unpacked(path: Path, index: int | None) -> np.ndarray:
    """Frames of a packed file, decoded in this process: `decoder` calls it in a second one.

    Raises:
        ReadError: as `frames`.
    """
    data = dicom_read.dataset(path)
    return _unpacked(data, shape_of(dicom_read.attributes(path), path.name), index, path)


def _unpacked(data: Any, shape: tuple[int, int, int, int], index: int | None, path: Path) -> np.ndarray:
    count, rows, columns, samples = shape
    if data.syntax in _J2K:
        decoded = [_jpeg2000(one, data, (rows, columns), path.name) for one in _fragments(data, count, index, path.name)]
    elif data.syntax == _DEFLATED_FRAMES:
        decoded = [_deflated(one, data, (rows, columns, samples), path.name) for one in _fragments(data, count, index, path.name)]
    else:
        return _by_pydicom(data, index, path.name)
    return np.stack(decoded)


def _fragments(data: Any, count: int, index: int | None, name: str) -> list[bytes]:
    from pydicom.encaps import generate_frames

    try:
        found = list(generate_frames(data.PixelData, number_of_frames=count))
    except Exception as error:
        raise ReadError(f"'{name}' must hold whole packed frames, it does not: copy it again", "image-truncated") from error
    if len(found) < count:
        raise _truncated(name)
    return [bytes(found[index])] if index is not None else [bytes(one) for one in found[:count]]


def _jpeg2000(frame: bytes, data: Any, size: tuple[int, int], name: str) -> np.ndarray:
    """One frame of JPEG 2000 or HTJ2K; the size in its own header must be that of the object."""
    at = frame.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(frame) < at + 24:
        raise ReadError(f"'{name}' must hold JPEG 2000 frames, one is none: copy it again", "image-truncated")
    right, low, left, top = (int.from_bytes(frame[at + 8 + 4 * i : at + 12 + 4 * i], "big") for i in range(4))
    if (low - top, right - left) != size:
        raise ReadError(f"'{name}' must hold frames of the size in its header, one is of another: export it again")
    try:
        import openjpeg

        found = openjpeg.decode(frame[at:], j2k_format=0)
    except ModuleNotFoundError:
        return _by_pydicom(data, 0, name)[0]
    except Exception as error:
        raise ReadError(f"'{name}' must hold whole JPEG 2000 frames, one cannot be decoded: copy it again", "image-truncated") from error
    if data.get("PixelRepresentation", 0) == 1 and found.dtype.kind == "u":
        found = found.view(f"i{found.dtype.itemsize}")
        return significant(found, {"BitsStored": int(data.get("BitsStored", 16))})
    return found


def _deflated(frame: bytes, data: Any, size: tuple[int, int, int], name: str) -> np.ndarray:
    """One frame of the Deflated Image Frame Compression syntax (PS3.5 A.4.12)."""
    rows, columns, samples = size
    bits, n = int(data.BitsAllocated), rows * columns * samples
    raw = dicom_read.inflate(frame, name, cap=max(n * bits // 8 + 16, 1 << 20))
    if len(raw) * 8 < n * bits:
        raise _truncated(name)
    if bits == 1:
        return np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little", count=n).reshape(rows, columns)
    kind = np.dtype(f"<{'i' if data.get('PixelRepresentation', 0) else 'u'}{bits // 8}")
    found = np.frombuffer(raw, kind, count=n)
    return found.reshape(rows, columns) if samples == 1 else found.reshape(rows, columns, samples)


def _by_pydicom(data: Any, index: int | None, name: str) -> np.ndarray:
    """Values (frames, y, x[, 3]) from pydicom's decoders; colours are red, green and blue."""
    from pydicom.pixels import get_decoder

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, facts = get_decoder(data.file_meta.TransferSyntaxUID).as_array(data, index=index)
    except (OslerError, MemoryError):
        raise
    except Exception as error:
        words = str(error)
        if isinstance(error, NotImplementedError) or "missing dependencies" in words or "not support" in words:
            label = getattr(data.file_meta.get("TransferSyntaxUID", ""), "name", "an unknown syntax")
            raise ReadError(
                f"'{name}' must be packed in a way that an open decoder reads, it is packed by {label} "
                f"at {data.get('BitsStored', 0)} bits: save it as JPEG-LS, JPEG 2000 or unpacked", "image-codec",
            ) from error  # fmt: skip
        raise ReadError(f"'{name}' must hold whole frames, they cannot be decoded: copy it again", "image-truncated") from error
    n_samples = int(facts.get("samples_per_pixel", 1))
    return found.reshape(-1, *found.shape[-3:] if n_samples == 3 else found.shape[-2:])


def _coloured(raw: np.ndarray, data: Any, name: str) -> np.ndarray:
    if data.get("PhotometricInterpretation") != _PALETTE:
        return raw
    from pydicom.pixels import apply_color_lut

    try:
        return apply_color_lut(raw, data)
    except Exception as error:
        raise ReadError(f"'{name}' must hold its palette, it does not: export it again") from error


def physical(raw: np.ndarray, head: dict[str, Any], path: Path, first: int = 0) -> tuple[np.ndarray, dict[str, Any]]:
    """Stored values as float32 (frames, c, y, x) in the unit that the file gives them, and what was applied.

    Args:
        first: which frame of the file the first one is.
    """
    facts: dict[str, Any] = {"photometric": head.get("PhotometricInterpretation", ""), "applied": []}
    if raw.ndim == 4:
        return np.ascontiguousarray(np.moveaxis(raw, -1, 1), dtype=np.float32), facts
    window = _window(head)
    bits = head.get("BitsStored", head.get("BitsAllocated", 16))
    turned = head.get("PhotometricInterpretation") == "MONOCHROME1" and raw.dtype.kind in "iu"
    if turned:
        raw = (-1 - raw) if raw.dtype.kind == "i" else ((1 << bits) - 1 - raw.astype(np.int64))
        facts["applied"].append("MONOCHROME1 turned")
    values, slope, intercept = _rescaled(raw, head, path, first, facts["applied"])
    if window and turned:
        total = slope * (-1.0 if head.get("PixelRepresentation", 0) else float((1 << bits) - 1)) + 2.0 * intercept
        window = (total - window[1], total - window[0])
    factor = _uptake(head)
    if factor:
        values *= np.float32(factor)
        window = (window[0] * factor, window[1] * factor) if window else None
        facts["applied"].append("SUV by body weight")
    facts["unit"] = "SUVbw" if factor else "HU" if head.get("Modality") == "CT" and head.get("RescaleType", "HU") == "HU" else ""
    if window and window[0] < window[1]:
        facts["window"] = window
    return values[:, None], facts


def _rescaled(
    raw: np.ndarray, head: dict[str, Any], path: Path, first: int, applied: list[str]
) -> tuple[np.ndarray, float, float]:
    if head.get("frames") and "RescaleSlope" in head["frames"][0]:
        values = raw.astype(np.float32)
        slope, intercept = 1.0, 0.0
        for i, one in enumerate(head["frames"][first : first + len(raw)]):
            slope, intercept = one.get("RescaleSlope", (1.0,))[0], one.get("RescaleIntercept", (0.0,))[0]
            values[i] = values[i] * np.float32(slope) + np.float32(intercept)
        applied.append("rescaled")
        return values, slope, intercept
    if "RescaleSlope" in head or "RescaleIntercept" in head:
        slope, intercept = head.get("RescaleSlope", (1.0,))[0], head.get("RescaleIntercept", (0.0,))[0]
        values = raw.astype(np.float32)
        if slope != 1.0:
            values *= np.float32(slope)
        if intercept:
            values += np.float32(intercept)
        applied.append("rescaled")
        return values, slope, intercept
    if "pixels_at" not in head and raw.dtype.kind in "iu":
        data = dicom_read.dataset(path, with_pixels=False)
        if data.get("ModalityLUTSequence"):
            from pydicom.pixels import apply_modality_lut

            applied.append("Modality LUT")
            return apply_modality_lut(raw, data).astype(np.float32), 1.0, 0.0
    return raw.astype(np.float32), 1.0, 0.0


def _window(head: dict[str, Any]) -> tuple[float, float] | None:
    """The file's first linear window as (low, high): PS3.3 C.11.2.1.2."""
    source = head if "WindowCenter" in head else (head.get("frames") or [{}])[0]
    centre, width = source.get("WindowCenter"), source.get("WindowWidth")
    if not centre or not width or width[0] < 1:
        return None
    return centre[0] - 0.5 - (width[0] - 1) / 2, centre[0] - 0.5 + (width[0] - 1) / 2


def _uptake(head: dict[str, Any]) -> float:
    """What turns Bq/mL into standardised uptake by body weight (g/mL); 0 where the tags do not allow it."""
    dose, weight = head.get("radiopharmaceutical"), head.get("PatientWeight")
    corrected = head.get("DecayCorrection", "")
    if head.get("Units") != "BQML" or not dose or not weight or corrected not in ("START", "ADMIN") or "ATTN" not in head.get("CorrectedImage", ()):
        return 0.0
    left = dose["dose"]
    if corrected == "START":
        start, scan = _seconds(dose["start"]), _seconds(str(head.get("SeriesTime", "")))
        if start is None or scan is None:
            return 0.0
        left *= 2.0 ** (-((scan - start) % 86_400.0) / dose["half_life"])
    return weight[0] * 1000.0 / left if left > 0 else 0.0


def _seconds(text: str) -> float | None:
    """A DICOM time HHMMSS.F as seconds of the day."""
    try:
        return int(text[:2]) * 3600.0 + int(text[2:4] or 0) * 60.0 + float(text[4:] or 0)
    except ValueError:
        return None
