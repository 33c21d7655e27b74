"""Molecules made anew: train a generator on a library, draw from it, and prove what it was trained on.

A generator's run:

    study.json       options, library and its SHA-256, the run's key
    splits.parquet   row, part (training, held out, left out) and keyed mark of the scaffold of every molecule; no structure
    refusals.csv     rows that were not used, with reasons
    curves.json      losses and measures on the way
    scores.json      measures of the finished generator, each with its n and, for shares, its interval
    examples.json    drawn molecules to look at: new ones, or the commonest ones of a generator that collapsed
    certificate.json no held-out scaffold was trained on; sealed
    generator/       generator.json, weights.safetensors, known.safetensors (marks of the training molecules, for novelty)
    figures/         curves.svg
    report.html, environment.json, log.jsonl
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from osler.adapters import tensors
from osler.cohort.certificate import FORMAT as CERTIFICATE
from osler.cohort.certificate import Check, FittedState, rows_hash, seal
from osler.engine.describe import environment
from osler.engine.files import alone, recover, whole_folder, write_atomic, write_json, write_parquet
from osler.engine.library import Library, read_library
from osler.engine.log import Log
from osler.engine.prepare import table_sha256
from osler.engine.progress import Progress
from osler.engine.tables import defused
from osler.errors import InputError, OptionError, PredictorError
from osler.evaluation.generation import Drawn, Reference, judge, marks, novel_share
from osler.models.neural.generation import get
from osler.models.neural.generation.options import GeneratorOptions
from osler.registry import load, optional

FORMAT = "osler.generation/1"
#: What writes the page of a finished run; it stands above the engine, so it is named and not imported.
WRITERS = {"report": "osler.report.generation:build"}
TRAINING, HELD_OUT, LEFT_OUT = "training", "held out", "left out"
#: Molecules drawn for the scores of the finished generator, if the training was not smaller.
FINAL = 10_000
#: Drawn molecules that a run keeps to look at.
EXAMPLES = 24
#: Purposes of the engine's own random numbers.
_SPLIT, _FINAL, _ORDER = 101, 102, 103


@dataclass(frozen=True)
class GeneratorRun:
    """A finished run of `osler generate train`.

    Attributes:
        folder: where it lies.
    """

    folder: Path

    @classmethod
    def load(cls, folder: str | Path) -> GeneratorRun:
        """Open a finished run.

        Raises:
            InputError: `run-missing`: the folder is no finished generator.
        """
        folder = Path(folder)
        lost = [n for n in ("study.json", "scores.json", "certificate.json", "generator/generator.json") if not (folder / n).is_file()]
        if lost:
            raise InputError(
                f"run must be a folder that osler generate train has finished, '{folder.name}' lacks {lost[0]}", "run-missing"
            )
        return cls(folder)

    def json(self, name: str) -> Any:
        """A JSON member."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


def train(
    library: str | Path,
    out: str | Path,
    options: GeneratorOptions | None = None,
    *,
    most: int = 0,
    silent: bool = False,
    report: Callable[[dict[str, Any]], None] | None = None,
    final: int = FINAL,
) -> GeneratorRun:
    """Train a generator and write a run folder; the same call goes on where a killed one stopped.

    Args:
        library: a list of SMILES, a structure file or a table with a column `smiles`.
        out: the run folder.
        most: rows of the library that are looked at; 0 all.
        silent: no progress.
        report: called with every measurement on the way.
        final: molecules drawn for the scores.

    Raises:
        InputError: the library, an option or `out` must change, or another process is writing `out`.
        Collapsed: the generator gave the same few molecules (`generator-collapsed`); `out` then holds the curves up to there.
    """
    options = options or GeneratorOptions()
    optional("fcd_torch", "molecules")
    kind = get(options.model)
    sha = table_sha256(library)
    study = _study(library, sha, options, most)
    target = _out(Path(out))
    with alone(target), Progress(silent) as progress:
        molecules = read_library(library, progress, most)
        work = _work_folder(target, study)
        Log(work / "log.jsonl").write("read", rows=molecules.n_read, units=len(set(molecules.scaffolds)))
        _learn(work, target, molecules, kind, options, study, (progress, report, final))
    return GeneratorRun.load(target)


