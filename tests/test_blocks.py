"""The four layouts: taking rows and joining blocks undo each other, whatever the layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.blocks import Block, dense


def make(layout: str, n: int = 6, seed: int = 0) -> Block:
    rng = np.random.default_rng(seed)
    present = rng.random(n) < 0.8
    if layout == "dense":
        return dense(rng.normal(size=(n, 3)), ["a", "b", "c"], present=present)
    if layout == "sequence":
        return Block("sequence", {"values": rng.normal(size=(n, 4, 2)), "lengths": rng.integers(0, 5, n)}, present)
    if layout == "ragged":
        offsets = np.concatenate([[0], np.cumsum(rng.integers(0, 4, n))]).astype(np.int64)
        return Block("sequence", {"values": rng.normal(size=(offsets[-1], 2)), "offsets": offsets}, present)
    if layout == "grid":
        geometry = {"spacing": rng.random((n, 2)), "affine": rng.random((n, 4, 4))}
        return Block("grid", {"values": rng.normal(size=(n, 1, 3, 2))}, present, geometry=geometry)
    nodes, edges = rng.integers(1, 4, n), rng.integers(0, 5, n)
    node_offsets = np.concatenate([[0], np.cumsum(nodes)]).astype(np.int64)
    edge_offsets = np.concatenate([[0], np.cumsum(edges)]).astype(np.int64)
    ends = [rng.integers(node_offsets[i], node_offsets[i + 1], (2, edges[i])) for i in range(n)]
    arrays = {
        "nodes": rng.normal(size=(node_offsets[-1], 2)), "edges": np.concatenate(ends, axis=1),
        "edge_values": rng.normal(size=(edge_offsets[-1], 1)), "node_offsets": node_offsets, "edge_offsets": edge_offsets,
    }  # fmt: skip
    return Block("graph", arrays, present)


def row(block: Block, i: int) -> dict[str, np.ndarray]:
    """What one row says, without reference to any other."""
    a = block.arrays
    if block.layout == "graph":
        nodes = slice(a["node_offsets"][i], a["node_offsets"][i + 1])
        edges = slice(a["edge_offsets"][i], a["edge_offsets"][i + 1])
        return {
            "nodes": a["nodes"][nodes], "edges": a["edges"][:, edges] - a["node_offsets"][i],
            "edge_values": a["edge_values"][edges], "present": block.present[i],
        }  # fmt: skip
    if "offsets" in a:
        return {"values": a["values"][a["offsets"][i] : a["offsets"][i + 1]], "present": block.present[i]}
    geometry = {k: v[i] for k, v in block.geometry.items()}
    return {**{k: v[i] for k, v in a.items()}, **geometry, "present": block.present[i]}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])


LAYOUTS = ("dense", "sequence", "ragged", "grid", "graph")


@pytest.mark.parametrize("layout", LAYOUTS)
@given(rows=st.lists(st.integers(0, 5), max_size=10))
def test_rows_taken_are_the_rows(layout: str, rows: list[int]) -> None:
    block = make(layout)
    part = block.take(np.array(rows, dtype=np.int64))
    assert len(part) == len(rows)
    for place, i in enumerate(rows):
        same(row(part, place), row(block, i))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_mask_takes_what_positions_take(layout: str) -> None:
    block, mask = make(layout), np.array([True, False, True, True, False, False])
    by_mask, by_position = block.take(mask), block.take(np.flatnonzero(mask))
    for i in range(3):
        same(row(by_mask, i), row(by_position, i))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cut", [1, 3, 5])
def test_parts_joined_are_the_whole(layout: str, cut: int) -> None:
    block = make(layout)
    joined = Block.concat([block.take(np.arange(cut)), block.take(np.arange(cut, 6))])
    assert joined.names == block.names
    for i in range(6):
        same(row(joined, i), row(block, i))
    for key in block.arrays:
        np.testing.assert_array_equal(joined.arrays[key], block.arrays[key])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_rows_are_a_block_too(layout: str) -> None:
    nothing = make(layout).take(np.array([], dtype=np.int64))
    assert len(nothing) == 0
    whole = Block.concat([nothing, make(layout)])
    same(row(whole, 2), row(make(layout), 2))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_main_array_has_a_name(layout: str) -> None:
    block = make(layout)
    assert block.values is block.arrays["nodes" if layout == "graph" else "values"]


# -- dense ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "present"),
    [([[1.0, np.nan], [np.nan, np.nan]], [True, False]), ([[0.0]], [True]), (np.zeros((3, 0)), [False] * 3)],
)
def test_a_row_without_any_value_is_absent(values, present: list[bool]) -> None:
    array = np.array(values)
    assert dense(array, [f"x{i}" for i in range(array.shape[1])]).present.tolist() == present


def test_dense_says_what_its_features_are() -> None:
    block = dense(np.array([[1, 0]]), ["a", "b"], kinds=["continuous", "categorical"], levels=[(), ["x", "y"]])
    assert block.kinds == ("continuous", "categorical")
    assert block.levels == ((), ("x", "y"))
    assert block.values.dtype == np.float64
    assert dense(np.ones((2, 2)), ["a", "b"]).levels == ((), ())


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b", "c"]])
def test_names_must_be_as_many_as_features(names: list[str]) -> None:
    with pytest.raises(ValueError, match="as many as features"):
        dense(np.ones((2, 2)), names)
