"""`osler doctor`: what is installed and what works here."""

from __future__ import annotations


def doctor() -> int:
    """Versions, extras, devices, folders: what works here and what an extra would add.

    Example: osler doctor
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from osler.engine.doctor import examine

    table = Table(box=None)
    for name in ("what", "state", "detail"):
        table.add_column(name)
    broken = False
    for line in examine():
        colour = {"ok": "green", "absent": "yellow", "broken": "red"}[line.state]
        table.add_row(line.what, f"[{colour}]{line.state}[/]", escape(line.detail))
        broken = broken or line.state == "broken"
    Console().print(table)
    return int(broken)
