"""Where new molecules come from: each move follows from seed, round and archive, and prefers the better parents."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osler.adapters.rdkit import edits
from osler.adapters.rdkit.evolution import sound
from osler.adapters.rdkit.fragments import canonical
from osler.adapters.rdkit.parse import parse
from osler.engine.optimising.archive import Archive
from osler.engine.optimising.moves import Edits, Genetic, Made, Reinforce, molecules_of, moves, patience
from osler.engine.optimising.options import METHODS, OptimiseOptions
from osler.errors import ReadError
from tests.engine.optimising.judges import tiny_generator
from tests.models.neural.generation.drugs import DRUGS

pytest.importorskip("rdkit")
PARENTS = [{"smiles": canonical(parse(s).mol)} for s in DRUGS[:6]]


def of(move: Any, n: int, turn: int = 0, parents: list[dict[str, Any]] | None = None) -> list[Made]:
    """What a move made in n attempts."""
    return [made for made in islice(move.propose(parents or PARENTS, turn), n) if made is not None]


@pytest.mark.parametrize("kind", [Genetic, lambda seed: Edits(seed, None)], ids=["genetic", "edits"])
def test_proposals_follow_from_seed_and_round(kind: Any):
    assert of(kind(1), 25) == of(kind(1), 25)
    assert of(kind(1), 25) != of(kind(2), 25)
    assert of(kind(1), 25) != of(kind(1), 25, turn=1)


@pytest.mark.parametrize("kind", [Genetic, lambda seed: Edits(seed, None)], ids=["genetic", "edits"])
def test_proposals_are_sound_and_tell_their_parent(kind: Any):
    made = of(kind(3), 60)
    known = {row["smiles"] for row in PARENTS}
    assert len(made) >= 40
    assert all(sound(parse(one.smiles).mol) for one in made)
    assert all(one.parent in known and one.change for one in made)
    assert len({one.smiles for one in made}) > 20


@pytest.mark.parametrize("kind", [Genetic, lambda seed: Edits(seed, None)], ids=["genetic", "edits"])
def test_better_parents_are_chosen_more_often(kind: Any):
    chosen = Counter(one.parent for one in of(kind(4), 300))
    first, last = chosen[PARENTS[0]["smiles"]], chosen[PARENTS[-1]["smiles"]]
    assert first > 2 * last


def test_genetic_children_are_crossovers_and_changes():
    kinds = Counter(one.change for one in of(Genetic(5), 200))
    assert {"crossover", "crossover and change", "atom added"} <= set(kinds)
    crossed = kinds["crossover"] + kinds["crossover and change"]
    assert 0.2 < crossed / sum(kinds.values()) < 0.6


def test_children_of_two_are_about_as_large_as_their_parents():
    sizes = [parse(row["smiles"]).mol.GetNumHeavyAtoms() for row in PARENTS]
    crossed = [one for one in of(Genetic(6), 200) if one.change == "crossover"]
    grown = [parse(one.smiles).mol.GetNumHeavyAtoms() for one in crossed]
    assert min(grown) >= 0.5 * min(sizes)
    assert max(grown) <= 1.5 * max(sizes)


def test_one_parent_alone_is_only_changed():
    changes = {one.change for one in of(Genetic(7), 40, parents=PARENTS[:1])}
    assert changes
    assert not any("crossover" in change for change in changes)


def test_learned_swaps_and_the_list_take_turns():
    swaps = edits.Swaps.learn([parse(s).mol for s in ("Cc1ccccc1", "Fc1ccccc1", "Cc1ccccn1", "Fc1ccccn1")])
    made = of(Edits(8, swaps), 120)
    learned = [one for one in made if one.change.endswith("pairs)")]
    assert 5 < len(learned) < len(made)
    assert all(one.change in edits.TRANSFORMS for one in made if one not in learned)


def test_an_edit_changes_no_more_than_its_group():
    parent = {"smiles": "CCN(CC)CCNC(=O)c1ccc(N)cc1"}
    made = of(Edits(9, None), 60, parents=[parent])
    before = parse(parent["smiles"]).mol.GetNumHeavyAtoms()
    assert all(abs(parse(one.smiles).mol.GetNumHeavyAtoms() - before) <= 6 for one in made)


def test_reinforcement_draws_learns_and_can_be_put_aside(tmp_path: Path):
    folder = tiny_generator(tmp_path / "g")
    move, other = Reinforce(1, folder, 20), Reinforce(1, folder, 20)
    first = of(move, 40)
    assert first == of(other, 40)
    assert all(one.parent == "" and one.change == "drawn" for one in first)
    archive = Archive()
    archive.add([{"smiles": one.smiles, "score": float(len(one.smiles)), "unmet": 0} for one in dict.fromkeys(first)])
    move.learn(archive, [one.smiles for one in first])
    move.save(tmp_path / "state")
    other.restore(tmp_path / "state")
    assert of(move, 40, turn=1) == of(other, 40, turn=1)
    assert of(move, 40, turn=1) != of(Reinforce(1, folder, 20), 40, turn=1)


def test_every_method_can_be_had_by_name(tmp_path: Path):
    folder = tiny_generator(tmp_path / "g")
    found = moves(OptimiseOptions(minimise=("x",), method=("edits", "genetic", "edits", "reinforce"), generator=str(folder)))
    assert list(found) == ["edits", "genetic", "reinforce"]
    assert set(found) == set(METHODS)


def test_moves_without_a_state_have_nothing_to_write(tmp_path: Path):
    for move in (Genetic(1), Edits(1, None)):
        before = of(move, 10)
        move.learn(Archive(), ["CCO"])
        move.save(tmp_path / "x")
        move.restore(tmp_path / "x")
        assert of(move, 10) == before
    assert not (tmp_path / "x").exists()


def test_molecules_of_a_file_skip_what_cannot_be_read(tmp_path: Path):
    path = tmp_path / "some.smi"
    path.write_text("CCO a\nC1CC b\nc1ccccc1 c\n")
    assert [canonical(mol) for mol in molecules_of(str(path))] == ["CCO", "c1ccccc1"]
    path.write_text("C1CC\n")
    with pytest.raises(ReadError, match="holds none that can be read"):
        molecules_of(str(path))
    with pytest.raises(ReadError):
        molecules_of(str(tmp_path / "none.smi"))


@pytest.mark.parametrize("n", [1, 10, 100])
def test_patience_grows_with_what_is_asked_for(n: int):
    assert patience(n) > 5 * n
    assert patience(2 * n) > patience(n)


def test_chances_fall_evenly():
    counts = Counter(one.parent for one in of(Genetic(10), 600, parents=PARENTS[:2]) if "crossover" not in one.change)
    share = counts[PARENTS[0]["smiles"]] / sum(counts.values())
    assert np.isclose(share, 2 / 3, atol=0.1)
