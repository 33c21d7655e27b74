"""What is asked of a screen, and where the flags of `osler screen` come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from osler.errors import OptionError

#: Ways to pick.
DIVERSITY = ("maxmin", "spheres", "none")


def _flag(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class ScreenOptions:
    """Options of `osler screen`."""

    column: str = _flag("", "of a library that is a table: the column of SMILES; found by its name if empty")
    filter: tuple[str, ...] = _flag((), "leave out what meets it: pains, brenk, nih, ro5, veber, egan, ghose, ro3")
    actives: str = _flag("", "file of known actives: adds 'similarity' (Tanimoto, ECFP4) and 'nearest_active'")
    run: tuple[str, ...] = _flag((), "run or predictor folder whose answers are added to every molecule")
    want: tuple[str, ...] = _flag((), "condition on a column, such as 'herg_prob_1<0.2' or 'similarity<0.6'")
    in_domain: bool = _flag(False, "leave out molecules unlike those that a run was trained with")
    maximise: tuple[str, ...] = _flag((), "column that shall be large; of several aims COLUMN:WORST:BEST each")
    minimise: tuple[str, ...] = _flag((), "column that shall be small; of several aims COLUMN:WORST:BEST each")
    keep: int = _flag(1000, "best molecules that are kept while the library streams by; without an aim a random sample")
    pick: int = _flag(100, "molecules that are picked of those kept")
    diversity: str = _flag("maxmin", "how they are picked: maxmin (each least similar to those before), spheres, or none (the best)")
    most_similar: float = _flag(0.6, "spheres: a molecule more similar than this to a better one is passed over")
    dock: str = _flag("", "protein structure into which the picked molecules are docked")
    dock_option: tuple[str, ...] = _flag((), "NAME=VALUE for docking, as osler dock has them, such as box_ligand=pocket.sdf")
    block: int = _flag(1000, "molecules worked on at a time; after each block a kill loses nothing")
    seed: int = _flag(0, "seed of the random sample")

    def __post_init__(self) -> None:
        for name, low, high in (("keep", 1, 1_000_000), ("pick", 1, 1_000_000), ("block", 1, 100_000), ("most_similar", 0, 1)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"{name.replace('_', '-')} must be from {low} to {high:,}, was {value:g}")
        if self.diversity not in DIVERSITY:
            raise OptionError(f"diversity must be one of {', '.join(DIVERSITY)}, was '{self.diversity}'")
        if self.dock_option and not self.dock:
            raise OptionError("dock-option must come with a structure to dock into, there is none: add --dock FILE")
