"""From texts of molecules to rows of numbers, each molecule worked out once per process.

Folds and models ask again and again for the same molecules, so what was computed is kept by text, policy and feature,
in small types, within a bound of memory; the least recently used goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np

from osler.adapters.rdkit import descriptors, fingerprints, identity, pairs
from osler.adapters.rdkit.parse import parse
from osler.adapters.rdkit.standardise import MIXTURE, Policy, is_standard, standardise
from osler.errors import OptionError, nearest
from osler.registry import optional

#: Every set of dense features and its width.
WIDTH = {
    **fingerprints.WIDTH, "pairs": len(pairs.PAIR_NAMES), "basics": len(pairs.BASIC_NAMES),
    "descriptors": len(descriptors.NAMES),
}  # fmt: skip
#: Sets whose features are real numbers; the others are counts.
CONTINUOUS = {"basics": pairs.BASIC_NAMES, "descriptors": descriptors.NAMES}
#: One word for several sets: "fast" is what a library of millions can be answered with.
PRESETS = {"fast": ("ecfp2", "pairs", "basics")}
#: Bytes that kept rows may take together, and the molecules last read, which the next step asks for again.
MAX_BYTES, MAX_MOLECULES = 512 << 20, 4096

#: Molecules worked on together, and rows worked out ahead that are held at most.
_BATCH, MOST_AHEAD = 250, 16_384

_KEPT: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
_READ: OrderedDict[tuple[Any, ...], tuple[Any | None, str, tuple[str, ...]]] = OrderedDict()
_AHEAD: dict[tuple[str, str], tuple[np.ndarray, int]] = {}
_LOCK = Lock()
_held = _passing = 0
_ahead: tuple[str, ...] = ()


def known(features: Sequence[str]) -> tuple[str, ...]:
    """The features, if each is one of `WIDTH`; a word of `PRESETS` stands for several.

    Raises:
        OptionError: one is not; the nearest is suggested.
    """
    names = (*WIDTH, *PRESETS)
    for name in features:
        if name not in names:
            raise OptionError(
                f"features of molecules must be of {', '.join(names)}, was '{name}': {nearest(name, names)}"
            )
    if not features:
        raise OptionError(f"features of molecules must be one or more of {', '.join(WIDTH)}, there were none")
    return tuple(dict.fromkeys(one for name in features for one in PRESETS.get(name, (name,))))


def names(features: Sequence[str]) -> list[str]:
    """One name per dense feature, in the order of `dense`."""
    return [
        name for kind in features
        for name in (CONTINUOUS[kind] if kind in CONTINUOUS else _count_names(kind))
    ]  # fmt: skip


def _count_names(kind: str) -> Sequence[str]:
    return pairs.PAIR_NAMES if kind == "pairs" else [f"{kind} {i}" for i in range(WIDTH[kind])]


def molecules(texts: Sequence[str | None], policy: Policy, kind: str = "smiles") -> list[Any | None]:
    """The standardised molecule of each text, None where there is none."""
    return [None if text is None else read(text, policy, kind)[0] for text in texts]


def read(text: str, policy: Policy, kind: str = "smiles") -> tuple[Any | None, str, tuple[str, ...]]:
    """One standardised molecule, or None and the reason, and what the policy changed; the last ones are kept."""
    key = (text, kind, policy.words)
    with _LOCK:
        known = _READ.get(key)
    if known is not None:
        return known
    answer = _understood(text, policy, kind)
    with _LOCK:
        _READ[key] = answer
        while len(_READ) > MAX_MOLECULES:
            _READ.popitem(last=False)
    return answer


def _understood(text: str, policy: Policy, kind: str) -> tuple[Any | None, str, tuple[str, ...]]:
    if kind == "auto":
        kind = "inchi" if text.startswith("InChI=") else "smiles"
    found = parse(text, kind)
    if found.mol is None:
        return None, found.reason, ()
    if is_standard(text, kind, policy):
        return found.mol, "", ()
    mol, changes = standardise(found.mol, policy)
    return (mol, "", changes) if mol is not None else (None, MIXTURE, ())


def facts(texts: Sequence[str | None], policy: Policy, kind: str = "smiles") -> list[tuple[str, tuple[str, ...], int]]:
    """(reason, changes, heavy atoms) of each text; the reason is "" for a molecule and for a missing text, which has 0
    atoms.
    """
    setting = f"{kind} {policy.words}"
    if _ahead:
        return [
            one for start in range(0, len(texts), _BATCH)
            for one in _facts_ahead(texts[start : start + _BATCH], policy, kind, setting)
        ]  # fmt: skip
    out = []
    for text in texts:
        key = (text, setting, "facts")
        found = ("", (), 0) if text is None else _recall(key)
        if found is None:
            mol, reason, changes = read(text, policy, kind)
            found = (reason, changes, mol.GetNumHeavyAtoms() if mol is not None else 0)
            _keep(key, found)
        out.append(found)
    return out


def _facts_ahead(
    texts: Sequence[str | None], policy: Policy, kind: str, setting: str
) -> list[tuple[str, tuple[str, ...], int]]:
    """The facts of some texts, and their molecules' features while they lie in a near cache; then the molecules are let go."""
    found = {text: _understood(text, policy, kind) for text in dict.fromkeys(texts) if text is not None}
    there = {text: mol for text, (mol, _, _) in found.items() if mol is not None}
    if there:
        whole = np.hstack(computed(list(there.values()), _ahead))
        if len(_AHEAD) + len(there) > MOST_AHEAD:
            _AHEAD.clear()
        _AHEAD.update({(text, setting): (whole, row) for row, text in enumerate(there)})
    told = {text: (why, changes, mol.GetNumHeavyAtoms() if mol is not None else 0) for text, (mol, why, changes) in found.items()}
    return [("", (), 0) if text is None else told[text] for text in texts]


