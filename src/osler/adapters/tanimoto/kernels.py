"""Inner loops over packed bits, compiled by Numba: the only place where it is imported. Imported inside functions, on
first use.

Rows are (n, words) uint64. A similarity is common / (size + size of the query - common), 0 for two empty rows; numbers
of bits are at most 65,535, so that two different shares of bits are two different 64-bit floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from osler.registry import optional

numba = optional("numba", "molecules")
intrinsic = optional("numba.extending", "molecules").intrinsic


@intrinsic
def ones(typing_context: Any, word: Any) -> Any:
    """Number of bits that are set in a 64-bit word, one instruction of the processor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.types.uint64(numba.types.uint64), generate


@numba.njit(cache=True)
def common_bits(row: np.ndarray, query: np.ndarray) -> int:
    """Bits that are set in both of two rows (words,)."""
    count = np.uint64(0)
    for word in range(row.shape[0]):
        count += ones(row[word] & query[word])
    return np.int64(count)


@numba.njit(cache=True)
def share(common: int, size: int, other: int) -> float:
    """Tanimoto similarity of two rows with `size` and `other` bits, `common` of them in both."""
    union = size + other - common
    return common / union if union > 0 else 0.0


@numba.njit(cache=True)
def within(
    bits: np.ndarray, starts: np.ndarray, least: np.ndarray, query: np.ndarray, found: np.ndarray, common: np.ndarray
) -> int:
    """Rows whose common bits with a query reach what their size needs; returns how many.

    Args:
        bits: (n, words) ascending by number of bits.
        starts: rows with s bits are starts[s] ... starts[s + 1] - 1.
        least: bits in common that a row with s bits needs; more than s where no such row can reach.
        query: (words,).
        found, common: (n,) filled with row numbers and bits in common, ascending by row.
    """
    n_found = 0
    for size in range(starts.shape[0] - 1):
        need = least[size]
        if need > size:
            continue
        for row in range(starts[size], starts[size + 1]):
            count = common_bits(bits[row], query)
            if count >= need:
                found[n_found] = row
                common[n_found] = count
                n_found += 1
    return n_found


@numba.njit(cache=True)
def _is_before(similarity: float, row: int, other: float, other_row: int) -> bool:
    """Whether a hit ranks before another: more similar, or as similar and earlier in the source."""
    return similarity > other or (similarity == other and row < other_row)


@numba.njit(cache=True)
def _sink(similarities: np.ndarray, rows: np.ndarray, at: int, n: int) -> None:
    """Restore a heap whose root ranks last, after place `at` changed."""
    while True:
        last = at
        for child in (2 * at + 1, 2 * at + 2):
            if child < n and _is_before(similarities[last], rows[last], similarities[child], rows[child]):
                last = child
        if last == at:
            return
        similarities[at], similarities[last] = similarities[last], similarities[at]
        rows[at], rows[last] = rows[last], rows[at]
        at = last


@numba.njit(cache=True)
def top(
    bits: np.ndarray, sources: np.ndarray, starts: np.ndarray, query: np.ndarray,
    threshold: float, similarities: np.ndarray, rows: np.ndarray,
) -> int:  # fmt: skip
    """The k most similar rows of at least `threshold`; returns how many there are.

    Sizes are visited from the query's own outwards, the higher bound first, and the search ends where min / max of the
    two sizes (Swamidass and Baldi 2007) is below what the heap holds. Equal similarities go by place in the source.

    Args:
        sources: (n,) place of each row in the source.
        similarities, rows: (k,) filled with the hits as a heap, in no order; the others are as `within`'s.
    """
    k, n_found = similarities.shape[0], 0
    own = common_bits(query, query)
    down, up, largest = own, own + 1, starts.shape[0] - 2
    while down >= 0 or up <= largest:
        below = share(down, down, own) if down >= 0 else -1.0
        above = share(own, own, up) if up <= largest else -1.0
        size, bound = (down, below) if below >= above else (up, above)
        if bound < threshold or (n_found == k and bound < similarities[0]):
            break
        down, up = (down - 1, up) if below >= above else (down, up + 1)
        for row in range(starts[size], starts[size + 1]):
            similarity = share(common_bits(bits[row], query), size, own)
            if similarity < threshold:
                continue
            if n_found < k:
                n_found = _push(similarities, rows, n_found, similarity, sources[row])
            elif _is_before(similarity, sources[row], similarities[0], rows[0]):
                similarities[0], rows[0] = similarity, sources[row]
                _sink(similarities, rows, 0, k)
    return n_found


@numba.njit(cache=True)
def _push(similarities: np.ndarray, rows: np.ndarray, n: int, similarity: float, row: int) -> int:
    """Add a hit to a heap of n; returns n + 1."""
    at = n
    similarities[at], rows[at] = similarity, row
    while at > 0:
        parent = (at - 1) // 2
        if not _is_before(similarities[parent], rows[parent], similarities[at], rows[at]):
            break
        similarities[at], similarities[parent] = similarities[parent], similarities[at]
        rows[at], rows[parent] = rows[parent], rows[at]
        at = parent
    return n + 1


@numba.njit(cache=True)
def nearest(bits: np.ndarray, others: np.ndarray, similarities: np.ndarray, which: np.ndarray) -> None:
    """Fill (n,) with each row's largest similarity to any of `others` (m, words), and which of them it is (the
    first).
    """
    other_sizes = np.empty(others.shape[0], dtype=np.int64)
    for j in range(others.shape[0]):
        other_sizes[j] = common_bits(others[j], others[j])
    for i in range(bits.shape[0]):
        size = common_bits(bits[i], bits[i])
        best, at = -1.0, 0
        for j in range(others.shape[0]):
            similarity = share(common_bits(bits[i], others[j]), size, other_sizes[j])
            if similarity > best:
                best, at = similarity, j
        similarities[i], which[i] = best, at


@numba.njit(cache=True)
def raise_to(bits: np.ndarray, new: np.ndarray, similarities: np.ndarray) -> None:
    """Raise (n,) similarities to those with one new row (words,) where they are larger."""
    new_size = common_bits(new, new)
    for i in range(bits.shape[0]):
        similarity = share(common_bits(bits[i], new), common_bits(bits[i], bits[i]), new_size)
        if similarity > similarities[i]:
            similarities[i] = similarity
