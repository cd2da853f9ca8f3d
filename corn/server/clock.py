"""Coarse time for a whole worker: read by all connections, moved on by one timer.

`now` does not follow the wall: a tick adds what has passed, but never more than two intervals. So when the application
blocks the loop for ten seconds, no peer is timed out for the ten seconds in which nobody listened to it.
"""

from __future__ import annotations

import time
from email.utils import formatdate

INTERVAL = 0.5


class Clock:
    """Seconds since the worker's start, precise to one `INTERVAL`, and the HTTP date of now (RFC 9110, 5.6.7)."""

    __slots__ = ("_last", "date", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._last = time.monotonic()
        self.date = b""
        self.tick()

    def tick(self) -> None:
        """Move on to now."""
        moment = time.monotonic()
        self.now += min(moment - self._last, 2 * INTERVAL)
        self._last = moment
        self.date = formatdate(usegmt=True).encode()