def _learn(
    work: Path,
    target: Path,
    molecules: Library,
    kind: Any,
    options: GeneratorOptions,
    study: dict[str, Any],
    voice: tuple[Progress, Callable[[dict[str, Any]], None] | None, int],
) -> None:
    """Everything between the library and the finished folder."""
    from osler.models.neural.checkpoint import Checkpoint
    from osler.models.neural.generation import learner as learners
    from osler.models.neural.generation import training

    progress, report, final = voice
    held = molecules.held_out(options.held_out, np.random.default_rng([options.seed, _SPLIT]))
    places = np.flatnonzero(~held)
    learner, used = kind.learn_from([molecules.smiles[i] for i in places], options)
    parts = np.where(held, HELD_OUT, LEFT_OUT).astype(object)
    parts[places[used]] = TRAINING
    progress("reference", 0, 1)
    seen = [molecules.smiles[i] for i in places[used]]
    reference = Reference.of(seen, _held_out_smiles(molecules, held, options.seed))
    progress("reference", 1, 1)

    def said(event: dict[str, Any]) -> None:
        progress("training", event["step"], event["total"])
        if "measures" in event and report is not None:
            report(event)

    last: list[Drawn] = []

    def judged(strings: list[str], slow: bool) -> dict[str, Any]:
        last[:] = [Drawn.read(strings)]
        return judge(last[0], reference, slow=slow)

    checkpoint = Checkpoint(work / "checkpoint")
    try:
        curves = training.train(learner, checkpoint, _digest(study), judged, said)
    except training.Collapsed as error:
        write_json(work / "study.json", study)
        write_json(work / "examples.json", _examples(last[0], reference.known, commonest=True))
        _finish(work, target, {"curves": error.curves, "status": "collapsed", "message": error.message}, progress)
        raise
    write_json(work / "study.json", study)
    learners.save(learner, work / "generator")
    tensors.write(work / "generator" / "known.safetensors", {"marks": reference.known}, {"format": FORMAT})
    progress("drawing for the scores", 0, 1)
    strings = learner.draw(final, (_FINAL,))
    write_json(work / "scores.json", {"model": options.model, "drawn": final, "measures": judged(strings, True)})
    write_json(work / "examples.json", _examples(last[0], reference.known))
    progress("drawing for the scores", 1, 1)
    _write_proof(work, molecules, parts, study)
    _finish(work, target, {"curves": curves, "status": "finished", "message": ""}, progress)


def _examples(drawn: Drawn, known: np.ndarray, commonest: bool = False) -> list[dict[str, Any]]:
    """Molecules to look at, with their properties: the first new ones, or those that were drawn most often."""
    from osler.adapters.rdkit.properties import NAMES, properties

    times, by_name = Counter(drawn.smiles), dict(zip(dict.fromkeys(drawn.smiles), drawn.mols))
    chosen = [name for name, _ in times.most_common(EXAMPLES)] if commonest else _new_ones(by_name, known)
    values = properties([by_name[name] for name in chosen])
    return [
        {"smiles": name, "times": times[name], **{key: float(v) for key, v in zip(NAMES, row) if np.isfinite(v)}}
        for name, row in zip(chosen, values)
    ]


def _new_ones(names: Iterable[str], known: np.ndarray) -> list[str]:
    return list(islice((name for name in names if novel_share([name], known) == 1.0), EXAMPLES))


def _held_out_smiles(molecules: Library, held: np.ndarray, seed: int) -> list[str]:
    order = np.random.default_rng([seed, _ORDER]).permutation(np.flatnonzero(held))
    return [molecules.smiles[i] for i in order]


def _finish(work: Path, target: Path, curves: dict[str, Any], progress: Progress) -> None:
    write_json(work / "curves.json", curves)
    write_json(work / "environment.json", environment())
    progress("report", 0, 1)
    load(WRITERS, "writers", "report")(work)
    progress("report", 1, 1)
    Log(work / "log.jsonl").write("finished", status=curves["status"])
    with whole_folder(target, work):
        shutil.rmtree(work / "checkpoint", ignore_errors=True)
        (work / "digest").unlink(missing_ok=True)


# -- study and folders ----------------------------------------------------------------------------------------------


def _study(library: str | Path, sha: str, options: GeneratorOptions, most: int) -> dict[str, Any]:
    get(options.model)
    key = hashlib.sha256(f"osler.key/{sha}/{options.seed}".encode()).hexdigest()
    return {
        "format": FORMAT, "library": Path(library).name, "library_sha256": sha, "rows_looked_at": most,
        "options": options.to_json(), "key": key,
    }  # fmt: skip


def _digest(study: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(study, sort_keys=True).encode()).hexdigest()


def _out(final: Path) -> Path:
    is_ours = (final / "study.json").is_file()
    if final.exists() and not is_ours and (not final.is_dir() or any(final.iterdir())):
        raise OptionError(
            f"out must be a new folder or an earlier run, '{final.name}' holds something else: name another"
        )
    return final


def _work_folder(final: Path, study: dict[str, Any]) -> Path:
    """The folder of an unfinished training of this very study, or a new one."""
    work = final.with_name(f".{final.name}.partial")
    recover(final, work)
    mark = work / "digest"
    if work.exists() and (not mark.is_file() or mark.read_text() != _digest(study)):
        shutil.rmtree(work)
    work.mkdir(mode=0o700, exist_ok=True)
    write_atomic(mark, _digest(study).encode())
    return work


# -- the proof ------------------------------------------------------------------------------------------------------


