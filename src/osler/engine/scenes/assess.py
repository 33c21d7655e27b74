"""Scores of every model that draws, in every part: measures of each scan pooled, with intervals by units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.cohort.partners import unit_of
from osler.engine.assess import Assessment
from osler.engine.prepare import Prepared
from osler.engine.scenes.folds import BASELINE, FoldDrawings, judge_of, place_of


def assess(prepared: Prepared, results: list[FoldDrawings]) -> Assessment:
    """`scores.json` in the same form as of other tasks; the model with the best primary measure out of fold is chosen."""
    judge, study = judge_of(prepared), prepared.study
    asked = prepared.task.asked(prepared.cohort.columns)
    parts: dict[str, dict[str, Any]] = {}
    for part in dict.fromkeys(r.split.part for r in results):
        of_part = [r for r in results if r.split.part == part]
        repeats = sorted({r.split.repeat for r in of_part})
        parts[part] = {}
        for model in of_part[0].records:
            each = []
            for repeat in repeats:
                rows, records = pooled(of_part, model, repeat)
                groups = unit_of(part, prepared.things, prepared.groups)[rows]
                rng = study.rng("score", part, model, str(repeat))
                each.append(judge.score(records, groups, asked, rng, max(study.boot // len(repeats), 200)))
            parts[part][model] = {name: _averaged([e[name] for e in each]) for name in each[0]}
    chosen = _chosen(parts["cv"], judge.primary, judge.bigger_is_better)
    curves: dict[str, Any] = {"measures": spreads(results, chosen)}
    for part in parts:
        _, records = pooled([r for r in results if r.split.part == part], chosen)
        for name, made in judge.curves(records, asked).items():
            curves.setdefault(name, {})[part] = made
    return Assessment({"chosen": chosen, "parts": parts}, curves, {}, {})


def spreads(results: list[FoldDrawings], chosen: str) -> dict[str, Any]:
    """part → model → measure → its value in every scan, in rising order, of the chosen model and the baseline."""
    found: dict[str, Any] = {}
    for part in dict.fromkeys(r.split.part for r in results):
        found[part] = {}
        for model in (m for m in (chosen, BASELINE) if m in results[0].records):
            _, records = pooled([r for r in results if r.split.part == part], model)
            names = dict.fromkeys(k for r in records for k, v in r.items() if not isinstance(v, list))
            found[part][model] = {k: sorted(round(r[k], 4) for r in records if r.get(k) is not None) for k in names}
    return found


def pooled(results: list[FoldDrawings], model: str, repeat: int = 0) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Positions and records of one model in one repeat, folds put together in the order of rows."""
    mine = [r for r in results if r.split.repeat == repeat]
    rows = np.concatenate([r.split.test for r in mine])
    records = [record for r in mine for record in r.records[model]]
    order = np.argsort(rows, kind="stable")
    return rows[order], [records[i] for i in order]


def measures_table(prepared: Prepared, results: list[FoldDrawings], drawings: Path) -> pl.DataFrame:
    """Every drawing's measures: row, part, repeat, fold, model, the drawing's place in the run ("" where it was not kept), and one column per
    measure that is a number.
    """
    kept = {p.relative_to(drawings).as_posix() for p in drawings.rglob("*") if p.is_file()} if drawings.is_dir() else set()
    ends = {name.partition(".")[0]: name for name in kept}
    lines = []
    for result in results:
        for model, records in result.records.items():
            for row, record in zip(prepared.cohort.rows[result.split.test].tolist(), records):
                is_kept = result.split.part in ("cv", "holdout") and not result.split.repeat
                place = ends.get(place_of(model, row), "") if is_kept else ""
                numbers = {k: v for k, v in record.items() if not isinstance(v, list)}
                base = {"row": row, "part": result.split.part, "repeat": result.split.repeat, "fold": result.split.fold, "model": model}
                lines.append({**base, "drawing": f"drawings/{place}" if place else "", **numbers})
    return pl.DataFrame(lines, infer_schema_length=None).sort("part", "model", "repeat", "row")


def _averaged(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Value and limits averaged over repeats, so that repeats sharpen the value and never the interval."""
    merged = dict(entries[0])
    for key in ("value", "low", "high"):
        numbers = [e[key] for e in entries if e.get(key) is not None]
        merged[key] = float(np.mean(numbers)) if len(numbers) == len(entries) else None
    return merged


def _chosen(by_model: dict[str, Any], primary: str, bigger: bool) -> str:
    """The best model that was asked for; the baseline is none."""
    values = {m: s.get(primary, {}).get("value") for m, s in by_model.items() if m != BASELINE}
    known = {m: v if bigger else -v for m, v in values.items() if v is not None}
    return max(known, key=lambda m: known[m]) if known else next(iter(values))
