"""What a generator of molecules is worth: valid, different, new, diverse, and like the molecules it did not see.

Pure functions over SMILES, counts and fingerprints; `judge` puts them together. Definitions follow D. Polykovskiy et al.,
Molecular Sets (MOSES), Frontiers in Pharmacology 11:565644 (2020), with two differences: internal diversity leaves out the pair of a
molecule with itself, and similarity to scaffolds and fragments is to molecules whose scaffolds were held out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from osler.evaluation.intervals import wilson

#: Molecules on which slow measures are computed, in this order of slowness: pairs and fragments, then ChemNet.
PAIRS, CHEMNET = 2_000, 2_000


# -- one measure each -----------------------------------------------------------------------------------------------


def unique_share(smiles: Sequence[str], k: int | None = None) -> float:
    """Share of different ones among the first k valid molecules (all if None); NaN without any."""
    seen = smiles[:k]
    return len(set(seen)) / len(seen) if len(seen) else float("nan")


def marks(smiles: Collection[str]) -> np.ndarray:
    """Sorted uint64 marks by which molecules are known again without keeping them: the first 8 bytes of BLAKE2b.

    Among a million molecules two share a mark with a chance of 3 in 100 million.
    """
    found = {int.from_bytes(hashlib.blake2b(s.encode(), digest_size=8).digest(), "little") for s in smiles}
    return np.array(sorted(found), dtype=np.uint64)


def novel_share(smiles: Collection[str], known: np.ndarray) -> float:
    """Share of the different molecules that are not among `known` (marks of the training part); NaN without any."""
    own = marks(smiles)
    return float(1.0 - np.isin(own, known).mean()) if len(own) else float("nan")


def tanimoto(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, m) Tanimoto similarities of bits (n, p) and (m, p); two empty rows have 0."""
    a, b = a.astype(np.float32), b.astype(np.float32)
    shared = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1)[None, :] - shared
    return np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)


def internal_diversity(bits: np.ndarray) -> float:
    """1 minus the mean Tanimoto similarity of two different rows of (n, p) bits; NaN below two rows."""
    n = len(bits)
    if n < 2:
        return float("nan")
    similar = tanimoto(bits, bits)
    return float(1.0 - (similar.sum(dtype=np.float64) - np.trace(similar)) / (n * (n - 1)))


def nearest_similarity(bits: np.ndarray, reference: np.ndarray) -> float:
    """Mean over rows of the highest Tanimoto similarity to a reference row; NaN if either is empty."""
    if not len(bits) or not len(reference):
        return float("nan")
    return float(tanimoto(bits, reference).max(axis=1).mean())


def count_similarity(a: Counter[str], b: Counter[str]) -> float:
    """Cosine of two count vectors (scaffolds or fragments): 1 for the same proportions, 0 for nothing shared."""
    lengths = [float(np.sqrt(sum(v * v for v in c.values()))) for c in (a, b)]
    if not all(lengths):
        return float("nan")
    return float(sum(n * b[key] for key, n in a.items()) / (lengths[0] * lengths[1]))