def dense(texts: Sequence[str | None], features: Sequence[str], policy: Policy, kind: str = "smiles") -> np.ndarray:
    """(n, sum of widths) float64, rows of NaN where a text is missing or is no molecule."""
    out = np.empty((len(texts), sum(WIDTH[f] for f in features)))
    out[[i for i, text in enumerate(texts) if text is None]] = np.nan
    rows: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        if text is not None:
            rows.setdefault(text, []).append(i)
    setting = f"{kind} {policy.words}"
    if _ahead == tuple(features):
        _take_ahead(rows, setting, out)
    lacking: list[tuple[str, Any]] = []
    for text, places in rows.items():
        parts = [_recall((text, setting, feature)) for feature in features]
        if any(part is None for part in parts):
            mol, reason, changes = read(text, policy, kind)
            _keep((text, setting, "facts"), (reason, changes, mol.GetNumHeavyAtoms() if mol is not None else 0))
            if mol is not None:
                lacking.append((text, mol))
                continue
            out[places] = np.nan
            for feature in features:
                _keep((text, setting, feature), np.empty(0, np.uint8))
        elif parts:
            out[places] = np.concatenate(parts) if all(part.size for part in parts) else np.nan
    for start in range(0, len(lacking), _BATCH):
        batch = lacking[start : start + _BATCH]
        parts = computed([mol for _, mol in batch], features)
        places = [rows[text] for text, _ in batch]
        out[[place for own in places for place in own]] = np.hstack(parts).repeat([len(own) for own in places], axis=0)
        for feature, part in zip(features, () if _passing else parts):
            for (text, _), row in zip(batch, part):
                _keep((text, setting, feature), row.copy())
    return out


def _take_ahead(rows: dict[str, list[int]], setting: str, out: np.ndarray) -> None:
    """Move rows that were worked out ahead into `out`, and their texts out of `rows`."""
    found: dict[int, tuple[np.ndarray, list[int], list[int]]] = {}
    for text in list(rows):
        whole, row = _AHEAD.get((text, setting), (None, 0))
        if whole is not None:
            _, taken, places = found.setdefault(id(whole), (whole, [], []))
            places += rows.pop(text)
            taken += [row] * (len(places) - len(taken))
    for whole, taken, places in found.values():
        out[places] = whole[taken]


def smiles(text: str | None, policy: Policy, kind: str = "smiles") -> str:
    """The canonical SMILES of the standardised molecule, "" where there is none."""
    if text is None:
        return ""
    key = (text, f"{kind} {policy.words}", "smiles")
    found = _recall(key)
    if found is None:
        mol = read(text, policy, kind)[0]
        found = "" if mol is None else optional("rdkit.Chem", "molecules").MolToSmiles(mol)
        _keep(key, found)
    return found


def identities(texts: Sequence[str | None], policy: Policy, kind: str = "smiles") -> dict[str, list[str | None]]:
    """Sense of `identity.SENSES` → one key per text, None where there is no molecule."""
    out: dict[str, list[str | None]] = {sense: [] for sense in identity.SENSES}
    nothing = (None,) * len(out)
    for text in texts:
        key = (text, f"{kind} {policy.words}", "identities")
        found = nothing if text is None else _recall(key)
        if found is None:
            mol = read(text, policy, kind)[0]
            found = nothing if mol is None else tuple(identity.keys(mol)[sense] for sense in out)
            _keep(key, found)
        for column, one in zip(out.values(), found):
            column.append(one)
    return out


def forget() -> None:
    """Drop every kept row."""
    global _held
    with _LOCK:
        _KEPT.clear()
        _READ.clear()
        _held = 0


def computed(mols: Sequence[Any], features: Sequence[str]) -> list[np.ndarray]:
    """(n, width) per set of features, in small types, of n molecules."""
    made: dict[str, np.ndarray] = {}
    if {"pairs", "basics"} & set(features):
        made |= pairs.fast(mols)
    if "descriptors" in features:
        made["descriptors"] = descriptors.describe(mols)
    made |= fingerprints.counts(mols, [f for f in features if f not in made])
    return [made[f] for f in features]


def _recall(key: tuple[Any, ...]) -> Any:
    with _LOCK:
        found = _KEPT.get(key)
        if found is not None:
            _KEPT.move_to_end(key)
        return found


@contextmanager
def passing(ahead: Sequence[str] = ()) -> Iterator[None]:
    """While it lasts no rows are kept: molecules stream past and none is asked for again. Sets of features named as `ahead` are
    worked out as soon as a molecule's `facts` are asked for, and the molecule is let go.
    """
    global _passing, _ahead
    before, _ahead = _ahead, tuple(ahead)
    _passing += 1
    try:
        yield
    finally:
        _passing -= 1
        _ahead = before
        _AHEAD.clear()


def _keep(key: tuple[Any, ...], value: Any) -> None:
    global _held
    if _passing:
        return
    with _LOCK:
        old = _KEPT.pop(key, None)
        _held += _bytes(key, value) - (_bytes(key, old) if old is not None else 0)
        _KEPT[key] = value
        while _held > MAX_BYTES and len(_KEPT) > 1:
            gone, row = _KEPT.popitem(last=False)
            _held -= _bytes(gone, row)


def _bytes(key: tuple[Any, ...], value: Any) -> int:
    return 400 + len(key[0]) + (value.nbytes if isinstance(value, np.ndarray) else 100)
