"""Fit on every training part, predict every test part: in worker processes, resumable, the same bytes for any number of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from osler import models
from osler.blocks import Block
from osler.cohort.certificate import FittedState, rows_hash
from osler.cohort.split import Split
from osler.engine.batches import CohortBatches, encode, fit_states
from osler.engine.clinical import is_score, row_name
from osler.engine.files import write_atomic
from osler.engine.groups import is_single
from osler.engine.learn import Support, learn, members_of
from osler.engine.prepare import Prepared
from osler.engine.replicates import merged
from osler.engine.workers import each
from osler.errors import TargetError
from osler.explanation.permutation import permutation_importance
from osler.models.base import Estimator, Params, options_from
from osler.models.ensemble import Ensemble
from osler.tasks.base import Prediction, Target

#: With more columns than this, importance by shuffling one at a time is left out.
MOST_SHUFFLED = 200

#: Folder, beside the finished folds, in which networks keep their state while they train.
CHECKPOINTS = "training"


@dataclass(frozen=True)
class FoldResult:
    """What one split gave: every model's answer for its test rows, and which rows each fitted thing saw.

    Attributes:
        split: the split.
        predictions: model name → answer for `split.test`, in that order.
        states: one entry per fitted thing.
        facts: model name → JSON facts (weights of an ensemble, tuned options).
        increases: column → (m,) loss increase of the test rows when that column is shuffled; {} where not computed.
        looks: heat maps of some test rows, see `osler.engine.looks.looked`; {} where there are no scans.
    """

    split: Split
    predictions: dict[str, Prediction]
    states: tuple[FittedState, ...]
    facts: dict[str, Any]
    increases: dict[str, np.ndarray] = field(default_factory=dict)
    looks: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Fitted:
    """Everything fitted on one set of rows: modality states and one params per model name."""

    states: dict[str, dict[str, Any]]
    params: dict[str, tuple[str, Params]]
    record: tuple[FittedState, ...]


def fit_rows(prepared: Prepared, rows: np.ndarray, key: str, checkpoints: Path | None = None) -> Fitted:
    """Fit states and models on some rows; `key` names the stage for seeds and for the certificate.

    The ensemble's members stand beside it under their own names, at no extra cost. A network keeps its state in a folder of
    `checkpoints` while it trains, and goes on from there.
    """
    cohort = prepared.cohort.take(rows)
    target, groups = prepared.target.take(rows), prepared.groups[rows]
    _enough(target, key)
    seen = rows_hash(cohort.rows, prepared.study.key)
    states = fit_states(cohort, layouts_of(prepared.study.model, target.kind))
    record = [FittedState(f"column:{name}", key, seen, len(cohort)) for name in states]
    once, learnt_from = merged(cohort, target)
    batches = CohortBatches(
        cohort.take(once), states, weighted(learnt_from, prepared.study.imbalance), groups[once]
    ).all()
    params: dict[str, tuple[str, Params]] = {}
    specs = prepared.study.model
    shared = inside_ensembles(specs)
    for spec in specs:
        if spec in shared:
            continue
        params[name_of(spec)] = learn(spec, batches, prepared.study, key, Support(checkpoints, prepared.init))
        learnt, estimator = params[name_of(spec)][1], models.get(spec)
        record.append(FittedState(f"model:{name_of(spec)}", key, seen, len(cohort)))
        if isinstance(estimator, Ensemble):
            for i, member in enumerate(members_of(estimator, target.kind)):
                if member in specs:
                    params[name_of(member)] = (learnt.meta["members"][i], learnt.part(str(i)))
                    record.append(FittedState(f"model:{name_of(member)}", key, seen, len(cohort)))
    for spec in prepared.scores:
        params[row_name(spec)] = (spec, models.get(spec).fit(batches, prepared.study.rng("fit", key, row_name(spec))))
        record.append(FittedState(f"model:{row_name(spec)}", key, seen, len(cohort)))
    ordered = {n: params[n] for n in (*map(name_of, specs), *map(row_name, prepared.scores))}
    return Fitted(states, ordered, tuple(record))


def run_split(prepared: Prepared, split: Split, checkpoints: Path | None = None) -> FoldResult:
    """Fit on the training rows of a split and answer for its test rows."""
    fitted = fit_rows(prepared, split.train, split.key, checkpoints)
    blocks = encode(prepared.cohort.take(split.test), fitted.states)
    predictions: dict[str, Prediction] = {}
    facts: dict[str, Any] = {}
    for name, (spec, params) in fitted.params.items():
        estimator = models.get(spec)
        predictions[name] = estimator.predict(params, blocks)
        facts[name] = _facts(estimator, spec, params)
    increases = _increases(prepared, split, fitted, blocks)
    return FoldResult(split, predictions, fitted.record, facts, increases, _looks(prepared, split, fitted, blocks, predictions, facts))


def _looks(
    prepared: Prepared, split: Split, fitted: Fitted, blocks: dict[str, Block], predictions: dict[str, Prediction], facts: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Heat maps of some test rows by the last model (which importance is of too), in the first repeat; a check of them in its first fold."""
    asked = prepared.study.explain and prepared.study.examples and split.part == "cv" and not split.repeat
    if not asked or all(b.layout != "grid" for b in blocks.values()):
        return {}
    from osler.engine.looks import checked, looked

    name, model = [entry for entry in fitted.params.items() if not is_score(entry[0])][-1]
    truth = prepared.target.take(split.test)
    if split.fold == 0:
        facts[name]["sanity"] = checked(model, blocks, truth, prepared.study.rng("sanity", split.key))
    return looked(model, blocks, truth, predictions[name], prepared.study.examples)


