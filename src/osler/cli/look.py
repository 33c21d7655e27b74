"""`osler look`: what Osler sees in a table."""

from __future__ import annotations

from typing import Annotated

import typer


def look(
    path: Annotated[str, typer.Argument(help="table: file, folder or database address")],
    target: Annotated[list[str] | None, typer.Option(help="what would be predicted (may be repeated)")] = None,
    unit: Annotated[list[str] | None, typer.Option(help="what must stay together: patient, family")] = None,
    site: Annotated[str | None, typer.Option(help="place of care")] = None,
    time: Annotated[str | None, typer.Option(help="time of the row")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="NAME=MODALITY, where Osler saw it wrongly (may be repeated)")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="second table, joined on the column both share")] = None,
    json: Annotated[bool, typer.Option("--json", help="print everything as JSON")] = False,
) -> int:
    """Columns with modality, role and figures; what was noticed; what was refused. Nothing is changed or written.

    Example: osler look patients.csv --unit patient_id --target died
    """
    from osler.cli.show_profile import declared, show_profile
    from osler.cohort.profile import profile
    from osler.engine.progress import Progress

    options = {
        "columns": declared(column or []),
        "target": target,
        "unit": unit,
        "site": site,
        "time": time,
        "labels": labels,
    }
    with Progress() as progress:
        found = profile(path, progress, **{name: value for name, value in options.items() if value})
    if json:
        import json as json_

        print(json_.dumps(found.to_json(), ensure_ascii=False, indent=1))
    else:
        show_profile(found)
    return 0
