"""The verb `repurpose`: known drugs ranked for an indication by how alike they are to drugs already used for it; and
how good that is.

For each source of likeness (targets, mechanism, structure, ...) a drug has two numbers for an indication: the likeness
to the nearest drug used for it, and the mean over the nearest three; the drug itself is never its own neighbour. A
logistic model of these numbers, the same for all indications, is fitted on known uses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from osler.cohort.proof_checks import Check
from osler.engine.discovery import twins
from osler.engine.discovery.drugs import Drugs
from osler.errors import OptionError, nearest
from osler.evaluation.intervals import percentile
from osler.evaluation.metrics import auroc

#: What is left out at a time.
LEAVE = ("drugs", "classes")
#: Neighbours behind the second number.
_NEAR = 3
#: Heads of a list that are looked at.
HEADS = (10, 50)
#: Fewest drugs of an indication that is judged.
FEWEST = 3


def _flag(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class RepurposeOptions:
    """Options of `osler repurpose`."""

    top: int = _flag(20, "drugs that are listed")
    source: tuple[str, ...] = _flag(
        (), "sources of likeness to use, such as targets, mechanism, structure; default all"
    )
    with_use: bool = _flag(False, "DrugCentral: take classes that say what a drug is for as a source too")
    leave: str = _flag("drugs", "evaluate: what is left out at a time, drugs or classes (chemical classes)")
    seed: int = _flag(0, "seed of folds and intervals")

    def __post_init__(self) -> None:
        if self.leave not in LEAVE:
            raise OptionError(f"leave must be drugs or classes, was '{self.leave}': {nearest(self.leave, LEAVE)}")
        if not 1 <= self.top <= 100_000:
            raise OptionError(f"top must be from 1 to 100,000, was {self.top}")


@dataclass(frozen=True)
class Judged:
    """How good rankings of left-out drugs are.

    Attributes:
        scores: method → metric → value, low, high, n. certificate: its JSON. weights: source → mean weights. facts:
            counts.
    """

    scores: dict[str, dict[str, Any]]
    certificate: dict[str, Any]
    facts: dict[str, Any]


def rank(indication: str, drugs: Drugs, options: RepurposeOptions | None = None) -> list[dict[str, Any]]:
    """Drugs for an indication, best first; those already used for it are named as such and ranked as if they were not.

    Returns:
        One row per listed drug: rank, drug, name, already_used, score (0 to 1), and per source the likeness to the
        nearest drug used and its name.

    Raises:
        OptionError: an indication or a source that the tables do not have; the nearest is suggested.
    """
    options = options or RepurposeOptions()
    k = _indication(indication, drugs)
    chosen = sources(drugs, options.source)
    everyone = np.ones(len(drugs), dtype=bool)
    numbers = likeness(drugs, drugs.used, chosen)
    score = fitted(numbers, drugs.used, everyone)(numbers)[:, k]
    users = np.flatnonzero(drugs.used[:, k])
    rows = []
    for place, i in enumerate(np.lexsort((np.arange(len(drugs)), -score))[: options.top].tolist(), 1):
        row: dict[str, Any] = {
            "rank": place,
            "drug": drugs.ids[i],
            "name": drugs.names[i],
            "already_used": bool(drugs.used[i, k]),
            "score": float(score[i]),
        }
        for source in chosen:
            near = drugs.similarity[source][i, users]
            best = int(near.argmax()) if len(near) else -1
            is_alike = best >= 0 and near[best] > 0
            row[source] = float(near[best]) if is_alike else 0.0
            row[f"{source}_like"] = drugs.names[users[best]] if is_alike else ""
        rows.append(row)
    return rows


def _indication(asked: str, drugs: Drugs) -> int:
    lower = {name.lower(): k for k, name in enumerate(drugs.indications)}
    if asked.strip().lower() not in lower:
        raise OptionError(
            f"indication must be one of the {len(lower)} of the table, was '{asked}': "
            f"{nearest(asked, drugs.indications)}"
        )
    return lower[asked.strip().lower()]


def sources(drugs: Drugs, asked: Sequence[str]) -> tuple[str, ...]:
    """The asked sources, or all.

    Raises:
        OptionError: one that there is not.
    """
    for name in asked:
        if name not in drugs.similarity:
            raise OptionError(
                f"source must be one of {', '.join(drugs.similarity)}, was '{name}': {nearest(name, drugs.similarity)}"
            )
    return tuple(dict.fromkeys(asked)) or tuple(drugs.similarity)


def likeness(drugs: Drugs, used: np.ndarray, chosen: Sequence[str]) -> np.ndarray:
    """(n, k, 2 sources) likeness of each drug to the nearest drug used for each indication, and the mean over the
    nearest three.

    Args:
        used: (n, k) the uses that may be known.
    """
    out = np.zeros((len(drugs), len(drugs.indications), 2 * len(chosen)))
    for k in range(len(drugs.indications)):
        users = np.flatnonzero(used[:, k])
        if not len(users):
            continue
        for s, source in enumerate(chosen):
            near = -np.sort(-drugs.similarity[source][:, users], axis=1)[:, :_NEAR]
            out[:, k, 2 * s] = near[:, 0]
            out[:, k, 2 * s + 1] = near.sum(axis=1) / _NEAR
    return out


def fitted(numbers: np.ndarray, used: np.ndarray, rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A logistic model of likeness, fitted on some drugs' pairs with all indications; it gives (n, k) from 0 to 1.

    Args:
        numbers: (n, k, p) of `likeness`. used: (n, k) known uses. rows: (n,) drugs that may be learnt from.
    """
    from sklearn.linear_model import LogisticRegression

    X, y = numbers[rows].reshape(-1, numbers.shape[2]), used[rows].ravel()
    if y.all() or not y.any():  # nothing to tell apart
        return lambda new: np.full(new.shape[:2], float(y.mean()))
    model = LogisticRegression(C=1.0, max_iter=500).fit(X, y)
    weight, start = model.coef_[0], float(model.intercept_[0])
    return lambda new: 1.0 / (1.0 + np.exp(-(new @ weight + start)))


