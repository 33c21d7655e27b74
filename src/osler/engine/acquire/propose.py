"""The verb behind `osler next`: a batch of molecules to make or measure, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.adapters.rdkit import features, fingerprints
from osler.adapters.rdkit.standardise import Policy
from osler.adapters.tanimoto import search
from osler.engine.acquire import choose, spread
from osler.engine.batches import encode
from osler.engine.predict import as_trained, rows_cohort
from osler.engine.predictor import Predictor
from osler.engine.prepare import Prepared, prepare, table_sha256
from osler.engine.run import Run
from osler.engine.screening.library import entries
from osler.engine.screening.stages import judges
from osler.errors import OptionError, ReadError
from osler.models.base import Encoded
from osler.registry import optional

#: Most molecules of a pool: all of them are held at once. Screen a larger library first.
MOST = 200_000


def _flag(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class NextOptions:
    """Options of `osler next`."""

    batch: int = _flag(24, "molecules to choose")
    strategy: str = _flag("ei", "ei (expected improvement), ucb (prediction plus spread), spread (least sure) or mean (best prediction)")
    minimise: bool = _flag(False, "small values are wanted; otherwise large ones")
    diversity: float = _flag(0.3, "0: the most worthwhile, however alike; 1: the least alike of the worthwhile")
    kappa: float = _flag(1.0, "ucb: spreads that are added to the prediction")
    table: str = _flag("", "the table that the run was fitted on, if it has moved since")
    copies: int = _flag(10, "copies on resampled rows, where the model has no spread of its own")
    column: str = _flag("", "of a pool that is a table: the column of SMILES; found by its name if empty")
    seed: int = _flag(0, "seed of the copies")


@dataclass(frozen=True)
class Proposal:
    """What to measure next.

    Attributes:
        batch: a row per molecule in the order of choosing: place, name, smiles, predicted, spread, worth, rank, pick_similarity,
            train_similarity, why.
        facts: strategy, where the spread comes from, best so far, counts.
    """

    batch: pl.DataFrame
    facts: dict[str, Any]


def propose(run: str | Path, pool: str | Path, options: NextOptions | None = None) -> Proposal:
    """A batch of the pool that is worth measuring by the run's model and is not all alike.

    Args:
        run: folder of a run that answers a number, or one of two classes, from a column of molecules.
        pool: molecules that could be made or measured, as `osler.engine.screening.library.entries` reads them; those that the run was
            trained with, and repeats, are left out.

    Raises:
        InputError: run, pool, table or an option is not what it must be.
    """
    options = options or NextOptions()
    opened = Run.load(run)
    judge = judges([str(opened.folder / "predictor")])[0]
    predictor = judge.predictor
    if predictor.task not in spread.TASKS:
        raise OptionError(f"the run must answer a number or one of two classes, it answers {predictor.task}: fit another")
    if options.strategy == "ei" and predictor.task == "binary":
        raise OptionError("strategy ei must have a run that answers a number, this one answers classes: take ucb, spread or mean")
    training = _training(opened, options.table)
    rows = _encoded(predictor, training)
    known = features.molecules(training.cohort.values(judge.column).to_list(), Policy(), "auto")
    found = _pool(pool, options.column, {_smiles(mol) for mol in known if mol is not None})
    blocks = encode(rows_cohort(predictor, [{judge.column: text} for text in found.table["smiles"]]), predictor.states)
    belief = _belief(predictor, rows, blocks, options)
    sign = -1 if options.minimise else 1
    best = float((sign * rows.target.y).max() * sign) if predictor.task == "regression" else None
    value = choose.worth(options.strategy, belief, best, options.kappa, sign)
    chosen = choose.batch(value, found.bits, options.batch, options.diversity)
    trained = search.nearest(found.bits[chosen.rows], fingerprints.bits([mol for mol in known if mol is not None]))[0]
    table = found.table[chosen.rows.tolist()].with_columns(
        predicted=belief.mean[chosen.rows], spread=belief.spread[chosen.rows], worth=value[chosen.rows], rank=chosen.rank,
        pick_similarity=chosen.nearest, train_similarity=trained,
    )  # fmt: skip
    facts = {
        "strategy": f"{options.strategy}: {choose.STRATEGIES[options.strategy]}", "spread": belief.source, "best_so_far": best,
        "pool": found.read, "unreadable": found.unreadable, "measured_or_repeated": found.read - found.unreadable - found.table.height,
        "open": found.table.height,
    }  # fmt: skip
    return Proposal(table.with_columns(why=pl.Series(_reasons(table, options.strategy, best), dtype=pl.String)), facts)


@dataclass(frozen=True)
class _Pool:
    """Molecules that are open: table of place, name and smiles, packed fingerprints (n, words), and how many were read."""

    table: pl.DataFrame
    bits: np.ndarray
    read: int
    unreadable: int


def _pool(path: str | Path, column: str, known: set[str]) -> _Pool:
    rows, mols, read, unreadable, seen = [], [], 0, 0, set(known)
    for entry in entries(path, column):
        read += 1
        if read > MOST:
            raise ReadError(f"a pool must have at most {MOST:,} molecules, it has more: screen it first", "limit-size")
        mol = None if entry.problem else features.read(entry.text, Policy(), entry.kind)[0]
        if mol is None:
            unreadable += 1
            continue
        text = _smiles(mol)
        if text not in seen:
            seen.add(text)
            rows.append((entry.place, entry.name, text))
            mols.append(mol)
    if not rows:
        raise ReadError(
            f"the pool must hold molecules that are not measured yet, none of its {read} is ({unreadable} could not be read)", "read-empty"
        )
    table = pl.DataFrame(rows, schema={"place": pl.Int64, "name": pl.String, "smiles": pl.String}, orient="row")
    return _Pool(table, fingerprints.bits(mols), read, unreadable)


def _training(run: Run, table: str) -> Prepared:
    """The rows that the run learnt from, out of the table whose hash the run holds."""
    path = Path(table or run.study.source or ".")
    if not path.is_file() or table_sha256(path, run.study.labels) != run.study.source_sha256:
        raise ReadError("the table that the run was fitted on must be there and unchanged, it is not: name it with --table", "read-missing")
    return prepare(run.study, path)


def _encoded(predictor: Predictor, training: Prepared) -> Encoded:
    rows = training.development
    blocks = encode(as_trained(predictor, training.cohort.take(rows)), predictor.states)
    return Encoded(blocks, training.target.take(rows), training.groups[rows])


def _belief(predictor: Predictor, rows: Encoded, blocks: dict[str, Any], options: NextOptions) -> spread.Belief:
    """The model's own spread, or that of copies where it has none."""
    spec, params = predictor.models[predictor.chosen]
    found = spread.own(spec, params, blocks)
    return found or spread.bagged(predictor, rows, blocks, options.copies, np.random.default_rng(options.seed))


def _reasons(table: pl.DataFrame, strategy: str, best: float | None) -> list[str]:
    """One sentence per pick."""
    words = {"ei": "expected improvement", "ucb": "upper bound", "spread": "spread", "mean": "prediction"}
    out = []
    for i, row in enumerate(table.iter_rows(named=True)):
        parts = [f"{words[strategy]} {row['worth']:.3g} (rank {row['rank']}): predicted {row['predicted']:.3g} ± {row['spread']:.2g}"]
        if best is not None and strategy in ("ei", "mean"):
            parts.append(f"best so far {best:.3g}")
        if i:
            parts.append(f"{row['pick_similarity']:.2f} like the nearest pick before it")
        parts.append(f"{row['train_similarity']:.2f} like the nearest measured one")
        out.append(", ".join(parts))
    return out


def _smiles(mol: Any) -> str:
    return str(optional("rdkit.Chem", "molecules").MolToSmiles(mol))
