"""Molecules per CPU second of every step from text to numbers, one thread.

    python benchmarks/molecule_features.py [N]

Reads the first N (2,000) molecules of the Lipophilicity set from the folder in OSLER_DATA_MIRROR. Each step is timed
alone on fresh molecules, twice, the better time taken; `encode` is what a model waits for. The log is in
benchmarks/logs/molecule_features.txt.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from rdkit import Chem
from rdkit.Chem import Descriptors

from osler import modalities
from osler.adapters.rdkit import descriptors, features, fingerprints, graphs, identity, scaffolds
from osler.adapters.rdkit.parse import parse_all
from osler.adapters.rdkit.standardise import Policy, standardise
from osler.cohort.column import Column


def timed(name: str, texts: list[str], step: Callable[[Any], Any], on_texts: bool = False) -> float:
    """Print molecules per CPU second and microseconds per molecule of a step; return the latter."""
    best = float("inf")
    for _ in range(2):
        given = texts if on_texts else [p.mol for p in parse_all(texts)]
        features.forget()
        start = time.process_time()
        step(given)
        best = min(best, time.process_time() - start)
    print(f"{name:44s}{len(texts) / best:10,.0f} /s{1e6 * best / len(texts):10.1f} µs", flush=True)
    return 1e6 * best / len(texts)


def main() -> None:
    """Time every step, then each of RDKit's descriptors that costs more than 20 µs."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    mirror = Path(os.environ["OSLER_DATA_MIRROR"])
    texts = pl.read_csv(mirror / "drugs" / "lipophilicity.csv")["smiles"].head(n).to_list()
    values, policy = pl.Series("smiles", texts), Policy()
    timed("parse (screened, sanitised)", texts, parse_all, on_texts=True)
    timed("standardise, default policy", texts, lambda m: [standardise(x, policy) for x in m])
    for kind in fingerprints.WIDTH:
        timed(kind, texts, lambda m, kind=kind: fingerprints.counts(m, (kind,)))
    timed("ecfp bits, packed", texts, fingerprints.bits)
    timed(f"descriptors ({len(descriptors.NAMES)})", texts, descriptors.describe)
    timed("graphs", texts, graphs.graphs)
    timed("scaffolds", texts, scaffolds.scaffolds)
    timed("identities", texts, identity.identities)
    molecule = modalities.get("molecule")
    state = molecule.fit(values, Column("smiles", "molecule"))
    timed("encode: default (MapLight)", texts, lambda t: molecule.encode(values, state), on_texts=True)
    ecfp = state | {"features": ["ecfp"]}
    timed("encode: ecfp alone", texts, lambda t: molecule.encode(values, ecfp), on_texts=True)
    two = state | {"features": ["ecfp", "avalon"]}
    timed("encode: ecfp + avalon", texts, lambda t: molecule.encode(values, two), on_texts=True)
    timed("encode: graph", texts, lambda t: molecule.encode_as("graph", values, state), on_texts=True)
    timed("encode: sequence", texts, lambda t: molecule.encode_as("sequence", values, state), on_texts=True)
    molecule.encode(values, state)
    start = time.process_time()
    molecule.encode(values, state)
    print(f"{'encode: default, kept rows':44s}{n / (time.process_time() - start):10,.0f} /s")
    print("\nRDKit's own descriptors above 20 µs, one by one (500 molecules):")
    for name, function in Descriptors.descList:
        given = [Chem.MolFromSmiles(t) for t in texts[:500]]
        start = time.process_time()
        for mol in given:
            function(mol)
        cost = 1e6 * (time.process_time() - start) / len(given)
        if cost > 20:
            print(f"  {name:30s}{cost:10.1f} µs{'' if name in descriptors.NAMES else '   left out'}")


if __name__ == "__main__":
    main()
