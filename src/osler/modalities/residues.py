"""Amino acid sequences as letters and as numbers: what may stand in one, its composition, its properties, its k-mers.

Properties are those that ProtParam gives (E. Gasteiger et al., The Proteomics Protocols Handbook, 571, 2005);
hydropathy: J. Kyte, R. F. Doolittle, J Mol Biol 157:105 (1982). CTD: I. Dubchak et al., Proc Natl Acad Sci USA 92:8700
(1995), with the classes of I. Dubchak et al., Proteins 35:401 (1999). Conjoint triads: J. Shen et al., Proc Natl Acad
Sci USA 104:4337 (2007).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from osler.cohort.grouping import components

#: The twenty residues, in the order of their codes.
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
#: Rare residues and the common one that each is made from or most like: selenocysteine and pyrrolysine.
NEAR = {"U": "C", "O": "K"}
#: Letters for "one of these": aspartate or asparagine, glutamate or glutamine, leucine or isoleucine, any.
AMBIGUOUS = "BZJX"
#: Longest sequence that is taken; the longest known protein (titin) has 35,000 residues.
MAX_LENGTH = 100_000

#: Average masses of residues in dalton (IUPAC 2021 atomic weights), in the order of `RESIDUES`; a chain has one water
#: more.
_MASS = np.array([
    71.0779, 103.1429, 115.0874, 129.1140, 147.1739, 57.0513, 137.1393, 113.1576, 128.1723, 113.1576,
    131.1961, 114.1026, 97.1152, 128.1292, 156.1857, 87.0773, 101.1039, 99.1311, 186.2099, 163.1733,
])  # fmt: skip
_WATER = 18.0153
_HYDROPATHY = np.array([
    1.8, 2.5, -3.5, -3.5, 2.8, -0.4, -3.2, 4.5, -3.9, 3.8, 1.9, -3.5, -1.6, -3.5, -4.5, -0.8, -0.7, 4.2, -0.9, -1.3,
])  # fmt: skip
#: Three classes of residues per property (Dubchak 1999).
_CLASSES = {
    "hydrophobicity": ("RKEDQN", "GASTPHY", "CLVIMFW"),
    "volume": ("GASTPDC", "NVEQIL", "MHKFRYW"),
    "polarity": ("LIFWCMVY", "PATGS", "HQRKNED"),
    "polarisability": ("GASDT", "CPNVEQIL", "KMHFRYW"),
    "charge": ("KR", "ANCQGHILMFPSTWYV", "DE"),
    "secondary structure": ("EALMQKRH", "VIYCWFT", "GNPSD"),
    "solvent access": ("ALFCGIVW", "RKQEND", "MPSTHY"),
}
_TRIADS = ("AGV", "ILFP", "YMTS", "HNQW", "RK", "DE", "C")
_QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
_BINS, _K = 1024, 3

#: Every set of dense features and its width.
WIDTH = {"properties": 5, "composition": 20, "ctd": 147, "dipeptides": 400, "triads": 343, "kmers": _BINS}
#: The sets that are counts.
COUNTS = frozenset({"dipeptides", "triads", "kmers"})

_CODE = np.full(256, -1, dtype=np.int64)
_CODE[[ord(c) for c in RESIDUES]] = np.arange(20)


def _table(classes: tuple[str, ...]) -> np.ndarray:
    """(20,) class of each residue."""
    return np.array([next(i for i, part in enumerate(classes) if c in part) for c in RESIDUES])


_CTD = np.stack([_table(classes) for classes in _CLASSES.values()])
_TRIAD = _table(_TRIADS)


def letters(text: str) -> tuple[str, str]:
    """The letters of a cell in upper case, and why it is none (or ""): FASTA headers, blanks and a last stop (`*`) are
    left out.

    The reason names no letter of the cell.
    """
    lines = text.strip().splitlines()
    if sum(line.startswith(">") for line in lines) > 1:
        return "", "more than one FASTA record"
    held = "".join("".join(line.split()) for line in lines if not line.startswith((">", ";"))).upper().removesuffix("*")
    if not held:
        return "", "no residue"
    if len(held) > MAX_LENGTH:
        return "", f"longer than {MAX_LENGTH:,} residues"
    wrong = next((i for i, c in enumerate(held) if c not in _LEGAL), None)
    return ("", f"no letter of a residue at position {wrong + 1}") if wrong is not None else (held, "")


_LEGAL = frozenset(RESIDUES + "".join(NEAR) + AMBIGUOUS)


def codes(sequence: str, rare: str = "near") -> np.ndarray:
    """(t,) int64 places in `RESIDUES`, −1 for a residue that is not known; U and O are read as C and K if `rare` is
    "near".
    """
    if rare == "near":
        sequence = sequence.translate(str.maketrans(NEAR))
    return _CODE[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]


def features(code: np.ndarray, kinds: tuple[str, ...]) -> np.ndarray:
    """(p,) float64: the named sets of `WIDTH` of one sequence of codes, side by side."""
    return np.concatenate([_MAKERS[kind](code) for kind in kinds])


def names(kinds: tuple[str, ...]) -> list[str]:
    """One name per feature of `features`."""
    return [name for kind in kinds for name in _NAMES[kind]]


def kmers(code: np.ndarray, k: int) -> np.ndarray:
    """(t - k + 1 at most,) int64 code of every stretch of k known residues (base 20, the first residue leading)."""
    return _windows(code, 20, k)


def families(sequences: list[np.ndarray], k: int = 5, least: float = 0.1) -> np.ndarray:
    """(n,) codes of families: two sequences whose sets of k-mers have a Jaccard index of at least `least` are of one.

    Families are the connected components of that relation (single linkage), so that the order of the sequences does not
    matter and no two of different families are that similar. A sequence shorter than k is a family of its own.
    """
    sets = [np.unique(kmers(code, k)) for code in sequences]
    sizes = np.array([len(s) for s in sets], dtype=np.int64)
    words, columns = np.unique(np.concatenate([np.empty(0, np.int64), *sets]), return_inverse=True)
    held = csr_array(
        (np.ones(len(columns), np.int32), columns, np.concatenate([[0], np.cumsum(sizes)])),
        shape=(len(sets), max(len(words), 1)),
    )
    common = (held @ held.T).tocoo()
    union = sizes[common.row] + sizes[common.col] - common.data
    near = common.data >= least * union
    return components(len(sets), np.stack([common.row[near], common.col[near]]))


def _windows(code: np.ndarray, base: int, k: int) -> np.ndarray:
    if len(code) < k:
        return np.empty(0, dtype=np.int64)
    seen = np.lib.stride_tricks.sliding_window_view(code, k)
    seen = seen[(seen >= 0).all(axis=1)]
    return seen @ base ** np.arange(k - 1, -1, -1)


def _counts(code: np.ndarray) -> np.ndarray:
    return np.bincount(code[code >= 0], minlength=20).astype(np.float64)


def _properties(code: np.ndarray) -> np.ndarray:
    """Length, mass (an unknown residue weighs as the mean of the known), GRAVY, aromaticity, and charge of K, R, D and
    E.
    """
    count = _counts(code)
    known = max(count.sum(), 1.0)
    mean = count @ _MASS / known if count.sum() else float(_MASS.mean())
    charge = count[RESIDUES.index("K")] + count[RESIDUES.index("R")]
    charge -= count[RESIDUES.index("D")] + count[RESIDUES.index("E")]
    aromatic = sum(count[RESIDUES.index(c)] for c in "FWY")
    return np.array([len(code), mean * len(code) + _WATER, count @ _HYDROPATHY / known, aromatic / known, charge])


def _composition(code: np.ndarray) -> np.ndarray:
    count = _counts(code)
    return count / max(count.sum(), 1.0)


def _ctd(code: np.ndarray) -> np.ndarray:
    """Per property: shares of its three classes, shares of the changes between them, and where in the chain (%) the
    first residue of each class lies, and its first quarter, half, three quarters and last.
    """
    code = code[code >= 0]
    n = len(code)
    out = []
    for table in _CTD:
        group = table[code]
        out.append(np.bincount(group, minlength=3) / max(n, 1))
        pairs = np.sort(np.stack([group[:-1], group[1:]]), axis=0) if n else np.empty((2, 0), np.int64)
        out.append([np.sum((pairs[0] == a) & (pairs[1] == b)) / max(n - 1, 1) for a, b in ((0, 1), (0, 2), (1, 2))])
        for k in range(3):
            at = np.flatnonzero(group == k) + 1
            picks = [max(int(np.floor(q * len(at))), 1) - 1 for q in _QUARTERS]
            out.append(100.0 * at[picks] / n if len(at) else np.zeros(5))
    return np.concatenate(out)


def _triads(code: np.ndarray) -> np.ndarray:
    group = np.where(code >= 0, _TRIAD[code], -1)
    return np.bincount(_windows(group, 7, 3), minlength=343).astype(np.float64)


def _hashed(code: np.ndarray) -> np.ndarray:
    """Counts of 3-mers in 1,024 bins by multiplicative hashing (Knuth, The Art of Computer Programming 3, 6.4)."""
    bins = (kmers(code, _K) * 2_654_435_761 & 0xFFFFFFFF) >> 22
    return np.bincount(bins, minlength=_BINS).astype(np.float64)


_MAKERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "properties": _properties,
    "composition": _composition,
    "ctd": _ctd,
    "dipeptides": lambda code: np.bincount(kmers(code, 2), minlength=400).astype(np.float64),
    "triads": _triads,
    "kmers": _hashed,
}
_NAMES = {
    "properties": ["length", "mass", "GRAVY", "aromaticity", "charge"],
    "composition": [f"AAC {c}" for c in RESIDUES],
    "ctd": [
        name for kind in _CLASSES for name in (
            *(f"CTDC {kind} {i}" for i in (1, 2, 3)),
            *(f"CTDT {kind} {a}{b}" for a, b in ((1, 2), (1, 3), (2, 3))),
            *(f"CTDD {kind} {i} {q:.0%}" for i in (1, 2, 3) for q in _QUARTERS),
        )
    ],
    "dipeptides": [f"dipeptide {a}{b}" for a in RESIDUES for b in RESIDUES],
    "triads": [f"triad {a}{b}{c}" for a in range(1, 8) for b in range(1, 8) for c in range(1, 8)],
    "kmers": [f"3-mers bin {i}" for i in range(_BINS)],
}  # fmt: skip
