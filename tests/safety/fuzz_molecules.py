"""Broken molecules against everything that reads them: `python tests/safety/fuzz_molecules.py --count 5000 [--seed 0]`.

Four of five cases are SMILES, one is a record of an SDF: real ones changed in a few places, and the kinds named in
`SPECIAL` (valence errors, chains of ten thousand atoms, unclosed rings, NUL, reactions, polymers, wrong counts lines,
coordinates that are no numbers, empty molecules, mixed line ends). Each is read as a cell or record is; what reads also
gets its default and its fast features and its scaffold. Cases run in a child process, so that a crash of RDKit is
counted and not suffered. A case passes if it gives a molecule and finite features, or a reason, within two
seconds (a slow case is tried again, in case the machine was busy).
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections import Counter

from tests.adapters.rdkit.test_parse import SEEDS, block, mutated, spoilt

SLOW = 2.0
SETS = ("ecfp", "avalon", "erg", "descriptors", "ecfp2", "pairs", "basics")


def special(rng: random.Random, blocks: list[str]) -> tuple[str, str]:
    """(kind, text) of a case of one of the kinds that files really have."""
    seed, n = rng.choice(SEEDS), rng.choice((300, 390, 999, 10_000))
    record = rng.choice(blocks)
    lines = record.split("\n")
    cases = (
        ("smiles", rng.choice(("C", "CO", "C=C", "c", "[CH2]", "C(C)", "C1CC1")) * n), ("smiles", seed + "C(C)(C)(C)(C)C"),
        ("smiles", seed + "C1CC2"), ("smiles", seed[:3] + "\0" + seed[3:]), ("smiles", f"{seed}>>{seed}"), ("smiles", f"{seed}>{seed}>C"),
        ("smiles", f"*{seed}*"), ("smiles", "{[]" + seed + "[]}"), ("smiles", ""), ("smiles", "(" * n), ("smiles", "[" * n),
        ("smiles", "C" + "(C" * rng.randrange(40) + ")" * 30), ("smiles", ".".join([seed] * rng.randrange(2, 60))),
        ("smiles", "".join(f"C%{i:02d}" for i in range(10, 60)) * 2), ("smiles", seed + "%(99999)C%(99999)"), ("smiles", f"[{n}C+99H99]"),
        ("mol", ""), ("mol", "\n\n\n  0  0  0  0  0  0  0  0  0  0999 V2000\nM  END\n"), ("mol", record.replace("0.0000", "nan", 2)),
        ("mol", record.replace("0.0000", "  1e999", 1)), ("mol", "\r\n".join(lines[:4]) + "\n" + "\n".join(lines[4:])),
        ("mol", "\r".join(lines)), ("mol", "\n".join([*lines[:3], f"{rng.randrange(999):3d}{rng.randrange(999):3d}" + lines[3][6:], *lines[4:]])),
        ("mol", "\n".join(lines[: rng.randrange(len(lines))])), ("mol", record.replace(" C ", " * ", 1)), ("mol", record.replace("M  END", "")),
    )  # fmt: skip
    return rng.choice(cases)


def case(rng: random.Random, blocks: list[str]) -> tuple[str, str]:
    """(kind, text) of the next case."""
    if rng.random() < 0.3:
        return special(rng, blocks)
    return ("smiles", mutated(rng)) if rng.random() < 0.8 else ("mol", spoilt(rng, blocks))


def work(first: int, stop: int, seed: int) -> None:
    """Cases first to stop, one line each on standard output: what came of it, and its seconds."""
    import numpy as np

    from osler.adapters.rdkit import features, scaffolds
    from osler.adapters.rdkit.standardise import Policy

    blocks = [block(s, v3000) for s in SEEDS for v3000 in (False, True)]
    features.read("C" * 450, Policy())  # the process apart is there
    features.computed([features.read("CCO", Policy())[0]], SETS)
    for number in range(first, stop):
        kind, text = case(random.Random(seed * 1_000_003 + number), blocks)
        start = time.perf_counter()
        mol, reason, _ = features.read(text, Policy(), kind)
        told = "refused" if reason else "read"
        if mol is not None:
            made = features.computed([mol], SETS)
            scaffolds.scaffold(mol)
            if not all(np.isfinite(part).all() for part in made):
                told = "WRONG not finite"
        elif not reason:
            told = "WRONG no reason"
        print(f"{number}\t{kind} {told}\t{time.perf_counter() - start:.3f}", flush=True)


def _again(number: int, seed: int) -> str:
    """Seconds of one case alone."""
    ask = [sys.executable, "-m", "tests.safety.fuzz_molecules", "--work", str(number), str(number + 1), "--seed", str(seed)]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.split("\t")[-1].strip() or "inf"


def run(count: int, seed: int) -> tuple[Counter[str], list[str], float]:
    """(outcomes, what went wrong, seconds of the slowest case)."""
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    slowest, at = 0.0, 0
    while at < count:
        ask = [sys.executable, "-m", "tests.safety.fuzz_molecules", "--work", str(at), str(count), "--seed", str(seed)]
        done = subprocess.run(ask, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            number, told, seconds = line.split("\t")
            at = int(number) + 1
            if float(seconds) > SLOW:
                seconds = _again(int(number), seed)
                line += f", again {seconds}"
                outcomes["slow once"] += 1
            slowest = max(slowest, float(seconds))
            outcomes[told] += 1
            if "WRONG" in told or float(seconds) > SLOW:
                wrong.append(line)
        if done.returncode:
            wrong.append(f"{at} CRASH exit {done.returncode}: {done.stderr[-300:]}")
            outcomes["crash"] += 1
            at += 1
    return outcomes, wrong, slowest


def main() -> int:
    """Run, print, exit 1 on any failure."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--count", type=int, default=300)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--work", type=int, nargs=2)
    given = arguments.parse_args()
    if given.work:
        work(*given.work, given.seed)
        return 0
    began = time.perf_counter()
    outcomes, wrong, slowest = run(given.count, given.seed)
    for kind, n in sorted(outcomes.items()):
        print(f"{n:>7,}  {kind}")
    took = time.perf_counter() - began
    print(f"{given.count:,} molecules in {took:.0f} s, slowest {slowest:.2f} s, {outcomes['crash']} crashes, {len(wrong)} wrong")
    for line in wrong[:50]:
        print(line)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