def frechet_distance(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    """Squared Fréchet distance of two normal distributions, each (mean (p,), covariance (p, p)).

    |m1 − m2|² + tr C1 + tr C2 − 2 tr (C1^½ C2 C1^½)^½, the root by eigenvalues: D. Dowson, B. Landau, J Multivariate Anal
    12:450 (1982).
    """
    (mean_a, cov_a), (mean_b, cov_b) = a, b
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    middle = root @ cov_b @ root
    shared = np.sqrt(np.clip(np.linalg.eigvalsh((middle + middle.T) / 2), 0, None)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2.0 * shared)


def moments(activations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (p,) and covariance (p, p) of (n, p)."""
    return activations.mean(axis=0), np.cov(activations, rowvar=False)


# -- all together ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """What a generator gave, read by RDKit.

    Attributes:
        n: strings that were drawn.
        smiles: canonical SMILES of the valid ones, in the order drawn.
        mols: RDKit's molecules of the different ones, in the order first drawn.
    """

    n: int
    smiles: list[str]
    mols: list[Any] = field(repr=False)

    @classmethod
    def read(cls, strings: Sequence[str]) -> Drawn:
        """Parse strings; a string that is no molecule counts as invalid and is not kept."""
        from osler.adapters.rdkit import fragments
        from osler.adapters.rdkit.parse import parse

        smiles: list[str] = []
        first: dict[str, Any] = {}
        for text in strings:
            mol = parse(text).mol if text else None
            if mol is not None:
                name = fragments.canonical(mol)
                smiles.append(name)
                first.setdefault(name, mol)
        return cls(len(strings), smiles, list(first.values()))


@dataclass(frozen=True)
class Reference:
    """What generated molecules are compared with.

    Attributes:
        known: marks of the training part, for novelty.
        scaffolds, fragments: counts of molecules whose scaffolds were held out.
        bits: (n, 1024) fingerprints of them.
        chemnet: mean and covariance of their ChemNet activations; None leaves the Fréchet distance out.
    """

    known: np.ndarray
    scaffolds: Counter[str]
    fragments: Counter[str]
    bits: np.ndarray
    chemnet: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def of(cls, training: Collection[str], held_out: Sequence[str], chemnet: bool = True) -> Reference:
        """From SMILES of the training part and of the held-out part (at most `PAIRS` of the latter are looked at)."""
        from osler.adapters import fcd
        from osler.adapters.rdkit import fragments

        seen = Drawn.read(held_out[:PAIRS])
        chosen = seen.smiles[:CHEMNET]
        pair = moments(fcd.activations(chosen)) if chemnet and len(chosen) > 1 else None
        counts = fragments.scaffold_counts(seen.mols), fragments.fragment_counts(seen.mols)
        return cls(marks(training), *counts, fingerprint_bits(seen.mols), pair)


def fingerprint_bits(mols: Sequence[Any]) -> np.ndarray:
    """(n, 1024) Morgan bits of radius 2 as uint8."""
    from osler.adapters.rdkit import fingerprints

    packed = fingerprints.bits(mols, "ecfp", 1024)
    return np.unpackbits(np.ascontiguousarray(packed).view(np.uint8), axis=1, bitorder="little")


def judge(drawn: Drawn, reference: Reference, *, slow: bool = True) -> dict[str, dict[str, float | int]]:
    """Every measure as {"value", "n"} and, for shares, the limits "low" and "high" (Wilson, 95 %).

    Args:
        slow: with the Fréchet ChemNet distance (6 ms per molecule, at most `CHEMNET` of them).

    Returns:
        validity, unique_1k, unique_10k (of at most so many valid molecules), novelty, internal_diversity, scaffold_similarity,
        fragment_similarity, nearest_similarity, fcd, sa, qed, logp, weight; a measure without molecules is left out.
    """
    found = {"validity": _share(len(drawn.smiles) / drawn.n if drawn.n else float("nan"), drawn.n)}
    if not drawn.smiles:
        return found
    for name, k in (("unique_1k", 1_000), ("unique_10k", 10_000)):
        found[name] = _share(unique_share(drawn.smiles, k), min(k, len(drawn.smiles)))
    found["novelty"] = _share(novel_share(drawn.smiles, reference.known), len(drawn.mols))
    return {**found, **_likeness(drawn, reference), **_chemnet(drawn, reference, slow)}


def _likeness(drawn: Drawn, reference: Reference) -> dict[str, dict[str, float | int]]:
    from osler.adapters.rdkit import fragments
    from osler.adapters.rdkit.properties import NAMES, properties

    mols = drawn.mols[:PAIRS]
    bits = fingerprint_bits(mols)
    values = {
        "internal_diversity": internal_diversity(fingerprint_bits(_with_repeats(drawn))),
        "scaffold_similarity": count_similarity(fragments.scaffold_counts(mols), reference.scaffolds),
        "fragment_similarity": count_similarity(fragments.fragment_counts(mols), reference.fragments),
        "nearest_similarity": nearest_similarity(bits, reference.bits),
        **dict(zip(NAMES, _means(properties(mols)))),
    }
    return {name: {"value": value, "n": len(mols)} for name, value in values.items() if np.isfinite(value)}


def _means(columns: np.ndarray) -> list[float]:
    """Mean of each column over its finite values; NaN where there is none."""
    seen = [column[np.isfinite(column)] for column in columns.T]
    return [float(values.mean()) if len(values) else float("nan") for values in seen]


def _with_repeats(drawn: Drawn) -> list[Any]:
    """The first molecules as drawn: one that comes a hundred times counts a hundred times, or collapse would not show."""
    by_name = dict(zip(dict.fromkeys(drawn.smiles), drawn.mols))
    return [by_name[name] for name in drawn.smiles[:PAIRS]]


def _chemnet(drawn: Drawn, reference: Reference, slow: bool) -> dict[str, dict[str, float | int]]:
    from osler.adapters import fcd

    chosen = drawn.smiles[:CHEMNET]
    if not slow or reference.chemnet is None or len(chosen) < 2:
        return {}
    value = frechet_distance(moments(fcd.activations(chosen)), reference.chemnet)
    return {"fcd": {"value": value, "n": len(chosen)}}


def _share(value: float, n: int) -> dict[str, float | int]:
    low, high = wilson(value, n) if n else (0.0, 1.0)
    return {"value": value, "n": n, "low": float(low), "high": float(high)}
