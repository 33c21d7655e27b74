"""Directed message passing as an estimator: what it learns, and what must not change its answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from osler import models
from osler.blocks import Block
from osler.errors import OptionError
from osler.models.base import Encoded, Params
from osler.models.neural.assembly import Extras, branches_of
from osler.models.neural.checkpoint import Checkpoint
from osler.models.neural.dmpnn import Dmpnn, DmpnnOptions
from osler.models.neural.loop import learning_rate
from osler.tasks.base import Target
from tests.models.neural.planted_blocks import auroc, binary, motif_graphs, numbers
from tests.models.neural.training_killed import digest

QUICK = DmpnnOptions(width=24, hidden=24, epochs=12, batch_size=32, learning_rate=0.004, members=1)
SHORT = replace(QUICK, epochs=2)


def shuffled(block: Block, rng: np.random.Generator) -> Block:
    """The same graphs, the nodes of each in another order and the edges too."""
    parts = []
    for i in range(len(block)):
        a = block.take(np.array([i])).arrays
        order, edge_order = rng.permutation(len(a["nodes"])), rng.permutation(a["edges"].shape[1])
        place = np.argsort(order)
        moved = {"nodes": a["nodes"][order], "edge_values": a["edge_values"][edge_order]}
        moved["edges"] = place[a["edges"]][:, edge_order]
        parts.append(replace(block, present=block.present[[i]], arrays=a | moved))
    return Block.concat(parts)


@pytest.mark.parametrize("by_edge", [False, True])
def test_a_motif_is_learnt_from_nodes_and_from_edges(rng, by_edge):
    block, y = motif_graphs(400, rng, by_edge)
    rows, model = binary({"g": block}, y), Dmpnn(QUICK)
    params = model.fit(rows.take(np.arange(300)), np.random.default_rng(1))
    test = rows.take(np.arange(300, 400))
    assert auroc(test.target.y, model.predict(params, test.blocks).value[:, 1]) > 0.97


@pytest.fixture(scope="module")
def small() -> tuple[Encoded, Params]:
    """Graphs, some missing, beside two numbers; a network of two epochs."""
    rng = np.random.default_rng(3)
    block, y = motif_graphs(60, rng)
    block = replace(block, present=rng.random(60) > 0.2)
    rows = binary({"g": block, "lab": numbers(rng.normal(size=(60, 2)))}, y)
    return rows, Dmpnn(SHORT).fit(rows, np.random.default_rng(0))


def test_the_order_of_atoms_and_bonds_means_nothing(small, rng):
    rows, params = small
    blocks = rows.blocks | {"g": shuffled(rows.blocks["g"], rng)}
    before, after = (Dmpnn(SHORT).predict(params, b).value for b in (rows.blocks, blocks))
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert before.std(axis=0).max() > 1e-4


def test_a_rows_answer_does_not_depend_on_the_rows_beside_it(small, rng):
    rows, params = small
    whole = Dmpnn(SHORT).predict(params, rows.blocks).value
    order = rng.permutation(len(rows))
    np.testing.assert_allclose(Dmpnn(SHORT).predict(params, rows.take(order).blocks).value, whole[order], atol=1e-6)
    for i in (0, 7, 21):
        np.testing.assert_allclose(
            Dmpnn(SHORT).predict(params, rows.take(np.array([i])).blocks).value[0], whole[i], atol=1e-6
        )


def test_a_missing_graph_is_answered_from_the_other_columns(small):
    rows, params = small
    block = rows.blocks["g"]
    changed = replace(block, arrays=block.arrays | {"nodes": block.arrays["nodes"].copy()})
    hidden = np.repeat(~block.present, np.diff(block.arrays["node_offsets"]))
    changed.arrays["nodes"][hidden] = 9.0
    before = Dmpnn(SHORT).predict(params, rows.blocks).value
    after = Dmpnn(SHORT).predict(params, rows.blocks | {"g": changed}).value
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert np.isfinite(before).all()


def test_the_first_of_two_members_is_the_one_of_one_and_the_answer_their_mean(small):
    rows, one = small
    two = Dmpnn(replace(SHORT, members=2)).fit(rows, np.random.default_rng(0))
    for name, array in one.arrays.items():
        assert np.array_equal(two.arrays[name], array), name
    swapped = {k.replace("member0/", "member9/").replace("member1/", "member0/").replace("member9/", "member1/"): v
               for k, v in two.arrays.items()}  # fmt: skip
    answer = Dmpnn(SHORT).predict(two, rows.blocks).value
    np.testing.assert_allclose(
        Dmpnn(SHORT).predict(replace(two, arrays=swapped), rows.blocks).value, answer, atol=1e-12
    )
    first = Dmpnn(SHORT).predict(one, rows.blocks).value
    second_alone = replace(two, meta=two.meta | {"members": 1}, arrays=swapped)
    np.testing.assert_allclose(answer, (first + Dmpnn(SHORT).predict(second_alone, rows.blocks).value) / 2, atol=1e-12)


def test_labels_that_were_not_assessed_count_for_nothing(rng):
    block, y = motif_graphs(300, rng)
    known = np.stack([y, 1 - y], axis=1).astype(float)
    known[rng.random(known.shape) < 0.4] = np.nan
    rows = Encoded({"g": block}, Target("multilabel", ("t",), known, classes=("a", "b")), np.arange(300))
    model = Dmpnn(QUICK)
    params = model.fit(rows.take(np.arange(220)), np.random.default_rng(1))
    value = model.predict(params, rows.take(np.arange(220, 300)).blocks).value
    assert auroc(y[220:], value[:, 0]) > 0.9
    assert auroc(1 - y[220:], value[:, 1]) > 0.9


def test_a_stopped_training_goes_on_to_the_same_bytes(small, tmp_path):
    rows, _ = small
    options = replace(SHORT, members=2, epochs=4, dropout=0.2)

    def stop(event: dict) -> None:
        if (event["member"], event["epoch"]) == (1, 3):
            raise KeyboardInterrupt

    kept = Checkpoint(tmp_path, 0.0)
    with pytest.raises(KeyboardInterrupt):
        Dmpnn(options, Extras(checkpoint=kept, progress=stop)).fit(rows, np.random.default_rng(0))
    seen: list[dict] = []
    again = Dmpnn(options, Extras(checkpoint=kept, progress=seen.append)).fit(rows, np.random.default_rng(0))
    assert [(e["member"], e["epoch"]) for e in seen] == [(1, 3), (1, 4)]
    assert digest(again) == digest(Dmpnn(options).fit(rows, np.random.default_rng(0)))


def test_zeros_and_ones_stay_and_other_features_are_scaled(small, rng):
    block, y = motif_graphs(60, rng)
    nodes = np.concatenate([block.arrays["nodes"], 100 + rng.normal(size=(len(block.arrays["nodes"]), 1))], axis=1)
    block = replace(block, arrays=block.arrays | {"nodes": nodes})
    branch = branches_of(Dmpnn(SHORT).fit(binary({"g": block}, y), rng))[0]
    assert branch.arrays["nodes_center"] == pytest.approx([0.0, 100.0], abs=0.5)
    assert branch.arrays["nodes_spread"] == pytest.approx([1.0, 1.0], abs=0.2)
    assert branch.encoder == "dmpnn"


def test_an_encoder_of_an_earlier_run_is_taken_over_where_it_fits(small):
    rows, params = small
    taken = Dmpnn(SHORT, Extras(init=params)).fit(rows, np.random.default_rng(5))
    assert set(taken.meta["warm_start"]) == {"table", "g"}
    wider = Dmpnn(replace(SHORT, hidden=32), Extras(init=params)).fit(rows, np.random.default_rng(5))
    assert wider.meta["warm_start"] == ["table"]
    deeper = Dmpnn(replace(SHORT, graph_steps=5), Extras(init=params)).fit(rows, np.random.default_rng(5))
    assert deeper.meta["warm_start"] == ["table"]


def test_tables_without_a_graph_are_answered_too(rng):
    x = rng.normal(size=(80, 2))
    params = Dmpnn(SHORT).fit(binary({"lab": numbers(x)}, x[:, 0] > 0), rng)
    assert Dmpnn(SHORT).predict(params, {"lab": numbers(x)}).value.shape == (80, 2)


def test_the_geometric_schedule_ends_at_a_tenth():
    options = replace(QUICK, schedule="geometric", epochs=10, warm_up=2.0, learning_rate=1.0)
    rates = [learning_rate(options, step, 5) for step in (0, 9, 10, 30, 50)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.1**0.5, 0.1])


@pytest.mark.parametrize(("spec", "word"), [
    ("aggregation=means", "did you mean 'mean'"), ("hidden=0", "at least 1"), ("graph_steps=0", "at least 1"),
])  # fmt: skip
def test_impossible_options_are_refused(spec, word):
    with pytest.raises(OptionError, match=word):
        models.get(f"dmpnn:{spec}")


def test_two_spellings_of_a_molecule_have_one_answer(rng):
    pytest.importorskip("rdkit")
    from osler import modalities
    from osler.cohort.column import Column

    chem = pytest.importorskip("rdkit.Chem")
    written = [
        "CCO",
        "c1ccccc1C(=O)N",
        "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
        "O=C(C)Oc1ccccc1C(=O)O",
        "C1CCNCC1",
        "CN1CCCC1c1cccnc1",
    ] * 4
    modality = modalities.get("molecule")
    state = modality.fit(pl.Series("s", written), Column("s", "molecule"))
    block = modality.encode_as("graph", pl.Series("s", written), state)
    y = np.array([len(s) for s in written], dtype=float)
    rows = Encoded({"s": block}, Target("regression", ("y",), y), np.arange(len(y)))
    params = Dmpnn(SHORT).fit(rows, np.random.default_rng(0))
    other = [chem.MolToSmiles(chem.MolFromSmiles(s), doRandom=True) for s in written[:6]]
    assert other != written[:6]
    twin = modality.encode_as("graph", pl.Series("s", other), state)
    np.testing.assert_allclose(
        Dmpnn(SHORT).predict(params, {"s": twin}).value,
        Dmpnn(SHORT).predict(params, {"s": block.take(np.arange(6))}).value,
        atol=1e-5,
    )
