"""Which token may follow which beginning of a SMILES, by hand from the rules of valence and of the notation."""

from __future__ import annotations

import pytest
import torch

from osler.models.neural.generation.grammar import Grammar, room_of
from osler.models.neural.generation.tokens import END, PAD, START, Vocabulary, tokenise

TOKENS = ("#", "(", ")", "1", "2", "=", "C", "Cl", "F", "N", "O", "S", "[N+]", "[O-]", "[nH]", "c", "n")
VOCABULARY = Vocabulary(("<pad>", "<start>", "<end>", *TOKENS))


def after(text: str) -> set[str]:
    """What may follow a beginning; "" is the end."""
    grammar = Grammar(VOCABULARY, 1, torch.device("cpu"))
    for token in tokenise(text) if text else ():
        number = VOCABULARY.number[token]
        assert grammar.allowed()[0, number], f"{token} must be allowed in {text}"
        grammar.take(torch.tensor([number]))
    mask = grammar.allowed()[0]
    assert not mask[PAD]
    assert not mask[START]
    return {"" if i == END else VOCABULARY.tokens[i] for i in torch.nonzero(mask).squeeze(1).tolist()}


#: Beginning, some tokens that may follow, some that may not.
CASES = (
    ("", {"C", "N", "Cl", "c", "[nH]"}, {"", "(", ")", "1", "=", "#"}),
    ("C", {"", "C", "=", "#", "(", "1", "Cl", "[N+]"}, {")"}),
    ("F", {"", "C", "N"}, {"=", "#", "1", "("}),
    ("Cl", {"", "C"}, {"=", "1", "("}),
    ("O", {"", "C", "=", "1", "("}, {"#"}),
    ("N", {"", "C", "=", "#", "1", "("}, {")"}),
    ("C=", {"C", "O", "N", "S"}, {"", "F", "Cl", "=", "(", "1"}),
    ("C#", {"C", "N"}, {"", "O", "F", "S="}),
    ("C=O", {""}, {"C", "=", "1", "(", "F"}),
    ("C#N", {""}, {"C", "=", "1"}),
    ("C(", {"C", "=", "N", "F"}, {"", ")", "(", "1"}),
    ("C(C", {")", "C", "=", "("}, {""}),
    ("C(F", {")"}, {"", "C", "="}),
    ("C(F)", {"C", "(", "F", "="}, {"", ")"}),
    ("C(F)(F)", {"C", "F", "("}, {"#", ""}),
    ("C(F)(F)(F)", {"C", "F"}, {"=", "(", "#", ""}),
    ("C1", {"C", "2", "=", "("}, {"", ")", "F"}),
    ("C1C", {"C", "=", "("}, {"", "1"}),
    ("C1CC", {"1", "C", "="}, {""}),
    ("C1CC1", {"", "C", "(", "="}, {")"}),
    ("C1=CC", {"1", "C"}, {""}),
    ("N(C)(C)", {"C", "O"}, {"=", "", "("}),
    ("N(C)(C)C", {"", "C", "="}, {")"}),
    ("S(=O)(=O)", {"C", "N", "F"}, {""}),
    ("[O-]", {"", "C"}, {"=", "(", "1"}),
    ("[N+](C)(C)(C)", {"C"}, {"=", ""}),
    ("c1", {"c", "n", "C"}, {""}),
    ("c1ccc(", {"C", "F", "N"}, {"", ")"}),
)  # fmt: skip


@pytest.mark.parametrize(("text", "may", "may_not"), CASES, ids=[case[0] or "nothing" for case in CASES])
def test_what_may_follow(text: str, may: set[str], may_not: set[str]):
    found = after(text)
    assert may <= found
    assert not may_not & found


@pytest.mark.parametrize(
    ("token", "room"),
    [
        ("C", 4),
        ("N", 3),
        ("O", 2),
        ("F", 1),
        ("Cl", 1),
        ("S", 6),
        ("[nH]", 2),
        ("[N+]", 4),
        ("[NH3+]", 1),
        ("[NH+]", 3),
        ("[O-]", 1),
        ("[C@@H]", 3),
        ("[C@]", 4),
        ("[S+]", 3),
        ("[13CH3]", 1),
        ("(", 0),
        ("1", 0),
        ("=", 0),
    ],
)
def test_room_of_atoms(token: str, room: int):
    assert room_of(token) == room


def test_strings_grow_apart():
    grammar = Grammar(VOCABULARY, 3, torch.device("cpu"))
    for column in (("C", "F", "C"), ("=", "C", "(")):
        grammar.take(torch.tensor([VOCABULARY.number[token] for token in column]))
    mask = grammar.allowed()
    assert not mask[0, END]
    assert mask[1, END]
    assert not mask[2, END]
    grammar.keep(torch.tensor([1]))
    assert grammar.allowed().shape == (1, len(VOCABULARY))
    assert torch.equal(grammar.allowed()[0], mask[1])


@pytest.mark.parametrize(("text", "remaining", "group"), [("C1CC", 3, {"1"}), ("C(C", 3, {")"}), ("C1CC(C", 5, {"1"}), ("CC", 2, {""}), ("C1C", 4, {"C", "N"})])
def test_a_string_that_runs_out_of_room_closes_what_is_open(text: str, remaining: int, group: set[str]):
    grammar = Grammar(VOCABULARY, 1, torch.device("cpu"))
    for token in tokenise(text):
        grammar.take(torch.tensor([VOCABULARY.number[token]]))
    mask = grammar.landing(grammar.allowed(), remaining)[0]
    found = {"" if i == END else VOCABULARY.tokens[i] for i in torch.nonzero(mask).squeeze(1).tolist()}
    assert group <= found
    assert not found & ({"", "1", ")"} - group)
    assert torch.equal(grammar.landing(grammar.allowed(), 100), grammar.allowed())
