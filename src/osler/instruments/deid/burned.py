"""Text burned into pixels: which files may have it, and a test for rows of letter-like shapes.

The test is a heuristic. It looks for what letters of an overlay share and anatomy seldom does: small shapes of flat
brightness with sharp edges, of one height, standing side by side on one line.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: SOP classes whose pictures are screens, photographs or printed pages.
_SCREENS = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.77.1", "1.2.840.10008.5.1.4.1.1.104")
_RISKY = frozenset({"US", "SC", "OT", "ES", "XC", "GM", "DG", "HC", "DOC", "SD", "IVUS", "RF", "XA"})
_ULTRASOUND = ("1.2.840.10008.5.1.4.1.1.6.", "1.2.840.10008.5.1.4.1.1.3.")
_WORDS = frozenset(
    {"SCREEN SAVE", "SCREENSHOT", "SCREEN_SAVE", "DOSE", "DOSE_INFO", "DOSE_REPORT", "REPORT", "CAPTURE"}
)
#: Least letters on a line, and heights of letters in pixels.
LETTERS = 5
_LOW, _HIGH = 5, 48
_BORDER = 0.22
#: Levels, as shares of the picture's range, at which shapes are looked for.
_LEVELS = (0.12, 0.2, 0.3, 0.42, 0.55, 0.68, 0.82, 0.95)


def suspicion(sop_class: str, shown: dict[str, Any]) -> str:
    """`declared` (the file says that text is burned in), `possible` (its kind often has it) or ``.

    Args:
        sop_class: SOP class.
        shown: attributes by keyword, as `dicom_deid_file.Surveyed.shown`.
    """
    if str(shown.get("BurnedInAnnotation") or "").upper() == "YES":
        return "declared"
    image_type = shown.get("ImageType") or ()
    types = {str(t).upper() for t in ([image_type] if isinstance(image_type, str) else image_type)}
    modality = str(shown.get("Modality") or "").upper()
    colour = str(shown.get("PhotometricInterpretation") or "").upper()
    kinds = (
        sop_class.startswith(_SCREENS), sop_class.startswith(_ULTRASOUND), modality in _RISKY, bool(types & _WORDS),
        bool(str(shown.get("ConversionType") or "")), not colour.startswith("MONOCHROME") and bool(colour),
    )  # fmt: skip
    return "possible" if any(kinds) else ""


def shows_text(plane: np.ndarray, borders_only: bool = True) -> bool:
    """Whether a picture shows a line of at least `LETTERS` letter-like shapes, bright on dark or dark on bright.

    Args:
        plane: (y, x) or (y, x, colours).
        borders_only: look at the outer fifth only, where devices print; else everywhere.
    """
    grey = plane.astype(np.float32)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    low, high = float(grey.min()), float(grey.max())
    if min(grey.shape) < 16 or high <= low:
        return False
    scaled = (grey - low) / (high - low)
    return any(_has_line(side, borders_only) for side in (scaled, 1 - scaled))


def _has_line(grey: np.ndarray, borders_only: bool) -> bool:
    """Letters: shapes that stand out from what is around them by a fifth of the range or more."""
    from scipy import ndimage

    size = min(31, max(15, min(grey.shape) // 8) | 1)
    tophat = grey - ndimage.grey_opening(grey, size=(size, size))
    top = float(tophat.max())
    for level in (level for level in _LEVELS if level < top):
        for values in (tophat, grey):
            labels, count = ndimage.label(values >= level, structure=np.ones((3, 3)))
            if 0 < count <= 20_000 and _lines(_letters(labels, tophat, borders_only)):
                return True
    return False


def _letters(labels: np.ndarray, tophat: np.ndarray, borders_only: bool) -> np.ndarray:
    """(n, 4) top, left, height, width of shapes that may be letters."""
    from scipy import ndimage

    rows, columns = labels.shape
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        height, width = box[0].stop - box[0].start, box[1].stop - box[1].start
        if not (_LOW <= height <= _HIGH and 1 <= width <= 3 * height):
            continue
        y, x = box[0].start + height / 2, box[1].start + width / 2
        inner = _BORDER * rows < y < (1 - _BORDER) * rows and _BORDER * columns < x < (1 - _BORDER) * columns
        shape = labels[box] == number
        fill = shape.mean()
        if (borders_only and inner) or not 0.1 <= fill <= 0.97 or (width > 3 and fill > 0.9):
            continue
        inside = tophat[box][shape]
        if inside.std() > 0.35 * max(inside.mean(), 1e-6):
            continue
        found.append((box[0].start, box[1].start, height, width))
    return np.array(found, float).reshape(-1, 4)


def _lines(shapes: np.ndarray) -> bool:
    """Whether `LETTERS` shapes follow one another: feet on one line, heights alike, gaps of at most a letter and a half."""
    if len(shapes) < LETTERS:
        return False
    shapes = shapes[np.argsort(shapes[:, 1])]
    for start in range(len(shapes)):
        at, count, widths = shapes[start], 1, [shapes[start][3]]
        for other in shapes[start + 1 :]:
            foot = abs(at[0] + at[2] - other[0] - other[2])
            gap = other[1] - (at[1] + at[3])
            if gap > 1.6 * at[2]:
                break
            if foot <= 0.2 * at[2] and 0.65 <= other[2] / at[2] <= 1.55 and gap >= -1:
                at, count = other, count + 1
                widths.append(other[3])
        if count >= LETTERS and len({round(w) for w in widths}) > 1:
            return True
    return False
