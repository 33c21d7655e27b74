"""Drawing strings: chances, temperature, what is too faint, and strings that run out of room."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osler.adapters.rdkit.fragments import alternating
from osler.adapters.rdkit.parse import parse
from osler.models.neural.generation.language import LanguageModel, Sampling
from osler.models.neural.generation.learner import generator_of, part_of, seeded
from osler.models.neural.generation.tokens import END, PAD, START, Encoded, Vocabulary, tokenise
from tests.models.neural.generation.drugs import DRUGS

pytest.importorskip("rdkit")


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """Tokens of the drugs with alternating bonds."""
    return Vocabulary.of([tokenise(alternating(s)) for s in DRUGS])


def fixed(vocabulary: Vocabulary, chances: dict[str, float]) -> LanguageModel:
    """A model that gives each next token the same chance whatever came before."""
    net = LanguageModel(len(vocabulary), 4)
    with torch.no_grad():
        net.output.weight.zero_()
        net.output.bias.fill_(-50.0)
        for token, chance in chances.items():
            net.output.bias[END if token == "" else vocabulary.number[token]] = float(np.log(chance))
    return net


def drawn(net: LanguageModel, vocabulary: Vocabulary, n: int, **how: float) -> list[str]:
    """n strings."""
    given = {"temperature": 1.0, "grammar": False, "longest": 40, **how}
    return vocabulary.decode(net.sample(vocabulary, n, Sampling(**given), generator_of(5)))


def test_tokens_come_as_often_as_their_chance(vocabulary: Vocabulary):
    strings = drawn(fixed(vocabulary, {"C": 0.6, "N": 0.2, "": 0.2}), vocabulary, 4000)
    whole = "".join(strings)
    assert whole.count("N") / len(whole) == pytest.approx(0.25, abs=0.02)
    assert np.mean([len(s) for s in strings]) == pytest.approx(4.0, abs=0.2)  # a geometric number of tokens: 0.8 / 0.2


def test_a_low_temperature_makes_the_likely_likelier(vocabulary: Vocabulary):
    net = fixed(vocabulary, {"C": 0.6, "N": 0.3, "": 0.1})
    shares = []
    for temperature in (0.5, 1.0, 2.0):
        whole = "".join(drawn(net, vocabulary, 1500, temperature=temperature))
        shares.append(whole.count("N") / len(whole))
    assert shares[0] == pytest.approx(0.2, abs=0.03)  # 0.09 / (0.36 + 0.09)
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize(("least", "has"), [(0.0, True), (0.3, True), (0.6, False)])
def test_what_is_too_faint_is_not_drawn(vocabulary: Vocabulary, least: float, has: bool):
    whole = "".join(drawn(fixed(vocabulary, {"C": 0.5, "N": 0.2, "": 0.35}), vocabulary, 800, least=least))
    assert ("N" in whole) is has
    assert "C" in whole


def test_neither_padding_nor_start_is_ever_drawn(vocabulary: Vocabulary):
    net = fixed(vocabulary, {"C": 0.1, "": 0.1})
    with torch.no_grad():
        net.output.bias[[PAD, START]] = 20.0
    rows = net.sample(vocabulary, 200, Sampling(1.0, False, 30), generator_of(1))
    for row in rows:
        stop = np.flatnonzero(row == END)
        inside = row[: stop[0]] if len(stop) else row
        assert not np.isin(inside, [PAD, START]).any()


def test_a_string_without_room_is_cut_off_or_with_the_grammar_closed(vocabulary: Vocabulary):
    net = fixed(vocabulary, {"C": 0.3, "(": 0.3, "1": 0.2, "2": 0.2, "": 1e-9})
    plain = drawn(net, vocabulary, 60, longest=25)
    closed = drawn(net, vocabulary, 60, longest=25, grammar=True)
    assert sum(parse(text).mol is not None for text in plain) < 10
    assert all(parse(text).mol is not None for text in closed)
    assert max(len(tokenise(text)) for text in closed) <= 25


@pytest.mark.parametrize("seed", range(4))
def test_noise_with_the_grammar_is_always_a_molecule(vocabulary: Vocabulary, seed: int):
    net = seeded(lambda: LanguageModel(len(vocabulary), 8), seed)
    strings = vocabulary.decode(net.sample(vocabulary, 100, Sampling(1.0, True, 60), generator_of(seed)))
    assert np.mean([parse(text).mol is not None for text in strings]) >= 0.99


def test_batches_of_drawing_give_as_many_as_asked(vocabulary: Vocabulary):
    net = fixed(vocabulary, {"C": 0.5, "": 0.5})
    rows = net.sample(vocabulary, 23, Sampling(1.0, False, 10, batch=10), generator_of(2))
    assert rows.shape[0] == 23
    assert net.sample(vocabulary, 0, Sampling(longest=10), generator_of(2)).shape == (0, 10)


def test_the_loss_is_the_mean_of_the_tokens_log_chances(vocabulary: Vocabulary):
    net = seeded(lambda: LanguageModel(len(vocabulary), 8), 3)
    library = Encoded.of([vocabulary.encode(tokenise(s)) for s in ("CCO", "CC(C)N")])
    rows = torch.from_numpy(library.padded(np.arange(2)))
    chances = net.log_probabilities(rows)
    mask = (rows[1:] != PAD).float()
    assert net.loss(rows).item() == pytest.approx(-(chances * mask).sum().item() / mask.sum().item(), rel=1e-5)
    assert (chances[mask.bool()] < 0).all()


def test_random_numbers_follow_from_their_seeds_alone():
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    made = seeded(lambda: torch.rand(3), 1, 2)
    assert torch.equal(torch.rand(1), first)
    assert torch.equal(made, seeded(lambda: torch.rand(3), 1, 2))
    assert not torch.equal(made, seeded(lambda: torch.rand(3), 1, 3))
    assert torch.rand(2, generator=generator_of(4, 5)).tolist() == torch.rand(2, generator=generator_of(4, 5)).tolist()


def test_parts_of_a_state_are_told_by_their_name():
    arrays = {"net/a": np.zeros(1), "net/b/c": np.ones(1), "network/a": np.ones(2)}
    assert set(part_of(arrays, "net")) == {"a", "b/c"}
