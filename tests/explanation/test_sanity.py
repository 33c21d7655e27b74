"""Random weights must change a map: what is made random, in which order, and that a map which does not care is found out."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from osler.explanation import sanity
from osler.explanation.heat import PictureNets
from osler.explanation.sanity import SAME, Sanity, check, layers, randomise, rank_correlation
from osler.explanation.scales import Scale
from tests.explanation.test_heat import learnt

ODDS = Scale("log-odds", 1)


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (2, 6, 7)).astype(float)
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first.ravel(), second.ravel())[0])
    assert rank_correlation(first, first**3) == pytest.approx(1.0)
    assert rank_correlation(first, np.ones((6, 7))) == 0.0


def test_maps_change_layer_by_layer_from_the_answer_back(monkeypatch):
    params, rows = learnt(2, "plain", epochs=4)
    few = {"scan": rows.blocks["scan"].take(np.arange(6))}
    nets = PictureNets(params, few, "scan", ODDS)
    names = [name for name, _ in layers(nets.nets[0], nets.encoder(0))]
    assert names[0] == "answer"
    assert names[-1] == "body.0"
    found = check(nets, "gradients", np.random.default_rng(1))
    assert found.layers[0] == "answer"
    assert found.layers[-1] == "body.0"
    assert found.n == 6
    assert found.passes
    assert found.correlations[-1] < SAME
    again = check(nets, "gradients", np.random.default_rng(1))  # the networks are as they were
    assert again == found
    told = found.to_json()
    assert told["passes"] is True
    monkeypatch.setattr(sanity, "heat_maps", lambda nets, method, rng: nets.x.numpy()[:, 0])  # a map of the picture alone
    same = check(PictureNets(params, few, "scan", ODDS), "gradients", np.random.default_rng(1))
    assert same.correlations == pytest.approx([1.0] * len(same.layers))
    assert not same.passes


def test_new_weights_have_the_spread_of_the_old_and_trained_networks_keep_theirs():
    params, rows = learnt(2, "resnet", epochs=1)
    nets = PictureNets(params, {"scan": rows.blocks["scan"].take(np.arange(2))}, "scan", ODDS)
    kept = {k: v.copy() for k, v in params.arrays.items()}
    for _, layer in layers(nets.nets[0], nets.encoder(0)):
        before = {k: p.detach().clone() for k, p in layer.named_parameters(recurse=False)}
        randomise(layer, np.random.default_rng(2))
        for name, parameter in layer.named_parameters(recurse=False):
            if parameter.ndim < 2:
                assert torch.equal(parameter.sort()[0], before[name].sort()[0])
            elif parameter.numel() > 200:
                assert float(parameter.std()) == pytest.approx(float(before[name].std()), rel=0.25)
                assert not torch.equal(parameter, before[name])
    assert all(np.array_equal(v, kept[k]) for k, v in params.arrays.items())


def test_what_is_written_down():
    told = Sanity("gradients", ("answer", "body.0"), (0.9, 0.6), 4).to_json()
    assert told == {"method": "gradients", "layers": ["answer", "body.0"], "correlations": [0.9, 0.6], "n": 4, "passes": False}
