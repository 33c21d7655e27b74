"""What commands print: a run's scores, an instrument's findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

#: Metrics of the terminal's table by task, most telling first.
SHOWN = {
    "binary": ("auroc", "brier", "calibration_slope", "auprc", "calibration_intercept"),
    "multiclass": ("auroc", "accuracy", "log_loss"),
    "multilabel": ("auroc", "auprc", "log_loss"),
    "regression": ("rmse", "mae", "r2", "spearman"),
    "survival": ("c_harrell", "c_uno", "ibs"),
    "segmentation": ("ap_50", "f1_50", "dice", "hd95", "nsd", "ap"),
    "detection": ("map_50", "cpm", "sensitivity_at_1", "map"),
}

#: Metrics that come first where rows are pairs of things.
OF_PAIRS = ("mse", "concordance")


def number(entry: dict[str, Any] | None) -> str:
    """A metric as "0.912 (0.88-0.94)", "-0.047 (-0.06 to -0.03)" where a limit is below zero, or a dash."""
    if not entry or entry.get("value") is None:
        return "-"
    value = f"{entry['value']:.3f}"
    if entry.get("low") is None:
        return value
    return f"{value} ({entry['low']:.2f}{' to ' if entry['low'] < 0 else '-'}{entry['high']:.2f})"


def show_scores(scores: dict[str, Any], task: str, console: Console | None = None) -> None:
    """One table per part: models down, metrics across."""
    console = console or Console()
    for part, by_model in scores["parts"].items():
        fits = max(1, (console.width - 22) // 19)
        wanted = (*OF_PAIRS, *SHOWN[task]) if task == "regression" else SHOWN[task]
        names = [m for m in wanted if any(m in s for s in by_model.values())][:fits]
        table = Table(title=escape(part), title_justify="left", box=None, pad_edge=False)
        table.add_column("model", max_width=22, overflow="fold")
        for name in names:
            table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
        for model, metrics in by_model.items():
            chosen = model == scores["chosen"]
            row = [f"{model} *" if chosen else model, *(number(metrics.get(n)) for n in names)]
            table.add_row(*row, style="bold" if chosen else None)
        console.print(table)
        console.print()


def show_answers(run: Any, rows: list[dict[str, str]], console: Console) -> None:
    """The predictor's answer for rows typed on the command line, unknown column names refused."""
    from osler.engine.predict import rows_cohort
    from osler.errors import ColumnError, nearest

    known = [c.name for c in run.predictor.inputs]
    for row in rows:
        for name in set(row) - set(known):
            raise ColumnError(f"--ask must name predictors, was '{name}': {nearest(name, known)}")
        answered = run.predictor.predict(rows_cohort(run.predictor, [row]))
        asked = ", ".join(f"{k}={v}" for k, v in row.items())
        facts = {c.name: answered.table[c.name][0] for c in answered.role("prediction")}
        text = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items())
        console.print(f"for {asked}: {text}", markup=False)
        target = run.predictor.target[0]
        if f"{target}_least" in facts:
            low, high = facts[f"{target}_least"], facts[f"{target}_most"]
            console.print(
                f"  every value from {low:.1f} to {high:.1f} is a least-squares "
                f"answer, depending on how columns are scaled",
                markup=False,
            )


def show_run(run: Any, ask: list[dict[str, str]] | None = None) -> None:
    """Scores, certificate, answers for asked rows, and where to look next."""
    console = Console()
    show_scores(run.scores, run.study.task, console)
    facts = run.json("facts.json")
    verdict = run.certificate["verdict"]
    console.print(
        f"rows read {facts['rows_read']} = used {facts['rows_used']} + refused "
        f"{facts['rows_refused']}; units {facts['units']}"
    )
    for name, rank in facts.get("rank", {}).items():
        for sentence in rank["sentences"]:
            console.print(
                f"{name}: {sentence}: any answer that depends on it is a choice, not a finding",
                style="yellow",
                markup=False,
            )
    console.print(
        f"certificate: [{'green' if verdict == 'clean' else 'red'}]{verdict}[/] "
        f"({len(run.certificate['checks'])} checks)"
    )
    for check in run.certificate["checks"]:
        if check["verdict"] == "violated":
            console.print(f"  [red]{escape(check['name'])}[/]: {escape(check['detail'])}")
    show_answers(run, ask or [], console)
    console.print(f"* answers. Report: {run.folder / 'report.html'}", markup=False, highlight=False)


def show_external(found: Any) -> None:
    """Shared and empty predictors, and the scores of the untouched predictor and of every repair."""
    console = Console()
    facts = found.facts
    console.print(f"{facts['rows']} rows; predictors shared: {len(facts['shared'])}; {facts['message']}", markup=False)
    if "refit" in facts:
        console.print(f"refit: {facts['refit']}", markup=False)
    if facts["recalibration_rows"]:
        console.print(f"recalibration learnt on {facts['recalibration_rows']} rows and judged on the others")
    parts = {part: models for part, models in found.scores["parts"].items()}
    rows = {part: next(iter(models.values())) for part, models in parts.items()}
    names = ("auroc", "brier", "observed_expected") if "auroc" in next(iter(rows.values())) else None
    table = Table(box=None, pad_edge=False)
    table.add_column("part")
    names = names or tuple([n for n in next(iter(rows.values())) if "[" not in n][:3])
    for name in names:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for part, metrics in rows.items():
        table.add_row(part.replace("_", " "), *(number(metrics.get(n)) for n in names))
    console.print(table)


def show_findings(findings: Any, out: Path | None) -> None:
    """An instrument's facts and the head of its table; written to `out` if given."""
    console = Console()
    for name, value in findings.facts.items():
        console.print(f"{name.replace('_', ' ')}: {value}", markup=False)
    frame = findings.cohort.table.head(20)
    cells = {name: [_cell(v) for v in frame[name]] for name in frame.columns if not name.startswith("_")}
    shown = _fitting(cells, console.width)
    table = Table(box=None)
    for name in shown:
        table.add_column(escape(name))
    for row in zip(*(cells[name] for name in shown)):
        table.add_row(*map(escape, row))
    console.print(table)
    if len(shown) < len(cells):
        console.print(f"not shown: {', '.join(name for name in cells if name not in shown)}", markup=False)
    write_findings(findings, out)


def write_findings(findings: Any, out: Path | None) -> None:
    """An instrument's table, figures and files written to `out` if it is given."""
    if out is not None:
        from osler.engine.tables import write_table

        for path in write_table(findings.cohort, out, findings.figures, findings.files):
            Console().print(f"written: {path}", markup=False, soft_wrap=True)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _fitting(cells: dict[str, list[str]], width: int) -> list[str]:
    """The first columns that stand side by side without folding; at least two."""
    shown, left = [], width
    for name, column in cells.items():
        left -= max(map(len, [name, *column])) + 2
        if left < 0 and len(shown) >= 2:
            break
        shown.append(name)
    return shown
