"""A page that shows scans with masks, heat maps and surfaces drawn on them: one file, nothing fetched, data inside as base64.

The drawing is done by NiiVue (`web/NOTICE.txt`). The page's content security policy names the two programs in it by their
SHA-256 and allows no connection at all. What would make the page too large is reduced, and the page says so.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from osler.adapters.imaging import nifti
from osler.adapters.imaging.coarse import coarser, coarser_affine, hottest, steps_to
from osler.adapters.imaging.labels import LARGEST, LOSSY
from osler.adapters.imaging.scan import Scan, read
from osler.engine.heat import on_grid_of
from osler.errors import ColumnError, LimitError, OptionError, ReadError
from osler.report.label_colours import MOST_NAMED, Label, labelled
from osler.report.markup import clean

#: Voxels of a scan, triangles of a surface, and bytes of all scans of a page (before base64), at most.
MOST_VOXELS, MOST_TRIANGLES, MOST_BYTES = 1 << 22, 200_000, 48 << 20
#: Shares of a scan's values between which its grey runs at first.
PERCENTILES = (0.5, 99.5)
#: First bytes of a surface in NiiVue's own format: two bytes of magic, and that it holds faces and vertices.
_MZ3 = np.array([23117, 3], dtype="<u2").tobytes()


@dataclass(frozen=True)
class Layer:
    """Something to show: kind ("scan", "mask", "answer", "heat" or "mesh"), file name, bytes, words for the legend, and the range of values;
    of a mask the labels whose codes it holds, from 1.
    """

    kind: str
    file: str
    data: bytes
    words: str
    range: tuple[float, float] = (0.0, 1.0)
    labels: tuple[Label, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the page's program reads it."""
        data = base64.b64encode(self.data).decode()
        labels = [{"name": clean(one.name), "colour": list(one.colour)} for one in self.labels]
        return {"kind": self.kind, "file": self.file, "data": data, "words": clean(self.words), "range": list(self.range), "labels": labels}


@dataclass(frozen=True)
class Case:
    """One scan and what is drawn on it.

    Attributes:
        name: in the list of scans. words: under it.
        layers: the scan first. flat: it is a picture.
        at: place of the crosshair as shares of the axes to the right, front and top.
    """

    name: str
    words: str
    layers: tuple[Layer, ...]
    flat: bool = False
    at: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def to_json(self) -> dict[str, Any]:
        """As the page's program reads it."""
        return {
            "name": clean(self.name), "words": clean(self.words), "flat": self.flat, "at": list(self.at),
            "layers": [layer.to_json() for layer in self.layers],
        }  # fmt: skip


def case(
    name: str, words: str, scan: Scan, mask: np.ndarray | None = None, heat: np.ndarray | None = None, most: int = MOST_VOXELS,
    names: Mapping[int, str] | None = None,
) -> Case:  # fmt: skip
    """A scan with a mask and a heat map of its own shape.

    Args:
        mask: ([z,] y, x), a number per label above 0. heat: ([z,] y, x) from 0 to 1.
        most: voxels that are kept; of larger scans every k-th slice, row and column is.
        names: of the numbers in the mask.
    """
    values = scan.values.mean(axis=0) if len(scan.values) > 1 else scan.values[0]
    flat = values.ndim == 2
    arrays = [a if a is None or a.ndim == 3 else a[None] for a in (values, mask, heat)]
    steps = steps_to(arrays[0].shape, most)
    affine = coarser_affine(scan.affine, steps)
    small = [None if a is None else coarser(a, steps, mean=i == 0) for i, a in enumerate(arrays)]
    low, high = (float(v) for v in np.percentile(small[0], PERCENTILES))
    reduced = "" if max(steps) == 1 else f", reduced to every {' x '.join(map(str, steps))} voxels (z, y, x)"
    layers = [Layer("scan", "scan.nii.gz", _packed(_grey(small[0]), affine), f"scan{reduced}", (low, max(high, low + 1e-6)))]
    if small[1] is not None:
        codes, labels = labelled(small[1], "mask", names)
        layers.append(Layer("mask", "mask.nii.gz", _packed(codes, affine), "mask", labels=labels))
    if small[2] is not None:
        layers.append(Layer("heat", "heat.nii.gz", _packed(np.rint(255 * small[2]).astype(np.uint8), affine), "heat: where the evidence lies"))
    marked = next((m for m in (small[2], None if small[1] is None else small[1] > 0) if m is not None and m.any()), None)
    return Case(name, words, tuple(layers), flat, (0.5, 0.5, 0.5) if marked is None else hottest(marked, affine))


