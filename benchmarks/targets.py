"""Target lists on left-out scaffolds: hit rates of every method beside popularity and the nearest neighbour, on
public tables.

    OSLER_DATA_MIRROR=FOLDER python benchmarks/targets.py [drugcentral davis kiba moleculeace]

One thread; a fifth of all scaffolds is left out at a time, 2,000 molecules at most are asked about, intervals are 95 %
over groups of scaffolds. CPU seconds hold reading, standardising and all methods. Lines are added to
benchmarks/logs/targets.txt.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")

from osler.engine.discovery.target_folder import known_of
from osler.engine.discovery.targets import evaluate

LOG = Path(__file__).parent / "logs" / "targets.txt"


def say(text: str) -> None:
    """Print a line and add it to the log."""
    print(text, flush=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def main(tables: list[str]) -> None:
    """One block per table."""
    for table in tables:
        start = time.process_time()
        known = known_of([table])
        found = evaluate(known)
        facts = found.facts
        say(
            f"\n{table}: {facts['molecules']:,} molecules, {facts['targets']:,} targets, {facts['pairs']:,} pairs, "
            f"{facts['groups']:,} groups of scaffolds; "
            f"{facts['asked']:,} asked, of {facts['every_target_left_out']} every target was left out; "
            f"certificate {found.certificate['verdict']}; "
            f"{time.process_time() - start:.0f} CPU s"
        )
        for method, scores in found.scores.items():
            say(
                f"{method:<11}"
                + "   ".join(f"{n} {m['value']:.3f} ({m['low']:.3f}-{m['high']:.3f})" for n, m in scores.items())
            )
        for b in found.reliability:
            say(
                f"  similarity {b['from']:.1f}-{b['to']:.1f}: {b['right']:.3f} right "
                f"({b['low']:.3f}-{b['high']:.3f}), n {b['n']}"
            )


if __name__ == "__main__":
    main(sys.argv[1:] or ["drugcentral", "davis", "kiba", "moleculeace"])
