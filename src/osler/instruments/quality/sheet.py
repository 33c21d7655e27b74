"""One picture of many scans: their middle slices side by side, those with findings framed."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

from osler.adapters.imaging.scan import Scan

SIDE, GAP, CAPTION, ACROSS = 144, 12, 30, 6
_FOUND, _SOUND, _INK, _PAPER = "#d55e00", "#8a8a8a", "#1a1a1a", "#ffffff"


def thumbnail(scan: Scan) -> np.ndarray:
    """(y, x) uint8 of the middle slice of the first channel, at most `SIDE` pixels a side, grey from its 1st to its 99th percentile; pixels of
    unequal sides are stretched to their shape. A slice of a volume is turned as radiologists look at it: the patient's left on the right, back
    or feet below.
    """
    flat = scan.values[0] if scan.dims == 2 else _upright(scan.values[0, scan.values.shape[1] // 2], scan.affine)
    flat = np.nan_to_num(flat)
    sides = scan.spacing[-2:] if np.isfinite(scan.spacing[-2:]).all() else np.ones(2)
    extent = np.array(flat.shape) * sides
    shape = np.maximum(1, np.round(SIDE * extent / extent.max())).astype(int)
    rows, columns = ((np.arange(n) + 0.5) * length / n for n, length in zip(shape, flat.shape, strict=True))
    low, high = np.percentile(flat, (1, 99))
    grey = np.clip((flat - low) / max(high - low, 1e-12), 0, 1)
    return (255 * grey[np.ix_(rows.astype(int), columns.astype(int))]).astype(np.uint8)


def _upright(flat: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """A slice (y, x) with its rows or columns reversed where they run against left, posterior or inferior."""
    for axis, step in ((1, affine[:3, 0]), (0, affine[:3, 1])):
        towards = int(np.argmax(np.abs(step)))
        if (step[towards] > 0) == (towards == 2):
            flat = np.flip(flat, axis)
    return flat


def png(grey: np.ndarray) -> bytes:
    """A PNG file of (y, x) uint8 (ISO/IEC 15948: signature, IHDR, IDAT, IEND)."""
    height, width = grey.shape
    lines = np.pad(grey, ((0, 0), (1, 0))).tobytes()  # every line begins with its filter, 0

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def sheet(pictures: Sequence[tuple[int, np.ndarray, Sequence[str]]]) -> str:
    """An SVG of thumbnails.

    Args:
        pictures: row number, thumbnail, and words of findings of each scan; no file name is shown, since it may name a person.
    """
    down = -(-len(pictures) // ACROSS)
    across = min(ACROSS, max(len(pictures), 1))
    width, height = across * (SIDE + GAP) + GAP, down * (SIDE + CAPTION + GAP) + GAP
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'font-family="sans-serif" font-size="11"><title>{len(pictures)} scans, middle slices</title>'
        f'<rect width="{width}" height="{height}" fill="{_PAPER}"/>'
    ]
    for i, (row, grey, words) in enumerate(pictures):
        x, y = GAP + i % ACROSS * (SIDE + GAP), GAP + i // ACROSS * (SIDE + CAPTION + GAP)
        h, w = grey.shape
        data = base64.b64encode(png(grey)).decode()
        out.append(
            f'<rect x="{x - 2}" y="{y - 2}" width="{SIDE + 4}" height="{SIDE + 4}" fill="#000" stroke="{_FOUND if words else _SOUND}" '
            f'stroke-width="{3 if words else 1}"/><image x="{x + (SIDE - w) / 2:g}" y="{y + (SIDE - h) / 2:g}" width="{w}" height="{h}" '
            f'href="data:image/png;base64,{data}"/><text x="{x}" y="{y + SIDE + 15}" fill="{_INK}">row {row}</text>'
            f'<text x="{x}" y="{y + SIDE + 28}" fill="{_FOUND if words else _SOUND}">{", ".join(words) or "nothing found"}</text>'
        )
    return "".join(out) + "</svg>"
