"""Which columns of a table of predictions are the truth, the predictions, the unit and the subgroups: by
name, never by guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from osler.errors import ColumnError, TargetError, nearest

#: Names taken for the truth, in lower case with _ between words.
TRUTH = (
    "y", "y_true", "ytrue", "label", "labels", "target", "outcome", "truth", "true", "true_label",
    "ground_truth", "actual", "observed", "gold", "diagnosis",
)  # fmt: skip
#: Names of time to event and of the event.
DURATION = (
    "duration", "time_to_event", "survival_time", "followup", "follow_up", "followup_time",
    "os_months", "os_days",
)  # fmt: skip
EVENT = ("event", "status", "died", "death", "event_observed", "dead")
UNIT = (
    "patient_id", "patient", "patientid", "subject_id", "subject", "person_id", "unit", "participant_id",
    "mrn",
)  # fmt: skip
SUBGROUPS = ("sex", "gender", "site", "hospital", "centre", "center", "race", "ethnicity", "age_group")

_WORDS = (
    "p", "prob", "probs", "probability", "probabilities", "proba", "score", "scores", "risk", "pred", "preds",
    "prediction", "predicted", "y_?pred", "y_?prob", "y_?proba", "y_?score", "y_?hat",
)  # fmt: skip
_PREDICTION = re.compile(
    rf"^(?:(?:{'|'.join(_WORDS)})(?:_.+)?|.+_(?:p|prob|proba|probability|score|risk|pred|prediction|predicted))$"
)
_CLASS = re.compile(r"^(?P<target>.+)_prob_(?P<label>.+)$")
_HARD = re.compile(r"(?:^|_)(?:label|class)$")


@dataclass(frozen=True)
class Asked:
    """What the user named; None or empty where Osler should look."""

    y: str | None = None
    p: tuple[str, ...] = ()
    unit: str | None = None
    by: tuple[str, ...] | None = None
    duration: str | None = None
    event: str | None = None


@dataclass(frozen=True)
class Roles:
    """What each column was taken for.

    Attributes:
        y: truth ("" for survival).
        models: model name → its prediction columns (several: one per class).
        unit: unit of independence, or None.
        by: subgroup columns.
        duration, event: survival, else None.
        notes: sentences that say what was decided without being asked.
    """

    y: str
    models: dict[str, tuple[str, ...]]
    unit: str | None = None
    by: tuple[str, ...] = ()
    duration: str | None = None
    event: str | None = None
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {
            "truth": self.y, "models": {k: list(v) for k, v in self.models.items()}, "unit": self.unit,
            "by": list(self.by), "duration": self.duration, "event": self.event,
        }  # fmt: skip


def columns_of(table: pl.DataFrame, asked: Asked) -> Roles:
    """Decide what each column is.

    Raises:
        ColumnError: a named column is absent, or no column, or too many, could be the predictions.
        TargetError: no column, or several, could be the truth.
    """
    names = table.columns
    for name in (asked.y, *asked.p, asked.unit, *(asked.by or ()), asked.duration, asked.event):
        if name is not None and name not in names:
            raise ColumnError(
                f"column must be in the table of predictions, was '{name}': {nearest(name, names)}"
            )
    notes: list[str] = []
    duration = asked.duration or (_named(names, DURATION) if asked.y is None else None)
    event = asked.event or (_named([n for n in names if n != duration], EVENT) if duration else None)
    if bool(asked.duration) != bool(asked.event) and not (duration and event):
        raise ColumnError(
            "survival needs both a duration and an event column, one was named: name the other with "
            "--duration or --event"
        )
    is_survival = bool(duration and event)
    y = "" if is_survival else asked.y or _truth(names)
    unit = asked.unit or _named(names, UNIT)
    by = (
        asked.by
        if asked.by is not None
        else tuple(n for n in names if _plain(n) in SUBGROUPS and n not in (y, unit))
    )
    taken = {y, unit, duration, event, *by}
    models = _models(table, y, asked.p, taken)
    if asked.y is None and y:
        notes.append(f"'{y}' was taken for the truth")
    if not asked.p:
        notes.append("taken for predictions: " + ", ".join(f"'{c}'" for cs in models.values() for c in cs))
    if unit is None:
        notes.append(
            "no column names the patient: every row counts as its own, intervals are too narrow if patients "
            "repeat (say --unit)"
        )
    elif asked.unit is None:
        notes.append(f"'{unit}' was taken for the unit of independence")
    found = (duration, event) if is_survival else (None, None)
    return Roles(y, models, unit, by, *found, notes)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def _named(names: list[str], known: tuple[str, ...]) -> str | None:
    hits = [n for n in names if _plain(n) in known]
    return hits[0] if len(hits) == 1 else None


def _truth(names: list[str]) -> str:
    stems = {m["target"] for m in map(_CLASS.match, names) if m} | {
        n[: -len("_pred")] for n in names if n.endswith("_pred")
    }
    hits = [n for n in names if n in stems]
    hits = hits or [n for n in names if _plain(n) in TRUTH]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise TargetError(
            f"the truth must be one column, {len(hits)} could be it ({_listed(hits)}): name it with --truth",
            "target-absent",
        )
    raise TargetError(
        "the truth must be named, no column is called y, label, target or outcome (columns: "
        f"{_listed(names)}): name it with --truth",
        "target-absent",
    )


def _models(
    table: pl.DataFrame, y: str, asked: tuple[str, ...], taken: set[str | None]
) -> dict[str, tuple[str, ...]]:
    if asked:
        return _by_class(list(asked), y)
    free = [n for n in table.columns if n not in taken and table.schema[n].is_numeric()]
    by_class = [n for n in free if _CLASS.match(n)]
    if by_class:
        return _by_class(by_class, y)
    hits = [n for n in free if _PREDICTION.match(_plain(n)) and not _HARD.search(_plain(n))]
    if hits:
        return {n: (n,) for n in hits}
    inside = [n for n in free if _looks_like_probability(table[n])]
    if len(inside) == 1:
        return {inside[0]: (inside[0],)}
    among = inside or free
    could = f"{len(among)} could be them ({_listed(among)})" if among else "no column could be them"
    raise ColumnError(
        f"the predictions must be named, {could}: name them with --prediction, one column per model"
    )


def _by_class(names: list[str], y: str) -> dict[str, tuple[str, ...]]:
    """Columns TARGET_prob_CLASS of one stem are one model; any other column is a model of its own."""
    out: dict[str, tuple[str, ...]] = {}
    for name in names:
        match = _CLASS.match(name)
        key = match["target"] if match else name
        out[key] = (*out.get(key, ()), name)
    return {("predictions" if k == y else k): v for k, v in out.items()}


def _looks_like_probability(values: pl.Series) -> bool:
    seen = values.drop_nulls().drop_nans() if values.dtype.is_float() else values.drop_nulls()
    return len(seen) > 0 and seen.n_unique() > 2 and bool((seen >= 0).all()) and bool((seen <= 1).all())


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{n}'" for n in names[:8]) + (", ..." if len(names) > 8 else "")
