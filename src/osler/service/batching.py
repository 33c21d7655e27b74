"""Requests that arrive together are answered together: one call of the model for many small requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from osler.service.problems import Problem

#: Rows answered at once, and how long the first of them waits for company.
MOST_TOGETHER, WAIT_SECONDS = 64, 0.0015

#: Rows that may wait at once, and the longest wait for an answer.
MOST_WAITING, DEADLINE_SECONDS = 50_000, 60.0

Row = Mapping[str, Any]
Answer = TypeVar("Answer")


@dataclass
class Batcher(Generic[Answer]):
    """Collects small requests for `WAIT_SECONDS` and answers them in one call; large ones go to a thread, one at a
    time.

    Attributes:
        answer: rows → one answer per row, in order.
        together: rows answered at once while other requests wait; more go to the thread, with 0 all do.
    """

    answer: Callable[[list[Row]], list[Answer]]
    together: int = MOST_TOGETHER
    _waiting: list[tuple[list[Row], asyncio.Future[list[Answer]]]] = field(default_factory=list)
    _rows: int = 0
    _timer: asyncio.TimerHandle | None = None
    _held: int = 0
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "osler-answer"))

    async def submit(self, rows: list[Row]) -> list[Answer]:
        """One answer per row.

        Raises:
            Problem: 503 `busy` beyond `MOST_WAITING` rows, 503 `timeout` after `DEADLINE_SECONDS`.
        """
        if self._held + len(rows) > MOST_WAITING:
            raise Problem(503, "busy", "more rows are waiting than the server holds: try again", {"retry-after": "1"})
        self._held += len(rows)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                if len(rows) > self.together:
                    return await self.aside(partial(self.answer, rows))
                return await self._join(rows)
        except TimeoutError as error:
            raise Problem(
                503, "timeout", "the answer took too long: send fewer rows at once", {"retry-after": "5"}
            ) from error
        finally:
            self._held -= len(rows)

    async def aside(self, work: Callable[[], Any]) -> Any:
        """Run something long in the thread, so that small requests are not kept waiting."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _join(self, rows: list[Row]) -> asyncio.Future[list[Answer]]:
        loop = asyncio.get_running_loop()
        if self._rows + len(rows) > self.together:
            self._flush()
        future: asyncio.Future[list[Answer]] = loop.create_future()
        self._waiting.append((rows, future))
        self._rows += len(rows)
        if self._timer is None:
            self._timer = loop.call_later(WAIT_SECONDS, self._flush)
        return future

    def _flush(self) -> None:
        waiting, self._waiting, self._rows = self._waiting, [], 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting = [(rows, future) for rows, future in waiting if not future.done()]
        if not waiting:
            return
        try:
            answers = self.answer([row for rows, _ in waiting for row in rows])
        except Exception as error:
            for _, future in waiting:
                future.set_exception(error)
            return
        at = 0
        for rows, future in waiting:
            future.set_result(answers[at : at + len(rows)])
            at += len(rows)

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
