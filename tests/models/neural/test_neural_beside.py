"""A column's dense features beside its graph: what a network is given, and that it learns from both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osler.blocks import Block
from osler.models.base import Encoded, Params
from osler.models.neural.assembly import branches_of
from osler.models.neural.beside import Beside, both
from osler.models.neural.dmpnn import Dmpnn, DmpnnOptions
from tests.models.neural.planted_blocks import auroc, binary, motif_graphs, numbers

QUICK = DmpnnOptions(width=24, hidden=24, epochs=12, batch_size=32, learning_rate=0.004, members=1, features=True)


def molecules(n: int, rng: np.random.Generator, signal: bool) -> tuple[Block, np.ndarray]:
    """Numbers with a graph as their view; the label is in the numbers or in the graph, the other holds noise."""
    graph, y = motif_graphs(n, rng)
    x = rng.normal(size=(n, 3))
    if signal:
        y = (x[:, 1] > 0).astype(int)
    return replace(numbers(x), views={"graph": graph}), y


@pytest.fixture(scope="module")
def trained() -> tuple[Encoded, Params]:
    """Rows with one column in two layouts and one plain column; a network of two epochs."""
    rng = np.random.default_rng(3)
    block, y = molecules(80, rng, False)
    rows = binary({"mol": block, "lab": numbers(rng.normal(size=(80, 2)))}, y)
    return rows, Dmpnn(replace(QUICK, epochs=2)).fit(rows, np.random.default_rng(0))


def test_a_view_becomes_a_column_of_its_own(rng):
    block, _ = molecules(6, rng, False)
    found = both({"mol": block, "lab": numbers(np.zeros((6, 2)))}, "graph")
    assert list(found) == ["mol", "mol as graph", "lab"]
    assert [found[k].layout for k in found] == ["dense", "graph", "dense"]
    assert not any(part.views for part in found.values())
    assert found["mol"].values is block.values
    assert found["mol as graph"] is block.views["graph"]


def test_a_column_without_the_layout_keeps_its_own_values(rng):
    block, _ = molecules(6, rng, False)
    assert list(both({"mol": block}, "sequence")) == ["mol"]
    assert both({"mol": block}, "sequence")["mol"].views == {}


def test_rows_are_walked_and_taken_as_before(rng):
    block, y = molecules(10, rng, False)
    rows = binary({"mol": block}, y, groups=np.arange(10) // 2)
    seen = Beside(rows, "graph")
    assert len(seen) == 10
    assert np.array_equal(seen.target.y, y)
    assert np.array_equal(seen.groups, rows.groups)
    assert seen.seen_as(("sequence",)) is seen
    part = seen.take(np.array([7, 2]))
    assert np.array_equal(part.groups, [3, 1])
    assert np.array_equal(part.all().blocks["mol"].values, block.values[[7, 2]])
    slices = list(seen.slices(4, np.random.default_rng(5)))
    expected = np.random.default_rng(5).permutation(10)
    assert [len(s) for s in slices] == [4, 4, 2]
    assert np.array_equal(np.concatenate([s.blocks["mol"].values for s in slices]), block.values[expected])
    assert np.array_equal(slices[0].blocks["mol as graph"].values, block.views["graph"].take(expected[:4]).values)


@pytest.mark.parametrize("signal", [True, False], ids=["in the numbers", "in the graph"])
def test_what_either_of_them_says_is_learnt(rng, signal):
    block, y = molecules(400, rng, signal)
    rows, model = binary({"mol": block}, y), Dmpnn(QUICK)
    params = model.fit(rows.take(np.arange(300)), np.random.default_rng(1))
    test = rows.take(np.arange(300, 400))
    assert auroc(test.target.y, model.predict(params, test.blocks).value[:, 1]) > 0.93


def test_the_network_has_one_input_for_the_numbers_and_one_for_the_graph(trained):
    rows, params = trained
    assert [(b.name, b.encoder, b.columns) for b in branches_of(params)] == [
        ("table", "dense", ("mol", "lab")), ("mol as graph", "dmpnn", ("mol as graph",)),
    ]  # fmt: skip
    plain = Dmpnn(replace(QUICK, epochs=2, features=False)).fit(rows, np.random.default_rng(0))
    assert [(b.name, b.encoder) for b in branches_of(plain)] == [("table", "dense"), ("mol", "dmpnn")]


def test_both_inputs_move_the_answer_and_the_training_is_remembered(trained, rng):
    rows, params = trained
    model = Dmpnn(replace(QUICK, epochs=2, features=False))
    before = model.predict(params, rows.blocks).value
    assert np.array_equal(before, Dmpnn(QUICK).predict(params, rows.blocks).value), "the saved network decides"
    block, order = rows.blocks["mol"], rng.permutation(len(rows))
    moved = replace(block, arrays={"values": block.values[order]})
    turned = replace(block, views={"graph": block.views["graph"].take(order)})
    for changed in (moved, turned):
        after = model.predict(params, rows.blocks | {"mol": changed}).value
        assert np.abs(after - before).max() > 1e-4


def test_an_answer_does_not_depend_on_the_rows_beside_it(trained):
    rows, params = trained
    whole = Dmpnn(QUICK).predict(params, rows.blocks).value
    for i in (0, 11, 79):
        alone = Dmpnn(QUICK).predict(params, rows.take(np.array([i])).blocks).value
        np.testing.assert_allclose(alone[0], whole[i], atol=1e-6)
