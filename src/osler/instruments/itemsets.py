"""All sets of items that at least so many baskets hold: FP-growth, and the same answer from bit sets.

FP-growth (Han, Pei, Yin, SIGMOD 2000) packs the baskets into a prefix tree with the commonest items nearest
the root and grows each set from the tree of the baskets that hold its last item. Eclat (Zaki, IEEE TKDE
2000) keeps for each item the set of its baskets and intersects them. Both give every frequent set once,
with its exact count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from osler.errors import LimitError

Itemset = tuple[int, ...]

#: More sets than this are refused: the answer would be unreadable and the memory unbounded.
MOST_SETS = 2_000_000


class _Node:
    """A node of the prefix tree: an item, how many baskets pass through it, and its parent."""

    __slots__ = ("children", "count", "item", "parent")

    def __init__(self, item: int, parent: _Node | None) -> None:
        self.item, self.parent, self.count = item, parent, 0
        self.children: dict[int, _Node] = {}


def fp_growth(baskets: Sequence[Sequence[int]], least: int, longest: int) -> dict[Itemset, int]:
    """Frequent sets of at most `longest` items, each sorted, with the number of baskets that hold it (at
    least `least`).

    Raises:
        LimitError: more than `MOST_SETS` sets.
    """
    return _collect(_grow([(tuple(b), 1) for b in baskets], least, longest, ()))


def eclat(baskets: Sequence[Sequence[int]], least: int, longest: int) -> dict[Itemset, int]:
    """The same as `fp_growth`, from one bit set per item; faster where baskets are few and long.

    Raises:
        LimitError: more than `MOST_SETS` sets.
    """
    holders: dict[int, int] = defaultdict(int)
    for place, basket in enumerate(baskets):
        for item in set(basket):
            holders[item] |= 1 << place
    frequent = [(i, bits) for i, bits in sorted(holders.items()) if bits.bit_count() >= least]
    return _collect(_intersect(frequent, least, longest, ()))


def _collect(found: Iterator[tuple[Itemset, int]]) -> dict[Itemset, int]:
    out: dict[Itemset, int] = {}
    for items, count in found:
        out[items] = count
        if len(out) > MOST_SETS:
            raise LimitError(
                f"rules must come from at most {MOST_SETS:,} item sets, there are more: "
                f"raise --min-support or lower --longest"
            )
    return out


def _grow(
    baskets: list[tuple[Itemset, int]], least: int, longest: int, tail: Itemset
) -> Iterator[tuple[Itemset, int]]:
    counts: Counter[int] = Counter()
    for items, times in baskets:
        for item in set(items):
            counts[item] += times
    order = {
        i: r
        for r, (i, n) in enumerate(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
        if n >= least
    }
    if not order:
        return
    if len(tail) + 1 == longest:
        yield from ((tuple(sorted((item, *tail))), counts[item]) for item in order)
        return
    places = _tree(baskets, order)
    for item in sorted(order, key=lambda i: -order[i]):
        grown = (item, *tail)
        yield tuple(sorted(grown)), counts[item]
        paths = [(path, node.count) for node in places[item] if (path := _path(node))]
        yield from _grow(paths, least, longest, grown)


def _tree(baskets: list[tuple[Itemset, int]], order: dict[int, int]) -> dict[int, list[_Node]]:
    """The prefix tree's nodes by item."""
    root = _Node(-1, None)
    places: dict[int, list[_Node]] = defaultdict(list)
    for items, times in baskets:
        node = root
        for item in sorted({i for i in items if i in order}, key=order.__getitem__):
            child = node.children.get(item)
            if child is None:
                child = node.children[item] = _Node(item, node)
                places[item].append(child)
            child.count += times
            node = child
    return places


def _path(node: _Node) -> Itemset:
    """The items above a node."""
    items, up = [], node.parent
    while up is not None and up.item >= 0:
        items.append(up.item)
        up = up.parent
    return tuple(items)


def _intersect(
    items: list[tuple[int, int]], least: int, longest: int, head: Itemset
) -> Iterator[tuple[Itemset, int]]:
    for place, (item, bits) in enumerate(items):
        grown = (*head, item)
        yield grown, bits.bit_count()
        if len(grown) < longest:
            rest = [
                (other, both)
                for other, more in items[place + 1 :]
                if (both := bits & more).bit_count() >= least
            ]
            yield from _intersect(rest, least, longest, grown)
