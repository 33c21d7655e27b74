"""The stages that every molecule of a library passes, block by block: what it becomes, or where it left the funnel."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
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
    """Everything a molecule meets, opened once. Conditions on a column are asked as soon as the column is there, so that what
    fails one costs nothing further.

    Raises:
        InputError: an option, a run or the file of actives is not what it must be.
    """

    def __init__(self, options: ScreenOptions) -> None:
        self._seed, self._policy = options.seed, Policy()
        self._filters = alerts.filters(options.filter)
        self._aims = wants.aims_of(options.maximise, options.minimise)
        self._judges = judges(options.run)
        sources = [*([actives_of(options.actives, self._policy)] if options.actives else []), *self._judges]
        limits = list(wants.limits_of(options.want))
        limits += [wants.Limit(f"{judge.name}_in_domain", "=", "true") for judge in self._judges if options.in_domain]
        probe: dict[str, Any] = {}
        self._sources: list[tuple[Actives | Judge, list[wants.Limit]]] = []
        for source in sources:
            made = {name: values[0] for name, values in source.columns([features.read(_PROBE, self._policy)[0]], [_PROBE]).items()}
            self._sources.append((source, [limit for limit in limits if limit.column in made]))
            probe |= made
        wants.check(limits, self._aims, probe)
        self.columns = [*OWN, *probe]
        self.names = [
            "read", "readable", *(f"passed {name}" for name in self._filters),
            *dict.fromkeys(str(limit) for _, asked in self._sources for limit in asked), *(["has a score"] if self._aims else []),
        ]  # fmt: skip

    def identity(self) -> list[Any]:
        """What a continued screen must have in common with its beginning, besides the options: the predictors themselves."""
        return [judge.predictor.certificate for judge in self._judges]

    def passed(self, block: Sequence[Entry]) -> Passed:
        """Read, standardise, filter, compare with actives, predict, and hold against what is wanted."""
        out = Passed()
        out.counts["read"] += len(block)
        held = self._filtered(self._readable(block, out), out)
        rows = [{"place": entry.place, "name": entry.name, "smiles": _smiles(mol)} for entry, mol in held]
        mols = [mol for _, mol in held]
        for source, limits in self._sources:
            if not rows:
                return out
            made = source.columns(mols, [row["smiles"] for row in rows])
            for i, row in enumerate(rows):
                row |= {name: values[i] for name, values in made.items()}
            for limit in limits:
                stay = [limit.holds(row) for row in rows]
                rows, mols = list(compress(rows, stay)), list(compress(mols, stay))
                out.counts[str(limit)] += len(rows)
        for row in rows:
            row["score"] = self._score(row)
        out.rows = [row for row in rows if not math.isnan(row["score"])]
        if self._aims:
            out.counts["has a score"] += len(out.rows)
        return out

    def _readable(self, block: Iterable[Entry], out: Passed) -> list[tuple[Entry, Any]]:
        held = []
        for entry in block:
            mol, reason = _read(entry, self._policy)
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

    def _score(self, row: dict[str, Any]) -> float:
        if self._aims:
            return wants.score(self._aims, row)
        return float(np.random.default_rng([self._seed, row["place"]]).random())


@dataclass(frozen=True)
class Actives:
    """Known actives that every molecule is compared with.

    Attributes:
        bits: (m, words) packed fingerprints. names: m names.
    """

    bits: np.ndarray
    names: tuple[str, ...]

    def columns(self, mols: Sequence[Any], texts: Sequence[str]) -> dict[str, list[Any]]:
        """Similarity to the nearest active, and its name."""
        similarity, which = search.nearest(fingerprints.bits(mols), self.bits)
        return {"similarity": similarity.tolist(), "nearest_active": [self.names[w] for w in which.tolist()]}


@dataclass(frozen=True)
class Judge:
    """A predictor that answers for a molecule alone.

    Attributes:
        predictor: the predictor. column: its column of molecules. name: its target, with the folder's name where two runs share one.
    """

    predictor: Predictor
    column: str
    name: str

    def columns(self, mols: Sequence[Any], texts: Sequence[str]) -> dict[str, list[Any]]:
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


def actives_of(path: str, policy: Policy) -> Actives:
    """The actives of a file.

    Raises:
        ReadError: one cannot be read, there are none, or too many.
    """
    mols, names = [], []
    for entry in entries(path):
        mol, reason = _read(entry, policy)
        if mol is None:
            raise ReadError(f"every active must be a molecule, number {entry.place} of '{Path(path).name}' is not ({reason}): mend it")
        mols.append(mol)
        names.append(entry.name or str(entry.place))
        if len(mols) > _MOST_ACTIVES:
            raise ReadError(f"actives must be at most {_MOST_ACTIVES:,}, '{Path(path).name}' has more: name fewer", "limit-size")
    if not mols:
        raise ReadError(f"the file of actives must hold molecules, '{Path(path).name}' holds none", "read-empty")
    return Actives(fingerprints.bits(mols), tuple(names))


def _read(entry: Entry, policy: Policy) -> tuple[Any | None, str]:
    """The standardised molecule of an entry, or None and why not."""
    if entry.problem:
        return None, entry.problem
    mol, reason, _ = features.read(entry.text, policy, entry.kind)
    return mol, reason


def _smiles(mol: Any) -> str:
    return str(optional("rdkit.Chem", "molecules").MolToSmiles(mol))
