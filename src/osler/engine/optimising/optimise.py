"""The verb `optimise`: rounds of new molecules until the budget of scored ones is spent, continued after a kill, to the same bytes.

    OUT/
      best.csv        the best molecules, best first
      front.csv       the Pareto front
      scored.csv      every scored molecule in its order, with how it was made, and every column
      optimise.json   options, counts, the lead, where caution came from, SHA-256 of scored.csv and of every run
      front.svg       the front, drawn
      report.html     the best molecules drawn beside the lead

While it runs, `.OUT.partial` holds what is scored so far and the state of the generator in reinforcement, replaced after every round.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler import registry
from osler.adapters.rdkit import features
from osler.adapters.rdkit.standardise import Policy
from osler.engine import files
from osler.engine.optimising.archive import Archive, front, rank
from osler.engine.optimising.judging import Judging, smiles_of
from osler.engine.optimising.moves import Made, Move, molecules_of, moves, patience
from osler.engine.optimising.options import OptimiseOptions
from osler.engine.tables import defused
from osler.errors import InputError, OptionError

FORMAT = "osler.optimise/1"
#: What writes the page, by name: engine and report do not import one another.
WRITERS = {"report": "osler.report.optimising:build"}
#: What an optimisation begins with where there is no lead, no file and no generator.
SMALL = (
    "c1ccccc1", "c1ccncc1", "c1ccc2[nH]ccc2c1", "C1CCNCC1", "C1CNCCN1", "C1COCCN1", "c1cn[nH]c1", "c1cscn1", "CC(=O)Nc1ccccc1", "COc1ccccc1",
    "NC(=O)c1ccccc1", "CS(=O)(=O)c1ccccc1", "c1ccc(CN2CCNCC2)cc1", "c1ccc(-c2ccncc2)cc1", "O=C(c1ccccc1)N1CCCC1", "Cc1nc2ccccc2o1",
)  # fmt: skip
#: Columns that do not say what a molecule is like.
_LATER = ("place", "round", "method", "change", "parent", "smiles", "score", "unmet")
_START = 7


@dataclass(frozen=True)
class Optimised:
    """What an optimisation gave.

    Attributes:
        folder: where everything lies.
        best: the best molecules, best first. front: the Pareto front. Both with every column.
        facts: the content of optimise.json.
    """

    folder: Path
    best: pl.DataFrame
    front: pl.DataFrame
    facts: dict[str, Any]


@dataclass
class _State:
    """What is done so far."""

    archive: Archive
    round: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)
    dry: bool = False


def optimise(
    out: str | Path, options: OptimiseOptions, progress: Callable[[str, int, int], None] | None = None
) -> Optimised:
    """Search for molecules that the runs judge better.

    Args:
        out: folder to make. The same options and folder continue from what is finished.
        progress: called with (stage, done, total).

    Raises:
        InputError: an option, a run, the lead or a file is not what it must be, or nothing to begin with is worth asking about.
    """
    final = Path(out)
    if final.exists() and not (final / "optimise.json").is_file():
        raise OptionError(f"out must be a new folder or an earlier optimisation, '{final.name}' holds something else: name another")
    judging, sources = Judging(options), moves(options)
    asked = _asked(options, judging)
    with files.alone(final):
        work = final.with_name(f".{final.name}.partial")
        files.recover(final, work)
        state = _opened(work, asked, sources)
        if not state.round:
            _begin(state, options, judging, sources)
            _keep(work, asked, state, sources)
        while len(state.archive) < options.budget and not state.dry:
            if progress is not None:
                progress("molecules", len(state.archive), options.budget)
            _round(state, options, judging, sources)
            _keep(work, asked, state, sources)
        if progress is not None:
            progress("molecules", len(state.archive), options.budget)
        found = _write(work, state, options, judging)
        _forget(work)
        with files.whole_folder(final, work):
            pass
    return Optimised(final, *found)


# -- rounds ---------------------------------------------------------------------------------------------------------


def _begin(state: _State, options: OptimiseOptions, judging: Judging, sources: dict[str, Move]) -> None:
    """Score what the search begins with: the lead, then the file, the generator or small rings, as far as half the budget goes."""
    texts = [judging.lead] if judging.lead else []
    if options.start:
        mols = molecules_of(options.start)
        order = np.random.default_rng([options.seed, _START]).permutation(len(mols))
        texts += [smiles_of(mols[i]) for i in order]
    elif not judging.lead and options.generator:
        texts += _drawn(options)
    elif not judging.lead:
        texts += list(SMALL)
    most = max(1, options.budget // 2) if len(texts) > 1 else 1
    chosen: list[Made] = []
    for text in dict.fromkeys(texts):
        if len(chosen) == min(most, 5 * options.population):
            break
        mol = features.read(text, Policy())[0]
        why = "" if text == judging.lead else "unreadable" if mol is None else judging.why_not(mol)
        if why:
            state.passed_over[why] += 1
        else:
            chosen.append(Made(text, "", "lead" if text == judging.lead else "beginning"))
    if not chosen:
        raise InputError(f"an optimisation must begin with molecules worth asking about, all {len(texts)} were passed over: raise most-sa or name others")
    _score(state, {"start": chosen}, judging)


def _drawn(options: OptimiseOptions) -> list[str]:
    from osler.engine.generate import sample

    return sample(options.generator, 3 * options.population, seed=options.seed + 1)["smiles"]


def _round(state: _State, options: OptimiseOptions, judging: Judging, sources: dict[str, Move]) -> None:
    """Ask every move for its share, score what they made, and tell them."""
    parents = state.archive.parents(options.population, judging.objectives, options.domain == "exclude")
    room = min(options.batch, options.budget - len(state.archive))
    taken: set[str] = set()
    chosen: dict[str, list[Made]] = {}
    refused: dict[str, list[str]] = {name: [] for name in sources}
    streams = {name: move.propose(parents, state.round) for name, move in sources.items()}
    for i, (name, stream) in enumerate(streams.items()):
        share = (room - sum(map(len, chosen.values()))) // (len(streams) - i)
        chosen[name] = _picked(stream, share, taken, refused[name], state, judging)
    for name, stream in streams.items():
        missing = room - sum(map(len, chosen.values()))
        chosen[name] += _picked(stream, missing, taken, refused[name], state, judging)
    state.dry = not any(chosen.values())
    _score(state, chosen, judging)
    for name, move in sources.items():
        move.learn(state.archive, [*(made.smiles for made in chosen[name]), *refused[name][: options.batch]])


def _picked(
    stream: Iterator[Made | None], n: int, taken: set[str], refused: list[str], state: _State, judging: Judging
) -> list[Made]:
    """The first n that nobody has scored and that are worth asking about, fewer if the move runs dry; the others go to `refused`."""
    found: list[Made] = []
    for _ in range(patience(n) if n else 0):
        made = next(stream, None)
        if made is None or made.smiles in taken or made.smiles in state.archive:
            continue
        taken.add(made.smiles)
        mol = features.read(made.smiles, Policy())[0]
        why = "another molecule once standardised" if mol is None or smiles_of(mol) != made.smiles else judging.why_not(mol)
        if why:
            state.passed_over[why] += 1
            refused.append(made.smiles)
            continue
        found.append(made)
        if len(found) == n:
            break
    return found


def _score(state: _State, chosen: dict[str, list[Made]], judging: Judging) -> None:
    """Ask the runs about what was chosen and put it into the archive."""
    flat = [(name, made) for name, part in chosen.items() for made in part]
    if flat:
        rows = [_plain(judging.judged(row)) for row in judging.rows([made.smiles for _, made in flat])]
        origin = [{"round": state.round, "method": name, "change": made.change, "parent": made.parent} for name, made in flat]
        state.archive.add([{**a, **b} for a, b in zip(origin, rows, strict=True)])
        state.made.update(name for name, _ in flat)
    state.round += 1


# -- what is done so far ----------------------------------------------------------------------------------------------


def _asked(options: OptimiseOptions, judging: Judging) -> str:
    """A hash of everything that the finished part depends on; the budget and what is shown may change."""
    early = {k: v for k, v in asdict(options).items() if k not in ("budget", "show")}
    held = {name: _sha256(Path(path)) for name in ("start", "pairs") if (path := getattr(options, name))}
    if options.generator:
        held["generator"] = _sha256(Path(options.generator) / "generator" / "generator.json")
    whole = json.dumps([early, held, judging.identity()], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _opened(work: Path, asked: str, sources: dict[str, Move]) -> _State:
    """The state of an unfinished search for the very same, or a new one."""
    path = work / "progress.json"
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if held.get("asked") != asked:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700, parents=True)
        return _State(Archive())
    for name, move in sources.items():
        move.restore(work / f"{name}-{held['round']}")
    return _State(Archive(held["rows"]), held["round"], Counter(held["passed_over"]), Counter(held["made"]), held["dry"])


def _keep(work: Path, asked: str, state: _State, sources: dict[str, Move]) -> None:
    """Write the state of this round, then remove that of the round before."""
    for name, move in sources.items():
        move.save(work / f"{name}-{state.round}")
    body = {
        "asked": asked, "round": state.round, "passed_over": state.passed_over, "made": state.made, "dry": state.dry,
        "rows": state.archive.rows,
    }  # fmt: skip
    files.write_atomic(work / "progress.json", json.dumps(body).encode())
    for name in sources:
        shutil.rmtree(work / f"{name}-{state.round - 1}", ignore_errors=True)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row without NaN, which JSON does not have."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in row.items()}


def _forget(work: Path) -> None:
    """Progress is no part of the result."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    (work / "progress.json").unlink()


