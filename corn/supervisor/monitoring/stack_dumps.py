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
_STALL_TIMEOUT = 0.7  # without growth: the dump is taken as it is, because the interpreter is blocked in C code
_DUMP_TIMEOUT = 5.0

Callback = Callable[[str], None]


@dataclass(slots=True)
class _Dump:
    handle: WorkerProcess
    deadline: float
    grew_at: float
    callback: list[Callback] = field(default_factory=list)
    text: str = ""


class StackDumps:
    """Stack dumps in progress, by worker."""

    def __init__(self) -> None:
        self._pending: dict[int, _Dump] = {}
        self._next_poll = 0.0

    def take(self, handle: WorkerProcess, callback: Callback) -> None:
        """Request a worker's stacks, and call `callback` with its output, "" for none."""
        now = time.monotonic()
        dump = self._pending.get(handle.id)
        if dump is None:
            clear_report(handle.report)
            dump = self._pending[handle.id] = _Dump(handle, now + _DUMP_TIMEOUT, now)
            self._next_poll = now + _POLL_INTERVAL
            handle.signal(STACKS_SIGNAL)
        dump.callback.append(callback)

    def next_at(self) -> float | None:
        return self._next_poll if self._pending else None

    def tick(self, now: float) -> None:
        """Poll the dumps in progress."""
        if not self._pending or now < self._next_poll:
            return
        self._next_poll = now + _POLL_INTERVAL
        for dump in list(self._pending.values()):
            text = read_report(dump.handle.report)
            if text != dump.text:
                dump.text, dump.grew_at = text, now
            lost = bool(text) and now - dump.grew_at > _STALL_TIMEOUT
            if is_complete(text) or lost or now >= dump.deadline:
                self._finish(dump)

    def forget(self, handle: WorkerProcess) -> str:
        """Finish the dump of an exited worker, and return its last output if that was not requested."""
        dump = self._pending.get(handle.id)
        text = read_report(handle.report)
        if dump is None:
            return text
        dump.text = text
        self._finish(dump)
        return ""

    def _finish(self, dump: _Dump) -> None:
        del self._pending[dump.handle.id]
        clear_report(dump.handle.report)
        for callback in dump.callback:
            callback(dump.text)


_REPLY_TIMEOUT = 0.5

Found = dict[int, Any]


@dataclass(slots=True)
class _Query:
    """Query in progress: the replies by worker in `found`, and the workers whose reply is missing in `awaited`."""

    callback: Callable[[Found], None]
    awaited: set[int]
    reply_deadline: float
    found: Found = field(default_factory=dict)

    def add_reply(self, worker: int, value: Any) -> None:
        if worker in self.awaited:
            self.awaited.discard(worker)
            self.found[worker] = value
            if not self.awaited:
                self.callback(self.found)


class WorkerQueries:
    """Queries to `workers`, by stack dumps and by messages; `send` sends a message to one of them."""

    def __init__(
        self, workers: Mapping[int, WorkerProcess], dumps: StackDumps, send: Callable[[WorkerProcess, Message], None]
    ) -> None:
        self._workers = workers
        self._dumps = dumps
        self._send = send
        self._queries: list[_Query] = []

    def stacks(self, workers: Iterable[int], callback: Callable[[Found], None]) -> None:
        """Call `callback` with the text of each worker's stacks."""
        handles = self._handles(workers)
        query = _Query(callback, {each.id for each in handles}, 0.0)
        for handle in handles:
            self._dumps.take(handle, partial(_add_stacks, query, handle.id))
        if not handles:
            callback({})

    def requests(self, workers: Iterable[int], callback: Callable[[Found], None]) -> None:
        """Call `callback` with each worker's list of in-flight requests, None for a worker without a reply."""
        handles = self._handles(workers)
        query = _Query(callback, {each.id for each in handles}, time.monotonic() + _REPLY_TIMEOUT)
        self._queries.append(query)
        for handle in handles:
            self._send(handle, GetRequests())
        if not handles:
            callback({})

    def requests_reported(self, worker: int, requests: list[dict[str, Any]]) -> None:
        """Handle a worker's reply with its requests."""
        for query in self._queries:
            query.add_reply(worker, requests)
        self._queries = [each for each in self._queries if each.awaited]

    def next_at(self) -> float | None:
        return min((each.reply_deadline for each in self._queries), default=None)

    def tick(self, now: float) -> None:
        """Send the signal to workers that have not replied to the message."""
        for query in [each for each in self._queries if each.reply_deadline <= now]:
            self._queries.remove(query)
            for worker in list(query.awaited):
                self._query_by_signal(query, worker)

    def _query_by_signal(self, query: _Query, worker: int) -> None:
        handle = self._workers.get(worker)
        if handle is None:
            query.add_reply(worker, [])  # it has exited, and its requests with it
        else:
            self._dumps.take(handle, lambda text: query.add_reply(worker, _requests_in(text)))

    def _handles(self, workers: Iterable[int]) -> list[WorkerProcess]:
        found = (self._workers.get(each) for each in workers)
        return [each for each in found if each is not None and each.pid is not None]


def _add_stacks(query: _Query, worker: int, text: str) -> None:
    query.add_reply(worker, text[: text.rfind(LAST_LINE)] if LAST_LINE in text else text)


def _requests_in(text: str) -> list[dict[str, Any]] | None:
    if LAST_LINE not in text:
        return None
    found: list[dict[str, Any]] = json.loads(text.rpartition(LAST_LINE)[2])
    return found
