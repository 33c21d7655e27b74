"""A progress bar on a terminal, plain lines elsewhere, nothing when silent. Only counts and stage names are ever
shown.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType


class Progress:
    """Reports stages of a long job: call it with (stage, done, total).

    Use as a context manager. `silent` shows nothing at all.
    """

    def __init__(self, silent: bool = False) -> None:
        self._silent = silent
        self._bar = None
        self._tasks: dict[str, int] = {}
        self._last: dict[str, float] = {}

    def __enter__(self) -> Progress:
        if not self._silent and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*parts, console=Console(stderr=True))
            self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` steps of a stage are finished; a total of 0 is not known.

        What follows ": " in a stage is news of it (a loss), not another stage.
        """
        if self._silent:
            return
        name = stage.partition(": ")[0]
        if self._bar is not None:
            from rich.markup import escape

            if name not in self._tasks:
                self._tasks[name] = self._bar.add_task(escape(stage), total=total or None)
            self._bar.update(self._tasks[name], completed=done, total=total or None, description=escape(stage))
            return
        now = time.monotonic()
        if done in (0, total) or now - self._last.get(name, 0.0) > 5.0:
            self._last[name] = now
            print(f"{stage}: {done}/{total}" if total else f"{stage}: {done}", file=sys.stderr, flush=True)
