"""`osler generate`: molecules made anew."""

from __future__ import annotations

import inspect
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from
from osler.errors import OptionError, nearest
from osler.models.neural.generation.options import GeneratorOptions

_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_ACTIONS = ("train", "sample", "verify")


def _generate(
    action: str, source: Path, out: Path | None, n: int, most: int, temperature: float | None, seed: int, quiet: bool,
    options: GeneratorOptions,
) -> int:  # fmt: skip
    """Train a generator of molecules on a library, draw new molecules from it, or verify what it was trained on; exit 1 if it
    collapses or the certificate is violated.

    Example: osler generate train library.smi --out runs/generator --model generator_gru

    Example: osler generate sample runs/generator --n 10000 --out new.smi

    Example: osler generate verify runs/generator
    """
    if action not in _ACTIONS:
        raise OptionError(f"action must be train, sample or verify, was '{action}': {nearest(action, _ACTIONS)}")
    if action == "train":
        options = replace(options, seed=seed, temperature=options.temperature if temperature is None else temperature)
        return _train(source, out, most, quiet, options)
    if action == "sample":
        return _sample(source, out, n, temperature, seed)
    return _verify(source)


def _train(library: Path, out: Path | None, most: int, quiet: bool, options: GeneratorOptions) -> int:
    from osler.cli.show_discovery import grid
    from osler.engine.generate import train

    run = train(library, out or Path("runs/generator"), options, most=most, silent=quiet, report=None if quiet else _line)
    scores = run.json("scores.json")
    grid(("measure", "value", "95 % interval", "n"), [
        (name, f"{m['value']:.3f}", f"{m['low']:.3f} to {m['high']:.3f}" if "low" in m else "", f"{m['n']:,}")
        for name, m in scores["measures"].items()
    ], right=("value", "n"))  # fmt: skip
    certificate = run.json("certificate.json")
    print(f"certificate: {certificate['verdict']}; {certificate['checks'][0]['detail']}")
    print(f"report: {run.folder / 'report.html'}")
    return 0 if certificate["verdict"] == "clean" else 1


def _line(event: dict[str, Any]) -> None:
    """One line per measurement, on the error output."""
    shown = ("validity", "unique_1k", "unique_10k", "novelty", "internal_diversity", "scaffold_similarity", "fragment_similarity", "fcd", "sa", "qed")
    parts = [f"{name} {event['measures'][name]['value']:.3f}" for name in shown if name in event["measures"]]
    parts += [f"{name} loss {value:.3f}" if name != "loss" else f"loss {value:.3f}" for name, value in event["losses"].items()]
    print(f"step {event['step']}/{event['total']}: {', '.join(parts)}", file=sys.stderr, flush=True)


def _sample(run: Path, out: Path | None, n: int, temperature: float | None, seed: int) -> int:
    from osler.engine.generate import sample

    found = sample(run, n, out, temperature=temperature, seed=seed)
    counts = f"{found['drawn']:,} drawn, {found['valid']:,} valid, {found['unique']:,} different, {found['new']:,} new"
    print(counts, file=sys.stderr)
    if out is None:
        print("".join(f"{s}\n" for s in found["smiles"][:20]), end="")
    else:
        print(f"written: {out}", file=sys.stderr)
    return 0


def _verify(run: Path) -> int:
    from osler.cli.show_discovery import grid
    from osler.engine.generate import verify

    found = verify(run)
    rows = [(c["name"], c["verdict"], str(c["n"]), c["detail"]) for c in found["checks"]]
    grid(("check", "verdict", "n", "detail"), rows, right=("n",))
    print(f"verdict: {found['verdict']}")
    return 0 if found["verdict"] == "clean" else 1


def _given(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, _KEYWORD, annotation=kind, default=default)


generate = flags_from(
    GeneratorOptions,
    _generate,
    [
        _given("action", str, typer.Argument(..., help="train, sample or verify")),
        _given("source", Path, typer.Argument(..., help="library to train on (list of SMILES, structure file, table), or a run folder")),
        _given("out", Path | None, typer.Option(None, "--out", help="run folder to write (train), or file of SMILES (sample)")),
        _given("n", int, typer.Option(1000, "--n", help="strings to draw (sample)")),
        _given("most", int, typer.Option(0, "--most", help="rows of the library to look at; 0 all (train)")),
        _given("temperature", float | None, typer.Option(
            None, "--temperature", help="of drawing: below 1 the likely becomes likelier; 1, or that of the training (sample)",
        )),
        _given("seed", int, typer.Option(1, "--seed", help="everything random follows from it")),
        _given("quiet", bool, typer.Option(False, "--quiet", help="no progress")),
    ],
)  # fmt: skip
generate.__name__ = "generate"
