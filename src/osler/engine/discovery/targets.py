"""The verb `targets`: which targets a molecule is likely to bind, by the ligands that are known; and how often such
lists are right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from osler.adapters.rdkit import features, fingerprints, identity
from osler.adapters.rdkit.standardise import Policy
from osler.cohort.proof_checks import Check
from osler.engine.discovery import ligands, twins
from osler.engine.discovery.known import Known
from osler.engine.discovery.molecules import Query
from osler.errors import OptionError, nearest
from osler.evaluation.retrieval import first_right, reliability, reliability_at, retrieval

#: Edges of similarity between which the share of right targets is counted.
EDGES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
#: Molecules of the reference this similar are looked at twice: they may be the query itself in another form.
_MAY_BE_SAME, _LOOKED_AT = 0.1, 200
#: Listed targets whose rightness is counted.
_LISTED = 10


def _flag(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class TargetOptions:
    """Options of `osler targets`."""

    method: str = _flag("neighbours", "how targets are ranked: neighbours, nearest, ensemble, bayes or popularity")
    top: int = _flag(20, "targets that are listed per molecule")
    seed: int = _flag(0, "seed of random sets, folds and intervals")

    def __post_init__(self) -> None:
        if self.method not in ligands.METHODS:
            raise OptionError(
                f"method must be one of {', '.join(ligands.METHODS)}, was '{self.method}': "
                f"{nearest(self.method, ligands.METHODS)}"
            )
        if not 1 <= self.top <= 100_000:
            raise OptionError(f"top must be from 1 to 100,000, was {self.top}")


@dataclass(frozen=True)
class Evaluation:
    """How often lists of targets are right for molecules of scaffolds that were left out.

    Attributes:
        scores: method → metric → value, low, high, n.
        reliability: bins of similarity with the share of listed targets that are known ones.
        certificate: its JSON. fold: (n,) fold of each molecule.
        facts: n of molecules asked about, of targets, and what could not be found at all.
    """

    scores: dict[str, dict[str, Any]]
    reliability: list[dict[str, Any]]
    certificate: dict[str, Any]
    fold: np.ndarray
    facts: dict[str, Any]


def rank(
    queries: Sequence[Query], known: Known, options: TargetOptions | None = None, bins: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Targets of each query, best first.

    Args:
        bins: reliability by similarity from an evaluation of the same table.

    Returns:
        One row per query and listed target: place, name, smiles, rank, target, already_known, score, similarity,
        nearest_ligand, nearest_smiles, ligands, p_value, q_value (Benjamini-Hochberg over all targets), and right,
        right_low, right_high where bins are given.
    """
    options = options or TargetOptions()
    reference = ligands.Reference(
        known.bits, known.molecule, known.target, len(known.targets), np.random.default_rng(options.seed)
    )
    bits = fingerprints.bits([q.mol for q in queries])
    rows = []
    for query, own in zip(queries, bits, strict=True):
        similarity = reference.similarities(own)
        found = reference.evidence(own, similarity)
        score = ligands.scores(found, reference.sizes, options.method)
        q_value = adjusted(found.p)
        already = {t for m in _same(query, known, similarity) for t in known.targets_of(m)}
        order = ligands.best_first(score, found.similarity)
        for place, t in enumerate(order[: options.top].tolist(), 1):
            near = int(found.nearest[t])
            held = reliability_at(bins, float(found.similarity[t]))
            rows.append(
                {
                    "place": query.place,
                    "name": query.name,
                    "smiles": query.smiles,
                    "rank": place,
                    "target": known.targets[t],
                    "already_known": t in already,
                    "score": float(score[t]),
                    "similarity": float(found.similarity[t]),
                    "nearest_ligand": known.names[near] if near >= 0 else "",
                    "nearest_smiles": known.smiles[near] if near >= 0 else "",
                    "ligands": int(reference.sizes[t]),
                    "p_value": float(found.p[t]),
                    "q_value": float(q_value[t]),
                    **(
                        {
                            f"right{end}": held[name] if held else None
                            for end, name in (("", "right"), ("_low", "low"), ("_high", "high"))
                        }
                        if bins
                        else {}
                    ),
                }
            )
    return rows


def _same(query: Query, known: Known, similarity: np.ndarray) -> list[int]:
    """Molecules of the reference that are the query in any sense of being the same."""
    near = np.argsort(-similarity, kind="stable")[:_LOOKED_AT]
    near = near[similarity[near] >= _MAY_BE_SAME].tolist()
    others = features.identities([known.smiles[m] for m in near], Policy())
    return [m for i, m in enumerate(near) if any(query.keys[sense] == others[sense][i] for sense in identity.SENSES)]


