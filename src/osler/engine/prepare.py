"""Everything that happens before anything is fitted: read, clean by knowledge, refuse, group, split, plan."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import modalities, models, tasks
from osler.cohort import check, duplicates, leaks, split
from osler.cohort.check import Finding
from osler.cohort.cohort import Cohort
from osler.cohort.grouping import things_of
from osler.cohort.lineage import refusals
from osler.cohort.partners import cold_splits
from osler.cohort.read import read
from osler.engine import replicates
from osler.engine.asked import answers_in_numbers, check_models, check_study, declared
from osler.engine.clinical import offered
from osler.engine.groups import for_scans_alone, is_mixed, with_singles
from osler.engine.named_files import listed, sha256_of
from osler.engine.scenes.rows import misfits
from osler.engine.stacking import stacked
from osler.engine.study import Study
from osler.engine.units import with_units
from osler.engine.warm import init_of
from osler.errors import ColumnError, OptionError, TargetError, ViolationError
from osler.models.base import Params
from osler.models.ensemble import DEFAULT_MEMBERS
from osler.models.fusion import Fusion
from osler.tasks.base import Target, Task
from osler.tasks.drawn import SCANS
from osler.tasks.survival import split_event

#: The model of a table of pairs where none is named.
PAIRS = "affinity"

#: With fewer rows than this only the straight line is fitted unless models are named.
FEW = 40


@dataclass(frozen=True)
class Prepared:
    """A cohort that is ready to learn from, split before anything was fitted.

    Attributes:
        study: the question with every choice filled in.
        cohort: usable rows only; predictors have the role `input`.
        task, target: what is asked.
        groups: (n,) codes of the unit of independence, near-duplicates merged.
        splits: every train/test pair, the last of part `holdout`, or `final` with all rows and no test.
        development: positions that may be learnt from (all but the hold-out).
        findings: what was noticed.
        facts: numbers for the plan and the report (JSON).
        pairs: near duplicates of different units, looked for once.
        scores: specifications of published scores that stand beside the models.
        init: what networks start from, if the study names a run.
        things: in a table of pairs, the two columns of things and the (n,) codes of things.
    """

    study: Study
    cohort: Cohort
    task: Task
    target: Target
    groups: np.ndarray
    splits: tuple[split.Split, ...]
    development: np.ndarray
    findings: tuple[Finding, ...]
    facts: dict[str, Any]
    pairs: duplicates.Pairs
    scores: tuple[str, ...] = ()
    init: Params | None = None
    things: dict[str, np.ndarray] = field(default_factory=dict)


def open_cohort(study: Study, source: Cohort | str | Path | None = None) -> Cohort:
    """Read the study's table (or take a cohort) and give its columns the roles that the study names."""
    asked = declared(study.column)
    modality = {name: kind for name, (kind, _) in asked.items()}
    if not isinstance(source, Cohort):
        source = read(source if source is not None else study.source, labels=study.labels or None, columns=modality)
    cohort = source
    cohort = cohort.declare(columns={name: _declared(cohort, name, *found) for name, found in asked.items()})
    cohort, units = with_units(cohort, study)
    survival = bool(study.duration or study.event)
    if survival and not (study.duration and study.event):
        raise OptionError("survival needs both duration and event columns, one was given: add --duration and --event")
    event, event_value = split_event(study.event, [c.name for c in cohort.columns])
    roles = {
        "unit": units, "site": study.site, "time": study.time, "weight": study.weight,
        "target": () if survival else study.target, "duration": study.duration, "event": event,
    }  # fmt: skip
    cohort = cohort.declare(**{role: names for role, names in roles.items() if names})
    if event_value is not None:
        options = {**cohort.column(event).options, "event_value": event_value}
        cohort = cohort.declare(columns={event: {"options": options}})
    return _inputs(_held_apart(_positive(_masks(cohort), study), study), study)


