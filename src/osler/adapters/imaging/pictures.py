"""Pictures in PNG, JPEG, TIFF and the like: Pillow, and tifffile for those TIFFs that Pillow does not read."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from osler import registry
from osler.adapters.imaging.scan import Scan, check_size
from osler.errors import LimitError, ReadError

#: Most pixels per byte of the file beyond `FREE_PIXELS`: no photograph packs so well.
MAX_RATIO = 2000
FREE_PIXELS = 1 << 24
_CHANNELS = {"1": 1, "L": 1, "I": 1, "F": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "I;16N": 1, "LA": 1, "La": 1}
_TURNED = "turned as its camera says"
#: How a TIFF's orientation (tag 274) is undone: axes swapped or not, then rows and columns in opposite order or not.
_ORIENTED = {2: (0, 0, 1), 3: (0, 1, 1), 4: (0, 1, 0), 5: (1, 0, 0), 6: (1, 0, 1), 7: (1, 1, 1), 8: (1, 1, 0)}
_KINDS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM")


def shape(path: Path, index: int | None = None) -> tuple[int, ...]:
    """(c, y, x) by the header.

    Raises:
        ReadError: it is no picture, or has no page of that number (`image-frame`).
        LimitError: it claims more pixels than are safe.
    """
    if _needs_tifffile(path):
        return read(path, index).values.shape
    with _opened(path, index) as picture:
        width, height = picture.size
        turned = picture.getexif().get(0x0112, 1) >= 5
        return (_CHANNELS.get(picture.mode, 3), *((width, height) if turned else (height, width)))


def read(path: Path, index: int | None = None) -> Scan:
    """A picture as (1 or 3, y, x) float32 in the file's own numbers; palettes become colours, transparency is left out.

    Raises:
        ReadError: as `shape`, or its pixels end too early (`image-truncated`).
    """
    if _needs_tifffile(path):
        return _by_tifffile(path, index)
    from PIL import ImageOps

    with _opened(path, index) as picture:
        applied = []
        try:
            if picture.getexif().get(0x0112, 1) != 1:
                picture = ImageOps.exif_transpose(picture)
                applied.append(_TURNED)
            mode = picture.mode
            if mode in ("LA", "La") or mode == "1":
                picture = picture.convert("L")
            elif mode not in _CHANNELS and mode != "RGB":
                picture = picture.convert("RGB")
            values = np.asarray(picture)
        except (OSError, SyntaxError, ValueError) as error:
            raise ReadError(f"'{path.name}' must be a whole picture, it ends too early or is damaged: copy it again", "image-truncated") from error
    values = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    facts = {"photometric": mode, "applied": applied}
    return Scan(np.ascontiguousarray(values, dtype=np.float32), np.full(2, np.nan), np.eye(4), facts)


def png_of_labels(labels: np.ndarray) -> bytes:
    """A label map (y, x) uint8 or uint16 as a PNG of the same numbers."""
    registry.optional("PIL", "imaging")
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(labels)).save(buffer, format="PNG")
    return buffer.getvalue()


def _opened(path: Path, index: int | None) -> Any:
    registry.optional("PIL", "imaging")
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(path, formats=_KINDS)
    except Image.DecompressionBombError as error:
        raise LimitError(f"'{path.name}' must hold a picture of a possible size, its header claims more: split it") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ReadError(f"'{path.name}' must be a whole picture, it is damaged or none: export it again", "image-format") from error
    width, height = picture.size
    check_size((_CHANNELS.get(picture.mode, 3), height, width), path.name)
    if width * height > FREE_PIXELS and width * height > MAX_RATIO * path.stat().st_size:
        picture.close()
        raise LimitError(f"'{path.name}' must unpack to a possible picture, its header claims far more than it holds: export it again", "limit-ratio")
    pages = getattr(picture, "n_frames", 1)
    if (index or 0) >= pages:
        picture.close()
        raise ReadError(f"'{path.name}' must hold picture #{index}, it holds {pages}: count from 0", "image-frame")
    if index is None and pages > 1 and picture.format in ("TIFF", "GIF"):
        picture.close()
        raise ReadError(f"'{path.name}' must be one picture, it holds {pages}: name one as FILE#k, from 0", "image-frame")
    if index:
        picture.seek(index)
    return picture


def _needs_tifffile(path: Path) -> bool:
    """Whether a TIFF is large (BigTIFF), turned, or of samples that Pillow would cut to 8 bits."""
    with path.open("rb") as raw:
        head = raw.read(4)
    if head[:4] in (b"II+\0", b"MM\0+"):
        return True
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return False
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            bits, orientation = picture.tag_v2.get(258, (8,)), picture.tag_v2.get(274, 1)
        return (len(bits) > 1 and max(bits) > 8) or orientation in _ORIENTED
    except (UnidentifiedImageError, OSError, SyntaxError, AttributeError):
        return True
    except Image.DecompressionBombError as error:
        raise LimitError(f"'{path.name}' must hold a picture of a possible size, its header claims more: split it") from error


def _by_tifffile(path: Path, index: int | None) -> Scan:
    tifffile = registry.optional("tifffile", "imaging")
    try:
        with tifffile.TiffFile(path) as file:
            if (index or 0) >= len(file.pages) or (index is None and len(file.pages) > 1):
                raise ReadError(f"'{path.name}' must be followed by #k below {len(file.pages)}, its number of pictures", "image-frame")
            page = file.pages[index or 0]
            check_size(tuple(page.shape), path.name)
            if page.size * page.dtype.itemsize > FREE_PIXELS and page.size > MAX_RATIO * path.stat().st_size:
                raise LimitError(f"'{path.name}' must unpack to a possible picture, it claims far more than it holds", "limit-ratio")
            values, axes = page.asarray(), page.axes
            orientation = page.tags[274].value if 274 in page.tags else 1
    except (tifffile.TiffFileError, ValueError, OSError, KeyError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(f"'{path.name}' must be a whole TIFF in an open packing, it is not: save it again", "image-codec") from error
    if axes not in ("YX", "YXS", "SYX"):
        raise ReadError(f"'{path.name}' must hold plain pictures, it holds axes {axes}: export it again", "image-format")
    values = values[None] if axes == "YX" else np.moveaxis(values, -1, 0) if axes == "YXS" else values
    values = values[: 1 if len(values) < 3 else 3]
    swapped, rows, columns = _ORIENTED.get(int(orientation), (0, 0, 0))
    values = np.swapaxes(values, 1, 2) if swapped else values
    values = values[:, :: -1 if rows else 1, :: -1 if columns else 1]
    applied = [_TURNED] if int(orientation) in _ORIENTED else []
    return Scan(np.ascontiguousarray(values, dtype=np.float32), np.full(2, np.nan), np.eye(4), {"applied": applied})
