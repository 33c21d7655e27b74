"""What a molecule is worth: the runs' answers, taken with caution, held against conditions and aims.

A prediction is not a fact, and a search finds the errors of a model before it finds good molecules. So an aim is judged by the worse end of
the prediction's interval, or for a probability of an ensemble by two standard deviations of its members, and a molecule unlike those that a run
was trained with ranks behind all others or is no parent at all. The trees of one forest are not taken for such members: grown to pure leaves each says 0
or 1, and their spread only says again how far the probability is from 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from osler import models
from osler.adapters.rdkit import alerts, features, fingerprints
from osler.adapters.rdkit.properties import NAMES, properties
from osler.adapters.rdkit.standardise import Policy
from osler.adapters.tanimoto import search
from osler.blocks import Block
from osler.engine.answer import answer_blocks
from osler.engine.batches import encode
from osler.engine.optimising.options import OptimiseOptions
from osler.engine.predict import rows_cohort
from osler.engine.screening import wants
from osler.engine.screening.stages import Judge, judges
from osler.errors import ColumnError, OptionError, nearest
from osler.models.base import Params
from osler.registry import optional

#: Asked once for the names of the columns.
_PROBE = "CC(=O)Oc1ccccc1C(=O)O"
#: Standard deviations that full caution takes off a probability.
_SPREADS = 2.0


@dataclass(frozen=True)
class Goals:
    """Aims and conditions on the columns that a molecule has."""

    aims: tuple[wants.Aim, ...]
    limits: tuple[wants.Limit, ...]


class Judging:
    """Answers for molecules, and what they are worth.

    Attributes:
        lead: canonical SMILES of the lead, "" without one.
        goals: what is wanted.
        sure: column → where its caution comes from, in words.

    Raises:
        InputError: a run, the lead, an aim or a condition is not what it must be.
    """

    def __init__(self, options: OptimiseOptions) -> None:
        self._options, self._policy = options, Policy()
        self._filters = alerts.filters(options.filter)
        self._judges = judges(options.run)
        self.sure: dict[str, str] = {}
        self.lead, self._lead_bits = "", None
        if options.lead:
            mol, reason, _ = features.read(options.lead, self._policy, "auto")
            if mol is None:
                raise OptionError(f"lead must be a molecule, it is not ({reason}): check its SMILES")
            self.lead, self._lead_bits = smiles_of(mol), fingerprints.bits([mol])
        probe = self.rows([_PROBE])[0]
        aims = wants.aims_of(options.maximise, options.minimise)
        limits = list(wants.limits_of(options.want))
        if options.domain != "ignore":
            limits += [wants.Limit(f"{judge.name}_in_domain", "=", "true") for judge in self._judges]
        kept = [_kept(text, probe) for text in options.keep]
        wants.check(limits, aims, probe)
        if self.lead and kept:
            own = self.rows([self.lead])[0]
            limits += [wants.Limit(name, sign, repr(float(own[name]) + side * width)) for name, width in kept for sign, side in ((">=", -1), ("<=", 1))]
        self.goals = Goals(aims, tuple(limits))

    def identity(self) -> list[Any]:
        """What a continued optimisation must have in common with its beginning: the predictors themselves."""
        return [judge.predictor.certificate for judge in self._judges]

    def why_not(self, mol: Any) -> str:
        """Why a molecule is not worth asking about, told without any run: too hard to make, unlike the lead, an alert; "" if it is."""
        sa = properties([mol])[0, 0]
        if not sa <= self._options.most_sa:
            return "too hard to make"
        least = self._options.keep_similar if self._lead_bits is not None else 0.0
        if least and search.nearest(fingerprints.bits([mol]), self._lead_bits)[0][0] < least:
            return "too unlike the lead"
        return next((f"meets {name}" for name, met in self._filters.items() if met(mol)), "")

    def rows(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """A row of columns per molecule: properties, similarity to the lead, answers of the runs and, as `COLUMN_cautious`, the number
        that aims are judged by.
        """
        mols = features.molecules(texts, self._policy)
        found: list[dict[str, Any]] = [{"smiles": text} for text in texts]
        for row, values in zip(found, properties(mols), strict=True):
            row |= {name: float(value) for name, value in zip(NAMES, values, strict=True)}
        if self._lead_bits is not None:
            for row, value in zip(found, search.nearest(fingerprints.bits(mols), self._lead_bits)[0].tolist(), strict=True):
                row["similarity"] = value
        for judge in self._judges:
            for name, values in self._answers(judge, texts).items():
                for row, value in zip(found, values, strict=True):
                    row[name] = value
        return found

    def _answers(self, judge: Judge, texts: Sequence[str]) -> dict[str, list[Any]]:
        """Columns of one run, with the spread of its probability where the model has one."""
        predictor = judge.predictor
        blocks = encode(rows_cohort(predictor, [{judge.column: text} for text in texts]), predictor.states)
        answer = answer_blocks(predictor, blocks, predictor.answer(blocks))
        target, out = predictor.target[-1], {}
        for name, values in answer.items():
            held = f"{target}_in_domain" if name == "in_domain" else name
            out[judge.name + held.removeprefix(target) if held.startswith(target) else held] = values.to_list()
        disagreement = _disagreement(*predictor.models[predictor.chosen], blocks) if predictor.task == "binary" else None
        if disagreement is not None:
            out |= {f"{judge.name}_prob_{label}_spread": disagreement.tolist() for label in predictor.classes}
        return out

    def cautious(self, aim: wants.Aim, row: Mapping[str, Any]) -> float:
        """The aim's column, moved towards the worse by the caution asked for; NaN if it is missing."""
        column, value = aim.column, row[aim.column]
        if value is None or not math.isfinite(float(value)):
            return math.nan
        stem = column.removesuffix("_pred")
        end = row.get(f"{stem}_{'low' if aim.sign > 0 else 'high'}") if column.endswith("_pred") else None
        if end is not None and math.isfinite(float(end)):
            self.sure[column] = "the worse end of its interval"
            return float(value) + self._options.caution * (float(end) - float(value))
        around = row.get(f"{column}_spread")
        if around is not None:
            self.sure[column] = "two standard deviations of the ensemble's members"
            return float(value) - aim.sign * self._options.caution * _SPREADS * float(around)
        self.sure.setdefault(column, "none: the column has neither interval nor members that disagree")
        return float(value)

    def judged(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with `COLUMN_cautious` of every aim, `unmet` (conditions that do not hold) and `score`."""
        for aim in self.goals.aims:
            row[f"{aim.column}_cautious"] = self.cautious(aim, row)
        seen = {aim.column: row[f"{aim.column}_cautious"] for aim in self.goals.aims}
        row["unmet"] = sum(not limit.holds(row) for limit in self.goals.limits)
        row["score"] = wants.score(self.goals.aims, {**row, **seen})
        return row

    def objectives(self, row: Mapping[str, Any]) -> list[float]:
        """What the Pareto front weighs, all to be large: each cautious aim, likeness to the lead, or without a lead ease of making."""
        values = [aim.sign * _number(row[f"{aim.column}_cautious"]) for aim in self.goals.aims]
        return [*values, _number(row["similarity"]) if self.lead else -_number(row["sa"])]

    @property
    def axes(self) -> list[str]:
        """Names of the objectives."""
        return [*(f"{aim.column}_cautious" for aim in self.goals.aims), "similarity" if self.lead else "sa"]


def _disagreement(spec: str, params: Params, blocks: dict[str, Block]) -> np.ndarray | None:
    """(n,) weighted standard deviation of the members' probabilities of the positive class; None for what is no ensemble of several."""
    if spec.partition(":")[0] != "ensemble":
        return None
    members = [
        (weight, models.get(name).predict(params.part(str(i)), blocks).value[:, -1])
        for i, (name, weight) in enumerate(zip(params.meta["members"], params.meta["weights"], strict=True)) if weight > 0
    ]  # fmt: skip
    if len(members) < 2:
        return None
    weights, said = np.array([weight for weight, _ in members]), np.array([value for _, value in members])
    mean = np.average(said, axis=0, weights=weights)
    return np.sqrt(np.average((said - mean) ** 2, axis=0, weights=weights))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def smiles_of(mol: Any) -> str:
    """Canonical SMILES."""
    return str(optional("rdkit.Chem", "molecules").MolToSmiles(mol))


def _kept(text: str, probe: Mapping[str, Any]) -> tuple[str, float]:
    name, _, width = text.rpartition(":")
    try:
        found = float(width)
    except ValueError:
        found = math.nan
    if not name or not found > 0:
        raise OptionError(f"keep must be COLUMN:WIDTH with a width above 0, was '{text}'")
    if name not in probe:
        raise ColumnError(f"a kept column must be one that the runs make, was '{name}': {nearest(name, list(probe))}")
    if isinstance(probe[name], (str, bool)):
        raise OptionError(f"keep must name a column of numbers, '{name}' holds words")
    return name, found
