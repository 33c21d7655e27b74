"""Drawings of every split: fit on its training rows, draw on its test rows, judge, and keep the drawings as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osler import modalities, models, registry
from osler.cohort.certificate import FittedState, rows_hash
from osler.cohort.split import Split
from osler.engine.files import write_atomic
from osler.engine.prepare import Prepared
from osler.engine.scenes.rows import RowScenes, learn_states, scenes_of
from osler.engine.train import Fitted
from osler.engine.workers import each
from osler.models.base import Params
from osler.tasks.drawn import Judge

#: The row of `scores.json` of the simple drawer that models must beat.
BASELINE = "baseline"

#: Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FoldDrawings:
    """What one split gave.

    Attributes:
        split: the split.
        records: model name → what its drawing of each test row is worth (`osler.tasks.drawn.Judge.record`), in the order of `split.test`.
        states: one entry per fitted thing.
        facts: model name → JSON facts.
    """

    split: Split
    records: dict[str, list[dict[str, Any]]]
    states: tuple[FittedState, ...]
    facts: dict[str, Any]


def judge_of(prepared: Prepared) -> Judge:
    """What judges drawings of this task."""
    named = prepared.task.judged_by(prepared.cohort.role("target")[0])
    return registry.load({"judge": named}, "measures", "judge")()


def specs_of(prepared: Prepared) -> dict[str, str]:
    """Model name → specification of every drawer that is judged: those of the study, and the plain one as baseline."""
    plain = prepared.task.plain(prepared.cohort.role("target")[0])
    beside = plain and plain not in prepared.study.model
    return {**{spec: spec for spec in prepared.study.model}, **({BASELINE: plain} if beside else {})}


def fit_rows(prepared: Prepared, rows: np.ndarray, key: str, specs: Mapping[str, str], tell: Progress) -> Fitted:
    """Fit the columns' states and every drawer on some rows; `key` names the stage for seeds and for the certificate."""
    cohort = prepared.cohort.take(rows)
    seen = rows_hash(cohort.rows, prepared.study.key)
    states = learn_states(cohort)
    record = [FittedState(f"column:{name}", key, seen, len(cohort)) for name in states]
    scenes = scenes_of(cohort, prepared.task, states, prepared.groups[rows])
    params: dict[str, tuple[str, Params]] = {}
    for name, spec in specs.items():
        params[name] = (spec, models.drawer(spec).fit(scenes, prepared.study.rng("fit", key, spec), _named(tell, key, name)))
        record.append(FittedState(f"model:{name}", key, seen, len(cohort)))
    return Fitted(states, params, tuple(record))


def _named(tell: Progress, key: str, name: str) -> Progress:
    return lambda what, done, total: tell(f"{key} {name.partition(':')[0]}: {what}", done, total)


def draw_rows(prepared: Prepared, split: Split, fitted: Fitted, folder: Path | None) -> FoldDrawings:
    """Every model's drawings of a split's test rows, judged, and written below `folder` where one is given."""
    scenes = scenes_of(prepared.cohort.take(split.test), prepared.task, fitted.states, prepared.groups[split.test])
    judge, target = judge_of(prepared), prepared.cohort.role("target")[0]
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in fitted.params}
    for i, row in enumerate(scenes.cohort.rows.tolist()):
        scene = scenes[i]
        for name, (spec, params) in fitted.params.items():
            drawn = models.drawer(spec).draw(params, scene)
            records[name].append(judge.record(scene.drawn, drawn, scene.spacing, scenes.asked, target.options))
            if folder is not None:
                end, data = modalities.get(target.modality).file_of(drawn, scene.affine, target)
                place = folder / f"{place_of(name, row)}{end}"
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomic(place, data)
    return FoldDrawings(split, records, fitted.record, {name: {"spec": spec} for name, (spec, _) in fitted.params.items()})


def place_of(model: str, row: int) -> str:
    """Where the drawing of a source row lies below `drawings/`, without its end; row numbers name nobody."""
    return f"{''.join(c if c.isalnum() else '-' for c in model)[:60]}/{row}"


def cross_validate(prepared: Prepared, folder: Path, drawings: Path, tell: Progress, workers: int = 1) -> list[FoldDrawings]:
    """Every split's result but the last one's; finished ones are read back from `folder`, so that a killed fit goes on.

    Args:
        workers: processes; the answer does not depend on it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = [s for s in prepared.splits if s.part not in ("holdout", "final")]
    done = {s.key: found for s in wanted if (found := read_fold(folder, s)) is not None}
    todo = [s for s in wanted if s.key not in done]
    tell("folds", len(done), len(wanted))
    alone = tell if workers <= 1 or len(todo) < 2 else None
    for found in each(_run, (prepared, drawings, alone), todo, workers):
        write_fold(folder, found)
        done[found.split.key] = found
        tell("folds", len(done), len(wanted))
    return [done[s.key] for s in wanted]


def _run(shared: tuple[Prepared, Path, Progress | None], split: Split) -> FoldDrawings:
    """Fit on a split's training rows and draw on its test rows; drawings are kept of the first repeat."""
    prepared, drawings, tell = shared
    fitted = fit_rows(prepared, split.train, split.key, specs_of(prepared), tell or _silent)
    return draw_rows(prepared, split, fitted, drawings if split.part == "cv" and not split.repeat else None)


def _silent(what: str, done: int, total: int) -> None:
    """Nobody is told by a worker."""


def write_fold(folder: Path, result: FoldDrawings) -> None:
    """One finished fold as JSON; its drawings were written before."""
    note = {
        "key": result.split.key, "train": result.split.train.tolist(), "test": result.split.test.tolist(), "records": result.records,
        "states": [[s.name, s.split_key, s.rows_sha256, s.n] for s in result.states], "facts": result.facts,
    }  # fmt: skip
    write_atomic(folder / _name(result.split), json.dumps(note, allow_nan=False).encode())


def read_fold(folder: Path, split: Split) -> FoldDrawings | None:
    """A finished fold of this very split, or None."""
    path = folder / _name(split)
    if not path.is_file():
        return None
    note = json.loads(path.read_bytes())
    if note["key"] != split.key or note["train"] != split.train.tolist() or note["test"] != split.test.tolist():
        return None
    return FoldDrawings(split, note["records"], tuple(FittedState(*s) for s in note["states"]), note["facts"])


def _name(split: Split) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in split.key.replace("/", "~").replace("=", "-")) + ".json"


__all__ = ["BASELINE", "FoldDrawings", "RowScenes", "cross_validate", "draw_rows", "fit_rows", "judge_of", "place_of", "specs_of"]
