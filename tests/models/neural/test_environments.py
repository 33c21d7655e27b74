"""Distinct environments: numbered by hand, and message passing over them against the equations over all edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osler.blocks import Block
from osler.models.neural.environments import Environments, Lists, ends, environments
from osler.models.neural.inputs import Branch
from osler.models.neural.messages import MessageEncoder, summed


def graph(nodes: list[list[float]], bonds: list[tuple[int, int, float]]) -> dict[str, np.ndarray]:
    """One graph from node features and undirected bonds (from, to, feature)."""
    edges = [pair for a, b, _ in bonds for pair in ((a, b), (b, a))]
    return {
        "nodes": np.array(nodes, dtype=np.float32),
        "edges": np.array(edges, dtype=np.int64).reshape(-1, 2).T,
        "edge_values": np.array([[v] for _, _, v in bonds for _ in (0, 1)], dtype=np.float32).reshape(-1, 1),
        "node_offsets": np.array([0, len(nodes)]),
        "edge_offsets": np.array([0, len(edges)]),
    }


def random_graphs(rng: np.random.Generator, n: int = 30, p: int = 3) -> Block:
    """Trees with a few rings, features of few kinds so that environments repeat; a graph of one node, one of none."""
    parts = []
    for i in range(n):
        size = 1 if i == 3 else 0 if i == 5 else int(rng.integers(2, 9))
        pairs = {(int(rng.integers(j)), j) for j in range(1, size)}
        for _ in range(int(rng.integers(0, 3)) if size > 3 else 0):
            a, b = sorted(rng.choice(size, 2, replace=False).tolist())
            pairs.add((a, b))
        bonds = [(a, b, float(rng.integers(2))) for a, b in sorted(pairs)]
        one = graph(np.eye(p)[rng.integers(0, p, size)].tolist(), bonds)
        one["nodes"] = one["nodes"].reshape(-1, p)
        parts.append(Block("graph", one, np.array([size > 0])))
    return Block.concat(parts)


def encoder_of(p: int, q: int, rounds: int, aggregation: str = "sum") -> MessageEncoder:
    """An encoder with random weights, size 4."""
    branch = Branch(
        "g", "graph", ("g",), {"p": p, "q": q, "rounds": rounds, "encoder": "dmpnn"}, {"size": np.array([4.0])}
    )
    torch.manual_seed(0)
    return MessageEncoder(branch, {"hidden": 5, "width": 4, "dropout": 0.0, "aggregation": aggregation}).eval()


def encoded(encoder: MessageEncoder, found: Environments) -> np.ndarray:
    """(n, width) by the encoder."""
    with torch.no_grad():
        return encoder({k: torch.from_numpy(v) for k, v in found.arrays().items()}).numpy()


def by_the_equations(encoder: MessageEncoder, block: Block, rounds: int, aggregation: str) -> np.ndarray:
    """Yang et al. 2019, equations 1 to 6, edge by edge in numpy, float64."""
    w = {k: v.detach().numpy().astype(np.float64) for k, v in encoder.named_parameters()}
    a, relu = block.arrays, lambda x: np.maximum(x, 0.0)
    source, target = a["edges"]
    first = a["nodes"][source] @ w["start.weight"].T + a["edge_values"] @ w["kind.weight"].T
    state = relu(first)
    for _ in range(rounds):
        came = np.zeros_like(state)
        for e in range(len(source)):
            for f in range(len(source)):
                if target[f] == source[e] and f != e ^ 1:
                    came[e] += state[f]
        state = relu(first + came @ w["onward.weight"].T)
    into = np.zeros((len(a["nodes"]), state.shape[1]))
    np.add.at(into, target, state)
    nodes = relu(a["nodes"] @ w["centre.weight"].T + w["centre.bias"] + into @ w["arrive.weight"].T)
    pooled = np.array([nodes[s:e].sum(axis=0) for s, e in zip(a["node_offsets"][:-1], a["node_offsets"][1:])])
    sizes = np.diff(a["node_offsets"])[:, None]
    pooled = pooled / (np.maximum(sizes, 1) if aggregation == "mean" else 4.0 if aggregation == "norm" else 1.0)
    return relu(pooled @ w["last.weight"].T + w["last.bias"])


# -- lists ----------------------------------------------------------------------------------------------------------


def test_lists_are_taken_and_turned_round():
    lists = Lists(np.array([2, 0, 2, 1]), np.array([0, 2, 2, 4]))  # [2, 0], [], [2, 1]
    assert lists.owner.tolist() == [0, 0, 2, 2]
    taken = lists.take(np.array([2, 1, 2]))
    assert taken.items.tolist() == [2, 1, 2, 1]
    assert taken.offsets.tolist() == [0, 2, 2, 4]
    turned = lists.turned(4)
    assert [turned.items[s:e].tolist() for s, e in zip(turned.offsets, turned.offsets[1:])] == [[0], [2], [0, 2], []]


def test_sums_over_lists_have_the_gradient_of_sums(rng):
    counts = rng.integers(0, 4, 6)
    lists = Lists(rng.integers(0, 5, counts.sum()), ends(counts))
    turned = lists.turned(5)
    rows = {"a": lists.items, "a_ends": lists.offsets, "a_back": turned.items, "a_back_ends": turned.offsets}
    rows = {k: torch.from_numpy(v) for k, v in rows.items()}
    table = torch.from_numpy(rng.normal(size=(5, 3))).requires_grad_()
    by_hand = np.array(
        [table.detach().numpy()[lists.items[s:e]].sum(axis=0) for s, e in zip(lists.offsets, lists.offsets[1:])]
    )
    np.testing.assert_allclose(summed(table, rows, "a").detach().numpy(), by_hand, atol=1e-12)
    assert torch.autograd.gradcheck(lambda t: summed(t, rows, "a"), (table,))


# -- environments ---------------------------------------------------------------------------------------------------


def test_three_atoms_by_hand():
    """A - B - A': of the four directed edges A → B and A' → B are one, B → A and B → A' are one."""
    found = environments(graph([[1.0], [2.0], [1.0]], [(0, 1, 5.0), (1, 2, 5.0)]), np.array([True]), 1)
    assert found.nodes.tolist() == [[1.0], [2.0]]
    assert found.edges.tolist() == [[5.0]]
    assert found.bonds.tolist() == [[0, 0], [1, 0]]  # from A, from B
    assert [t.tolist() for t in (found.bases[0], found.trees[0].items, found.trees[0].offsets)] == [
        [0, 1],
        [0],
        [0, 0, 1],
    ]
    assert found.centres.tolist() == [0, 1]  # an end, and the middle
    assert found.arrivals.items.tolist() == [1, 0, 0]  # an end hears B → A, the middle hears both ends
    assert found.arrivals.offsets.tolist() == [0, 1, 3]
    assert found.graphs.items.tolist() == [0, 1, 0]


