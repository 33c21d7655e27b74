"""Integrated gradients over graphs: complete, exact where they can be worked out by hand, and beside masking."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("rdkit")

from osler.blocks import Block
from osler.engine.batches import encode
from osler.engine.parts import explain_parts
from osler.explanation.gradients import _walk, gradient_values, has_gradients, on_scale
from osler.explanation.parts import cut_graphs
from osler.explanation.scales import Scale
from osler.models.base import Params
from osler.models.neural.assembly import branches_of, networks
from osler.models.neural.environments import each, environments
from osler.models.neural.heads import Head
from osler.models.neural.inputs import branch_arrays, put
from tests.models.neural.test_environments import encoder_of, random_graphs
from tests.molecule_predictors import small

DMPNN = "dmpnn:epochs=4,hidden=24,width=24,members=1"
NETWORK = "network:epochs=3,width=24"


def test_environments_one_by_one_answer_as_the_distinct_ones_do(rng: np.random.Generator):
    block = random_graphs(rng).take(np.array([0, 1, 2, 4]))
    encoder = encoder_of(3, 1, 2)
    found = [
        encoder({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in one.arrays().items()}).detach().numpy()
        for one in (environments(block.arrays, block.present, 2), each(block.arrays, 2))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    alone = each(block.arrays, 2)
    assert len(alone.nodes) == len(block.values) and len(alone.bonds) == block.arrays["edges"].shape[1]


@pytest.mark.parametrize("spec", [DMPNN, NETWORK])
@pytest.mark.parametrize("binary", [False, True])
def test_values_add_up_to_the_prediction(spec: str, binary: bool):
    predictor, cohort = small(spec, ("graph",), binary)
    for one in explain_parts(predictor, cohort.take(np.array([1, 7, 19]))):
        assert one.found.way == "gradients" and one.found.adds_up
        assert abs(one.found.gap) <= 0.01 * np.abs(one.found.values).sum() + 1e-5
        assert one.scale.name == ("log-odds" if binary else "mean")


@pytest.mark.parametrize("spec", ["dmpnn:epochs=40,hidden=24,width=24,members=1", "network:epochs=40,width=24"])
def test_both_ways_start_from_the_same_answer_and_agree_in_direction(spec: str):
    predictor, cohort = small(spec, ("graph",))
    some = cohort.take(np.array([7, 19, 24]))
    for one, other in zip(explain_parts(predictor, some), explain_parts(predictor, some, way="masking")):
        assert one.found.base == pytest.approx(other.found.base, abs=1e-4)
        assert np.corrcoef(one.found.values, other.found.values)[0, 1] > 0.8


def test_of_a_network_that_is_a_straight_line_values_are_the_terms():
    predictor, cohort = small(DMPNN, ("graph",))
    _, params = predictor.models["dmpnn"]
    # large biases keep every rectifier open, so that the network is linear and its pooled sum splits over atoms
    arrays = {k: v.copy() for k, v in params.arrays.items()}
    for name in [k for k in arrays if k.startswith("member0/encoders.0")]:
        if name.endswith(("centre.bias", "last.bias")):
            arrays[name] += 100.0
        if name.endswith("arrive.weight"):
            arrays[name] *= 0.0
    straight = type(params)(params.meta, arrays)
    row = {k: b.seen_as(("graph",)) for k, b in encode(cohort.take(np.array([1])), predictor.states).items()}
    found = gradient_values(straight, row, "smiles", Scale("mean"))
    block = row["smiles"]
    alone = []
    for atom in range(len(block.values)):
        nodes = block.values.copy()
        nodes[atom] = 0.0
        less = {"smiles": type(block)("graph", {**block.arrays, "nodes": nodes}, block.present, block.names)}
        alone.append(gradient_values(straight, less, "smiles", Scale("mean")).values.sum())
    np.testing.assert_allclose(found.values[: len(alone)], found.values.sum() - alone, atol=2e-4)
    np.testing.assert_allclose(found.values[len(alone) :], 0.0, atol=1e-9)


def test_what_is_there_to_nothing_is_cut_and_what_is_wholly_there_changes_nothing():
    for spec in (DMPNN, NETWORK):
        predictor, cohort = small(spec, ("graph",))
        params = predictor.models[predictor.chosen][1]
        block = encode(cohort.take(np.array([7])), predictor.states)["smiles"].seen_as(("graph",))  # acetic acid
        branch, encoder = branches_of(params)[0], networks(params)[0].encoders[0]
        mask = np.zeros((1, 4 + 3), dtype=bool)
        mask[0, 5] = True  # the bond C=O, edges 2 and 3
        cut = Block("graph", cut_graphs(block.arrays, mask), np.ones(1, dtype=bool), block.names)
        with torch.inference_mode():
            whole, less = (encoder(put("cpu", branch_arrays(branch, {"smiles": b}))) for b in (block, cut))
            rows = _one_by_one(branch, block)
            there = torch.ones(6, 1)
            np.testing.assert_allclose(encoder(rows | {"there": there}).numpy(), whole.numpy(), atol=1e-5)
            there[2:4] = 0.0
            np.testing.assert_allclose(encoder(rows | {"there": there}).numpy(), less.numpy(), atol=1e-5)
        assert not np.allclose(whole.numpy(), less.numpy(), atol=1e-4)


def _one_by_one(branch, block: Block) -> dict:
    """What an encoder of graphs reads of one row, nothing of it put together."""
    if branch.encoder != "dmpnn":
        return put("cpu", branch_arrays(branch, {"smiles": block}))
    scaled = {k: v for k, v in block.arrays.items()}
    for key in ("nodes", "edge_values"):
        center, spread = branch.arrays[f"{key}_center"], branch.arrays[f"{key}_spread"]
        scaled[key] = ((block.arrays[key] - center) / spread).astype(np.float32)
    return put("cpu", each(scaled, branch.spec["rounds"]).arrays())


def test_steps_are_halved_where_a_rectifier_opens():
    asked = []

    def answer(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        asked.append(shares)
        opened = shares > 0.29
        value = 5.0 + 20.0 * opened * (shares - 0.29) + 3.0 * shares - 3.0 * shares**2
        return value, np.column_stack([20.0 * opened, 3.0 - 6.0 * shares])

    found = _walk(answer)
    # the first part adds 20 * 0.71, the second, whose gradient changes its sign half-way, nothing
    np.testing.assert_allclose(found.values, [14.2, 0.0], atol=0.07)
    assert (found.base, found.prediction) == (5.0, pytest.approx(19.2)) and found.adds_up
    later = np.concatenate(asked[1:])
    assert len(asked[0]) == 33 and 0 < len(later) < 40, "far less than to halve every step"


HEADS = {
    "binary": Head("binary", 2, (0.0, 0.0)),
    "binary, weighed": Head("binary", 2, (0.0, 0.0), class_weight=(0.5, 3.0)),
    "multiclass": Head("multiclass", 3, (0.0,) * 3),
    "multilabel": Head("multilabel", 3, (0.0,) * 3, class_weight=(1.0, 2.0, 0.5)),
    "regression": Head("regression", 1, (0.0,), center=3.0, spread=2.0),
}


@pytest.mark.parametrize("name", list(HEADS))
@pytest.mark.parametrize("scale", ["log-odds", "probability"])
def test_the_answer_with_a_gradient_is_the_answer(name: str, scale: str, rng: np.random.Generator):
    head = HEADS[name]
    on = Scale("mean") if head.kind == "regression" else Scale(scale, head.n_outputs - 1)
    logits = [rng.normal(size=(4, head.n_outputs)) for _ in range(3)]
    members = [head.answer(x).value for x in logits]
    mean = type(head.answer(logits[0]))(np.mean(members, axis=0))
    found = on_scale([torch.from_numpy(x) for x in logits], head, on)
    np.testing.assert_allclose(found.numpy(), on.of(mean), rtol=1e-9)


def test_log_odds_of_what_is_certain_are_not_cut():
    # logits 0 and 40: the probability is 1 for a float, Scale.of stops at 20.7
    head = HEADS["binary"]
    sure = torch.tensor([[0.0, 40.0]], dtype=torch.float64, requires_grad=True)
    found = on_scale([sure, sure], head, Scale("log-odds", 1))
    assert found.item() == pytest.approx(40.0)
    found.sum().backward()
    assert sure.grad[0].tolist() == pytest.approx([-1.0, 1.0])


def test_an_ensemble_that_is_certain_is_explained_in_full():
    predictor, cohort = small("dmpnn:epochs=8,hidden=16,width=16,members=2", ("graph",), True)
    _, params = predictor.models["dmpnn"]
    arrays = {k: v * (10_000.0 if k.endswith("head.weight") else 1.0) for k, v in params.arrays.items()}
    rows = encode(cohort.take(np.array([6, 13, 26])), predictor.states)
    for i in range(3):
        row = {k: b.seen_as(("graph",)).take(np.array([i])) for k, b in rows.items()}
        found = gradient_values(Params(params.meta, arrays), row, "smiles", Scale("log-odds", 1))
        assert abs(found.prediction) > 21 and found.adds_up and np.abs(found.values).sum() > 1


def test_only_networks_over_graphs_of_the_column_have_gradients():
    predictor, _ = small(DMPNN, ("graph",))
    params = predictor.models["dmpnn"][1]
    assert has_gradients(params, "smiles") and not has_gradients(params, "other")
    beside, _ = small("dmpnn:epochs=1,hidden=8,width=8,features=true", ("graph",))
    assert not has_gradients(beside.models["dmpnn"][1], "smiles")
    boosting, _ = small("boosting:rounds=5")
    assert not has_gradients(boosting.models["boosting"][1], "smiles")
    late = type(params)({**params.meta, "head": {**params.meta["head"], "kind": "survival"}}, params.arrays)
    assert not has_gradients(late, "smiles")