def case_of_files(scan: str, mask: str = "", heat: str = "", mesh: str = "", axes: str = "lps") -> Case:
    """A scan with what is drawn on it, each from its file; "" where there is none.

    A mask or heat map of a volume may lie on another grid: it is brought to the scan's by their affines.

    Args:
        axes: of the surface: "lps" (left, posterior, superior) or "ras".

    Raises:
        ReadError, LimitError: a file cannot be read, or is too large. OptionError: axes are neither.
        ColumnError: a mask or heat map of a picture has another shape.
    """
    if axes not in ("lps", "ras"):
        raise OptionError(f"axes must be lps or ras, was '{axes}'")
    whole = read(scan, None)
    inside, names = _mask_beside(whole, mask) if mask else (None, {})
    hot = _heat_beside(whole, heat) if heat else None
    voxels = " x ".join(map(str, whole.values.shape[1:])) + " voxels"
    found = case(Path(scan.partition("#")[0]).name, voxels, whole, inside, hot, names=names)
    return replace(found, layers=(*found.layers, _surface_of(Path(mesh), axes))) if mesh else found


def _mask_beside(whole: Scan, reference: str) -> tuple[np.ndarray, dict[int, str]]:
    """A mask on the grid of a scan, and the names of its numbers where its file has them; one without whole numbers is marked or not."""
    other = read(reference, None, whole.dims)
    values = other.values.max(axis=0)
    rounded = np.rint(np.nan_to_num(values)).clip(0, LARGEST).astype(np.int64)
    is_labels = len(other.values) == 1 and np.array_equal(rounded, values) and Path(reference).suffix.lower() not in LOSSY
    numbers = np.unique(rounded[rounded > 0]) if is_labels else np.empty(0, np.int64)
    names = {number: name for number, name in other.facts.get("segments", {}).items() if name}
    if _is_on(whole, other, reference):
        return (rounded if is_labels else values > 0), names
    if not 0 < len(numbers) <= MOST_NAMED:
        return on_grid_of(whole, (values > 0).astype(np.float32), other.affine) >= 0.5, names
    best, found = np.full(whole.values.shape[1:], 0.5, dtype=np.float32), np.zeros(whole.values.shape[1:], dtype=np.int64)
    for number in numbers.tolist():
        share = on_grid_of(whole, (rounded == number).astype(np.float32), other.affine)
        found[share >= best] = number
        best = np.maximum(best, share)
    return found, names


def _heat_beside(whole: Scan, reference: str) -> np.ndarray:
    """A heat map (0 to 1) on the grid of a scan."""
    other = read(reference, None, whole.dims)
    values = np.maximum(other.values[0] / max(float(other.values[0].max()), 1e-9), 0.0)
    return values if _is_on(whole, other, reference) else on_grid_of(whole, values, other.affine)


def _is_on(whole: Scan, other: Scan, reference: str) -> bool:
    """Whether something lies on the grid of a scan.

    Raises:
        ColumnError: the scan is a picture, and it has another shape.
    """
    same = other.values.shape[1:] == whole.values.shape[1:]
    if not same and whole.dims == 2:
        raise ColumnError(f"'{Path(reference).name}' must have the shape of its picture, it has another: draw it on this picture")
    return same and np.allclose(other.affine, whole.affine, atol=1e-3)


