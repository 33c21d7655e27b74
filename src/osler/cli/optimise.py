"""`osler optimise`: molecules made better by the user's own predictors."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from osler.cli.options import flags_from
from osler.engine.optimising.options import OptimiseOptions

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _optimise(out: Path, quiet: bool, options: OptimiseOptions) -> int:
    """Make molecules better from a lead or from nothing, judged by your own runs, within a budget of scored molecules; exit 1 if none
    meets every condition.

    Example: osler optimise --run runs/herg --run runs/logd --lead "CCN(CC)CCOc1ccccc1" --minimise hERG_prob_1 --keep exp_pred:0.5 --out better
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from osler.engine.optimising.optimise import optimise as verb
    from osler.engine.progress import Progress

    with Progress(quiet) as progress:
        found = verb(out, options, progress)
    facts, console = found.facts, Console()
    columns = [*(aim["column"] for aim in facts["aims"]), *(["similarity"] if facts["lead"] else []), "sa"]
    shown = Table(box=None, pad_edge=False)
    shown.add_column("molecule", overflow="fold")
    for name in [*columns, "unmet"]:
        shown.add_column(name, justify="right")
    rows = [*([("lead", facts["lead"])] if facts["lead"] else []), *((str(i), row) for i, row in enumerate(found.best.head(10).to_dicts(), 1))]
    for name, row in rows:
        shown.add_row(escape(f"{name}. {row['smiles']}"), *(_text(row[column]) for column in columns), str(row["unmet"]))
    console.print(shown)
    print(f"scored: {facts['scored']:,} of {facts['budget']:,}; {facts['meet_every_condition']:,} meet every condition, {facts['front']:,} on the Pareto front")
    if facts["ran_dry"]:
        print("the search ran dry before its budget was spent")
    print(f"report: {found.folder / 'report.html'}")
    return 0 if facts["meet_every_condition"] else 1


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


optimise = flags_from(OptimiseOptions, _optimise, [
    inspect.Parameter("out", _KEYWORD, annotation=Path, default=typer.Option(..., "--out", help="folder to make")),
    inspect.Parameter("quiet", _KEYWORD, annotation=bool, default=typer.Option(False, "--quiet", help="print no progress")),
])  # fmt: skip
optimise.__name__ = "optimise"
