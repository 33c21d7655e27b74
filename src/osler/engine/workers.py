"""The same function on several things at once: in worker processes that end with their parent, or one after the other."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
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
        jobs = [pool.submit(_call, run, item) for item in items]
        try:
            for job in as_completed(jobs):
                yield job.result()
        finally:
            for job in jobs:
                job.cancel()


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
