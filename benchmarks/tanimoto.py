"""Exact Tanimoto search on one core: Osler beside FPSim2 on the same molecules, the hits compared one by one.

    python benchmarks/tanimoto.py MOLECULES.smi --peer /path/to/peer/bin/python --work FOLDER [--queries 100]

MOLECULES may be packed by gzip, one SMILES a line. The peer's environment: pip install fpsim2. Both hold Morgan bits (radius 2,
2,048 bits) sorted by number of bits. Queries are molecules of the library drawn with seed 0 and are given as fingerprints, so that
only searching is timed: CPU seconds of this process (of the peer's own process), the best of three rounds, hits included. "M
pairs/s" is library rows times queries over those seconds, whether a bound spared the look or not. Files in FOLDER are used again.
Hits must be the same rows with similarities that agree to 1e-6 (the peer keeps 32-bit floats); of top 10, the similarities.
Lines are added to benchmarks/logs/tanimoto.txt.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

import numpy as np
from rdkit import Chem

from osler.adapters.rdkit import fingerprints
from osler.adapters.tanimoto.search import Hits, Library
from osler.adapters.tanimoto.store import Builder, open_library

HERE = Path(__file__).parent
LOG = HERE / "logs" / "tanimoto.txt"
THRESHOLDS = (0.3, 0.5, 0.7, 0.9)
ROUNDS, PART = 3, 10_000


def say(text: str) -> None:
    """Print a line and add it to the log."""
    print(text, flush=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def texts_of(path: Path) -> list[str]:
    """The SMILES of a file."""
    data = path.read_bytes()
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def library(molecules: Path, plain: Path, folder: Path) -> Library:
    """Build the library, and write the lines that RDKit could read to `plain`; both are used again if they are there."""
    if (folder / "library.json").is_file():
        return open_library(folder)
    shutil.rmtree(folder, ignore_errors=True)
    texts, builder, start, kept = texts_of(molecules), Builder(folder, 32), time.process_time(), []
    for first in range(0, len(texts), PART):
        read = [(text, Chem.MolFromSmiles(text)) for text in texts[first : first + PART]]
        read = [(text, mol) for text, mol in read if mol is not None]
        builder.add(fingerprints.bits([mol for _, mol in read]))
        kept += [text for text, _ in read]
    plain.write_text("\n".join(kept) + "\n")
    made = builder.finish()
    say(f"\n{len(kept):,} of {len(texts):,} lines are molecules; library built in {time.process_time() - start:.1f} CPU s")
    return made


def ours(made: Library, queries: np.ndarray) -> dict[str, tuple[list[float], list[Hits]]]:
    """Question → CPU seconds of each round, hits of each query."""
    out = {}
    asks = {f"within {t}": lambda q, t=t: made.within(q, t) for t in THRESHOLDS} | {"top 10": lambda q: made.top(q, 10)}
    for name, ask in asks.items():
        ask(queries[0])
        seconds = []
        for _ in range(ROUNDS):
            start = time.process_time()
            hits = [ask(q) for q in queries]
            seconds.append(time.process_time() - start)
        out[name] = (seconds, hits)
    return out


def same(name: str, hits: list[Hits], theirs: Any) -> bool:
    """Whether both found the same: rows and similarities, of top 10 the similarities (ties are ordered otherwise)."""
    ends = np.cumsum(theirs[f"{name} counts"])
    for mine, first, last in zip(hits, np.append(0, ends[:-1]), ends, strict=True):
        rows, similarity = theirs[f"{name} rows"][first:last], theirs[f"{name} similarity"][first:last]
        if len(rows) != len(mine):
            return False
        if name == "top 10":
            if not np.allclose(np.sort(similarity), np.sort(mine.similarity), atol=1e-6):
                return False
            continue
        order, own = np.argsort(rows), np.argsort(mine.rows)
        if not np.array_equal(rows[order], mine.rows[own]) or not np.allclose(similarity[order], mine.similarity[own], atol=1e-6):
            return False
    return True


def main() -> None:
    """Build, ask both, compare, log."""
    reader = argparse.ArgumentParser()
    reader.add_argument("molecules", type=Path)
    reader.add_argument("--peer", required=True)
    reader.add_argument("--work", type=Path, required=True)
    reader.add_argument("--queries", type=int, default=100)
    given = reader.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    plain = given.work / "molecules.smi"
    made = library(given.molecules, plain, given.work / "library")
    texts = texts_of(plain)
    drawn = np.random.default_rng(0).choice(len(texts), given.queries, replace=False)
    asked = [texts[i] for i in drawn]
    names = {n: str(given.work / f) for n, f in (("file", "peer.h5"), ("hits", "hits.npz"), ("facts", "facts.json"))}
    job = given.work / "asked.json"
    job.write_text(json.dumps({**names, "smiles": str(plain), "queries": asked, "thresholds": THRESHOLDS, "rounds": ROUNDS}))
    mine = ours(made, fingerprints.bits([Chem.MolFromSmiles(text) for text in asked]))
    subprocess.run([given.peer, str(HERE / "peers" / "fpsim2_search.py"), str(job)], check=True)
    facts, theirs = json.loads(Path(names["facts"]).read_text()), np.load(names["hits"])
    say(f"\n{len(made):,} molecules, {len(asked)} queries, one core, {platform.machine()}; FPSim2 {facts['version']}; CPU s of the "
        f"best of {ROUNDS} rounds")  # fmt: skip
    pairs = len(made) * len(asked) / 1e6
    for name, (seconds, hits) in mine.items():
        own, peer = min(seconds), min(facts[name])
        say(f"{name:<11} {sum(map(len, hits)):>8,} hits  Osler {own:7.3f} s {pairs / own:8.1f} M pairs/s  FPSim2 {peer:7.3f} s "
            f"{pairs / peer:8.1f} M pairs/s  same hits: {'yes' if same(name, hits, theirs) else 'NO'}")  # fmt: skip


if __name__ == "__main__":
    main()
