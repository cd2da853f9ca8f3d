"""Questions to several workers at a time, whose answers are put together: stacks, and requests in flight.

For the requests a worker is asked by message; one that does not answer within a moment is asked again by the signal
that a silent event loop answers too. What a worker cannot tell is said, and holds nobody up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from corn.ipc.messages import TellRequests
from corn.ipc.stack_report import LAST_LINE
from corn.supervisor.children.spawn import WorkerHandle
from corn.supervisor.executor import Executor

_MAY_THINK = 0.5

Found = dict[int, Any]


@dataclass(slots=True)
class _Inquiry:
    """`found` is by worker; `awaited` are those that have not answered."""

    then: Callable[[Found], None]
    awaited: set[int]
    silent_at: float
    found: Found = field(default_factory=dict)

    def answer(self, worker: int, value: Any) -> None:
        if worker in self.awaited:
            self.awaited.discard(worker)
            self.found[worker] = value
            if not self.awaited:
                self.then(self.found)


class WorkerQueries:
    """Asks through an executor."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._asked: list[_Inquiry] = []

    def stacks(self, workers: Iterable[int], then: Callable[[Found], None]) -> None:
        """Call `then` with the text of each worker's stacks."""
        handles = self._handles(workers)
        inquiry = _Inquiry(then, {each.id for each in handles}, 0.0)
        for handle in handles:
            self._executor.dumps.take(handle, partial(_answer_stacks, inquiry, handle.id))
        if not handles:
            then({})

    def requests(self, workers: Iterable[int], then: Callable[[Found], None]) -> None:
        """Call `then` with each worker's list of requests in flight, None for one that could not tell."""
        handles = self._handles(workers)
        inquiry = _Inquiry(then, {each.id for each in handles}, time.monotonic() + _MAY_THINK)
        self._asked.append(inquiry)
        for handle in handles:
            self._executor.tell(handle, TellRequests())
        if not handles:
            then({})

    def told(self, worker: int, requests: list[dict[str, Any]]) -> None:
        """A worker has told its requests."""
        for inquiry in self._asked:
            inquiry.answer(worker, requests)
        self._asked = [each for each in self._asked if each.awaited]

    def next_at(self) -> float | None:
        return min((each.silent_at for each in self._asked), default=None)

    def tick(self, now: float) -> None:
        """Ask those by signal that have not answered a message."""
        for inquiry in [each for each in self._asked if each.silent_at <= now]:
            self._asked.remove(inquiry)
            for worker in list(inquiry.awaited):
                self._ask_by_signal(inquiry, worker)

    def _ask_by_signal(self, inquiry: _Inquiry, worker: int) -> None:
        handle = self._executor.workers.get(worker)
        if handle is None:
            inquiry.answer(worker, [])  # it is gone, and its requests with it
        else:
            self._executor.dumps.take(handle, lambda text: inquiry.answer(worker, _requests_in(text)))

    def _handles(self, workers: Iterable[int]) -> list[WorkerHandle]:
        found = (self._executor.workers.get(each) for each in workers)
        return [each for each in found if each is not None and each.pid is not None]


def _answer_stacks(inquiry: _Inquiry, worker: int, text: str) -> None:
    inquiry.answer(worker, text[: text.rfind(LAST_LINE)] if LAST_LINE in text else text)


def _requests_in(text: str) -> list[dict[str, Any]] | None:
    if LAST_LINE not in text:
        return None
    found: list[dict[str, Any]] = json.loads(text.rpartition(LAST_LINE)[2])
    return found
