"""AutoDock Vina as a docking engine, the only place where vina is imported."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from osler.errors import InputError, OptionError
from osler.registry import optional

#: Most grid points: one type's map takes eight bytes each, and Vina holds one map for each of its 22 types.
MOST_POINTS = 2_000_000
#: Vina's own grid spacing, Å.
SPACING = 0.375
#: Atom types that Vina reads; another one would end the process.
TYPES = frozenset(
    "C A N O P S H F I NA OA SA HD Mg Mn Zn Ca Fe Cl Br Si At G0 G1 G2 G3 CG0 CG1 CG2 CG3 W Cu Na K Hg Co Cd Ni".split()  # noqa: SIM905
)
_SCORE = re.compile(r"^REMARK VINA RESULT:\s+(-?\d+\.\d+)", re.M)


class VinaEngine:
    """One receptor and one box, into which ligands are docked one after the other.

    Sources: Eberhardt, Santos-Martins, Tillack, Forli, J Chem Inf Model 2021; Trott, Olson, J Comput Chem 2010.

    Args:
        receptor: PDBQT text of the rigid receptor.
        center: the box's centre, Å.
        size: the box's sides, Å.
        scoring: "vina" or "vinardo".
        seed: seed of the search, from 1 on; the same seed gives the same poses.
        cpu: threads; the poses do not depend on it.

    Raises:
        MissingExtraError: vina is not installed.
        OptionError: an unknown scoring function.
        InputError: an atom type that Vina does not know.
    """

    name = "vina"

    def __init__(
        self,
        receptor: str,
        center: tuple[float, ...],
        size: tuple[float, ...],
        scoring: str,
        seed: int,
        cpu: int,
    ) -> None:
        if scoring not in ("vina", "vinardo"):
            raise OptionError(f"option 'scoring' must be one of vina, vinardo, was '{scoring}'")
        vina = optional("vina", "molecules")
        self.version = str(vina.__version__)
        self.spacing = spacing_of(size)
        _check_types(receptor, "receptor")
        self._engine: Any = vina.Vina(sf_name=scoring, cpu=cpu, seed=seed, verbosity=0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "receptor.pdbqt"
            path.write_text(receptor, encoding="ascii", errors="replace")
            self._engine.set_receptor(str(path))
        self._engine.compute_vina_maps(list(center), list(size), spacing=self.spacing)

    def dock(
        self, ligand: str, exhaustiveness: int, poses: int, energy_range: float
    ) -> list[tuple[float, np.ndarray]]:
        """(score in kcal/mol, positions of the PDBQT's atoms (n, 3) in Å), best first.

        Args:
            ligand: PDBQT text.
            exhaustiveness: number of independent searches.
            poses: most poses to give back.
            energy_range: how far above the best score, kcal/mol.

        Raises:
            InputError: an atom type that Vina does not know, or no pose was found.
        """
        _check_types(ligand, "ligand")
        self._engine.set_ligand_from_string(ligand)
        self._engine.dock(exhaustiveness=exhaustiveness, n_poses=poses)
        return read_poses(self._engine.poses(n_poses=poses, energy_range=energy_range))


def spacing_of(size: tuple[float, ...]) -> float:
    """Vina's grid spacing, made wider where the box would need more than `MOST_POINTS` points."""
    spacing = SPACING
    while np.prod(np.ceil(np.asarray(size) / spacing) + 1) > MOST_POINTS:
        spacing = round(spacing + 0.025, 3)
    return spacing


def read_poses(text: str) -> list[tuple[float, np.ndarray]]:
    """Scores and positions (n, 3) of every MODEL of a PDBQT text.

    Raises:
        InputError: there is none.
    """
    found = []
    for model in text.split("ENDMDL"):
        score = _SCORE.search(model)
        lines = [line for line in model.splitlines() if line.startswith(("ATOM", "HETATM"))]
        if score and lines:
            xyz = np.array([[float(line[a : a + 8]) for a in (30, 38, 46)] for line in lines])
            found.append((float(score[1]), xyz))
    if not found:
        raise InputError(
            "the search must find a pose of the ligand in the box, it found none: make the box larger"
        )
    return found


def _check_types(pdbqt: str, what: str) -> None:
    held = {line[77:].strip() for line in pdbqt.splitlines() if line.startswith(("ATOM", "HETATM"))}
    if strange := sorted(held - TYPES):
        raise InputError(
            f"the {what} must hold atoms that Vina knows, it holds {', '.join(strange)}: "
            f"leave them out or dock without it"
        )