def _surface_of(path: Path, axes: str) -> Layer:
    from osler.adapters.trimesh_files import KINDS
    from osler.adapters.trimesh_files import read as read_surface

    kind = path.suffix.lower().removeprefix(".")
    if kind not in KINDS or not path.is_file():
        raise ReadError(f"a surface must be a file that ends in {', '.join(KINDS)}, '{path.name}' is none: make one with osler mesh", "read-missing")
    try:
        bodies = read_surface(path.read_bytes(), kind)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ReadError(f"'{path.name}' must be a whole {kind} file, it is damaged: write it again", "image-format") from error
    if not sum(len(b.faces) for b in bodies):
        raise ReadError(f"'{path.name}' must hold a surface, it holds no triangle: write it again", "image-format")
    starts = np.cumsum([0, *(len(b.vertices) for b in bodies)])
    vertices = np.concatenate([b.vertices for b in bodies])
    faces = np.concatenate([b.faces + start for b, start in zip(bodies, starts)])
    return surface(vertices * ([1.0, 1.0, 1.0] if axes == "lps" else [-1.0, -1.0, 1.0]), faces, f"surface, {len(faces):,} triangles")


def surface(vertices: np.ndarray, faces: np.ndarray, words: str = "surface") -> Layer:
    """A surface (n, 3) in mm of the patient (left, posterior, superior) with triangles (m, 3).

    Raises:
        LimitError: it has more triangles than a page may hold.
    """
    if len(faces) > MOST_TRIANGLES:
        raise LimitError(f"a surface must have at most {MOST_TRIANGLES:,} triangles to be shown, it has {len(faces):,}: make a coarser one with osler mesh")
    sizes = np.array([len(faces), len(vertices), 0], dtype="<u4").tobytes()
    points = (np.asarray(vertices) * [-1.0, -1.0, 1.0]).astype("<f4").tobytes()
    return Layer("mesh", "surface.mz3", gzip.compress(_MZ3 + sizes + np.asarray(faces).astype("<i4").tobytes() + points, mtime=0), words)


def page(title: str, cases: Sequence[Case], note: str = "") -> str:
    """The page.

    Args:
        title: shown at the top. cases: the first is open. note: a line under the title.

    Raises:
        LimitError: all scans together are larger than a page may be.
    """
    size = sum(len(layer.data) for one in cases for layer in one.layers)
    if size > MOST_BYTES:
        raise LimitError(f"a page must hold at most {MOST_BYTES >> 20} MiB of scans, these have {size >> 20} MiB: show fewer")
    template, style, library, program = (_web(name) for name in ("view.html", "view.css", "niivue.umd.js", "view.js"))
    held = {
        "title": html.escape(clean(title)), "note": html.escape(clean(note)), "style": style, "library": library, "program": program,
        "policy": policy(), "data": json.dumps([one.to_json() for one in cases]).replace("<", "\\u003c"),
    }  # fmt: skip
    parts = template.split("{{")
    return parts[0] + "".join(held[name] + rest for name, _, rest in (part.partition("}}") for part in parts[1:]))


@lru_cache(maxsize=1)
def policy() -> str:
    """The content security policy of the page: its own style and programs by their hashes, pictures from memory, no connection."""
    own = {name: base64.b64encode(hashlib.sha256(_web(name).encode()).digest()).decode() for name in ("view.css", "niivue.umd.js", "view.js")}
    scripts = " ".join(f"'sha256-{own[name]}'" for name in ("niivue.umd.js", "view.js"))
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'sha256-{own['view.css']}'; img-src data: blob:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=8)
def _web(name: str) -> str:
    return files("osler.report").joinpath("web", name).read_text(encoding="utf-8").replace("\r\n", "\n")


# -- scans that fit ---------------------------------------------------------------------------------------------------


def _grey(values: np.ndarray) -> np.ndarray:
    """Whole numbers that fit as int16, others as float32."""
    values = np.nan_to_num(values)
    rounded = np.rint(values)
    whole = np.abs(values - rounded).max(initial=0.0) < 1e-3 and np.abs(rounded).max(initial=0.0) < 32_000
    return rounded.astype(np.int16) if whole else values.astype(np.float32)


def _packed(values: np.ndarray, affine: np.ndarray) -> bytes:
    return gzip.compress(nifti.encoded(values, affine), mtime=0)