def _masks(cohort: Cohort) -> Cohort:
    """Scans that are asked for are masks: nothing else of a scan can be answered."""
    asked = [c for c in cohort.role("target") if c.modality in SCANS]
    return cohort.declare(columns={c.name: {"modality": "mask"} for c in asked}) if asked else cohort


def _declared(cohort: Cohort, name: str, modality: str, options: dict[str, Any]) -> dict[str, Any]:
    """A column that was left out for what it seemed to be is an input once it is named something else."""
    column = cohort.column(name)
    becomes = column.role == "ignore" and column.modality != modality
    found = {"modality": modality, "options": {**column.options, **options}}
    return {**found, "role": "input"} if becomes else found


def prepare(study: Study, source: Cohort | str | Path | None = None) -> Prepared:
    """From a study to rows, target, groups and splits; nothing is fitted here.

    Raises:
        InputError: anything about the table, the columns or the target that cannot be learnt from.
        ViolationError: the asked-for split would put one unit on both sides.
    """
    check_study(study)
    cohort = open_cohort(study, source)
    external = _external_holdout(study, cohort)
    if external is not None:
        cohort = stacked(cohort, external)
    if not cohort.role("target") and not cohort.role("event"):
        raise TargetError("a target must be named: --target COLUMN, or --duration and --event for survival")
    if study.missing_zero:
        cohort = check.clean(cohort)
    study = _with_task(study, cohort)
    check_models(study.model, study.task)
    init = init_of(study)
    task = tasks.get(study.task)
    cohort = task.settled(_usable(cohort, task))
    task.check(cohort)
    target = task.target_of(cohort)
    if study.horizon and target.kind == "survival":
        target = replace(target, horizon=float(study.horizon))
    study = study.with_(files_sha256=sha256_of(listed(cohort, study.key)))
    declared = split.groups_of(cohort)
    pairs = duplicates.near_duplicates(cohort, declared)
    groups, merged = duplicates.merged_groups(cohort, declared, pairs=pairs)
    study = _with_sizes(study, cohort, target, groups)
    things = things_of(cohort)
    splits, development = _splits(study, cohort, target, groups, external is not None, things)
    repeats = replicates.noise(cohort.take(development), target.take(development))
    findings = (*check.check(cohort), *task.noticed(cohort), *replicates.finding(repeats, target))
    stop = [f for f in findings if f.severity == "stop"]
    if stop:
        raise ViolationError(f"{stop[0].message}: {stop[0].advice}", "leak")
    scores, lacking = offered(cohort.take(development), target.kind) if study.scores else ((), {})
    facts = {**_facts(study, cohort, target, groups, merged, splits), "scores_lacking": lacking, "replicates": repeats}
    return Prepared(
        study, cohort, task, target, groups, tuple(splits), development, findings, facts, pairs, scores, init, things
    )


def _inputs(cohort: Cohort, study: Study) -> Cohort:
    """Predictors are what is asked for, or every column of role input; ignored columns are left out."""
    for name in (*study.input, *study.ignore):
        cohort.column(name)
    columns = []
    for column in cohort.columns:
        role = column.role
        if column.name in study.ignore or (study.input and role == "input" and column.name not in study.input):
            role = "ignore"
        elif column.name in study.input and role in ("ignore", "id"):
            role = "input"
        columns.append(column.with_(role=role))
    cohort = replace(cohort, columns=tuple(columns))
    if not cohort.role("input"):
        raise ColumnError(
            "at least one predictor must be left, none was: check --input, --ignore and the inferred roles (osler look)",
            "column-kind",
        )
    return cohort


def _held_apart(cohort: Cohort, study: Study) -> Cohort:
    """The column that says which rows are held out (`split=test`) tells rows apart; it is no predictor."""
    name, sign, _ = study.holdout.partition("=")
    name = name.strip()
    if not sign or name.endswith(">") or name in study.input or name not in {c.name for c in cohort.columns}:
        return cohort
    return cohort.declare(columns={name: {"role": "split"}}) if cohort.column(name).role == "input" else cohort


