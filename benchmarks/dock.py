"""Does `osler dock` find crystal poses, and what does it cost beside Vina itself?

    OSLER_DATA_MIRROR=FOLDER python benchmarks/dock.py [CASE ...]

Cases (all without an argument):

- imatinib into its own ABL kinase (1IEP) and into another structure of it (1FPU), nicotine into AChBP (1UW6), each from
  a conformer made from the bonds alone: nothing of the crystal pose is given; then 1IEP from the crystal pose too;
- `vina`: the peer. Vina's Python API on the receptor and ligand PDBQT that its authors publish with the 1IEP example
  (the ligand starts from the crystal pose there), same box, exhaustiveness, seed and thread.

Each line: CPU seconds of the whole (reading, preparing, docking, checks, contacts), score, symmetric heavy-atom RMSD
of the best pose, and the least RMSD among all poses. Lines are added to benchmarks/logs/dock.txt.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from osler.adapters import spyrmsd
from osler.adapters.rdkit import poses
from osler.cohort import Cohort, Column
from osler.instruments.dock import Dock, DockOptions

FOLDER = Path(os.environ["OSLER_DATA_MIRROR"]) / "drugs" / "docking"
LOG = Path(__file__).parent / "logs" / "dock.txt"
IMATINIB = "Cc1ccc(NC(=O)c2ccc(CN3CC[NH+](C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1"
NICOTINE = "C[NH+]1CCC[C@H]1c1cccnc1"
ABL = {"center": "15.190,53.903,16.917", "size": "20", "reference": str(FOLDER / "1iep_ligand.sdf")}
ACHBP = {"center": "83.640,69.684,-10.124", "size": "14", "reference": str(FOLDER / "1uw6_ligand.sdf")}
SEED, EXHAUSTIVENESS = 1, 8


def ours(cell: str, receptor: str, start: str = "new", **box: str) -> tuple[float, float, float]:
    """Score, RMSD of the best pose and least RMSD of one docking by `osler dock`."""
    table = Cohort(pl.DataFrame({"smiles": [cell]}), (Column("smiles", "text"),))
    options = DockOptions(
        receptor=str(FOLDER / receptor), start=start, exhaustiveness=EXHAUSTIVENESS, seed=SEED, **box
    )
    found = Dock().run(table, options).cohort.table
    return found["score"][0], found["rmsd"][0], found["rmsd"].min()


def vina() -> tuple[float, float, float]:
    """The same of Vina's own API on its authors' files."""
    import vina as peer

    with tempfile.TemporaryDirectory() as folder:
        receptor = Path(folder) / "receptor.pdbqt"
        receptor.write_bytes(gzip.decompress((FOLDER / "1iep_receptor.pdbqt.gz").read_bytes()))
        engine = peer.Vina(sf_name="vina", cpu=1, seed=SEED, verbosity=0)
        engine.set_receptor(str(receptor))
        engine.set_ligand_from_file(str(FOLDER / "1iep_ligand.pdbqt"))
        engine.compute_vina_maps([15.190, 53.903, 16.917], [20, 20, 20])
        engine.dock(exhaustiveness=EXHAUSTIVENESS, n_poses=9)
        text = engine.poses(n_poses=9)
    return peer_rmsd(text)


def peer_rmsd(text: str) -> tuple[float, float, float]:
    """Score and RMSDs of Vina's PDBQT poses, read back by meeko."""
    import meeko
    from rdkit import Chem

    made = meeko.RDKitMolCreate.from_pdbqt_mol(meeko.PDBQTMolecule(text, skip_typing=True))[0]
    reference = poses.heavy(poses.read_sdf((FOLDER / "1iep_ligand.sdf").read_text(), "reference")[0])
    values = []
    for conformer in made.GetConformers():
        one = Chem.Mol(made, confId=conformer.GetId())
        values.append(spyrmsd.symmetric_rmsd(reference, poses.heavy(one)))
    score = float(text.split("REMARK VINA RESULT:")[1].split()[0])
    return score, values[0], min(values)


CASES: dict[str, tuple[str, Callable[[], tuple[float, float, float]]]] = {
    "1uw6": ("nicotine into 1UW6, new conformer", lambda: ours(NICOTINE, "1uw6_receptorH.pdb.gz", **ACHBP)),
    "vina": ("Vina's API, authors' PDBQT of 1IEP (starts from the crystal pose)", vina),
    "1iep": ("imatinib into 1IEP, new conformer", lambda: ours(IMATINIB, "1iep_receptorH.pdb.gz", **ABL)),
    "crystal": (
        "imatinib into 1IEP, crystal start",
        lambda: ours((FOLDER / "1iep_ligand.sdf").read_text(), "1iep_receptorH.pdb.gz", "given", **ABL),
    ),
    "1fpu": (
        "imatinib into 1FPU (cross), new conformer",
        lambda: ours(IMATINIB, "1fpu_receptorH.pdb.gz", **ABL),
    ),
}


def main() -> None:
    """Run the named cases, print and keep one line for each."""
    version = importlib.metadata.version("vina")
    head = f"Vina {version}, exhaustiveness {EXHAUSTIVENESS}, seed {SEED}, 1 thread, {platform.machine()}"
    with LOG.open("a", encoding="utf-8") as log:
        for line in _lines(sys.argv[1:] or list(CASES), head):
            print(line, flush=True)
            log.write(line + "\n")


def _lines(names: list[str], head: str) -> Iterator[str]:
    yield head
    for name in names:
        title, run = CASES[name]
        before = time.process_time()
        score, rmsd, least = run()
        used = time.process_time() - before
        yield f"{title:<68} {used:7.1f} CPU s  score {score:7.3f}  RMSD {rmsd:6.3f} A  least {least:6.3f} A"


if __name__ == "__main__":
    main()
