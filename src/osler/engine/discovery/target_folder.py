"""Known ligands on disk, read and judged once: what `osler targets train` writes and `osler targets` reads.

study.json          tables, columns, options, counts of what was left out
molecules.parquet   smiles, name, scaffold, fold
pairs.parquet       molecule, target (numbers)
bits.npy            packed fingerprints
scores.json         hit rates by method, and how often listed targets are right, by similarity
certificate.json    that no left-out molecule had a twin in its reference
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.engine import files
from osler.engine.discovery.known import Columns, Known, gather, open_table, pairs_of, structures_of
from osler.engine.discovery.public import TABLES
from osler.engine.discovery.targets import Evaluation, TargetOptions, evaluate
from osler.errors import OptionError, ReadError

FORMAT = "osler.targets/1"
_FILES = ("study.json", "molecules.parquet", "pairs.parquet", "bits.npy", "scores.json", "certificate.json")


def known_of(tables: Sequence[str], columns: Columns | None = None, structures: Sequence[str] = ()) -> Known:
    """Known pairs of tables: files, or names of `osler.engine.discovery.public.TABLES`.

    Args:
        columns: of the files. structures: tables written NAMES.csv:NAME_COLUMN:SMILES_COLUMN, for files that only
            name their molecules.

    Raises:
        InputError: a table or column is not there, or no pair is left.
    """
    if not tables:
        raise OptionError(f"known must be one or more tables, or of {', '.join(TABLES)}, there were none")
    drawn = structures_of([_structure(text) for text in structures])
    parts = [TABLES[t]() if t in TABLES else pairs_of(t, columns or Columns(), drawn) for t in tables]
    return gather(
        [frame for frame, _, _ in parts],
        sum((refused for _, refused, _ in parts[1:]), parts[0][1]),
        sum(n for _, _, n in parts),
    )


def _structure(text: str) -> tuple[pl.DataFrame, str, str, str]:
    path, _, rest = text.partition(":")
    name, _, smiles = rest.partition(":")
    if not smiles:
        raise OptionError(f"structures must be written FILE:NAME_COLUMN:SMILES_COLUMN, was '{text}'")
    return open_table(path), path, name, smiles


def train(
    known: Known,
    out: str | Path,
    options: TargetOptions | None = None,
    *,
    about: dict[str, Any] | None = None,
    most: int = 2000,
    progress: Callable[[str, int, int], None] | None = None,
) -> Evaluation:
    """Judge the lists on left-out scaffolds and write a folder.

    Args:
        about: what study.json says of where the pairs come from. most: molecules asked about.

    Raises:
        OptionError: `out` is there and is no such folder, or another process writes it.
    """
    options, final = options or TargetOptions(), Path(out)
    if final.exists() and not (final / "study.json").is_file():
        raise OptionError(
            f"out must be a new folder or an earlier one of osler targets, "
            f"'{final.name}' holds something else: name another"
        )
    found = evaluate(known, options, most=most, progress=progress)
    with files.alone(final):
        work = final.with_name(f".{final.name}.partial")
        files.recover(final, work)
        work.mkdir(mode=0o700, exist_ok=True)
        study = {
            "format": FORMAT,
            **(about or {}),
            "options": asdict(options),
            "facts": found.facts,
            "targets": list(known.targets),
            "left_out": known.refused,
            "lines_read": known.n_read,
        }
        molecules = pl.DataFrame(
            {"smiles": known.smiles, "name": known.names, "scaffold": known.scaffolds, "fold": found.fold}
        )
        bits = io.BytesIO()
        np.save(bits, known.bits, allow_pickle=False)
        with files.whole_folder(final, work):
            files.write_json(work / "study.json", study)
            files.write_parquet(work / "molecules.parquet", molecules)
            files.write_parquet(
                work / "pairs.parquet", pl.DataFrame({"molecule": known.molecule, "target": known.target})
            )
            files.write_atomic(work / "bits.npy", bits.getvalue())
            files.write_json(work / "scores.json", {"scores": found.scores, "reliability": found.reliability})
            files.write_json(work / "certificate.json", found.certificate)
    return found


def is_folder(path: str | Path) -> bool:
    """Whether a path is a folder of known ligands."""
    return (Path(path) / "study.json").is_file() and (Path(path) / "pairs.parquet").is_file()


def load(folder: str | Path) -> tuple[Known, dict[str, Any], dict[str, Any]]:
    """Known pairs, scores.json and certificate.json of a folder.

    Raises:
        ReadError: a file is absent, damaged, or does not belong to the others.
    """
    folder = Path(folder)
    lost = [name for name in _FILES if not (folder / name).is_file()]
    if lost:
        raise ReadError(
            f"a folder of known ligands must hold {lost[0]}, '{folder.name}' does not: run osler targets train again",
            "read-missing",
        )
    try:
        study, scores, proof = (
            json.loads((folder / f"{n}.json").read_text(encoding="utf-8")) for n in ("study", "scores", "certificate")
        )
        molecules, pairs = pl.read_parquet(folder / "molecules.parquet"), pl.read_parquet(folder / "pairs.parquet")
        bits = np.load(folder / "bits.npy", allow_pickle=False)
        texts = [tuple(molecules[c].cast(pl.String).to_list()) for c in ("smiles", "name", "scaffold")]
        numbers = [pairs[c].cast(pl.Int64).to_numpy() for c in ("molecule", "target")]
        targets = tuple(str(t) for t in study["targets"])
        known = Known(*texts, bits, targets, *numbers, dict(study["left_out"]), int(study["lines_read"]))
        whole = (
            study["format"] == FORMAT
            and bits.dtype == np.uint64
            and bits.ndim == 2
            and len(bits) == len(molecules)
            and len(numbers[0])
        )
        whole = (
            whole
            and numbers[0].min() >= 0
            and numbers[0].max() < len(bits)
            and numbers[1].min() >= 0
            and numbers[1].max() < len(targets)
        )
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise ReadError(
            f"a folder of known ligands must be what Osler writes, '{folder.name}' cannot be read: train it again"
        ) from error
    if not whole:
        raise ReadError(
            f"the files of a folder of known ligands must belong together, those of '{folder.name}' do not: "
            "train it again"
        )
    return known, scores, proof
