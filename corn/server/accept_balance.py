"""How this worker stands among the others that accept from the same listeners.

The workers tell each other how many connections they hold, through the shared table of counters. A worker that is more
than one ahead of the least loaded leaves a new connection to the others for a moment. One whose heartbeat is stale does
not count: it may be stuck, and would hold the others up.

Connections that are closed again at once need no sharing out: the numbers differ from one moment to the next, and a
worker that is busy with one does not look at the listener anyway.
"""

from __future__ import annotations

import time

from corn.ipc.scoreboard import Field, Scoreboard

_STALE_MS = 1500
_SHORT_LIVED = 20  # connections closed within a tick, and more than there are, for them to be called short


class AcceptBalance:
    """The counters of all workers that accept, this one among them, looked up anew with each tick."""

    __slots__ = ("_alive", "_closings", "_slots", "_words", "shares_out")

    def __init__(self, slots: Scoreboard, own: memoryview) -> None:
        self._slots = slots
        self._words = own
        self._alive: list[memoryview] = []
        self._closings = 0
        self.shares_out = True

    def tick(self, closings: int) -> None:
        """Find the workers that accept now and are alive; `closings` counts the connections closed so far."""
        oldest = int(time.monotonic() * 1000) - _STALE_MS
        self._alive = [each.words for each in self._slots.accepting() if each.words[Field.HEARTBEAT_MS] >= oldest]
        are_short = closings - self._closings > max(_SHORT_LIVED, self._words[Field.CONNECTIONS])
        self._closings = closings
        self.shares_out = len(self._alive) > 1 and not are_short

    def is_ahead(self) -> bool:
        """Whether this worker holds more than one connection more than the least loaded of the others."""
        if len(self._alive) < 2:
            return False
        enough = self._words[Field.CONNECTIONS] - 1
        return any(words[Field.CONNECTIONS] < enough and words[Field.ACCEPTING] for words in self._alive)
