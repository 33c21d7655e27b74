"""Where new molecules come from. A move is asked for molecules that nobody has scored; what it answers follows from the seed, the round and
what is scored so far, so that a search that was stopped goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from osler.adapters.rdkit import edits, evolution, features
from osler.adapters.rdkit.standardise import Policy
from osler.engine.optimising.archive import Archive
from osler.engine.optimising.judging import smiles_of
from osler.engine.optimising.options import OptimiseOptions
from osler.engine.screening.library import entries
from osler.errors import ReadError

#: Purposes of derived random numbers.
_GENETIC, _EDITS = 1, 2
#: Share of genetic children that are crossovers, and of these that are changed once more.
_CROSSED, _CHANGED = 0.5, 0.3
#: Heavy atoms of a child of two, as a share of the mean of its parents'.
_SIZE = (0.5, 1.5)
#: Attempts per molecule that is asked for.
_PATIENCE = 10
#: Steps of the generator in reinforcement after each round: scores are dear, steps are cheap.
_LESSONS = 4
#: Most molecules that pairs are learnt from.
_LIBRARY = 50_000


@dataclass(frozen=True)
class Made:
    """A molecule that was made: canonical SMILES, the SMILES it was made from ("" for none), and how."""

    smiles: str
    parent: str
    change: str


class Move(Protocol):
    """A source of molecules."""

    def propose(self, parents: Sequence[dict[str, Any]], turn: int) -> Iterator[Made | None]:
        """Molecules made of the parents (best first) until nobody asks; repeats may occur, and None for an attempt that failed."""

    def learn(self, archive: Archive, asked: Sequence[str]) -> None:
        """What came of the molecules that this move made (SMILES); those that are not in the archive were not worth asking about."""

    def save(self, folder: Path) -> None:
        """Write what is needed to go on."""

    def restore(self, folder: Path) -> None:
        """The inverse of `save`."""


class _Stateless:
    """A move that follows from the archive alone."""

    def learn(self, archive: Archive, asked: Sequence[str]) -> None:
        """See `Move`."""

    def save(self, folder: Path) -> None:
        """See `Move`."""

    def restore(self, folder: Path) -> None:
        """See `Move`."""


class Genetic(_Stateless):
    """Random changes of one parent and crossovers of two; the better a parent, the likelier it is chosen."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def propose(self, parents: Sequence[dict[str, Any]], turn: int) -> Iterator[Made | None]:
        """See `Move`."""
        rng = np.random.default_rng([self._seed, _GENETIC, turn])
        mols, chances = _by_rank(parents)
        while True:
            i, j = (int(k) for k in rng.choice(len(parents), 2, p=chances))
            made = _crossed(mols[i], mols[j], rng) if i != j and rng.random() < _CROSSED else evolution.mutate(mols[i], rng)
            yield made and Made(smiles_of(made[0]), parents[i]["smiles"], made[1])


def _crossed(first: Any, second: Any, rng: np.random.Generator) -> tuple[Any, str] | None:
    child = evolution.cross(first, second, rng)
    if child is None:
        return None
    size = (first.GetNumHeavyAtoms() + second.GetNumHeavyAtoms()) / 2
    if not _SIZE[0] * size <= child.GetNumHeavyAtoms() <= _SIZE[1] * size:
        return None
    if rng.random() < _CHANGED:
        changed = evolution.mutate(child, rng)
        return child if changed is None else changed[0], "crossover and change"
    return child, "crossover"


class Edits(_Stateless):
    """One edit of one parent, from the built-in list or from learned pairs, in turns; the better a parent, the likelier it is chosen."""

    def __init__(self, seed: int, swaps: edits.Swaps | None) -> None:
        self._seed, self._swaps = seed, swaps

    def propose(self, parents: Sequence[dict[str, Any]], turn: int) -> Iterator[Made | None]:
        """See `Move`."""
        rng = np.random.default_rng([self._seed, _EDITS, turn])
        mols, chances = _by_rank(parents)
        while True:
            i = int(rng.choice(len(parents), p=chances))
            learned = self._swaps is not None and rng.random() < 0.5
            made = self._swaps.edit(mols[i], rng) if learned else edits.edit(mols[i], rng)
            yield made and Made(smiles_of(made[0]), parents[i]["smiles"], made[1])


def _by_rank(parents: Sequence[dict[str, Any]]) -> tuple[list[Any], np.ndarray]:
    """Molecules of the parents, and chances that fall evenly from the best to the last."""
    chances = np.arange(len(parents), 0, -1, dtype=np.float64)
    return features.molecules([row["smiles"] for row in parents], Policy()), chances / chances.sum()


class Reinforce:
    """Drawn by a generator that learns from every score: see `osler.models.neural.generation.agent`."""

    def __init__(self, seed: int, generator: Path, batch: int) -> None:
        from osler.models.neural.generation.agent import Agent

        self._agent, self._batch = Agent(generator / "generator", seed), batch

    def propose(self, parents: Sequence[dict[str, Any]], turn: int) -> Iterator[Made | None]:
        """See `Move`: the parents play no part."""
        for again in range(_PATIENCE):
            for text in self._agent.draw(self._batch, turn * _PATIENCE + again):
                mol = features.read(text, Policy())[0] if text else None
                yield mol and Made(smiles_of(mol), "", "drawn")

    def learn(self, archive: Archive, asked: Sequence[str]) -> None:
        """See `Move`: what was drawn, and as many of the best so far again."""
        best = [row["smiles"] for row in archive.ranked()[: max(10, len(asked) // 2)]]
        shown = list(dict.fromkeys([*asked, *best]))
        for _ in range(_LESSONS):
            self._agent.learn(shown, archive.shares(shown))

    def save(self, folder: Path) -> None:
        """See `Move`."""
        self._agent.save(folder)

    def restore(self, folder: Path) -> None:
        """See `Move`."""
        self._agent.restore(folder)


def moves(options: OptimiseOptions) -> dict[str, Move]:
    """The moves asked for, by name.

    Raises:
        InputError: the library of pairs or the generator is not what it must be.
    """
    makers: dict[str, Callable[[], Move]] = {
        "genetic": lambda: Genetic(options.seed),
        "edits": lambda: Edits(options.seed, edits.Swaps.learn(molecules_of(options.pairs)) if options.pairs else None),
        "reinforce": lambda: Reinforce(options.seed, Path(options.generator), options.batch),
    }
    return {name: makers[name]() for name in dict.fromkeys(options.method)}


def molecules_of(path: str) -> list[Any]:
    """The readable molecules of a file, at most `_LIBRARY` of them.

    Raises:
        ReadError: the file is absent or holds no molecule.
    """
    found = []
    for entry in entries(path):
        mol = None if entry.problem else features.read(entry.text, Policy(), entry.kind)[0]
        if mol is not None:
            found.append(mol)
        if len(found) == _LIBRARY:
            break
    if not found:
        raise ReadError(f"a library of molecules must hold some, '{Path(path).name}' holds none that can be read", "read-empty")
    return found


def patience(n: int) -> int:
    """Attempts after which a move that was asked for n molecules has run dry."""
    return _PATIENCE * n + 50