def _positive(cohort: Cohort, study: Study) -> Cohort:
    if not study.positive:
        return cohort
    role = "event" if study.event else "target"
    key = "event_value" if study.event else "positive"
    changes = {c.name: {"options": {**c.options, key: study.positive}} for c in cohort.role(role)}
    return cohort.declare(columns=changes)


def _external_holdout(study: Study, cohort: Cohort) -> Cohort | None:
    """The hold-out file or folder of scans as a cohort with the same meanings, or None if the hold-out is a rule or a share."""
    path = Path(study.holdout) if study.holdout else None
    if path is None or not (path.is_file() or path.is_dir()):
        if (
            path is not None
            and path.suffix
            and not any(s in study.holdout for s in "=<>")
            and not study.holdout.replace(".", "").isdigit()
        ):
            raise OptionError(
                f"holdout must be a file, a folder of scans, COLUMN=VALUE, COLUMN>=VALUE or a share, was '{path.name}'", "read-missing"
            )
        return None
    return open_cohort(study.with_(labels=""), path)


def _with_task(study: Study, cohort: Cohort) -> Study:
    kind = tasks.infer_kind(cohort) if study.task == "auto" else study.task
    tasks.get(kind)
    if kind in tasks.DRAWN:
        answers_in_numbers(study, kind)
        target = cohort.role("target")[0]
        return study.with_(task=kind, model=study.model or (tasks.get(kind).usual(target),), repeats=study.repeats or 1)
    known = _suggested(cohort, kind) or DEFAULT_MEMBERS[kind]
    several = known if len(known) == 1 else (*known, "ensemble:members=" + "+".join(known))
    chosen = with_singles(study.model or (several if len(cohort) >= FEW else known[:1]), cohort, kind)
    if study.sensitivity and kind != "binary":
        raise OptionError(f"sensitivity is for a binary target, this one is {kind}: leave it out")
    threshold = f"sensitivity={study.sensitivity:g}" if study.sensitivity else study.threshold
    return study.with_(task=kind, model=tuple(chosen), threshold=threshold)


def _suggested(cohort: Cohort, kind: str) -> tuple[str, ...]:
    """Models that the modality of some input asks for where none are named; () for plain tables."""
    things = [column for column in cohort.role("input") if modalities.get(column.modality).is_thing]
    if len(things) == 2 and kind in models.get(PAIRS).answers:
        return (PAIRS,)
    if is_mixed(cohort, kind):
        return (Fusion.name,)
    scans = for_scans_alone(cohort, kind)
    if scans:
        return scans
    names = [name for column in cohort.role("input") for name in modalities.get(column.modality).suggests]
    return tuple(dict.fromkeys(names))


def _usable(cohort: Cohort, task: Task) -> Cohort:
    """Without the rows whose target cannot be used, each written to the ledger with its reason."""
    problems = {**task.problems(cohort), **(misfits(cohort) if task.kind in tasks.DRAWN else {})}
    usable = np.ones(len(cohort), dtype=bool)
    names = ", ".join(c.name for r in ("target", "duration", "event") for c in cohort.role(r))
    lost = [cohort.refusals]
    for reason, mask in problems.items():
        lost.append(refusals([int(r) for r in cohort.rows[mask & usable]], names, reason, "row refused"))
        usable &= ~mask
    if usable.all():
        return cohort
    return replace(cohort.where(usable, "usable target"), refusals=pl.concat(lost))


def _with_sizes(study: Study, cohort: Cohort, target: Target, groups: np.ndarray) -> Study:
    units = len(np.unique(groups))
    folds = study.folds or (min(5, max(units, 3)) if units <= 20_000 else 3)
    repeats = study.repeats or (2 if units < 500 else 1)
    if study.folds == 1 or folds < 2:
        raise OptionError(f"folds must be at least 2, was {study.folds}")
    if units < folds:
        raise TargetError(
            f"there must be at least as many units as folds ({folds}), there are {units}: gather more data or lower --folds",
            "target-rows",
        )
    return study.with_(folds=folds, repeats=repeats)


