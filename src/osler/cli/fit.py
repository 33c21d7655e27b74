"""`osler fit`: from a table and a question to a run folder."""

from __future__ import annotations

import inspect
from pathlib import Path

import typer

from osler.cli.options import flags_from
from osler.engine.study import Study, read_config

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _fit(
    path: str, out: Path, config: Path | None, ask: list[str], workers: int, quiet: bool, options: Study
) -> int:  # fmt: skip
    """Learn from a table, with a report and a certificate that nothing leaked.

    Example: osler fit heart.csv --target num --positive '>0' --out runs/heart
    """
    from osler.cli.show import show_run
    from osler.engine.fit import fit as fit_verb

    asked = {k: v for k, v in options.to_json().items() if v != Study().to_json()[k] and k not in ("format", "key")}
    study = Study.from_json({**(read_config(config) if config else {}), **asked})
    run = fit_verb(path, out, study, workers=workers, silent=quiet)
    show_run(run, [dict(pair.partition("=")[::2] for pair in row.split(",")) for row in ask])
    return 0 if run.certificate["verdict"] == "clean" else 1


fit = flags_from(
    Study,
    _fit,
    [
        inspect.Parameter(
            "path",
            _KEYWORD,
            annotation=str,
            default=typer.Argument(..., help="table: file, folder or database address"),
        ),
        inspect.Parameter(
            "out",
            _KEYWORD,
            annotation=Path,
            default=typer.Option(Path("runs/latest"), "--out", help="run folder to write"),
        ),
        inspect.Parameter(
            "config",
            _KEYWORD,
            annotation=Path | None,
            default=typer.Option(None, "--config", help="study file (YAML or JSON); flags win over it"),
        ),
        inspect.Parameter(
            "ask",
            _KEYWORD,
            annotation=list[str],
            default=typer.Option([], "--ask", help="one new row to answer, e.g. age=61,sex=F (may be repeated)"),
        ),
        inspect.Parameter(
            "workers",
            _KEYWORD,
            annotation=int,
            default=typer.Option(0, "--workers", help="processes; 0 is one per core; never changes the answer"),
        ),
        inspect.Parameter(
            "quiet", _KEYWORD, annotation=bool, default=typer.Option(False, "--quiet", help="no progress")
        ),
    ],
)
fit.__name__ = "fit"