def _write_proof(work: Path, molecules: Library, parts: np.ndarray, study: dict[str, Any]) -> None:
    """The split table, the ledger and the certificate."""
    key = bytes.fromhex(study["key"])
    pseudonyms = {s: hashlib.blake2b(s.encode(), key=key, digest_size=8).hexdigest() for s in set(molecules.scaffolds)}
    table = pl.DataFrame(
        {"row": molecules.rows, "part": parts.astype(str), "scaffold": [pseudonyms[s] for s in molecules.scaffolds]}
    )
    write_parquet(work / "splits.parquet", table)
    write_atomic(work / "refusals.csv", defused(molecules.refusals).write_csv().encode())
    write_json(work / "certificate.json", _certificate(table, molecules.n_read, study))


def _certificate(table: pl.DataFrame, n_read: int, study: dict[str, Any]) -> dict[str, Any]:
    key = bytes.fromhex(study["key"])
    trained, held = (table.filter(pl.col("part") == part) for part in (TRAINING, HELD_OUT))
    shared = int(trained["scaffold"].is_in(held["scaffold"].unique().to_list()).sum())
    again = len(table) - table["row"].n_unique()
    checks = (
        Check(
            "held-out scaffolds", "violated" if shared else "clean", shared,
            f"{shared} training molecules have a scaffold that was held out" if shared
            else f"none of {held['scaffold'].n_unique()} held-out scaffolds was trained on",
        ),
        Check(
            "row accounting", "violated" if again else "clean", again,
            f"{n_read} rows read = {len(trained)} trained on + {len(held)} held out + "
            f"{len(table) - len(trained) - len(held)} left out by the generator + {n_read - len(table)} refused",
        ),
    )  # fmt: skip
    state = FittedState(f"model:{study['options']['model']}", "scaffold", rows_hash(trained["row"].to_numpy(), key), len(trained))
    body = {
        "format": CERTIFICATE, "verdict": "violated" if any(c.verdict == "violated" for c in checks) else "clean",
        "unit": "scaffold", "checks": [c.to_json() for c in checks], "fitted_states": [state.to_json()], "rows_read": n_read,
        "splits": [{"key": "scaffold", "by": "scaffold", "train": len(trained), "test": len(held)}],
    }  # fmt: skip
    return {**body, "seal": seal(body, key)}


def verify(run: str | Path) -> dict[str, Any]:
    """The certificate of a generator's run, made anew from its split table; `violated` if it differs from the one written.

    Raises:
        InputError: no finished run. PredictorError: the weights were changed.
    """
    from osler.models.neural.generation import learner as learners

    found = GeneratorRun.load(run)
    learners.load(found.folder / "generator")
    written = found.json("certificate.json")
    table = pl.read_parquet(found.folder / "splits.parquet")
    made = _certificate(table, int(written.get("rows_read", len(table))), found.json("study.json"))
    same = made == written
    unchanged = Check("unchanged", "clean" if same else "violated", int(not same), "the certificate is the one of the split table" if same
                      else "the certificate, the split table or the study was changed after the run")  # fmt: skip
    verdict = made["verdict"] if same else "violated"
    return {**made, "verdict": verdict, "checks": [*made["checks"], unchanged.to_json()]}


# -- drawing --------------------------------------------------------------------------------------------------------


def sample(
    run: str | Path, n: int, out: str | Path | None = None, *, temperature: float | None = None, seed: int = 1
) -> dict[str, Any]:
    """Draw n strings from a trained generator.

    Args:
        out: file for the different valid molecules, one canonical SMILES per line; None writes none.
        temperature: replaces that of the training.
        seed: the same seed gives the same molecules.

    Returns:
        drawn, valid, unique (different valid ones), new (of those, not among the training molecules), smiles.

    Raises:
        InputError: no finished run, or n or the temperature cannot be.
        PredictorError: the generator was changed.
    """
    from osler.models.neural import loop
    from osler.models.neural.generation import learner as learners

    if not 1 <= n <= 10_000_000:
        raise OptionError(f"n must lie between 1 and 10,000,000, was {n}")
    if temperature is not None and not temperature > 0:
        raise OptionError(f"temperature must be above 0, was {temperature:g}")
    folder = GeneratorRun.load(run).folder / "generator"
    learner = learners.load(folder)
    known = tensors.read(folder / "known.safetensors")[0].get("marks")
    if known is None:
        raise PredictorError("known.safetensors must hold the marks of the training molecules: copy the run again")
    with loop.threads(1):
        drawn = Drawn.read(learner.draw(n, (0, seed), temperature))
    different = list(dict.fromkeys(drawn.smiles))
    new = round(novel_share(different, known) * len(marks(different))) if different else 0
    if out is not None:
        write_atomic(Path(out), "".join(f"{s}\n" for s in different).encode())
    return {"drawn": n, "valid": len(drawn.smiles), "unique": len(different), "new": new, "smiles": different}
