"""Integrated gradients over graphs: complete, exact for a straight line, and beside masking."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rdkit")

from osler.engine.batches import encode
from osler.engine.parts import explain_parts
from osler.explanation.gradients import gradient_values, has_gradients
from osler.explanation.scales import Scale
from osler.models.neural.environments import each, environments
from tests.models.neural.test_environments import encoder_of, random_graphs
from tests.molecule_predictors import small

DMPNN = "dmpnn:epochs=4,hidden=24,width=24,members=1"
NETWORK = "network:epochs=3,width=24"


def test_environments_one_by_one_answer_as_the_distinct_ones_do(rng: np.random.Generator):
    import torch

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


def test_both_ways_start_from_the_same_answer_and_agree_in_direction():
    predictor, cohort = small(DMPNN, ("graph",))
    some = cohort.take(np.array([7, 19, 24]))
    for one, other in zip(explain_parts(predictor, some), explain_parts(predictor, some, way="masking")):
        assert one.found.base == pytest.approx(other.found.base, abs=1e-4)
        assert np.corrcoef(one.found.values, other.found.values)[0, 1] > 0.8


def test_of_a_network_that_is_a_straight_line_values_are_the_terms(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("osler.explanation.gradients.MOST_STEPS", 32)
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
    found = gradient_values(straight, row, "smiles", Scale("mean"), 0.0)
    block = row["smiles"]
    alone = []
    for atom in range(len(block.values)):
        nodes = block.values.copy()
        nodes[atom] = 0.0
        less = {"smiles": type(block)("graph", {**block.arrays, "nodes": nodes}, block.present, block.names)}
        alone.append(gradient_values(straight, less, "smiles", Scale("mean"), 0.0).values.sum())
    np.testing.assert_allclose(found.values[: len(alone)], found.values.sum() - alone, atol=2e-4)
    np.testing.assert_allclose(found.values[len(alone) :], 0.0, atol=1e-9)


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
