"""Whether a row of counts (a fingerprint) looks like anything seen in training.

Single counts say nothing about it: almost every molecule has a bin that is rare in training. What is compared is the
set of bins that are not zero, by the similarity of Jaccard (Tanimoto's, in chemistry) to the most similar of up to
`MOST` training rows.
"""

from __future__ import annotations

import base64
from importlib.util import find_spec
from typing import Any

import numpy as np

from osler.blocks import Block

#: Training rows that are kept, and the share of them whose own nearest neighbour is farther than the limit.
MOST, FAR_SHARE = 1000, 0.02
#: Words of 64 count features that a stored row may have at most.
WIDEST = 4096
#: Rows from which they are compared by compiled code, where there is Numba.
MANY = 500


def learn(block: Block) -> dict[str, Any]:
    """The kept rows' bits and the limit, as JSON values: evenly spread training rows and nothing that names them."""
    bits = packed(block)[block.present]
    if len(bits) < 2:
        return {}
    kept = bits[np.unique(np.linspace(0, len(bits) - 1, min(MOST, len(bits))).astype(int))]
    similarity = nearest(kept, kept, skip_self=True)
    return {
        "width": int(kept.shape[1]), "least": float(np.quantile(similarity, FAR_SHARE)),
        "bits": base64.b64encode(kept.tobytes()).decode(),
    }  # fmt: skip


def seen(block: Block, learnt: dict[str, Any]) -> np.ndarray:
    """(n,) true where a row is at least as similar to a kept row as training rows are to one another; missing rows
    are.
    """
    if not learnt:
        return np.ones(len(block), dtype=bool)
    kept = np.frombuffer(base64.b64decode(learnt["bits"]), dtype=np.uint64).reshape(-1, learnt["width"])
    bits = packed(block)
    if len(bits) >= MANY and find_spec("numba"):
        from osler.adapters.tanimoto.search import nearest as compiled

        similarity = compiled(bits, kept)[0]
    else:
        similarity = nearest(bits, kept)
    return ~block.present | (similarity >= learnt["least"] - 1e-12)


def is_whole(learnt: Any) -> bool:
    """Whether stored JSON is what `learn` gives: rows of whole words, few enough, and a similarity."""
    if learnt == {}:
        return True
    if not isinstance(learnt, dict) or set(learnt) != {"width", "least", "bits"}:
        return False
    width, least, bits = learnt["width"], learnt["least"], learnt["bits"]
    if not (isinstance(width, int) and 0 < width <= WIDEST and isinstance(least, (int, float)) and 0 <= least <= 1):
        return False
    if not isinstance(bits, str) or len(bits) > 12 * MOST * width:
        return False
    try:
        size = len(base64.b64decode(bits, validate=True))
    except ValueError:
        return False
    return size > 0 and size % (8 * width) == 0


def packed(block: Block) -> np.ndarray:
    """(n, words) uint64: which of the block's count features are not zero."""
    values = block.values
    there = values != 0
    gaps = np.flatnonzero(np.isnan(values.sum(axis=1)))
    there[gaps] &= ~np.isnan(values[gaps])
    counts = np.array([kind == "count" for kind in block.kinds])
    bits = np.packbits(there if counts.all() else there[:, counts], axis=1)
    room = -bits.shape[1] % 8
    return np.ascontiguousarray(np.pad(bits, ((0, 0), (0, room)))).view(np.uint64)


def nearest(rows: np.ndarray, kept: np.ndarray, skip_self: bool = False) -> np.ndarray:
    """(n,) largest similarity of each row to any kept row; `skip_self`: rows are the kept rows, and none is its own."""
    size, kept_size = (np.bitwise_count(b).sum(axis=1, dtype=np.int64) for b in (rows, kept))
    best = np.zeros(len(rows))
    for i, row in enumerate(rows):
        common = np.bitwise_count(kept & row).sum(axis=1, dtype=np.int64)
        similarity = common / np.maximum(kept_size + size[i] - common, 1)
        if skip_self:
            similarity[i] = 0.0
        best[i] = similarity.max(initial=0.0)
    return best
