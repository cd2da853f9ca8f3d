"""Queries to running workers: stack dumps, and in-flight requests.

A stack dump is requested by a signal, which works even if the event loop is blocked. The file with the dump is polled
until it is complete or stops growing. At most one dump of a worker is in progress; later requests share it.

In-flight requests are queried by message. A worker that does not reply at once is sent the signal as well, and a worker
that does not reply at all is reported as such, without delaying the others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from corn.ipc.messages import STACKS_SIGNAL, GetRequests, Message
from corn.ipc.stack_report import LAST_LINE, clear_report, is_complete, read_report
from corn.supervisor.children.workers import WorkerProcess

_POLL_INTERVAL = 0.02
_QUIET = 0.7  # seconds without growth after which a dump is taken as it is: the interpreter is blocked in C code
_DUMP_TIMEOUT = 5.0

Then = Callable[[str], None]


@dataclass(slots=True)
class _Dump:
    handle: WorkerProcess
    until: float
    grew_at: float
    then: list[Then] = field(default_factory=list)
    text: str = ""


class StackDumps:
    """Stack dumps in progress, by worker."""

    def __init__(self) -> None:
        self._under_way: dict[int, _Dump] = {}
        self._next_look = 0.0

    def take(self, handle: WorkerProcess, then: Then) -> None:
        """Request a worker's stacks, and call `then` with its output, "" for none."""
        now = time.monotonic()
        dump = self._under_way.get(handle.id)
        if dump is None:
            clear_report(handle.report)
            dump = self._under_way[handle.id] = _Dump(handle, now + _DUMP_TIMEOUT, now)
            self._next_look = now + _POLL_INTERVAL
            handle.signal(STACKS_SIGNAL)
        dump.then.append(then)

    def next_at(self) -> float | None:
        return self._next_look if self._under_way else None

    def tick(self, now: float) -> None:
        """Poll the dumps in progress."""
        if not self._under_way or now < self._next_look:
            return
        self._next_look = now + _POLL_INTERVAL
        for dump in list(self._under_way.values()):
            text = read_report(dump.handle.report)
            if text != dump.text:
                dump.text, dump.grew_at = text, now
            lost = bool(text) and now - dump.grew_at > _QUIET
            if is_complete(text) or lost or now >= dump.until:
                self._finish(dump)

    def forget(self, handle: WorkerProcess) -> str:
        """Finish the dump of an exited worker, and return its last output if that was not requested."""
        dump = self._under_way.get(handle.id)
        text = read_report(handle.report)
        if dump is None:
            return text
        dump.text = text
        self._finish(dump)
        return ""

    def _finish(self, dump: _Dump) -> None:
        del self._under_way[dump.handle.id]
        clear_report(dump.handle.report)
        for then in dump.then:
            then(dump.text)


_REPLY_TIMEOUT = 0.5

Found = dict[int, Any]


@dataclass(slots=True)
class _Inquiry:
    """Query in progress: the replies by worker in `found`, and the workers whose reply is missing in `awaited`."""

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
    """Queries to `workers`, by stack dumps and by messages; `send` sends a message to one of them."""

    def __init__(
        self, workers: Mapping[int, WorkerProcess], dumps: StackDumps, send: Callable[[WorkerProcess, Message], None]
    ) -> None:
        self._workers = workers
        self._dumps = dumps
        self._send = send
        self._asked: list[_Inquiry] = []

    def stacks(self, workers: Iterable[int], then: Callable[[Found], None]) -> None:
        """Call `then` with the text of each worker's stacks."""
        handles = self._handles(workers)
        inquiry = _Inquiry(then, {each.id for each in handles}, 0.0)
        for handle in handles:
            self._dumps.take(handle, partial(_answer_stacks, inquiry, handle.id))
        if not handles:
            then({})

    def requests(self, workers: Iterable[int], then: Callable[[Found], None]) -> None:
        """Call `then` with each worker's list of in-flight requests, None for a worker without a reply."""
        handles = self._handles(workers)
        inquiry = _Inquiry(then, {each.id for each in handles}, time.monotonic() + _REPLY_TIMEOUT)
        self._asked.append(inquiry)
        for handle in handles:
            self._send(handle, GetRequests())
        if not handles:
            then({})

    def requests_reported(self, worker: int, requests: list[dict[str, Any]]) -> None:
        """Handle a worker's reply with its requests."""
        for inquiry in self._asked:
            inquiry.answer(worker, requests)
        self._asked = [each for each in self._asked if each.awaited]

    def next_at(self) -> float | None:
        return min((each.silent_at for each in self._asked), default=None)

    def tick(self, now: float) -> None:
        """Send the signal to workers that have not replied to the message."""
        for inquiry in [each for each in self._asked if each.silent_at <= now]:
            self._asked.remove(inquiry)
            for worker in list(inquiry.awaited):
                self._ask_by_signal(inquiry, worker)

    def _ask_by_signal(self, inquiry: _Inquiry, worker: int) -> None:
        handle = self._workers.get(worker)
        if handle is None:
            inquiry.answer(worker, [])  # it has exited, and its requests with it
        else:
            self._dumps.take(handle, lambda text: inquiry.answer(worker, _requests_in(text)))

    def _handles(self, workers: Iterable[int]) -> list[WorkerProcess]:
        found = (self._workers.get(each) for each in workers)
        return [each for each in found if each is not None and each.pid is not None]


def _answer_stacks(inquiry: _Inquiry, worker: int, text: str) -> None:
    inquiry.answer(worker, text[: text.rfind(LAST_LINE)] if LAST_LINE in text else text)


def _requests_in(text: str) -> list[dict[str, Any]] | None:
    if LAST_LINE not in text:
        return None
    found: list[dict[str, Any]] = json.loads(text.rpartition(LAST_LINE)[2])
    return found
