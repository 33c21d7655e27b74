"""FPSim2 on one core: makes its file if it is not there, searches, writes hits and CPU seconds. Runs in the peer's environment.

    python fpsim2_search.py ASKED.json
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from FPSim2 import FPSim2Engine
from FPSim2.io import create_db_file
from rdkit import Chem
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator


def molecules(path: str) -> Iterator[tuple[str, int]]:
    """SMILES and line number, from 0."""
    for i, line in enumerate(Path(path).read_text().splitlines()):
        yield line.split()[0], i


def main(asked: dict) -> None:
    """Build, search every threshold in rounds, and write what came out."""
    if not Path(asked["file"]).is_file():
        start = time.process_time()
        create_db_file(mols_source=molecules(asked["smiles"]), filename=asked["file"], mol_format="smiles", fp_type="Morgan",
                       fp_params={"radius": 2, "fpSize": 2048})  # fmt: skip
        print(f"FPSim2 built its file in {time.process_time() - start:.1f} CPU s", flush=True)
    engine = FPSim2Engine(asked["file"])
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    queries = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in asked["queries"]]
    facts = {"version": version("fpsim2"), "rows": int(engine.fps.shape[0])}
    arrays = {}
    for name, ask in {
        **{f"within {t}": lambda q, t=t: engine.similarity(q, t, n_workers=1) for t in asked["thresholds"]},
        "top 10": lambda q: engine.top_k(q, 10, 0.0),
    }.items():
        ask(queries[0])
        seconds = []
        for _ in range(asked["rounds"]):
            start = time.process_time()
            found = [ask(q) for q in queries]
            seconds.append(time.process_time() - start)
        facts[name] = seconds
        arrays[f"{name} rows"] = np.concatenate([f["mol_id"] for f in found]).astype(np.int64)
        arrays[f"{name} similarity"] = np.concatenate([f["coeff"] for f in found])
        arrays[f"{name} counts"] = np.array([len(f) for f in found])
    np.savez(asked["hits"], **arrays)
    Path(asked["facts"]).write_text(json.dumps(facts))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
