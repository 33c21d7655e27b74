"""The same function on several things at once: in worker processes that end with their parent, or one after the other."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: What every call of a worker shares, set once when it starts.
_SHARED: list[Any] = []


def each(run: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any], workers: int) -> Iterator[Any]:
    """Yield `run(shared, item)` of every item, whichever is done first; in this process where one worker or one item is enough.

    Args:
        run: a function of a module, so that a worker can find it.
        shared: sent to every worker once.
        workers: processes at most.
    """
    if workers <= 1 or len(items) < 2:
        yield from (run(shared, item) for item in items)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    with ProcessPoolExecutor(min(workers, len(items)), get_context("spawn"), _start, (shared, os.getpid())) as pool:
        with _apart_from_main():
            jobs = [pool.submit(_call, run, item) for item in items]
        try:
            for job in as_completed(jobs):
                yield job.result()
        finally:
            for job in jobs:
                job.cancel()


@contextmanager
def _apart_from_main() -> Iterator[None]:
    """Workers that start meanwhile do not run the program that started them: they need modules alone, and a script without
    `if __name__ == "__main__"`, or one that was typed in, would fit anew in each of them or not start.
    """
    main = sys.modules["__main__"]
    held = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    main.__spec__ = None
    if "__file__" in held:
        del main.__file__
    try:
        yield
    finally:
        for name, value in held.items():
            setattr(main, name, value)


def _start(shared: Any, parent: int) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.filterwarnings("ignore")  # other libraries' warnings may quote cells; the main process shows their kind
    _SHARED[:] = [shared]
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker soon after its parent is gone: a killed fit leaves no process behind."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _call(run: Callable[[Any, Any], Any], item: Any) -> Any:
    return run(_SHARED[0], item)
