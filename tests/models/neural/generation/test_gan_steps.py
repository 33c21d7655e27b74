"""One step of each adversary, taken apart: what is drawn, what is real, what a reward does to the chance of a token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from osler.adapters.rdkit import dense
from osler.models.neural.generation import get
from osler.models.neural.generation.gan import DISCOUNT, TokenCritic, advantages
from osler.models.neural.generation.graphs import ATOMS, BONDS
from osler.models.neural.generation.options import GeneratorOptions
from osler.models.neural.generation.tokens import END, PAD, START
from tests.models.neural.generation.drugs import DRUGS

pytest.importorskip("rdkit")


def made(model: str, **more: Any) -> Any:
    """A tiny learner."""
    given = {"width": 16, "batch_size": 12, "epochs": 1.0, "adversarial_steps": 5, "rarest": 1, "longest": 50, "max_atoms": 14, **more}
    return get(model).learn_from(DRUGS, GeneratorOptions(model=model, **given))[0]


def test_likelihood_comes_first_then_the_critic():
    found = made("generator_gan")
    assert found.total == found.likelihood_steps + 5
    assert set(found.step(0)) == {"loss"}
    assert set(found.step(found.likelihood_steps)) == {"loss", "critic"}


def test_drawn_rows_end_once_and_are_padded_after():
    rows = made("generator_gan")._made(0, 0)
    assert rows.shape[0] == 12
    for row in rows.numpy():
        assert START not in row
        stop = np.flatnonzero(row == END)
        if len(stop):
            assert (row[stop[0] + 1 :] == PAD).all()
            assert len(stop) == 1


def test_real_rows_are_of_the_library():
    found = made("generator_gan")
    rows = found._real(3, 0).t().numpy()
    known = {tuple(found.library.flat[a:b].tolist()) for a, b in zip(found.library.starts[:-1], found.library.starts[1:])}
    assert all(tuple(row[row != PAD].tolist()) in known for row in rows)
    assert len({tuple(row.tolist()) for row in rows}) == len(rows)
    assert np.array_equal(rows, found._real(3, 0).t().numpy())


def test_returns_by_hand():
    rewards = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 9.0]])
    mask = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    d, level = 0.5, 4 / 5
    a, b = np.array([1.0, 0.0, 2.0]) - level, np.array([0.0, 1.0]) - level
    returns = np.array([[a[0] + d * (a[1] + d * a[2]), a[1] + d * a[2], a[2]], [b[0] + d * b[1], b[1], 0.0]])
    means = np.array([(returns[0, 0] + returns[1, 0]) / 2, (returns[0, 1] + returns[1, 1]) / 2, a[2]])
    centred = (returns - means) * mask.numpy()
    expected = centred / np.sqrt((centred**2).sum() / 5)
    assert advantages(rewards, mask, d).numpy() == pytest.approx(expected, abs=1e-6)
    assert 0 < DISCOUNT < 1


def test_rewards_that_are_all_alike_move_nothing():
    found = advantages(torch.full((6, 4), 0.3), torch.ones(6, 4))
    assert found.abs().max() < 0.05  # rounding alone


@pytest.mark.parametrize("score", [-3.0, 3.0])
def test_no_length_pays_by_itself(score: float):
    lengths = torch.tensor([1, 2, 5, 9])
    mask = (torch.arange(9) < lengths[:, None]).float()
    assert advantages(score * mask, mask).abs().max() < 0.05


def test_a_critic_that_likes_one_token_makes_it_likelier(monkeypatch: pytest.MonkeyPatch):
    found = made("generator_gan", likelihood=0.0, adversarial_rate=0.02, adversarial_steps=40)
    wanted = found.vocabulary.number["N"]
    monkeypatch.setattr(found.critic, "forward", lambda tokens: 5.0 * tokens[:, :, wanted])

    def share() -> float:
        rows = found._made(1000, 0)
        return (rows == wanted).sum().item() / (rows != PAD).sum().item()

    before = share()
    for number in range(30):
        found._generator_step(number)
    assert share() > before + 0.1


def test_a_critic_of_tokens_has_one_score_each():
    critic = TokenCritic(9, width=8)
    assert critic(torch.randn(3, 11, 9)).shape == (3, 11)


def test_real_graphs_are_one_hot_and_symmetric():
    found = made("generator_graph_gan")
    atoms, bonds = found._real(0, 0)
    assert atoms.shape == (12, 14, ATOMS)
    assert bonds.shape == (12, 14, 14, BONDS)
    assert torch.equal(atoms.sum(-1), torch.ones(12, 14))
    assert torch.equal(bonds, bonds.transpose(1, 2))


def test_drawn_graphs_pass_gradients_to_the_generator():
    found = made("generator_graph_gan")
    atoms, bonds = found._made(0, 0)
    assert torch.allclose(atoms.sum(-1), torch.ones(12, 14))
    assert torch.allclose(bonds, bonds.transpose(1, 2), atol=1e-6)
    found.critic(atoms, bonds).sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in found.net.parameters())


def test_sizes_and_room_are_those_of_the_library():
    found = made("generator_graph_gan")
    atoms, bonds = found.library
    sizes = (atoms > 0).sum(1)
    assert found.sizes.tolist() == [int((sizes == k + 1).sum()) for k in range(14)]
    for kind in range(1, ATOMS):
        seen = bonds.sum(2)[atoms == kind]
        assert found.room[kind] == min(seen.max(initial=0), dense.VALENCE[kind])


def test_the_steeper_the_critic_the_larger_the_loss_with_penalty():
    gentle, steep = made("generator_graph_gan", penalty=0.0), made("generator_graph_gan", penalty=100.0)
    assert steep._critic_step(0, 0) > gentle._critic_step(0, 0)
