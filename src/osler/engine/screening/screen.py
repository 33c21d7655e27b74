"""The verb `screen`: one pass over a library in bounded memory, continued after a kill, to the same bytes.

    OUT/
      hits.csv       the picked molecules, best first
      kept.parquet   the best molecules that passed every stage
      refused.csv    what could not be read: place, name, reason
      funnel.json    options, counts of every stage, what each filter met
      funnel.svg     the same, drawn
      docked/        poses of the picked molecules, where they were docked

While it runs, `.OUT.partial` holds one file of progress, replaced whole after every block: what is counted and kept so far, and a
hash of all the entries seen. A continued screen reads these entries again, without working on them, and holds them against the hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from osler import registry
from osler.adapters.rdkit import features
from osler.engine import files
from osler.engine.screening.library import Entry, blocks, entries
from osler.engine.screening.options import ScreenOptions
from osler.engine.screening.picking import dock, pick
from osler.engine.screening.stages import Passed, Stages
from osler.engine.tables import defused
from osler.errors import OptionError, ReadError

#: What draws a funnel, by name: engine and report do not import one another.
DRAWERS = {"funnel": "osler.report.funnel:draw"}


@dataclass(frozen=True)
class Screened:
    """What a screen gave.

    Attributes:
        folder: where everything lies.
        hits: the picked molecules, best first, with their columns, `pick` (order of picking) and `pick_similarity`.
        funnel: [(stage, molecules)], in order.
        facts: the content of funnel.json.
    """

    folder: Path
    hits: pl.DataFrame
    funnel: list[tuple[str, int]]
    facts: dict[str, Any]


def screen(
    library: str | Path, out: str | Path, options: ScreenOptions | None = None, progress: Callable[[str, int, int], None] | None = None
) -> Screened:
    """Take a library of molecules through a funnel: read, standardise, filter, compare, predict, want, keep, pick, dock.

    Args:
        library: a file that `osler.engine.screening.library.entries` reads.
        out: folder to make. The same library, options and folder continue from what is finished.
        progress: called with (stage, done, total); the total of a stream is not known and is 0.

    Raises:
        InputError: library, options, runs or actives are not what they must be, or no molecule could be read.
    """
    options, final = options or ScreenOptions(), Path(out)
    if Path(library).resolve() == final.resolve():
        raise OptionError("out must be a new folder, it is the library itself: name another")
    stages = Stages(options)
    with files.alone(final):
        work = final.with_name(f".{final.name}.partial")
        files.recover(final, work)
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = _Progress(work, stages.names, _asked(library, options, stages))
        stream = entries(library, options.column)
        state.skip(stream)
        with features.passing():
            for block in blocks(stream, options.block):
                state.add(block, stages.passed(block), options.keep)
                if progress is not None:
                    progress("molecules", state.done, 0)
        if not state.counts["readable"]:
            shutil.rmtree(work)
            raise ReadError(
                f"the library must hold molecules, none of its {state.done} entries could be read"
                + (f" (first reason: {state.first_reason})" if state.first_reason else ""), "read-empty",
            )  # fmt: skip
        kept = pl.DataFrame(state.kept, schema=_schema(state.kept, stages.columns), strict=False)
        hits = pick(kept, options)
        if options.dock:
            hits = dock(hits, options, work)
        facts = _write(work, state, kept, hits, options)
        state.remove()
        with files.whole_folder(final, work):
            pass
    return Screened(final, hits, [(name, n) for name, n in facts["funnel"]], facts)


def _asked(library: str | Path, options: ScreenOptions, stages: Stages) -> str:
    """A hash of everything that the finished part of a screen depends on; picking and docking come later and may change."""
    early = {k: v for k, v in asdict(options).items() if k not in ("pick", "diversity", "most_similar", "dock", "dock_option")}
    actives = hashlib.sha256(Path(options.actives).read_bytes()).hexdigest() if options.actives else ""
    whole = json.dumps([Path(library).name, early, actives, stages.identity()], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()


class _Progress:
    """What is counted, refused and kept so far, on disk after every block."""

    def __init__(self, work: Path, names: list[str], asked: str) -> None:
        self._path, self._refused, self._asked = work / "progress.json", work / "refused.csv", asked
        self._hash = hashlib.sha256()
        self.done, self.counts, self.first_reason = 0, Counter(dict.fromkeys(names, 0)), ""
        self.dropped: dict[str, Counter[str]] = {}
        self.kept: list[dict[str, Any]] = []
        self._seen, self._size = "", 0
        held = json.loads(self._path.read_text(encoding="utf-8")) if self._path.is_file() else {}
        if held.get("asked") == asked:
            self.done, self._seen, self._size = held["done"], held["seen"], held["refused_bytes"]
            self.counts, self.kept, self.first_reason = Counter(held["counts"]), held["kept"], held["first_reason"]
            self.dropped = {name: Counter(counts) for name, counts in held["dropped"].items()}
            os.truncate(self._refused, self._size)
        else:
            header = pl.DataFrame(schema={"place": pl.Int64, "name": pl.String, "reason": pl.String}).write_csv().encode()
            files.write_atomic(self._refused, header)
            self._size = len(header)

    def skip(self, stream: Iterator[Entry]) -> None:
        """Read what is finished once more and make sure that it is still the same.

        Raises:
            ReadError: the library has changed.
        """
        for _ in range(self.done):
            entry = next(stream, None)
            if entry is None:
                break
            self._hash.update(_line(entry))
        if self.done and self._hash.hexdigest() != self._seen:
            raise ReadError(
                "the library must be the one that this screen was begun with, its first entries have changed: "
                "name another folder with --out"
            )

    def add(self, block: list[Entry], passed: Passed, keep: int) -> None:
        """Count a finished block, keep the best, write it all down."""
        for entry in block:
            self._hash.update(_line(entry))
        self.done += len(block)
        self.counts.update(passed.counts)
        for name, counts in passed.dropped.items():
            self.dropped.setdefault(name, Counter()).update(counts)
        self._refuse(passed)
        self.kept = _best([*self.kept, *passed.rows], keep)
        state = {
            "asked": self._asked, "done": self.done, "seen": self._hash.hexdigest(), "refused_bytes": self._size,
            "counts": self.counts, "dropped": self.dropped, "first_reason": self.first_reason, "kept": self.kept,
        }  # fmt: skip
        files.write_atomic(self._path, json.dumps(state).encode())

    def _refuse(self, passed: Passed) -> None:
        if not passed.refused:
            return
        self.first_reason = self.first_reason or passed.refused[0][2]
        frame = pl.DataFrame(passed.refused, schema={"place": pl.Int64, "name": pl.String, "reason": pl.String}, orient="row")
        lines = defused(frame).write_csv(include_header=False).encode()
        with open(self._refused, "ab") as out:
            out.write(lines)
            out.flush()
            os.fsync(out.fileno())
        self._size += len(lines)

    def remove(self) -> None:
        """The file of progress is no part of the result."""
        self._path.unlink()


def _line(entry: Entry) -> bytes:
    return f"{entry.place}\t{entry.name}\t{entry.problem}\t{entry.text}\n".encode("utf-8", "replace")


def _best(rows: list[dict[str, Any]], keep: int) -> list[dict[str, Any]]:
    """The best rows, best first, equal scores by place; of equal molecules the first."""
    found: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda r: (-r["score"], r["place"])):
        found.setdefault(row["smiles"], row)
        if len(found) == keep:
            break
    return list(found.values())


def _schema(rows: list[dict[str, Any]], columns: list[str]) -> dict[str, Any]:
    """A type per column, the same whether a value is there or not."""
    kinds = {bool: pl.Boolean, int: pl.Int64, float: pl.Float64, str: pl.String}
    schema = {}
    for name in columns:
        value = next((row[name] for row in rows if row[name] is not None), None)
        schema[name] = kinds.get(type(value), pl.String)
    return schema


def _write(work: Path, state: _Progress, kept: pl.DataFrame, hits: pl.DataFrame, options: ScreenOptions) -> dict[str, Any]:
    funnel = [*state.counts.items(), ("kept", kept.height), ("picked", hits.height)]
    if options.dock:
        funnel.append(("docked", int(hits["dock_score"].is_not_null().sum())))
    facts = {
        "funnel": funnel, "refused": state.counts["read"] - state.counts["readable"],
        "dropped": {name: dict(sorted(counts.items(), key=lambda c: (-c[1], c[0]))) for name, counts in state.dropped.items()},
        "options": asdict(options),
    }  # fmt: skip
    files.write_json(work / "funnel.json", facts)
    files.write_parquet(work / "kept.parquet", kept)
    files.write_atomic(work / "hits.csv", defused(hits).write_csv().encode())
    drawn = registry.load(DRAWERS, "drawers", "funnel")(funnel)
    files.write_atomic(work / "funnel.svg", drawn.encode())
    return facts
