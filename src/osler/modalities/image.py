"""Pictures: a cell names a file, which becomes a grid of numbers of one size."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from osler.adapters.imaging import bias, cache, likeness, resample, scan, stacks
from osler.adapters.imaging.geometry import to_patient_axes
from osler.blocks import Block
from osler.cohort.column import Column
from osler.cohort.facts import is_missing_word
from osler.cohort.grouping import components
from osler.errors import InputError, OptionError
from osler.modalities import augmentation
from osler.modalities.base import Modality

#: Training scans whose numbers and shapes are looked at to learn the window and the common size.
SAMPLE = 256
#: Shares of all training values below and above the learnt window.
PERCENTILES = (0.5, 99.5)
#: Largest side of a size that is learnt: in two and in three dimensions.
LARGEST = {2: 256, 3: 96}
#: Share of red, green and blue in grey (ITU-R BT.601).
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class ImageOptions:
    """Options of a column of pictures or volumes.

    Attributes:
        size: pixels per axis in the order (y, x) or (z, y, x), joined by +; by default the usual shape of the training scans.
        spacing: mm between pixels per axis in the same order; by default whatever the size gives.
        shape: how the size is reached: "pad" or "crop" keep proportions, "stretch" does not.
        window: lowest and highest value that are told apart, joined by +; by default percentiles of the training scans.
        scale: "unit" (the window becomes 0 to 1), "z" (each scan to mean 0 and spread 1), or "none".
        channels: "grey", "rgb", or "own" (as many as the first training scan has).
        bias: "n4" evens out the slow shading of magnetic resonance scans before anything else (extra "mri"), "none" does not.
        orientation: volumes with their axes along the "patient" (left, back, up), or as "stored".
        rotate: largest random turn in training, in degrees.
        shift: largest random shift in training, as a share of the size.
        zoom: largest random change of size in training, as a share.
        brightness: largest random change of brightness and contrast in training, as a share.
        flip: mirror left and right at random in training; off, because the side of a body matters.
    """

    size: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    shape: str = "pad"
    window: tuple[float, ...] = ()
    scale: str = "unit"
    channels: str = "grey"
    bias: str = "none"
    orientation: str = "patient"
    rotate: float = 7.0
    shift: float = 0.05
    zoom: float = 0.1
    brightness: float = 0.1
    flip: bool = False


class Image(Modality):
    """A picture by its path. Emits a grid (n, c, y, x) with spacing and affine."""

    name = "image"
    emits = "grid"
    suggests = ("cnn",)
    asks = "the path of a picture in the folder that the rows come from, or null"
    by_reference = True
    extra = "imaging"
    Options = ImageOptions
    #: Axes of a scan of this kind.
    dims: ClassVar[int] = 2
    #: Ends of names by which a column is recognised.
    ends: ClassVar[tuple[str, ...]] = (*scan.PICTURES, *scan.DICOM, *scan.STACKS)

    def sniff(self, values: pl.Series) -> float:
        """Share of a sample of 200 values that end as names of such files do (`#k` aside)."""
        texts = texts_of(values).drop_nulls().head(200)
        if not len(texts):
            return 0.0
        return float(np.mean([_plain(t).lower().endswith(self.ends) for t in texts.to_list()]))

    def check(self, values: pl.Series, column: Column) -> pl.Series:
        """True where a value is present but can be no path below the table's folder; what files hold is asked by `reasons`."""
        if values.dtype != pl.String:
            return values.is_not_null()
        return pl.Series([t is not None and _is_no_path(t) for t in texts_of(values).to_list()], dtype=pl.Boolean)

    def reasons(self, values: pl.Series, root: Path | None) -> dict[str, str]:
        """Distinct reference → the code of why its header cannot be read as this kind; those that can be are left out."""
        wrong: dict[str, str] = {}
        texts = texts_of(values).drop_nulls().unique(maintain_order=True).to_list()
        fine = {i for rows, _, _ in self._stacked(texts, root) for i in rows.tolist()}
        for reference in (t for i, t in enumerate(texts) if i not in fine):
            try:
                facts = scan.header(reference, _base(root))
                if len(facts.shape) - 1 != self.dims:
                    wrong[reference] = "image-dims"
            except InputError as error:
                wrong[reference] = error.code
        return wrong

    def fit(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """Learn the size, the window and the channels from a sample of training scans; the sample does not depend on their order."""
        options = self._checked(self.options_of(column))
        texts = texts_of(values)
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(options).items()}
        shapes, samples = [], []
        for found in self._sample(texts, root):
            shapes.append(self._turned(found, options.orientation).values.shape)
            samples.append(_spread_sample(found.values))
        settings["size"] = [int(s) for s in options.size] or self._usual(shapes, options)
        settings["n_channels"] = {"grey": 1, "rgb": 3}.get(options.channels) or (_commonest([s[0] for s in shapes]) if shapes else 1)
        if options.scale == "unit" and not options.window:
            edges = np.percentile(np.sort(np.concatenate(samples)), PERCENTILES) if samples else (0.0, 1.0)
            settings["window"] = [float(edges[0]), float(max(edges[1], edges[0] + 1e-6))]
        settings["window"] = [float(x) for x in settings["window"]]
        return {
            "modality": self.name, "version": self.version, "column": column.name, **settings,
            "n": len(values), "n_present": len(values) - texts.null_count(),
        }  # fmt: skip

    def encode(self, values: pl.Series, state: dict[str, Any], root: Path | None = None) -> Block:
        """A grid (n, c, y, x) or (n, c, z, y, x) float32; a scan that is missing or cannot be read is zeros and not present."""
        n, size, c = len(values), tuple(state["size"]), state["n_channels"]
        grid = np.zeros((n, c, *size), dtype=np.float32)
        spacing = np.full((n, self.dims), np.nan)
        affine = np.tile(np.eye(4), (n, 1, 1))
        present = np.zeros(n, dtype=bool)
        texts = texts_of(values).to_list()
        for rows, numbers, stack in self._stacked(texts, root):
            if stack.shape[1:] == size and c == 1 and not state["spacing"] and state["scale"] != "z":
                grid[rows, 0] = _scaled(stack[numbers].astype(np.float32), state)
                present[rows] = True
        for i, reference in enumerate(texts):
            if present[i]:
                continue
            found = self._prepared(reference, state, root) if reference else None
            if found is not None:
                grid[i] = _scaled(found["values"], state)
                spacing[i], affine[i], present[i] = found["spacing"], found["affine"], True
        settings = np.array([state[k] for k in ("rotate", "shift", "zoom", "brightness")] + [float(state["flip"])])
        geometry = {"spacing": spacing, "affine": affine, "augment": np.tile(settings, (n, 1))}
        names = tuple(f"{state['column']}: channel {k + 1}" for k in range(c))
        return Block("grid", {"values": grid}, present, names, geometry=geometry)

    def augment(self, block: Block, rng: np.random.Generator) -> Block:
        """Each present scan turned, shifted, zoomed, brightened and perhaps mirrored at random, within the column's options."""
        return augmentation.changed(block, rng)

    def identities(self, values: pl.Series, root: Path | None = None) -> dict[str, pl.Series]:
        """Two senses of being the same scan: equal pixels, and near-duplicates by eye (`adapters.imaging.likeness`)."""
        texts = texts_of(values).to_list()
        prints: dict[str, dict[str, np.ndarray] | None] = {}
        for rows, numbers, stack in self._stacked(texts, root):
            if min(stack.shape[-2:]) < (likeness.LEAST_SIDE if self.dims == 2 else likeness.LEAST_SIDE_OF_VOLUMES):
                prints |= {texts[i]: likeness.exactly(stack[k]) for i, k in zip(rows, numbers)}
        prints |= {t: self._print(t, root) for t in dict.fromkeys(texts) if t is not None and t not in prints}
        known = [t for t, p in prints.items() if p is not None]
        exact = {t: prints[t]["exact"].tobytes().hex() for t in known}
        firsts = list({exact[t]: t for t in reversed(known)}.values())
        alike = likeness.PICTURES if self.dims == 2 else likeness.VOLUMES
        pairs = likeness.near([prints[t]["bits"] for t in firsts], [prints[t]["thumbnail"] for t in firsts], alike)
        codes = components(len(firsts), pairs.T)
        group = {exact[t]: f"like {code}" for t, code in zip(firsts, codes.tolist())}
        return {
            "pixels": pl.Series(values.name, [exact.get(t) for t in texts], dtype=pl.String),
            "likeness": pl.Series(values.name, [group.get(exact.get(t, "")) for t in texts], dtype=pl.String),
        }

    def summarise(self, values: pl.Series, column: Column, root: Path | None = None) -> dict[str, Any]:
        """n, missing, how many of a sample cannot be read, and the commonest shapes and spacings of those that can."""
        texts = texts_of(values)
        facts: dict[str, Any] = {"n": len(values), "missing": int(texts.null_count())}
        if len(values) - facts["missing"] < 10:
            return facts
        sampled = _order_free(texts)[:SAMPLE]
        found = []
        for reference in sampled:
            try:
                found.append(scan.header(reference, _base(root)))
            except InputError:
                continue
        shapes = pl.Series([" x ".join(map(str, f.shape[1:])) for f in found], dtype=pl.String)
        spacing = pl.Series([" x ".join(f"{s:.3g}" for s in f.spacing) for f in found if not any(map(math.isnan, f.spacing))], dtype=pl.String)
        return facts | {
            "looked_at": len(sampled), "unreadable": len(sampled) - len(found),
            "shapes": _counts(shapes), "spacings_mm": _counts(spacing), "channels": sorted({f.shape[0] for f in found}),
        }  # fmt: skip

    def preview(self, value: Any) -> str:
        """The end of the reference, which names the file."""
        return "" if value is None else str(value)[-80:]

    def thumbnail(self, reference: str, root: Path | None = None, side: int = 96) -> np.ndarray:
        """(side, side) uint8 grey of a picture, or of the middle slice of a volume, for a page.

        Raises:
            ReadError: it cannot be read.
        """
        found = scan.read(reference, _base(root), self.dims)
        values = found.values.mean(axis=0)
        spacing = found.spacing[-2:]
        values = values if values.ndim == 2 else self._turned(found, "patient").values[0][found.values.shape[1] // 2]
        small = resample.to_grid(scan.Scan(values[None], spacing, np.eye(4)), (side, side), "pad").values[0]
        low, high = np.percentile(small, (1, 99))
        return np.clip((small - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)

    def steps(self, column: Column) -> tuple[str, ...]:
        """What happens to a scan before a model sees it, in order, with what is learnt from training scans said as such."""
        options = self._checked(self.options_of(column))
        size = " x ".join(str(s) for s in options.size) or "the usual shape of the training scans"
        how = {"pad": "proportions kept, padded", "crop": "proportions kept, cropped", "stretch": "each axis by itself"}[options.shape]
        spaced = f"on {' x '.join(f'{s:g}' for s in options.spacing)} mm, " if options.spacing else ""
        window = f"{options.window[0]:g} to {options.window[1]:g}" if options.window else "percentiles 0.5 to 99.5 of the training scans"
        scale = {"unit": f"values {window} to 0 to 1", "z": "each scan to mean 0 and spread 1", "none": "values as they are"}[options.scale]
        turned = self.dims == 3 and options.orientation == "patient"
        return (
            "read in the file's physical units",
            *(["axes turned along the patient (left, back, up)"] if turned else []),
            *(["shading evened out by N4 (Tustison et al. 2010)"] if options.bias == "n4" else []),
            f"resampled {spaced}to {size} ({how}; linear, averaged where coarser)",
            scale,
        )

    def _checked(self, options: ImageOptions) -> ImageOptions:
        what = f"of {self.name} columns"
        for name, allowed in (("shape", resample.SHAPES), ("scale", ("unit", "z", "none")), ("channels", ("grey", "rgb", "own")),
                              ("bias", ("none", "n4")), ("orientation", ("patient", "stored"))):  # fmt: skip
            if getattr(options, name) not in allowed:
                raise OptionError(f"{name} {what} must be {' or '.join(allowed)}, was '{getattr(options, name)}'")
        numbers: dict[str, tuple[Any, ...]] = {}
        for name, n, kind in (("size", self.dims, int), ("spacing", self.dims, float), ("window", 2, float)):
            given = getattr(options, name)
            try:
                numbers[name] = tuple(kind(v) for v in given)
            except (TypeError, ValueError) as error:
                raise OptionError(f"{name} {what} must be {n} numbers joined by +, was '{given}'") from error
            if given and (len(given) != n or (name != "window" and min(numbers[name]) <= 0)):
                raise OptionError(f"{name} {what} must be {n} numbers above 0 joined by +, was '{given}'")
        if (numbers["size"] and max(numbers["size"]) > 4096) or (numbers["window"] and numbers["window"][0] >= numbers["window"][1]):
            raise OptionError(f"size {what} must be at most 4096, and window rise from its first to its second number")
        return ImageOptions(**{**asdict(options), **numbers})

    def _sample(self, texts: pl.Series, root: Path | None) -> Iterator[scan.Scan]:
        """Readable scans of at most `SAMPLE` references, chosen by their names' hashes."""
        for reference in _order_free(texts)[:SAMPLE]:
            try:
                yield scan.read(reference, _base(root), self.dims)
            except InputError:
                continue

    def _usual(self, shapes: Sequence[tuple[int, ...]], options: ImageOptions) -> list[int]:
        """The commonest shape if half of the scans have it, otherwise the median; at most `LARGEST` a side."""
        if not shapes:
            return [8] * self.dims
        plain = [s[1:] for s in shapes]
        common = _commonest(plain)
        usual = common if plain.count(common) * 2 >= len(plain) else tuple(np.median(plain, axis=0))
        shrink = min(1.0, LARGEST[self.dims] / max(usual))
        return [max(1, round(s * shrink)) for s in usual]

    def _turned(self, found: scan.Scan, orientation: str) -> scan.Scan:
        if self.dims == 2 or orientation == "stored" or not np.isfinite(found.spacing).all():
            return found
        values, affine = to_patient_axes(found.values, found.affine)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
        return scan.Scan(values, spacing, affine, found.facts)

    def _stacked(self, texts: Sequence[str | None], root: Path | None) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """References `stack#k` of each stack together: positions in `texts`, numbers k, and the stack's array (m, y, x) or (m, z, y, x)."""
        groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for i, text in enumerate(texts):
            name, mark, part = (text or "").rpartition("#")
            member, _, number = part.rpartition("/")
            if mark and number.isascii() and number.isdigit() and len(number) < 10 and name.lower().endswith(scan.STACKS):
                groups.setdefault((name, member), []).append((i, int(number)))
        for (name, member), pairs in groups.items():
            try:
                path, fragment = scan.parts(name, _base(root))
                if fragment or scan.kind_of(path) != "stack":
                    continue
                array = stacks.whole(path, member)
            except InputError:
                continue
            rows, numbers = np.array(pairs).T
            if array.ndim == self.dims + 1 and (self.dims == 2 or array.shape[-1] not in (1, 3, 4)):
                there = numbers < len(array)
                yield rows[there], numbers[there], array

    def _prepared(self, reference: str, state: dict[str, Any], root: Path | None) -> dict[str, np.ndarray] | None:
        """Values on the column's grid, not yet scaled, with spacing and affine; kept in the cache. None where unreadable."""
        asked = {k: state[k] for k in ("size", "spacing", "shape", "orientation", "channels", "n_channels")}
        if state.get("bias", "none") != "none":
            asked["bias"] = state["bias"]
        try:
            path, fragment = scan.parts(reference, _base(root))
            asked |= {"part": fragment, "dims": self.dims}
            return cache.store().get(path, asked, lambda: self._made(path, fragment, state))
        except InputError:
            return None

    def _made(self, path: Path, fragment: str, state: dict[str, Any]) -> dict[str, np.ndarray]:
        found = self._turned(scan.read_at(path, fragment, self.dims), state["orientation"])
        fitted = scan.Scan(_channels(found.values, state["n_channels"]), found.spacing, found.affine)
        if state.get("bias") == "n4":
            fitted = bias.n4(fitted)
        fitted = resample.to_grid(fitted, tuple(state["size"]), state["shape"], tuple(state["spacing"]))
        return {"values": fitted.values, "spacing": fitted.spacing, "affine": fitted.affine}

    def _print(self, reference: str, root: Path | None) -> dict[str, np.ndarray] | None:
        try:
            path, fragment = scan.parts(reference, _base(root))
            asked = {"print": 2, "part": fragment, "dims": self.dims}
            return cache.store().get(path, asked, lambda: likeness.fingerprint(scan.read_at(path, fragment, self.dims)))
        except InputError:
            return None


def texts_of(values: pl.Series) -> pl.Series:
    """References without outer blanks; null where a cell is missing, holds a word for "no value", or is no text."""
    if values.dtype != pl.String:
        return pl.Series(values.name, [None] * len(values), dtype=pl.String)
    text = values.str.strip_chars()
    return text.set((is_missing_word(text) | (text == "")).fill_null(False), None)


def _base(root: Path | None) -> Path:
    """The folder that references start from and may not leave: the table's, or the current one."""
    return root if root is not None else Path.cwd()


def _plain(reference: str) -> str:
    """A reference without its `#part`."""
    return reference.rpartition("#")[0] or reference


def _is_no_path(text: str) -> bool:
    """Whether a text can be no path below a folder: too long, with line ends, absolute, or upwards."""
    parts = text.replace("\\", "/").split("/")
    return len(text) > 4096 or any(c in text for c in "\0\r\n") or text.startswith(("/", "\\")) or ".." in parts or ":" in parts[0][:2]


def _order_free(texts: pl.Series) -> list[str]:
    """Distinct references in an order that only depends on what they are."""
    return sorted(set(texts.drop_nulls().to_list()), key=lambda t: hashlib.sha256(t.encode("utf-8", "surrogatepass")).digest())


def _spread_sample(values: np.ndarray) -> np.ndarray:
    flat = values.reshape(-1)
    return flat[:: max(1, len(flat) // 20_000)]


def _commonest(items: Sequence[Any]) -> Any:
    return max(sorted(set(items)), key=list(items).count)


def _counts(values: pl.Series) -> dict[str, int]:
    """The five commonest values that at least ten scans have."""
    counts = values.alias("value").value_counts(sort=True, name="n").filter(pl.col("n") >= 10).sort(["n", "value"], descending=[True, False])
    return dict(counts.head(5).iter_rows())


def _channels(values: np.ndarray, wanted: int) -> np.ndarray:
    """Values (c, ...) with the wanted number of channels.

    Raises:
        OptionError: there is no way from the one to the other.
    """
    have = len(values)
    if have == wanted:
        return values
    if wanted == 1 and have == 3:
        return np.tensordot(_GREY, values, axes=1)[None]
    if wanted == 3 and have == 1:
        return np.repeat(values, 3, axis=0)
    raise OptionError(f"a scan must have {wanted} channels as the others of its column, this one has {have}: choose with #, or channels=own")


def _scaled(values: np.ndarray, state: dict[str, Any]) -> np.ndarray:
    if state["window"]:
        values = np.clip(values, *state["window"])
    if state["scale"] == "unit":
        low, high = state["window"]
        return ((values - np.float32(low)) / np.float32(high - low)).astype(np.float32)
    if state["scale"] == "z":
        return ((values - values.mean()) / max(float(values.std()), 1e-6)).astype(np.float32)
    return values
