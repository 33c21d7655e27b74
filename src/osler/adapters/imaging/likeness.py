"""Which pictures are the same, to the byte of their pixels or to the eye.

Pictures are near-duplicates if their grey 64 × 64 thumbnails correlate nearly perfectly, as copies do that were saved, brightened or
resized anew, and two persons' scans in one position do not. Among very many pictures only those are compared whose prints are alike: the signs
of the lowest 16 × 16 cosine coefficients of the thumbnail against their median (after C. Zauner, Implementation and benchmarking of
perceptual image hash functions, 2010).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from osler.adapters.imaging.resample import to_grid
from osler.adapters.imaging.scan import Scan

#: Up to so many pictures, every pair is compared; beyond, those whose prints differ in at most `MOST_BITS` of 256 bits.
ALL_PAIRS, MOST_BITS = 8192, 40
#: Least correlation of the thumbnails of two copies. Of 1,104 chest X-rays, no two of different patients reach 0.961 but one that was
#: filed under two names; copies saved at quality 50, at half size or a seventh brighter are above 0.98. Volumes in a common
#: space look more alike.
CORRELATION, CORRELATION_OF_VOLUMES = 0.985, 0.998
#: Smallest side, in pixels, of pictures that are compared by eye: small ones of different persons look alike.
LEAST_SIDE = 64
_SIDE, _WINDOW = 64, 10


def fingerprint(scan: Scan) -> dict[str, np.ndarray]:
    """`exact` (32,) bytes: SHA-256 of shape and values; `bits` (32,) bytes and `thumbnail` (64, 64) float32, empty where too small.

    Volumes are seen as the sum along their first axis.
    """
    exact = _exact(scan.values)
    values = scan.values.mean(axis=0)
    flat = values if values.ndim == 2 else values.mean(axis=0)
    if min(flat.shape) < LEAST_SIDE or float(flat.std()) < 1e-6:
        return {"exact": exact, "bits": np.empty(0, np.uint8), "thumbnail": np.empty((0, 0), np.float32)}
    small = to_grid(Scan(flat[None], np.full(2, np.nan), np.eye(4)), (_SIDE, _SIDE), "stretch").values[0]
    small = (small - small.mean()) / max(float(small.std()), 1e-9)
    return {"exact": exact, "bits": np.packbits(_signs(small)), "thumbnail": small.astype(np.float32)}


def exactly(picture: np.ndarray) -> dict[str, np.ndarray]:
    """The fingerprint of a grey picture or volume that is compared exactly only: (y, x) or (z, y, x)."""
    return {"exact": _exact(picture[None].astype(np.float32)), "bits": np.empty(0, np.uint8), "thumbnail": np.empty((0, 0), np.float32)}


def _exact(values: np.ndarray) -> np.ndarray:
    text = f"{values.shape}".encode() + np.ascontiguousarray(values).tobytes()
    return np.frombuffer(hashlib.sha256(text).digest(), np.uint8).copy()


def _signs(small: np.ndarray) -> np.ndarray:
    from scipy.fft import dctn

    low = dctn(small, norm="ortho")[:16, :16].ravel()
    return low > np.median(low[1:])


def near(bits: Sequence[np.ndarray], thumbnails: Sequence[np.ndarray], correlation: float = CORRELATION) -> np.ndarray:
    """(m, 2) positions, first < second, of near-duplicates among pictures that have a print."""
    there = np.flatnonzero([len(b) > 0 for b in bits])
    if len(there) < 2:
        return np.empty((0, 2), dtype=np.int64)
    if len(there) <= ALL_PAIRS:
        candidates = _all_pairs(np.stack([thumbnails[i] for i in there]), correlation - 0.01)
    else:
        candidates = _by_bands(np.stack([bits[i] for i in there]))
    pairs = [
        (int(there[a]), int(there[b])) for a, b in sorted(candidates)
        if float((thumbnails[there[a]] * thumbnails[there[b]]).mean()) >= correlation
    ]  # fmt: skip
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _all_pairs(thumbnails: np.ndarray, correlation: float) -> set[tuple[int, int]]:
    """Pairs that correlate so at half the size: (n, 64, 64) thumbnails as (n, 1024)."""
    n = len(thumbnails)
    half = thumbnails.reshape(n, _SIDE // 2, 2, _SIDE // 2, 2).mean(axis=(2, 4)).reshape(n, -1)
    half -= half.mean(axis=1, keepdims=True)
    half /= np.linalg.norm(half, axis=1, keepdims=True) + 1e-12
    found = set()
    for start in range(0, n, 512):
        first, second = np.nonzero(half[start : start + 512] @ half.T >= correlation)
        found |= {(int(a), int(b)) for a, b in zip(first + start, second) if a < b}
    return found


def _by_bands(packed: np.ndarray) -> set[tuple[int, int]]:
    """Prints that differ in at most 15 bits agree in one of 16 bands of 16 bits; within a band each meets the next ten."""
    bands, words, found = packed.view(">u2"), packed.view(np.uint64), set()
    for band in range(bands.shape[1]):
        order = np.argsort(bands[:, band], kind="stable")
        keys = bands[order, band]
        for lag in range(1, _WINDOW + 1):
            same = np.flatnonzero(keys[lag:] == keys[:-lag])
            first, second = order[same], order[same + lag]
            close = np.bitwise_count(words[first] ^ words[second]).sum(axis=1, dtype=np.int64) <= MOST_BITS
            found |= set(zip(np.minimum(first, second)[close].tolist(), np.maximum(first, second)[close].tolist()))
    return found
