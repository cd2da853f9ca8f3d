"""Turn writer: writes the responses of one iteration of the event loop together.

A write wakes up the client, or the proxy beside it, which then takes CPU time from the applications that are still to
run in this iteration. So a response is held until those have run, and all are written in a row. A worker with a single
in-flight request writes at once.

Holding must not delay a response by an application that computes. What a step of an application will take cannot be
known, so it is measured: a step of more than `STEP` is answered by writing at once as many responses as make it rare,
`_PER_STEP` for each `STEP` that it took. What is held is written once it has waited for `STEP`.

Rejected: a timer for what is held. It would fire after the step that it should interrupt. Rejected: holding always, as
servers do whose applications run elsewhere: here a step of 50 ms would delay the responses of all that ran before it.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Protocol

STEP = 0.001  # seconds that a step of an application may take, and that a response may wait

_FIRST_AT_ONCE = 64
_PER_STEP = 8
_MOST_AT_ONCE = 1 << 13
_AT_THE_END = 10 * STEP  # of the last step of a turn, which is measured together with what was read after it


class Flushable(Protocol):
    """Connection with output that is held until the end of the iteration."""

    def flush(self) -> None:
        """Write it."""


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
        self.holds = False  # responses are held, for now
        self._at_once = _FIRST_AT_ONCE  # responses until they are
        self._is_open = False  # a response was finished in this turn,
        self._last = 0.0  # the last of them at this time
        self._due = 0.0  # when what is held has waited long enough

    def add(self, connection: Flushable) -> None:
        """Flush a connection, which has output now, at the end of the iteration."""
        self._waiting.append(connection)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._end)

    def finished(self, now: float) -> None:
        """A response was finished, and written or added; to be called for each while others are in flight."""
        gap = now - self._last
        self._last = now
        if not self._is_open:
            self._open(now)
        elif gap > STEP:
            self._saw_long_step(gap)
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
            except Exception as fault:  # noqa: PERF203 - a fault of one must not keep back the output of the others
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
            if took > _AT_THE_END:
                self._saw_long_step(took)
        self.flush()

    def _saw_long_step(self, took: float) -> None:
        self._at_once = min(max(self._at_once, 0) + int(_PER_STEP * took / STEP), _MOST_AT_ONCE)
        self.holds = False
        self.flush()
