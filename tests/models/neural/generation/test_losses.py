"""Adversarial losses, the gradient penalty and returns, by hand on tiny tensors."""

from __future__ import annotations

import math

import pytest
import torch

from osler.models.neural.generation.gan import TokenCritic, advantages
from osler.models.neural.generation.losses import critic_loss, gradient_penalty, reward

REAL, MADE = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 1.0])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("wasserstein", 0.0 - 1.0),
        ("least_squares", (1.0 + 1.0) / 2 + (1.0 + 1.0) / 2),
        ("vanilla", (softplus(-2) + softplus(0)) / 2 + (softplus(-1) + softplus(1)) / 2),
    ],
)
def test_critic_losses(kind: str, expected: float):
    assert critic_loss(kind, REAL, MADE).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("wasserstein", [-1.0, 1.0]), ("least_squares", [-4.0, 0.0]), ("vanilla", [-softplus(1), -softplus(-1)])],
)
def test_rewards(kind: str, expected: list[float]):
    assert reward(kind, MADE).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["wasserstein", "least_squares", "vanilla"])
def test_a_critic_that_tells_them_apart_has_the_lower_loss(kind: str):
    good = critic_loss(kind, torch.tensor([1.0]), torch.tensor([0.0]))
    assert good < critic_loss(kind, torch.tensor([0.0]), torch.tensor([1.0]))


@pytest.mark.parametrize("weights", [[3.0, 4.0], [0.6, 0.8], [0.0, 2.0]])
def test_the_penalty_of_a_linear_critic_is_its_length_less_one_squared(weights: list[float]):
    w = torch.tensor(weights)
    real, made = torch.randn(5, 2), torch.randn(5, 2)
    found = gradient_penalty(lambda x: x @ w, [real], [made], torch.Generator().manual_seed(0))
    assert found.item() == pytest.approx((w.norm().item() - 1) ** 2, abs=1e-5)


def test_the_penalty_counts_all_inputs_together():
    a, b = torch.tensor([3.0]), torch.tensor([4.0])
    found = gradient_penalty(
        lambda x, y: x @ a + y @ b, [torch.randn(4, 1)] * 2, [torch.randn(4, 1)] * 2, torch.Generator().manual_seed(0)
    )
    assert found.item() == pytest.approx(16.0, abs=1e-4)


def test_the_penalty_teaches_the_critic():
    layer = torch.nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0]]))
    gradient_penalty(lambda x: layer(x).squeeze(1), [torch.randn(3, 2)], [torch.randn(3, 2)], torch.Generator()).backward()
    # d (|w| - 1)² / dw = 2 (|w| - 1) w / |w| = 8 (0.6, 0.8)
    assert layer.weight.grad.tolist()[0] == pytest.approx([4.8, 6.4], abs=1e-4)


def test_returns_are_discounted_and_centred_at_each_place():
    rewards = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    mask = torch.ones(2, 2)
    # returns with discount 0.5: (1, 0) and (1, 2); less the mean of each place: (0, -1) and (0, 1); spread sqrt(2 / 4)
    found = advantages(rewards, mask, 0.5)
    assert torch.allclose(found, torch.tensor([[0.0, -1.0], [0.0, 1.0]]) / math.sqrt(0.5))


def test_padding_has_no_worth_and_does_not_count():
    rewards = torch.tensor([[1.0, 5.0], [3.0, 9.0]])
    mask = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    found = advantages(rewards, mask, 0.9)
    assert found[:, 1].tolist() == [0.0, 0.0]
    assert found[:, 0].tolist() == pytest.approx([-1.0, 1.0])


def test_the_critic_of_tokens_never_looks_ahead():
    torch.manual_seed(0)
    critic = TokenCritic(7, 8)
    tokens = torch.rand(2, 30, 7)
    changed = tokens.clone()
    changed[:, 20:] = torch.rand(2, 10, 7)
    before, after = critic(tokens), critic(changed)
    assert torch.allclose(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20:], after[:, 20:])
