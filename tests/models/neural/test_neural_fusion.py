"""Several branches in one network: interactions are learnt, and a missing branch is no obstacle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from osler.errors import OptionError
from osler.models.neural.fusion import Fusion, hidden
from osler.models.neural.network import Network, NetworkOptions
from tests.models.neural.planted_blocks import auroc, binary, numbers, sign_pair

OPTIONS = NetworkOptions(width=32, epochs=16, patience=16, learning_rate=0.004, dropout=0.0, batch_size=32)
THERE = torch.tensor([[True, True], [True, False], [False, True], [False, False]])


def plain_late() -> Fusion:
    """Late fusion whose layers pass their input on."""
    fusion = Fusion("late", 2, 3, 0.0)
    with torch.no_grad():
        for layer in fusion.each:
            layer.weight.copy_(torch.eye(3))
            layer.bias.zero_()
    return fusion


def test_late_fusion_is_the_mean_of_the_present_branches():
    branches = torch.tensor([[[1.0, 2, 3], [3, 4, 5]]]).repeat(4, 1, 1)
    fused = plain_late()(branches, THERE).detach().numpy()
    np.testing.assert_allclose(fused, [[2, 3, 4], [1, 2, 3], [3, 4, 5], [0, 0, 0]])


@pytest.mark.parametrize("kind", ["late", "concat", "gated"])
def test_a_missing_branch_is_not_looked_at(kind):
    torch.manual_seed(0)
    fusion = Fusion(kind, 2, 3, 0.0)
    branches = torch.randn(4, 2, 3)
    changed = torch.where(THERE[:, :, None], branches, torch.full_like(branches, 1e5))
    torch.testing.assert_close(fusion(changed, THERE), fusion(branches, THERE))


def test_a_single_branch_is_passed_on_with_a_token_where_it_is_missing():
    fusion = Fusion("gated", 1, 2, 0.0)
    with torch.no_grad():
        fusion.tokens.fill_(5.0)
    fused = fusion(torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), torch.tensor([[True], [False]]))
    assert fused.tolist() == [[1.0, 2.0], [5.0, 5.0]]


def test_an_unknown_fusion_is_refused_with_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'concat'"):
        Fusion("concaat", 2, 4, 0.0)


@pytest.mark.parametrize("kind", ["concat", "gated"])
def test_an_exclusive_or_of_two_columns_is_learnt_that_neither_column_holds(rng, kind):
    blocks, y = sign_pair(400, rng)
    model = Network(replace(OPTIONS, fusion=kind))
    rows, test = binary(blocks, y).take(np.arange(280)), binary(blocks, y).take(np.arange(280, 400))
    both = model.predict(model.fit(rows, np.random.default_rng(0)), test.blocks).value[:, 1]
    assert auroc(test.target.y, both) > 0.97


@pytest.mark.parametrize("name", ["trend", "scan"])
def test_neither_column_alone_holds_the_exclusive_or(rng, name):
    blocks, y = sign_pair(1280, rng)
    rows = binary({name: blocks[name]}, y)
    model = Network(replace(OPTIONS, epochs=4))
    params = model.fit(rows.take(np.arange(280)), np.random.default_rng(0))
    test = rows.take(np.arange(280, 1280))
    assert 0.4 < auroc(test.target.y, model.predict(params, test.blocks).value[:, 1]) < 0.6


@pytest.mark.parametrize(("kind", "adds_up"), [("late", True), ("concat", False), ("gated", False)])
def test_late_fusion_alone_sees_no_interaction(rng, kind, adds_up):
    """Log odds of rows (a, b), (c, d) and of the rows with scans exchanged (a, d), (c, b) have the same sum."""
    blocks, y = sign_pair(200, rng)
    model = Network(replace(OPTIONS, fusion=kind, epochs=4))
    params = model.fit(binary(blocks, y), np.random.default_rng(0))
    exchanged = blocks | {"scan": blocks["scan"].take(np.arange(200) ^ 1)}
    odds = [np.log(p[:, 1] / p[:, 0]) for p in (model.predict(params, b).value for b in (blocks, exchanged))]
    pairs = [o.reshape(100, 2).sum(axis=1) for o in odds]
    assert (np.abs(pairs[0] - pairs[1]).max() < 1e-5) == adds_up


@pytest.mark.parametrize("kind", ["concat", "gated"])
def test_with_one_column_missing_in_a_third_of_the_rows_the_others_are_still_answered(rng, kind):
    blocks, y = sign_pair(500, rng)
    there = rng.random(500) > 1 / 3
    blocks["scan"] = replace(blocks["scan"], present=there)
    model = Network(replace(OPTIONS, fusion=kind))
    params = model.fit(binary(blocks, y).take(np.arange(350)), np.random.default_rng(0))
    test = binary(blocks, y).take(np.arange(350, 500))
    p, seen = model.predict(params, test.blocks).value[:, 1], there[350:]
    assert auroc(test.target.y[seen], p[seen]) > 0.95
    assert np.abs(p[~seen] - 0.5).mean() < 0.2, "without the image nothing can be known, and the network says so"


def test_rows_without_any_column_are_answered_near_the_training_share(rng):
    n = 400
    x = rng.normal(size=(n, 2))
    y = (rng.random(n) < 0.2).astype(int)
    a, b = numbers(x[:, :1]), numbers(x[:, 1:])
    gone = rng.random(n) < 0.3
    a, b = replace(a, present=~gone), replace(b, present=~gone)
    model = Network(replace(OPTIONS, joined=False, epochs=8))
    params = model.fit(binary({"a": a, "b": b}, y), np.random.default_rng(0))
    assert [branch["name"] for branch in params.meta["branches"]] == ["a", "b"]
    p = model.predict(params, {"a": a, "b": b}).value[gone, 1]
    assert len(np.unique(p)) == 1
    assert 0.08 < p[0] < 0.35


def test_hidden_branches_are_a_share_of_the_present_ones_and_never_all_of_a_row():
    torch.manual_seed(0)
    present = torch.ones(20_000, 2, dtype=torch.bool)
    left = hidden(present, 0.3)
    assert left.any(dim=1).all()
    # a row keeps both with 0.7², or because both were drawn, 0.3²
    assert float(left.all(dim=1).float().mean()) == pytest.approx(0.7**2 + 0.3**2, abs=0.01)
    assert torch.equal(hidden(THERE, 0.9) & ~THERE, torch.zeros_like(THERE))
    assert torch.equal(hidden(present, 0.0), present)


def test_a_network_that_learnt_with_hidden_branches_does_better_without_one(rng):
    y = rng.integers(0, 2, 300)
    strong, weak = (y + s * rng.normal(size=300) for s in (0.2, 0.5))
    blocks = {"strong": numbers(strong[:, None]), "weak": numbers(weak[:, None])}
    gone = {**blocks, "strong": replace(numbers(np.full((300, 1), np.nan)), present=np.zeros(300, dtype=bool))}
    found = {}
    for hide in (0.0, 0.4):
        model = Network(replace(OPTIONS, joined=False, hide=hide))
        params = model.fit(binary(blocks, y), np.random.default_rng(0))
        found[hide] = auroc(y, model.predict(params, gone).value[:, 1])
        assert auroc(y, model.predict(params, blocks).value[:, 1]) > 0.97
    assert found[0.4] > max(0.85, found[0.0])


def test_a_share_that_hides_everything_is_refused():
    with pytest.raises(OptionError, match="'hide'"):
        NetworkOptions(hide=1.0)
