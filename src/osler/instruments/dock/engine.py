"""What a docking engine must do, and which there are."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from osler import registry
from osler.instruments.dock.box import Box

#: Engine → its adapter. Another one is one file in `adapters/` and one line here.
INDEX = {"vina": "osler.adapters.vina:VinaEngine"}


class Engine(Protocol):
    """One receptor and one box, into which ligands are docked one after the other."""

    name: str
    version: str
    spacing: float

    def dock(
        self, ligand: str, exhaustiveness: int, poses: int, energy_range: float
    ) -> list[tuple[float, np.ndarray]]:
        """(score in kcal/mol, positions of the PDBQT's atoms (n, 3) in Å), best first."""


def check(name: str) -> None:
    """Refuse an engine that there is not.

    Raises:
        OptionError: no engine has this name; the nearest is suggested.
    """
    registry.load(INDEX, "engines", name)


def start(name: str, receptor: str, box: Box, scoring: str, seed: int, cpu: int) -> Engine:
    """An engine with its receptor (PDBQT text) and box.

    Raises:
        OptionError: no engine has this name, or it has no such scoring.
        MissingExtraError: its library is not installed.
    """
    return registry.load(INDEX, "engines", name)(receptor, box.center, box.size, scoring, seed, cpu)