def _increases(prepared: Prepared, split: Split, fitted: Fitted, blocks: dict[str, Block]) -> dict[str, np.ndarray]:
    """Shuffled-column losses on the test rows, for the last model (the ensemble) in the first repeat."""
    if not prepared.study.explain or split.part != "cv" or split.repeat or len(blocks) > MOST_SHUFFLED:
        return {}
    spec, params = [entry for name, entry in fitted.params.items() if not is_score(name)][-1]
    estimator = models.get(spec)
    most = min(len(split.test), 2000)
    rng = prepared.study.rng("shuffle", split.key)
    few = np.sort(rng.permutation(len(split.test))[:most])
    part = {name: block.take(few) for name, block in blocks.items()}
    target = prepared.target.take(split.test[few])
    found = permutation_importance(lambda b: estimator.predict(params, b), part, target, rng)
    return {
        name: np.where(np.isin(np.arange(len(split.test)), few), _spread(v, few, len(split.test)), np.nan)
        for name, v in found.items()
    }


def _spread(values: np.ndarray, positions: np.ndarray, n: int) -> np.ndarray:
    full = np.zeros(n)
    full[positions] = values
    return full


def cross_validate(
    prepared: Prepared, folder: Path, workers: int, progress: Callable[[str, int, int], None]
) -> list[FoldResult]:
    """Every split's result, finished ones read back from `folder`, the others computed and written there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = [s for s in prepared.splits if s.part not in ("holdout", "final")]
    done: dict[str, FoldResult] = {}
    for split in wanted:
        held = read_fold(folder, split)
        if held is not None:
            done[split.key] = held
    todo = [s for s in wanted if s.key not in done]
    progress("folds", len(done), len(wanted))
    for result in each(_run, (prepared, folder / CHECKPOINTS), todo, workers):
        write_fold(folder, result)
        done[result.split.key] = result
        progress("folds", len(done), len(wanted))
    return [done[s.key] for s in wanted]


def _run(shared: tuple[Prepared, Path], split: Split) -> FoldResult:
    return run_split(shared[0], split, shared[1])


# -- names, weights, facts -----------------------------------------------------------------------------------------


def name_of(spec: str) -> str:
    """The name a model has in `scores.json`: its specification, and for an ensemble or a fusion of all columns just that word."""
    name = spec.partition(":")[0]
    return name if name in ("ensemble", "fusion") and not is_single(spec) else spec


def inside_ensembles(specs: tuple[str, ...]) -> set[str]:
    """Specifications that a named ensemble fits anyway."""
    inside: set[str] = set()
    for spec in specs:
        estimator = models.get(spec)
        if isinstance(estimator, Ensemble):
            inside |= set(estimator.options.members)
    return inside & set(specs)


def layouts_of(specs: Sequence[str], kind: str) -> tuple[str, ...]:
    """Layouts other than dense that some of these models want for a task of this kind."""
    return tuple(dict.fromkeys(layout for spec in specs for layout in models.get(spec).layouts(kind)))


def weighted(target: Target, imbalance: str) -> Target:
    """Case weights multiplied by inverse class size where `imbalance` is "balanced"; rows are never resampled."""
    if imbalance != "balanced" or target.kind not in ("binary", "multiclass"):
        return target
    counts = np.bincount(target.y, minlength=len(target.classes)).astype(float)
    factor = (len(target) / np.maximum(counts, 1) / len(counts))[target.y]
    return replace(target, weight=factor if target.weight is None else factor * target.weight)


def _enough(target: Target, key: str) -> None:
    if target.kind == "binary" and len(np.unique(target.y)) < 2:
        raise TargetError(
            f"the training rows of split {key} must hold both classes, they hold one: lower --folds or drop --site",
            "target-class",
        )
    if target.kind == "survival" and not target.event.any():
        raise TargetError(
            f"the training rows of split {key} must hold an event, they hold none: lower --folds", "target-class"
        )


def _facts(estimator: Estimator, spec: str, params: Params) -> dict[str, Any]:
    facts: dict[str, Any] = {"spec": spec}
    if isinstance(estimator, Ensemble):
        facts["weights"] = dict(zip(members_of(estimator, params.meta["kind"]), params.meta["weights"]))
        facts["recalibration"] = params.meta["recalibration"]
    return facts


# -- finished folds on disk ------------------------------------------------------------------------------------------


def write_fold(folder: Path, result: FoldResult) -> None:
    """One fold as arrays and a JSON that is written last: a fold without its JSON is not finished."""
    from safetensors.numpy import save

    stem = result.split.key.replace("/", "~").replace("=", "-")
    stem = "".join(c if c.isalnum() or c in "~-_." else "_" for c in stem)
    arrays = {"test": result.split.test.astype(np.int64), "train": result.split.train.astype(np.int64)}
    for i, prediction in enumerate(result.predictions.values()):
        arrays[f"value/{i}"] = np.ascontiguousarray(prediction.value, dtype=np.float64)
        if prediction.times is not None:
            arrays[f"times/{i}"] = np.ascontiguousarray(prediction.times, dtype=np.float64)
        if prediction.spread is not None:
            arrays[f"spread/{i}"] = np.ascontiguousarray(prediction.spread, dtype=np.float64)
    for i, values in enumerate(result.increases.values()):
        arrays[f"increase/{i}"] = values
    arrays |= {f"look/{name}": np.ascontiguousarray(values) for name, values in result.looks.items()}
    note = {
        "key": result.split.key,
        "columns": list(result.increases),
        "models": list(result.predictions),
        "states": [[s.name, s.split_key, s.rows_sha256, s.n] for s in result.states],
        "facts": result.facts,
    }
    write_atomic(folder / f"{stem}.safetensors", save(arrays))
    write_atomic(folder / f"{stem}.json", json.dumps(note).encode())


def read_fold(folder: Path, split: Split) -> FoldResult | None:
    """A finished fold of this very split, or None."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    stem = split.key.replace("/", "~").replace("=", "-")
    stem = "".join(c if c.isalnum() or c in "~-_." else "_" for c in stem)
    note_path, array_path = folder / f"{stem}.json", folder / f"{stem}.safetensors"
    if not (note_path.is_file() and array_path.is_file()):
        return None
    try:
        note, arrays = json.loads(note_path.read_text()), load(array_path.read_bytes())
    except (ValueError, SafetensorError):
        return None
    same = note["key"] == split.key and np.array_equal(arrays["test"], split.test)
    if not (same and np.array_equal(arrays["train"], split.train)):
        return None
    predictions = {
        name: Prediction(arrays[f"value/{i}"], arrays.get(f"times/{i}"), arrays.get(f"spread/{i}"))
        for i, name in enumerate(note["models"])
    }
    increases = {name: arrays[f"increase/{i}"] for i, name in enumerate(note["columns"])}
    looks = {name.removeprefix("look/"): values for name, values in arrays.items() if name.startswith("look/")}
    return FoldResult(split, predictions, tuple(FittedState(*s) for s in note["states"]), note["facts"], increases, looks)


__all__ = [
    "Fitted",
    "FoldResult",
    "cross_validate",
    "fit_rows",
    "inside_ensembles",
    "name_of",
    "options_from",
    "run_split",
]
