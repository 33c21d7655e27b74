"""Which molecules must stay together when some are left out, and the proof that they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from osler.adapters.rdkit import features
from osler.adapters.rdkit.identity import SENSES
from osler.adapters.rdkit.standardise import Policy
from osler.cohort.certificate import seal
from osler.cohort.proof_checks import Check
from osler.cohort.split import codes_of, components

FORMAT = "osler.certificate/1"


def keys_of(smiles: Sequence[str | None], scaffolds: Sequence[str | None]) -> dict[str, np.ndarray]:
    """Sense → (n,) codes that are equal for equal molecules, -1 where there is none: the scaffold, and every sense of
    being the same.
    """
    found = features.identities(list(smiles), Policy())
    texts = {"scaffold": list(scaffolds), **{sense: found[sense] for sense in SENSES}}
    return {sense: codes_of(pl.Series(values, dtype=pl.String)) for sense, values in texts.items()}


def together(keys: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n,) codes of groups: what shares a key in any sense is in one group."""
    n = len(next(iter(keys.values())))
    links = [np.empty((2, 0), dtype=np.int64)]
    for codes in keys.values():
        order = np.argsort(codes, kind="stable")
        same = (codes[order][1:] == codes[order][:-1]) & (codes[order][1:] >= 0)
        links.append(np.stack([order[:-1][same], order[1:][same]]))
    return components(n, np.concatenate(links, axis=1))


def dealt(groups: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) fold of each row: groups are dealt whole, largest first, each to the fold with the fewest rows so far;
    equal sizes in random order.
    """
    code = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(code)
    order = np.lexsort((rng.permutation(len(sizes)), -sizes))
    held, fold_of = np.zeros(folds, dtype=np.int64), np.zeros(len(sizes), dtype=np.int64)
    for group in order:
        fold_of[group] = int(held.argmin())
        held[fold_of[group]] += sizes[group]
    return fold_of[code]


def shared(keys: Mapping[str, np.ndarray], fold: np.ndarray, what: str) -> list[Check]:
    """One check per sense: keys in more than one fold, which a left-out molecule would find in its reference."""
    checks = []
    for sense, codes in keys.items():
        both = np.unique(np.stack([codes, fold])[:, codes >= 0], axis=1)
        n = int((np.bincount(both[0]) > 1).sum()) if both.size else 0
        told = (
            f"{n} of them are in more than one fold"
            if n
            else f"no left-out {what} shares it with one that was learnt from"
        )
        checks.append(Check(f"same {sense}", "violated" if n else "clean", n, told))
    return checks


def certificate(unit: str, checks: Sequence[Check], fold: np.ndarray, key: bytes) -> dict[str, Any]:
    """`certificate.json` of an evaluation that leaves out one fold after the other."""
    body = {
        "format": FORMAT,
        "verdict": "violated" if any(c.verdict == "violated" for c in checks) else "clean",
        "unit": unit,
        "checks": [c.to_json() for c in checks],
        "fitted_states": [],
        "splits": [
            {"key": f"fold/{f}", "by": unit, "train": int((fold != f).sum()), "test": int((fold == f).sum())}
            for f in np.unique(fold)
        ],
    }
    return {**body, "seal": seal(body, key)}