# -- what comes out ---------------------------------------------------------------------------------------------------


def _write(
    work: Path, state: _State, options: OptimiseOptions, judging: Judging
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    ranked = state.archive.ranked()
    scored = _table(state.archive.rows)
    best, edge = _table(ranked[: options.show]), _table(front(ranked, judging.objectives))
    for name, table in (("scored", scored), ("best", best), ("front", edge)):
        files.write_atomic(work / f"{name}.csv", defused(table).write_csv().encode())
    lead = next((row for row in state.archive.rows if row["change"] == "lead"), None)
    facts = {
        "format": FORMAT, "options": asdict(options), "budget": options.budget, "scored": len(state.archive), "rounds": state.round,
        "ran_dry": state.dry, "scored_by_method": dict(state.made), "passed_over": dict(sorted(state.passed_over.items())),
        "meet_every_condition": sum(row["unmet"] == 0 for row in state.archive.rows),
        "conditions": [str(limit) for limit in judging.goals.limits], "aims": [asdict(aim) for aim in judging.goals.aims],
        "caution": judging.sure, "axes": judging.axes, "lead": lead, "best": ranked[0],
        "front": len(edge), "best_so_far": _path(state.archive.rows),
        "runs": [_digest(identity) for identity in judging.identity()], "scored_sha256": _sha256(work / "scored.csv"),
    }  # fmt: skip
    files.write_json(work / "optimise.json", facts)
    registry.load(WRITERS, "writers", "report")(work)
    return best, edge, facts


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _path(rows: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """(molecules scored, score) at every point where a better molecule was found; only those that meet every condition count."""
    found, best = [], None
    for row in rows:
        if row["unmet"] == 0 and rank(row)[1] < float("inf") and (best is None or rank(row) < rank(best)):
            best = row
            found.append((row["place"], float(row["score"])))
    return found


def _table(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a table: what a molecule is and is worth first, how it was made last."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    order = ["place", "smiles", "score", "unmet", *(n for n in names if n not in _LATER), "round", "method", "change", "parent"]
    held = [{n: row.get(n) for n in order} for row in rows]
    return pl.DataFrame(held, infer_schema_length=None) if held else pl.DataFrame(schema=dict.fromkeys(order[:4], pl.String))