def test_the_reverse_edge_is_never_heard():
    """Two atoms: each edge has only its reverse before it, so later rounds change nothing."""
    found = environments(graph([[1.0], [2.0]], [(0, 1, 0.0)]), np.array([True]), 2)
    assert all(len(t.items) == 0 for t in found.trees)
    encoder = encoder_of(1, 1, 2)
    none = environments(graph([[1.0], [2.0]], [(0, 1, 0.0)]), np.array([True]), 0)
    twin = encoder_of(1, 1, 0)
    twin.load_state_dict(encoder.state_dict())
    np.testing.assert_allclose(encoded(encoder, found), encoded(twin, none), atol=1e-7)


def test_a_ring_of_equal_atoms_is_one_environment():
    ring = graph([[1.0]] * 6, [(i, (i + 1) % 6, 1.0) for i in range(6)])
    found = environments(ring, np.array([True]), 3)
    assert [len(b) for b in found.bases] == [1, 1, 1]
    assert len(found.centres) == 1
    assert found.graphs.items.tolist() == [0] * 6


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
@pytest.mark.parametrize("aggregation", ["mean", "sum", "norm"])
def test_states_are_those_of_the_equations_over_all_edges(rng, rounds, aggregation):
    block = random_graphs(rng)
    encoder = encoder_of(3, 1, rounds, aggregation)
    found = environments(block.arrays, block.present, rounds)
    by_hand = by_the_equations(encoder, block, rounds, aggregation)
    np.testing.assert_allclose(encoded(encoder, found), by_hand, atol=1e-5)


def test_a_batch_holds_what_its_graphs_need_and_nothing_else(rng):
    block = random_graphs(rng)
    whole = environments(block.arrays, block.present, 2)
    encoder = encoder_of(3, 1, 2)
    every = encoded(encoder, whole)
    for rows in (np.array([4]), np.array([5]), np.array([3, 5]), np.array([9, 2, 2, 5]), rng.permutation(len(block))):
        batch = whole.take(rows)
        np.testing.assert_allclose(encoded(encoder, batch), every[rows], atol=1e-6)
        alone = environments(block.take(rows).arrays, block.present[rows], 2).take(np.arange(len(rows)))
        assert [len(b) for b in batch.bases] == [len(b) for b in alone.bases]
        assert len(batch.centres) == len(alone.centres)
        assert len(batch.bonds) == len(alone.bonds)
        assert batch.present.tolist() == [r != 5 for r in rows]


def test_equal_environments_of_other_features_are_kept_apart(rng):
    """A tree that differs only two bonds away is another tree in round 2 and not before."""
    chain = [(0, 1, 0.0), (1, 2, 0.0), (2, 3, 0.0)]
    both = Block.concat([
        Block("graph", graph([[v], [0.0], [0.0], [5.0]], chain), np.array([True])) for v in (1.0, 2.0)
    ])  # fmt: skip
    one = environments(both.arrays, both.present, 1)
    two = environments(both.arrays, both.present, 2)
    last = (both.arrays["edges"] == [[2], [3]]).all(axis=0) | (both.arrays["edges"] == [[6], [7]]).all(axis=0)
    assert last.sum() == 2
    assert one.graphs.items[3] == one.graphs.items[7]
    assert two.graphs.items[3] != two.graphs.items[7]
