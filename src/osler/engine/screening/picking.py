"""Of the molecules that a screen kept: a diverse choice, and their poses in a protein."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import polars as pl

from osler import instruments
from osler.adapters.rdkit import features, fingerprints
from osler.adapters.rdkit.standardise import Policy
from osler.adapters.tanimoto import diverse
from osler.cohort.cohort import Cohort
from osler.cohort.column import ROW, Column
from osler.cohort.limits import safe_name
from osler.engine.files import write_atomic
from osler.engine.screening.options import ScreenOptions
from osler.errors import InputError, OptionError, nearest


def pick(kept: pl.DataFrame, options: ScreenOptions) -> pl.DataFrame:
    """The picked rows, best score first, with `pick` (1 is the first picked) and `pick_similarity` to those picked before.

    MaxMin begins with the best molecule and goes on with whatever is least similar to all picked; spheres go down the ranking
    and pass over what is too similar to a better one.
    """
    n = min(options.pick, kept.height)
    if options.diversity == "none" or n == 0:
        made = kept.head(n)
        return made.with_columns(pl.int_range(1, n + 1, dtype=pl.Int64).alias("pick"), pl.lit(None, dtype=pl.Float64).alias("pick_similarity"))
    bits = fingerprints.bits(features.molecules(kept["smiles"].to_list(), Policy()))
    if options.diversity == "spheres":
        rows, near = diverse.spheres(bits, n, options.most_similar)
    else:
        rows, near = diverse.maxmin(bits, n)
    made = kept[rows.tolist()].with_columns(
        pl.Series("pick", range(1, len(rows) + 1), dtype=pl.Int64), pl.Series("pick_similarity", near, dtype=pl.Float64)
    )
    return made.sort("score", "place", descending=[True, False])


def dock(hits: pl.DataFrame, options: ScreenOptions, work: Path) -> pl.DataFrame:
    """The picked rows with `dock_score` (kcal/mol, of the best pose) and `dock_notes`; each molecule is docked once and kept.

    Raises:
        OptionError: an option that docking does not have.
        InputError: the structure, or what else docking needs, is not as it must be.
    """
    tool = instruments.get("dock")
    asked = _dock_options(tool.Options, options)
    folder = work / "docked"
    folder.mkdir(mode=0o700, exist_ok=True)
    scores, notes = [], []
    for place, smiles in hits.select("place", "smiles").iter_rows():
        path = folder / f"{place}.json"
        if not path.is_file():
            write_atomic(path, json.dumps(_docked(tool, asked, smiles, folder, place)).encode())
        found = json.loads(path.read_text(encoding="utf-8"))
        scores.append(found["score"])
        notes.append(found["notes"])
    return hits.with_columns(pl.Series("dock_score", scores, dtype=pl.Float64), pl.Series("dock_notes", notes, dtype=pl.String))


def _docked(tool: Any, asked: Any, smiles: str, folder: Path, place: int) -> dict[str, Any]:
    table = pl.DataFrame({ROW: [1], "smiles": [smiles]}, schema={ROW: pl.Int64, "smiles": pl.String})
    found = tool.run(Cohort(table, (Column("smiles", "text"),)), asked)
    for name, text in found.files.items():
        if name.endswith(".sdf"):
            write_atomic(folder / safe_name(f"{place}_{name}"), text.encode())
    best = found.cohort.table.row(0, named=True)
    return {"score": best["score"], "notes": best["notes"]}


def _dock_options(kind: type, options: ScreenOptions) -> Any:
    known = {f.name: f.default if f.default is not MISSING else f.default_factory() for f in fields(kind)}
    given: dict[str, Any] = {"receptor": options.dock}
    for text in options.dock_option:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in known:
            raise OptionError(f"dock-option must be NAME=VALUE with a name that docking has, was '{text}': {nearest(name, known)}")
        given[name] = _typed(name, value.strip(), known[name])
    return kind(**given)


def _typed(name: str, value: str, default: Any) -> Any:
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[value.lower()]
        if isinstance(default, tuple):
            return tuple(value.split(","))
        return type(default)(value)
    except (KeyError, ValueError) as error:
        raise InputError(f"dock-option {name} must be of the kind of {default!r}, it is not", "option") from error
