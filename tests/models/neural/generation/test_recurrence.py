"""The recurrence has torch.nn.GRU's values and gradients, step by step and all at once; the language model's likelihood by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from osler.models.neural.generation.language import LanguageModel, Sampling
from osler.models.neural.generation.recurrence import TokenGRU
from osler.models.neural.generation.tokens import END, PAD, START, Vocabulary

V, H, T, N = 9, 6, 5, 4


def peer_of(ours: TokenGRU) -> torch.nn.GRU:
    """torch's own layer with the same weights."""
    peer = torch.nn.GRU(V, H)
    with torch.no_grad():
        ours.bias.uniform_(-1, 1)
        peer.weight_ih_l0.copy_(ours.table.t())
        peer.weight_hh_l0.copy_(ours.weight)
        peer.bias_ih_l0.zero_()
        peer.bias_hh_l0.zero_()
        peer.bias_hh_l0[2 * H :] = ours.bias
    return peer


@pytest.fixture
def both() -> tuple[TokenGRU, torch.nn.GRU, torch.Tensor]:
    """Ours, torch's and tokens."""
    torch.manual_seed(0)
    ours = TokenGRU(V, H)
    return ours, peer_of(ours), torch.randint(0, V, (T, N))


def test_values_are_those_of_torch(both):
    ours, peer, tokens = both
    expected, _ = peer(torch.nn.functional.one_hot(tokens, V).float())
    assert torch.allclose(ours(tokens), expected, atol=1e-6)


def test_gradients_are_those_of_torch(both):
    ours, peer, tokens = both
    weights = torch.randn(T, N, H)
    (ours(tokens) * weights).sum().backward()
    expected, _ = peer(torch.nn.functional.one_hot(tokens, V).float())
    (expected * weights).sum().backward()
    assert torch.allclose(ours.table.grad, peer.weight_ih_l0.grad.t(), atol=1e-5)
    assert torch.allclose(ours.weight.grad, peer.weight_hh_l0.grad, atol=1e-5)
    assert torch.allclose(ours.bias.grad, peer.bias_hh_l0.grad[2 * H :], atol=1e-5)


def test_the_first_state_gets_its_gradient_too(both):
    ours, peer, tokens = both
    first = torch.randn(N, H, requires_grad=True)
    other = first.detach().clone().requires_grad_(True)
    ours(tokens, first).sum().backward()
    peer(torch.nn.functional.one_hot(tokens, V).float(), other[None])[0].sum().backward()
    assert torch.allclose(first.grad, other.grad, atol=1e-5)


def test_step_by_step_is_all_at_once(both):
    ours, _, tokens = both
    state = torch.zeros(N, H)
    whole = ours(tokens)
    for t in range(T):
        state = ours.step(tokens[t], state)
        assert torch.allclose(state, whole[t], atol=1e-6)


def test_bfloat16_products_stay_near():
    torch.manual_seed(0)
    exact, half = TokenGRU(V, 32), TokenGRU(V, 32, half=True)
    half.load_state_dict(exact.state_dict())
    tokens = torch.randint(0, V, (12, 8))
    assert (exact(tokens) - half(tokens)).abs().max() < 0.05
    assert half(tokens).dtype == torch.float32


def test_likelihood_of_a_model_that_knows_nothing_is_uniform():
    net = LanguageModel(5, 3)
    with torch.no_grad():
        net.output.weight.zero_()
        net.output.bias.zero_()
    tokens = torch.tensor([[START], [3], [4], [END], [PAD]])
    assert net.loss(tokens).item() == pytest.approx(math.log(5))
    assert torch.allclose(net.log_probabilities(tokens), torch.full((4, 1), -math.log(5)))


def test_drawing_follows_the_model_the_seed_and_the_temperature():
    vocabulary = Vocabulary(("<pad>", "<start>", "<end>", "C", "N"))
    net = LanguageModel(5, 3)
    with torch.no_grad():
        net.output.weight.zero_()
        net.output.bias.copy_(torch.tensor([0.0, 0.0, 0.0, math.log(3.0), 0.0]))

    def share(temperature: float, seed: int) -> tuple[float, np.ndarray]:
        rows = net.sample(vocabulary, 4000, Sampling(temperature, False, 1), torch.Generator().manual_seed(seed))
        return float((rows == 3).mean()), rows

    assert share(1.0, 1)[0] == pytest.approx(3 / 5, abs=0.03)
    assert share(0.5, 1)[0] == pytest.approx(9 / 11, abs=0.03)
    assert np.array_equal(share(1.0, 2)[1], share(1.0, 2)[1])
    assert not np.array_equal(share(1.0, 2)[1], share(1.0, 3)[1])


def test_nothing_is_drawn_when_nothing_is_asked():
    vocabulary = Vocabulary(("<pad>", "<start>", "<end>", "C"))
    rows = LanguageModel(4, 3).sample(vocabulary, 0, Sampling(longest=7), torch.Generator())
    assert rows.shape == (0, 7)


def test_drawn_rows_hold_no_padding_before_their_end_and_no_start():
    vocabulary = Vocabulary(("<pad>", "<start>", "<end>", "C", "N"))
    torch.manual_seed(1)
    rows = LanguageModel(5, 4).sample(vocabulary, 200, Sampling(1.0, False, 20, 64), torch.Generator().manual_seed(0))
    for row in rows:
        stop = np.flatnonzero(row == END)
        length = stop[0] if len(stop) else len(row)
        assert (row[:length] > END).all()
        assert (row[length + 1 :] == PAD).all()