def adjusted(p: np.ndarray) -> np.ndarray:
    """(k,) p values adjusted for k questions: Y. Benjamini, Y. Hochberg, J R Stat Soc B 57:289 (1995)."""
    order = np.argsort(p, kind="stable")
    raised = p[order] * len(p) / np.arange(1, len(p) + 1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return out


def evaluate(
    known: Known,
    options: TargetOptions | None = None,
    *,
    folds: int = 5,
    most: int = 2000,
    progress: Callable[[str, int, int], None] | None = None,
) -> Evaluation:
    """Leave out a fifth of all scaffolds at a time and ask for the targets of molecules that have them.

    Molecules that are the same in any sense stay together too, so that no left-out molecule has a twin in its
    reference. A target whose every ligand was left out cannot be found and counts as missed.

    Args:
        folds: at least 2. most: molecules asked about, drawn evenly from all.

    Raises:
        OptionError: folds below 2, or more folds than there are groups of scaffolds.
    """
    options, say = options or TargetOptions(), progress or (lambda *_: None)
    say("keys", 0, 1)
    keys = twins.keys_of(known.smiles, known.scaffolds)
    groups = twins.together(keys)
    if not 2 <= folds <= len(np.unique(groups)):
        raise OptionError(f"folds must be from 2 to the {len(np.unique(groups))} groups of scaffolds, was {folds}")
    rng = np.random.default_rng(options.seed)
    fold = twins.dealt(groups, folds, rng)
    asked = np.sort(rng.choice(len(known), min(most, len(known)), replace=False))
    places = {m: np.zeros(len(asked), dtype=np.int64) for m in ligands.METHODS}
    listed: list[tuple[float, bool]] = []
    done = 0
    for f in range(folds):
        keep = fold[known.molecule] != f
        reference = ligands.Reference(known.bits, known.molecule[keep], known.target[keep], len(known.targets), rng)
        for i in np.flatnonzero(fold[asked] == f).tolist():
            right = np.zeros(len(known.targets), dtype=bool)
            right[known.targets_of(int(asked[i]))] = True
            found = reference.evidence(known.bits[asked[i]])
            for method, at in places.items():
                at[i] = first_right(ligands.scores(found, reference.sizes, method), right, rng)
            best = ligands.best_first(ligands.scores(found, reference.sizes, options.method), found.similarity)[
                :_LISTED
            ]
            listed += [(float(found.similarity[t]), bool(right[t])) for t in best.tolist()]
            done += 1
            if done % 100 == 0:
                say("left-out molecules", done, len(asked))
    say("left-out molecules", len(asked), len(asked))
    return _told(known, keys, groups, fold, asked, places, listed, options)


def _accounting(known: Known) -> Check:
    """Every line that was read is a pair or was left out."""
    left, used = sum(known.refused.values()), len(known.molecule)
    off = known.n_read - left - used
    return Check(
        "row accounting",
        "violated" if off else "clean",
        abs(off),
        f"{known.n_read} lines read = {used} pairs + {left} left out",
    )


def _told(
    known: Known,
    keys: dict[str, np.ndarray],
    groups: np.ndarray,
    fold: np.ndarray,
    asked: np.ndarray,
    places: dict[str, np.ndarray],
    listed: list[tuple[float, bool]],
    options: TargetOptions,
) -> Evaluation:
    """Scores, reliability and certificate of what was asked."""
    rng = np.random.default_rng([options.seed, 1])
    scores = {m: retrieval(at, groups[asked], rng) for m, at in places.items()}
    measure, right = np.array([s for s, _ in listed]), np.array([r for _, r in listed], dtype=bool)
    key = hashlib.sha256("\n".join([str(options.seed), *known.smiles]).encode()).digest()
    checks = [*twins.shared({**keys, "group": groups}, fold, "molecule"), _accounting(known)]
    proof = twins.certificate("scaffold and sameness", checks, fold, key)
    lost = int((places["popularity"] == 0).sum())
    facts = {
        "molecules": len(known),
        "targets": len(known.targets),
        "pairs": len(known.molecule),
        "groups": len(np.unique(groups)),
        "asked": len(asked),
        "every_target_left_out": lost,
        "method": options.method,
    }
    return Evaluation(scores, reliability(measure, right, EDGES), proof, fold, facts)
