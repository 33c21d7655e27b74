"""`osler evaluate`: external validation of a run, or of predictions that anyone's model made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    what: Annotated[str, typer.Argument(help="run folder, or a table with predictions and the truth")],
    path: Annotated[str | None, typer.Argument(help="external table (with a run)")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for scores.json and the details")] = None,
    share: Annotated[float, typer.Option(help="share of the external units that recalibration may learn from")] = 0.5,
    refit: Annotated[bool, typer.Option(help="also fit anew on the predictors that both sides measure")] = True,
    truth: Annotated[str | None, typer.Option(help="predictions: column with the truth")] = None,
    prediction: Annotated[
        list[str] | None, typer.Option(help="predictions: column of a model (may be repeated)")
    ] = None,
    positive: Annotated[str | None, typer.Option(help="predictions: the value that counts as positive")] = None,
    unit: Annotated[str | None, typer.Option(help="predictions: column of the patient")] = None,
    by: Annotated[list[str] | None, typer.Option(help="predictions: subgroup column (may be repeated)")] = None,
    duration: Annotated[str | None, typer.Option(help="predictions: column of follow-up time (survival)")] = None,
    event: Annotated[str | None, typer.Option(help="predictions: column that says whether the event was seen")] = None,
    threshold: Annotated[float, typer.Option(help="predictions: what counts as a positive answer")] = 0.5,
) -> int:
    """Judge a run on a table from elsewhere, or judge predictions.csv of anyone's model.

    Example: osler evaluate runs/heart other_hospital.csv --out external

    Example: osler evaluate predictions.csv --truth died --by sex
    """
    if path is not None:
        from osler.cli.show import show_external
        from osler.engine.external import evaluate as external

        show_external(external(what, path, out, recalibration_share=share, refit=refit))
        return 0
    from osler.cli.show_foreign import show_foreign
    from osler.engine.foreign import evaluate_table

    options = {"y": truth, "p": prediction or None, "positive": positive, "unit": unit, "by": by or None}
    options |= {"duration": duration, "event": event}
    show_foreign(evaluate_table(what, out, threshold=threshold, **options))
    return 0
