"""Turn writer: writes the responses of one iteration of the event loop together.

A write wakes up the client, or a local proxy, which then competes for the CPU with the applications that are still to
run in this iteration. So responses are held until those have run, and are then written together. A worker with a single
in-flight request writes at once.

A response must not be delayed by an application that computes for long. The duration of a step of an application cannot
be predicted, so it is measured: after a step longer than `STEP`, the next responses are written at once, `_PER_STEP` of
them for each `STEP` that it took. Held responses are written when they have waited for `STEP`.

Rejected: a timer for held responses. It would fire after the step that it should interrupt. Rejected: holding always,
as servers do whose applications run in other processes: a step of 50 ms would delay all responses that precede it.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Protocol

STEP = 0.001  # seconds that a step of an application may take, and that a response may wait

_FIRST_AT_ONCE = 64
_PER_STEP = 8
_MAX_AT_ONCE = 1 << 13
_LAST_STEP_LIMIT = 10 * STEP  # for the last step of an iteration, whose measurement includes the reads after it


class Flushable(Protocol):
    """Connection with output that is held until the end of the iteration."""

    def flush(self) -> None:
        """Write the output."""


class TurnWriter:
    """Collector of a worker's connections that have output; flushes them in the event loop's next iteration."""

    __slots__ = (
        "_at_once",
        "_due",
        "_is_open",
        "_is_scheduled",
        "_last",
        "_loop",
        "_waiting",
        "holds",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Flushable] = []
        self._is_scheduled = False
        self.holds = False  # responses are currently held
        self._at_once = _FIRST_AT_ONCE  # responses to write at once before holding begins
        self._is_open = False  # a response was finished in this iteration,
        self._last = 0.0  # and the last one at this time
        self._due = 0.0  # time at which held responses have waited long enough

    def add(self, connection: Flushable) -> None:
        """Flush a connection with new output at the end of the iteration."""
        self._waiting.append(connection)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._end)

    def finished(self, now: float) -> None:
        """Record a finished response that was written or added; called for each while others are in flight."""
        gap = now - self._last
        self._last = now
        if not self._is_open:
            self._open(now)
        elif gap > STEP:
            self._note_long_step(gap)
        elif not self.holds:
            self._at_once -= 1
            self.holds = self._at_once <= 0
        elif now > self._due:
            self.flush()
            self._due = now + STEP

    def flush(self) -> None:
        """Flush all collected connections."""
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            try:
                connection.flush()
            except Exception as fault:  # noqa: PERF203 - a failure must not affect the other connections
                self._loop.call_exception_handler({"message": "a held response was not written", "exception": fault})

    def _open(self, now: float) -> None:
        self._is_open = True
        self._due = now + STEP
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._end)

    def _end(self) -> None:
        """Callback of the event loop's next iteration."""
        self._is_scheduled = False
        if self._is_open:
            self._is_open = False
            took = monotonic() - self._last
            if took > _LAST_STEP_LIMIT:
                self._note_long_step(took)
        self.flush()

    def _note_long_step(self, took: float) -> None:
        self._at_once = min(max(self._at_once, 0) + int(_PER_STEP * took / STEP), _MAX_AT_ONCE)
        self.holds = False
        self.flush()