def _splits(
    study: Study, cohort: Cohort, target: Target, groups: np.ndarray, external: bool, things: dict[str, np.ndarray]
) -> tuple[list[split.Split], np.ndarray]:
    """Cross-validation inside the development part, leave-one-site-out and new things over it, and the hold-out."""
    everything = np.arange(len(cohort))
    held: list[split.Split] = []
    if external:
        held = [split.hold_out(cohort, "_holdout=true", groups, study.rng("holdout"), key=study.key)]
    elif study.holdout:
        held = [split.hold_out(cohort, study.holdout, groups, study.rng("holdout"), key=study.key)]
    development = held[0].train if held else everything
    rng = study.rng("folds")
    seen = target.take(development)
    classes = target.classes if target.kind in ("binary", "multiclass") else None
    inside = split.cross_validation(
        groups[development], seen.strata, study.folds, study.repeats, rng, classes=classes
    )
    parts = [s.at(development) for s in inside]
    if cohort.role("site"):
        parts += [s.at(development) for s in split.by_site(cohort.take(development), groups[development])]
    if things:
        held_out = {name: codes[development] for name, codes in things.items()}
        cold = cold_splits(held_out, groups[development], seen.strata, study.rng("cold"), classes=classes is not None)
        parts += [s.at(development) for s in cold]
    last = held or [split.Split("final", 0, 0, everything, np.empty(0, dtype=np.int64))]
    return [*parts, *last], development


def _facts(
    study: Study, cohort: Cohort, target: Target, groups: np.ndarray, merged: int, splits: list[split.Split]
) -> dict[str, Any]:
    ledger = cohort.refusals
    refused = int(ledger.filter(pl.col("action") == "row refused")["row"].n_unique())
    facts = {
        "rows_read": len(cohort) + refused, "rows_used": len(cohort), "rows_refused": refused,
        "cells_set_missing": int((ledger["action"] == "set missing").sum()),
        "units": len(np.unique(groups)), "units_merged_as_duplicates": int(merged),
        "inputs": [c.name for c in cohort.role("input")], "task": study.task,
        "splits": [{"key": s.key, "train": len(s.train), "test": len(s.test)} for s in splits],
    }  # fmt: skip
    if target.kind in ("binary", "multiclass"):
        counts = np.bincount(target.y, minlength=len(target.classes))
        facts["classes"] = {c: int(n) for c, n in zip(target.classes, counts)}
    if target.kind == "survival":
        facts["events"], facts["horizon"] = int(target.event.sum()), target.horizon
    return facts


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, or "" where it is not a file."""
    path = Path(path)
    if not path.is_file():
        return ""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def table_sha256(path: str | Path, labels: str = "") -> str:
    """SHA-256 that names a table: of its file, or of the hashes of both files where labels are joined to it.

    It is "" where either is not a file.
    """
    table = file_sha256(path)
    if not labels or not table:
        return table
    joined = file_sha256(labels)
    return hashlib.sha256(f"{table}/{joined}".encode()).hexdigest() if joined else ""


def cohort_sha256(cohort: Cohort) -> str:
    """SHA-256 of a cohort's values and columns: what names a table that has no file."""
    digest = hashlib.sha256(repr([(c.name, c.modality) for c in cohort.columns]).encode())
    buffer = io.BytesIO()
    cohort.table.write_ipc(buffer, compression="uncompressed")
    digest.update(buffer.getbuffer())
    return digest.hexdigest()


__all__ = ["Prepared", "cohort_sha256", "file_sha256", "leaks", "open_cohort", "prepare", "table_sha256"]
