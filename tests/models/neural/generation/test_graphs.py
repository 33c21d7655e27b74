"""Generator and critic on dense graphs: shapes, symmetry, message passing by hand, and draws that pass gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osler.models.neural.generation.graphs import (
    ATOMS,
    BONDS,
    EACH,
    WHOLE,
    GraphCritic,
    GraphGenerator,
    Messages,
    gumbel,
    straight,
)  # fmt: skip

MOST, N, WIDTH = 7, 5, 12


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of five molecules of one to seven atoms, and their sizes."""
    torch.manual_seed(0)
    sizes = torch.tensor([1, 2, 4, 6, 7])
    net = GraphGenerator(MOST, WIDTH)
    atoms, bonds = net(torch.randn(N, WHOLE), torch.randn(N, MOST, EACH), sizes)
    return atoms, bonds, sizes


def test_shapes(logits: tuple[torch.Tensor, ...]):
    atoms, bonds, _ = logits
    assert atoms.shape == (N, MOST, ATOMS)
    assert bonds.shape == (N, MOST, MOST, BONDS)


def test_bonds_are_the_same_in_both_directions(logits: tuple[torch.Tensor, ...]):
    _, bonds, _ = logits
    assert torch.allclose(bonds, bonds.transpose(1, 2), atol=1e-6)


def test_places_beyond_the_size_hold_nothing(logits: tuple[torch.Tensor, ...]):
    atoms, bonds, sizes = logits
    kinds = atoms.argmax(-1)
    assert [(row > 0).sum().item() for row in kinds] == sizes.tolist()
    orders = bonds.argmax(-1)
    for row, size in zip(orders, sizes.tolist()):
        assert not row[size:].any()
        assert not row[:, size:].any()


def test_no_atom_is_bound_to_itself(logits: tuple[torch.Tensor, ...]):
    _, bonds, _ = logits
    diagonal = bonds.diagonal(dim1=1, dim2=2)
    assert (diagonal.argmax(1) == 0).all()
    assert (diagonal[:, 0] == 30.0).all()


def test_a_message_is_the_own_state_and_the_sum_of_the_neighbours_by_order():
    layer = Messages(1, 1)
    with torch.no_grad():
        layer.own.weight.fill_(10.0)
        layer.own.bias.fill_(0.5)
        for factor, near in enumerate(layer.near, 1):
            near.weight.fill_(float(factor))
    states = torch.tensor([[[1.0], [2.0], [4.0]]])
    bonds = torch.zeros(1, 3, 3, BONDS)
    for i, j, order in ((0, 1, 1), (1, 2, 2)):
        bonds[0, i, j, order] = bonds[0, j, i, order] = 1.0
    # atom 0: 10*1 + .5 + 1*2; atom 1: 10*2 + .5 + 1*1 + 2*4; atom 2: 10*4 + .5 + 2*2
    assert layer(states, bonds).squeeze().tolist() == pytest.approx([12.5, 29.5, 44.5])


def test_the_critic_sees_which_bond_is_where():
    torch.manual_seed(1)
    critic = GraphCritic(WIDTH)
    atoms = torch.nn.functional.one_hot(torch.tensor([[1, 2, 1, 0]]), ATOMS).float()

    def of(order: int) -> float:
        drawn = torch.zeros(1, 4, 4, dtype=torch.long)
        drawn[0, 0, 1] = drawn[0, 1, 0] = order
        return critic(atoms, torch.nn.functional.one_hot(drawn, BONDS).float()).item()

    assert len({round(of(order), 6) for order in range(BONDS)}) == BONDS


def test_places_that_hold_nothing_do_not_change_the_score():
    torch.manual_seed(2)
    critic = GraphCritic(WIDTH)
    atoms = torch.nn.functional.one_hot(torch.tensor([[1, 2]]), ATOMS).float()
    bonds = torch.nn.functional.one_hot(torch.tensor([[[0, 1], [1, 0]]]), BONDS).float()
    wide_atoms = torch.nn.functional.one_hot(torch.tensor([[1, 2, 0, 0]]), ATOMS).float()
    wide = torch.zeros(1, 4, 4, dtype=torch.long)
    wide[0, 0, 1] = wide[0, 1, 0] = 1
    found = critic(wide_atoms, torch.nn.functional.one_hot(wide, BONDS).float())
    assert torch.allclose(critic(atoms, bonds), found, atol=1e-6)


def test_a_straight_draw_is_one_hot_and_passes_the_softmaxs_gradient():
    torch.manual_seed(3)
    logits, noise = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3)
    weight = torch.randn(4, 3)
    drawn = straight(logits, noise)
    assert torch.equal(drawn.detach().sum(-1).round(), torch.ones(4))
    assert torch.equal(drawn.argmax(-1), (logits + noise).argmax(-1))
    (drawn * weight).sum().backward()
    found = logits.grad.clone()
    logits.grad = None
    (torch.softmax(logits + noise, -1) * weight).sum().backward()
    assert torch.allclose(found, logits.grad, atol=1e-6)


def test_gumbel_noise_has_its_mean_and_draws_by_the_softmax():
    noise = gumbel((20_000, 3), torch.Generator().manual_seed(0))
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.02)
    chances = torch.tensor([0.2, 0.3, 0.5])
    drawn = (chances.log() + noise).argmax(-1)
    counts = torch.bincount(drawn, minlength=3) / len(drawn)
    assert np.allclose(counts.numpy(), chances.numpy(), atol=0.015)
