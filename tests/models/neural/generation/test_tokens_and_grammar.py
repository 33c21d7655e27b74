"""Tokens lose nothing, batches waste little, and the grammar lets through what is a molecule and nothing with a bond too many."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from osler.adapters.rdkit.fragments import alternating, canonical
from osler.adapters.rdkit.parse import parse
from osler.errors import InputError
from osler.models.neural.generation import grammar
from osler.models.neural.generation.grammar import Grammar, kind_of, room_of
from osler.models.neural.generation.language import LanguageModel, Sampling
from osler.models.neural.generation.tokens import END, PAD, START, Encoded, Vocabulary, tokenise
from tests.models.neural.generation.drugs import DRUGS

CPU = torch.device("cpu")


def test_a_smiles_is_cut_into_atoms_bonds_brackets_and_ring_numbers():
    assert tokenise("C[C@@H](Cl)C%12=C/Br[N+]1") == [
        "C", "[C@@H]", "(", "Cl", ")", "C", "%12", "=", "C", "/", "Br", "[N+]", "1",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["CéC", "C C", "C{N}"])
def test_a_character_that_is_no_token_is_refused_without_the_text(text: str):
    with pytest.raises(InputError) as refused:
        tokenise(text)
    assert text not in refused.value.message


def test_every_drug_comes_back_from_its_numbers():
    rows = [tokenise(s) for s in DRUGS]
    vocabulary = Vocabulary.of(rows)
    encoded = [vocabulary.encode(row) for row in rows]
    assert all(row[0] == START and row[-1] == END for row in encoded)
    longest = max(map(len, encoded))
    whole = np.stack([np.pad(row[1:], (0, longest - len(row)), constant_values=PAD) for row in encoded])
    assert vocabulary.decode(whole) == list(DRUGS)


def test_rare_tokens_are_not_in_the_vocabulary():
    rows = [["C", "C"], ["C", "N"], ["C", "O", "O"]]
    assert Vocabulary.of(rows, 2).tokens[3:] == ("C",)
    assert not Vocabulary.of(rows, 2).knows(["C", "N"])
    assert Vocabulary.of(rows, 1).knows(["C", "N", "O"])


def test_batches_hold_every_row_at_most_once_and_rows_of_like_length():
    rng = np.random.default_rng(0)
    rows = [np.ones(n, np.int16) for n in rng.integers(5, 60, 640)]
    encoded = Encoded.of(rows)
    batches = encoded.batches(32, np.random.default_rng(1))
    chosen = np.concatenate(batches)
    assert len(chosen) == len(set(chosen.tolist())) == 640
    spread = [np.ptp(encoded.lengths[b]) for b in batches]
    assert max(spread) < 8
    padded = encoded.padded(batches[0])
    assert padded.shape == (encoded.lengths[batches[0]].max(), 32)
    assert (padded != PAD).sum() == encoded.lengths[batches[0]].sum()


def test_too_few_rows_for_a_batch_are_one_small_batch():
    encoded = Encoded.of([np.ones(4, np.int16)] * 3)
    assert [len(b) for b in encoded.batches(8, np.random.default_rng(0))] == [3]


@pytest.mark.parametrize(
    ("token", "room"),
    [
        ("C", 4), ("N", 3), ("O", 2), ("Cl", 1), ("[C@H]", 3), ("[C@@]", 4), ("[CH2]", 2), ("[N+]", 4), ("[NH+]", 3), ("[NH2+]", 2),
        ("[O-]", 1), ("[O+]", 3), ("[S+]", 3), ("[n+]", 4), ("[nH]", 2), ("[B-]", 4), ("[C-]", 3), ("[2H]", 1), ("(", 0), ("1", 0),
        ("[Fe]", 8), ("S", 6),
    ],
)  # fmt: skip
def test_room_of_an_atom(token: str, room: int):
    """By hand: valence, less hydrogens, changed by the charge."""
    assert room_of(token) == room


def test_kinds_of_tokens():
    kinds = [kind_of(t) for t in ("C", "[nH]", "=", "(", ")", "7", "%10", ".", "/")]
    assert kinds == [
        grammar.ATOM, grammar.ATOM, grammar.BOND, grammar.OPEN, grammar.CLOSE, grammar.RING, grammar.RING, grammar.DOT, grammar.BOND,
    ]  # fmt: skip


def walk(text: str, vocabulary: Vocabulary) -> int:
    """How many tokens of a text (its end included) the grammar lets through."""
    state = Grammar(vocabulary, 1, CPU)
    for count, number in enumerate(vocabulary.encode(tokenise(text))[1:]):
        if not state.allowed()[0, int(number)]:
            return count
        state.take(torch.tensor([int(number)]))
    return len(tokenise(text)) + 1


WORDS = Vocabulary.of([tokenise("C=C#N(O)1[O-][N+]/F.Cl2S3%11")])


def test_the_grammar_lets_every_drug_through_in_both_spellings():
    both = [*DRUGS, *(alternating(s) for s in DRUGS)]
    vocabulary = Vocabulary.of([tokenise(s) for s in both])
    assert [s for s in both if walk(s, vocabulary) != len(tokenise(s)) + 1] == []


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        ("C=O=C", 3),  # the oxygen has no bond left
        ("CFC", 2),  # nor has the fluorine
        ("C#C#C", 3),
        ("N(C)(C)=C", 7),  # three bonds at most
        ("C1CC", 4),  # the ring is open at the end
        ("C(C", 3),  # and the branch
        ("CC)", 2),
        ("C()", 2),
        ("=C", 0),
        ("C1C1", 3),  # a ring of two
        ("C11", 2),
        ("C12CC12", 6),  # two rings between the same two atoms
        ("C1F", 2),  # the ring could never close again
        ("C(O)", 4),  # a branch is followed by something
        ("C1CC.C", 4),
        ("C=1CC1", 2),
    ],
)
def test_the_grammar_stops_where_no_molecule_can_follow(text: str, stops: int):
    assert walk(text, WORDS) == stops


@pytest.mark.parametrize("text", ["C1CC1", "C(=O)[O-]", "C#N", "C12CC1C2", "C(F)(F)F", "N1C%11CC1C%11", "C.C", "S(=O)(=O)(C)C", "C/C=C/C"])
def test_what_the_grammar_lets_through_is_read(text: str):
    assert walk(text, WORDS) == len(tokenise(text)) + 1
    assert parse(text).mol is not None


def test_strings_of_an_untrained_model_are_molecules():
    """Nothing was learnt, so only the grammar can make them valid; without it next to none is."""
    vocabulary = Vocabulary.of([tokenise(alternating(s)) for s in DRUGS])
    torch.manual_seed(0)
    net = LanguageModel(len(vocabulary), 16)

    def valid(is_masked: bool) -> float:
        how = Sampling(1.0, is_masked, 100, 300)
        rows = net.sample(vocabulary, 300, how, torch.Generator().manual_seed(1))
        return sum(bool(t) and parse(t).mol is not None for t in vocabulary.decode(rows)) / len(rows)

    assert valid(True) > 0.97
    assert valid(False) < 0.2


def test_alternating_bonds_are_the_same_molecule():
    for smiles in DRUGS:
        written = alternating(smiles)
        assert not set("cnos") & set(written.replace("Cl", "").replace("[nH]", ""))
        assert canonical(parse(written).mol) == canonical(parse(smiles).mol)