def judge(drugs: Drugs, options: RepurposeOptions | None = None, *, folds: int = 5) -> Judged:
    """Hide all uses of a fifth of the drugs at a time (whole chemical classes, if asked), rank them, and see where
    the hidden uses are.

    Drugs that are the same substance in any sense are hidden together. Each drug is scored by the model that did not
    know its uses; the scores of all drugs make one list per indication.

    Raises:
        OptionError: more folds than groups.
    """
    options = options or RepurposeOptions()
    chosen, rng = sources(drugs, options.source), np.random.default_rng(options.seed)
    keys = _keys(drugs, options.leave)
    groups = twins.together(keys)
    if not 2 <= folds <= len(np.unique(groups)):
        raise OptionError(f"folds must be from 2 to the {len(np.unique(groups))} groups of drugs, was {folds}")
    fold = twins.dealt(groups, folds, rng)
    methods = {"all sources": chosen, **{f"{s} alone": (s,) for s in chosen if len(chosen) > 1}}
    found = {name: _out_of_fold(drugs, which, fold) for name, which in methods.items()}
    found["popularity"] = np.repeat(drugs.annotations[:, None].astype(float), len(drugs.indications), axis=1)
    judged = np.flatnonzero(drugs.used.sum(axis=0) >= FEWEST)
    scores = {
        name: _measured(values, drugs.used, judged, np.random.default_rng([options.seed, 1]))
        for name, values in found.items()
    }
    key = hashlib.sha256("\n".join([str(options.seed), *drugs.ids]).encode()).digest()
    hidden = Check(
        "hidden uses", "clean", 0, "every drug was scored by a model and by neighbours that did not know its uses"
    )
    unit = "drug" if options.leave == "drugs" else "chemical class"
    proof = twins.certificate(unit, [*twins.shared({**keys, "group": groups}, fold, "drug"), hidden], fold, key)
    facts = {
        "drugs": len(drugs),
        "uses": int(drugs.used.sum()),
        "indications": len(drugs.indications),
        "judged": len(judged),
        "drawn": sum(s is not None for s in drugs.smiles),
        "groups": len(np.unique(groups)),
        "left_out": options.leave,
        "sources": list(chosen),
    }
    return Judged(scores, proof, facts)


def _keys(drugs: Drugs, leave: str) -> dict[str, np.ndarray]:
    """What must stay together: the drug itself, its other forms, and if asked its chemical class."""
    found = {
        sense: codes for sense, codes in twins.keys_of(drugs.smiles, [None] * len(drugs)).items() if sense != "scaffold"
    }
    found["drug"] = np.arange(len(drugs))
    if leave == "classes":
        found["chemical class"] = drugs.classes.astype(np.int64)
    return found


def _out_of_fold(drugs: Drugs, chosen: Sequence[str], fold: np.ndarray) -> np.ndarray:
    """(n, k) scores by models that did not know the drug's uses."""
    out = np.zeros(drugs.used.shape)
    for f in np.unique(fold):
        known = fold != f
        used = drugs.used & known[:, None]
        numbers = likeness(drugs, used, chosen)
        out[~known] = fitted(numbers, drugs.used, known)(numbers)[~known]
    return out


def _measured(
    score: np.ndarray, used: np.ndarray, judged: np.ndarray, rng: np.random.Generator, n_boot: int = 1000
) -> dict[str, Any]:
    """Mean AUROC over indications, and the share of known uses in the first 10 and 50 of their lists, intervals over
    indications.
    """
    each: dict[str, list[float]] = {"auroc": [], **{f"hits_{h}": [] for h in HEADS}}
    weight = []
    for k in judged.tolist():
        order = np.lexsort((rng.permutation(len(score)), -score[:, k]))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(1, len(order) + 1)
        own = place[used[:, k]]
        each["auroc"].append(float(auroc(used[:, k].astype(int), score[:, k])))
        for head in HEADS:
            each[f"hits_{head}"].append(float((own <= head).sum()))
        weight.append(len(own))
    size = np.array(weight, dtype=float)
    drawn = rng.integers(len(judged), size=(n_boot, len(judged)))
    found = {}
    for name, values in each.items():
        per = np.array(values)
        below = np.ones(len(per)) if name == "auroc" else size
        value = float(per.sum() / below.sum())
        low, high = percentile(value, per[drawn].sum(axis=1) / below[drawn].sum(axis=1))
        found[name] = {
            "value": value,
            "low": float(low),
            "high": float(high),
            "n": len(per) if name == "auroc" else int(size.sum()),
        }
    return found
