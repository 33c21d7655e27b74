"""The stages that every molecule of a library passes, block by block: what it becomes, or where it left the funnel."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from osler.adapters.rdkit import alerts, features, fingerprints
from osler.adapters.rdkit.standardise import Policy
from osler.adapters.tanimoto import search
from osler.engine.predict import open_predictor, rows_cohort
from osler.engine.predictor import Predictor
from osler.engine.screening import wants
from osler.engine.screening.library import Entry, entries
from osler.engine.screening.options import ScreenOptions
from osler.errors import ColumnError, OptionError, ReadError
from osler.registry import optional

#: What every kept molecule has; columns of the stages follow.
OWN = ("place", "name", "smiles", "score")
#: A molecule that every run can answer for, asked for the names of the columns.
_PROBE = "CC(=O)Oc1ccccc1C(=O)O"
_MOST_ACTIVES = 100_000


@dataclass
class Passed:
    """What came of one block.

    Attributes:
        rows: the molecules that passed every stage, as columns.
        refused: (place, name, reason) of what could not be read.
        counts: stage → molecules that passed it.
        dropped: filter → alert or limits → molecules.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    dropped: dict[str, Counter[str]] = field(default_factory=dict)


class Stages:
    """Everything a molecule meets, opened once.

    Raises:
        InputError: an option, a run or the file of actives is not what it must be.
    """

    def __init__(self, options: ScreenOptions) -> None:
        self._seed = options.seed
        self._filters = alerts.filters(options.filter)
        self._limits = wants.limits_of(options.want)
        self._aims = wants.aims_of(options.maximise, options.minimise)
        self._policy = Policy()
        self._actives, self._active_names = _actives(options.actives, self._policy) if options.actives else (None, [])
        self._judges = judges(options.run)
        self._limits += tuple(
            wants.Limit(f"{judge.name}_in_domain", "=", "true") for judge in self._judges if options.in_domain
        )
        mol = features.read(_PROBE, self._policy)[0]
        probe = self._columns([mol], [_PROBE])[0]
        wants.check(self._limits, self._aims, probe)
        self.columns = [*OWN, *probe]
        self.names = [
            "read", "readable", *(f"passed {name}" for name in self._filters), *dict.fromkeys(map(str, self._limits)),
            *(["has a score"] if self._aims else []),
        ]  # fmt: skip

    def identity(self) -> list[Any]:
        """What a continued screen must have in common with its beginning, besides the options: the predictors themselves."""
        return [judge.predictor.certificate for judge in self._judges]

    def passed(self, block: Sequence[Entry]) -> Passed:
        """Read, standardise, filter, compare with actives, predict, and hold against what is wanted."""
        out = Passed()
        out.counts["read"] += len(block)
        held = self._filtered(self._readable(block, out), out)
        if not held:
            return out
        texts = [_smiles(mol) for _, mol in held]
        for (entry, _), text, columns in zip(held, texts, self._columns([mol for _, mol in held], texts), strict=True):
            if self._is_wanted(columns, out):
                score = self._score(entry.place, columns)
                if math.isnan(score):
                    continue
                if self._aims:
                    out.counts["has a score"] += 1
                out.rows.append({"place": entry.place, "name": entry.name, "smiles": text, "score": score, **columns})
        return out

    def _readable(self, block: Iterable[Entry], out: Passed) -> list[tuple[Entry, Any]]:
        held = []
        for entry in block:
            mol, reason = None, entry.problem
            if not reason:
                mol, reason, _ = features.read(entry.text, self._policy, entry.kind)
            if mol is None:
                out.refused.append((entry.place, entry.name, reason))
            else:
                held.append((entry, mol))
        out.counts["readable"] += len(held)
        return held

    def _filtered(self, held: list[tuple[Entry, Any]], out: Passed) -> list[tuple[Entry, Any]]:
        for name, met in self._filters.items():
            told = [met(mol) for _, mol in held]
            out.dropped[name] = Counter(t for t in told if t)
            held = [one for one, t in zip(held, told, strict=True) if not t]
            out.counts[f"passed {name}"] += len(held)
        return held

    def _columns(self, mols: list[Any], texts: list[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [{} for _ in mols]
        if self._actives is not None:
            similarity, which = search.nearest(fingerprints.bits(mols), self._actives)
            for row, s, w in zip(rows, similarity.tolist(), which.tolist(), strict=True):
                row |= {"similarity": s, "nearest_active": self._active_names[w]}
        for judge in self._judges:
            for name, values in judge.columns(texts).items():
                for row, value in zip(rows, values, strict=True):
                    row[name] = value
        return rows

    def _is_wanted(self, columns: dict[str, Any], out: Passed) -> bool:
        for limit in self._limits:
            if not limit.holds(columns):
                return False
            out.counts[str(limit)] += 1
        return True

    def _score(self, place: int, columns: dict[str, Any]) -> float:
        if self._aims:
            return wants.score(self._aims, columns)
        return float(np.random.default_rng([self._seed, place]).random())


@dataclass(frozen=True)
class Judge:
    """A predictor that answers for a molecule alone.

    Attributes:
        predictor: the predictor. column: its column of molecules. name: its target, with the folder's name where two runs share one.
    """

    predictor: Predictor
    column: str
    name: str

    def columns(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        """Its answers for SMILES, as columns: predictions, intervals or sets, and whether each molecule is in domain."""
        answered = self.predictor.predict(rows_cohort(self.predictor, [{self.column: text} for text in texts]))
        target = self.predictor.target[-1]
        out = {}
        for column in answered.role("prediction"):
            name = f"{target}_in_domain" if column.name == "in_domain" else column.name
            out[self.name + name.removeprefix(target) if name.startswith(target) else name] = answered.table[column.name].to_list()
        return out


def judges(folders: Sequence[str]) -> list[Judge]:
    """Predictors of runs that read molecules and nothing else.

    Raises:
        ColumnError: one reads other columns too, or no molecules.
        OptionError: two runs have the same target and the same folder name.
    """
    opened = [(Path(folder), open_predictor(folder)) for folder in folders]
    targets = Counter(predictor.target[-1] for _, predictor in opened)
    found: dict[str, Judge] = {}
    for folder, predictor in opened:
        inputs = predictor.inputs
        if len(inputs) != 1 or inputs[0].modality != "molecule":
            others = ", ".join(f"'{c.name}' ({c.modality})" for c in inputs[:5])
            raise ColumnError(
                f"a run that screens must answer from one column of molecules, '{folder.name}' reads {others}: "
                f"fit one with --input and the column of SMILES", "column-kind"
            )  # fmt: skip
        target = predictor.target[-1]
        name = target if targets[target] == 1 else f"{folder.resolve().name}_{target}"
        if name in found:
            raise OptionError(f"runs must have folders of different names where they predict the same, two are '{name}'")
        found[name] = Judge(predictor, inputs[0].name, name)
    return list(found.values())


def _actives(path: str, policy: Policy) -> tuple[np.ndarray, list[str]]:
    """Packed fingerprints and names of the actives; each must be readable."""
    mols, names = [], []
    for entry in entries(path):
        mol, reason = None, entry.problem
        if not reason:
            mol, reason, _ = features.read(entry.text, policy, entry.kind)
        if mol is None:
            raise ReadError(f"every active must be a molecule, number {entry.place} of '{Path(path).name}' is not ({reason}): mend it")
        mols.append(mol)
        names.append(entry.name or str(entry.place))
        if len(mols) > _MOST_ACTIVES:
            raise ReadError(f"actives must be at most {_MOST_ACTIVES:,}, '{Path(path).name}' has more: name fewer", "limit-size")
    if not mols:
        raise ReadError(f"the file of actives must hold molecules, '{Path(path).name}' holds none", "read-empty")
    return fingerprints.bits(mols), names


def _smiles(mol: Any) -> str:
    return str(optional("rdkit.Chem", "molecules").MolToSmiles(mol))
