"""Counters of one worker, and their copy in shared memory, which the master reads."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

from corn.ipc.scoreboard import LATENCY_BOUNDS, Field

_FASTEST = LATENCY_BOUNDS[0]
# Offset of the counts by the first digit of the status; 8 and 9 are no class of HTTP, and share a row.
_ROWS = tuple(Field.ANSWERS + min(digit, 7) * (len(LATENCY_BOUNDS) + 1) for digit in range(10))


class Metrics:
    """Counters of connections, requests and messages; requests the worker's replacement at a limit."""

    __slots__ = (
        "_on_retire",
        "_words",
        "busy",
        "closings",
        "messages",
        "open",
        "requests",
        "retire_at",
        "retire_at_message",
        "sent",
    )

    def __init__(self, words: memoryview, on_retire: Callable[[str], None]) -> None:
        self._words = words
        self._on_retire = on_retire
        self.retire_at = 0  # number of requests at which the worker requests its replacement; 0 for never
        self.retire_at_message = math.inf  # the same for WebSocket messages
        self.open = 0  # connections
        self.closings = 0  # closed connections
        self.requests = 0
        self.sent = 0  # bytes of bodies
        self.busy = 0.0  # seconds, over all requests
        self.messages = 0  # received over WebSockets

    def answered(self, status: int, sent: int, took: float) -> None:
        """Count a finished request at once in shared memory, so that a crash loses no count."""
        self._words[_ROWS[status // 100] + (bisect_left(LATENCY_BOUNDS, took) if took > _FASTEST else 0)] += 1
        self.sent += sent
        self.busy += took
        self.requests += 1
        if self.requests == self.retire_at:
            self._on_retire("max requests")

    def opened(self) -> None:
        """Count a connection at once, because other workers compare their numbers with it (see `acceptor`)."""
        self.open += 1
        self._words[Field.CONNECTIONS] = self.open

    def closed(self) -> None:
        """Count a closed connection."""
        self.open -= 1
        self.closings += 1
        self._words[Field.CONNECTIONS] = self.open

    def show(self, running: int, websockets: int) -> None:
        """Write the counters to shared memory, with the numbers of in-flight requests and open WebSockets."""
        words = self._words
        words[Field.ACTIVE] = running
        words[Field.REQUESTS] = self.requests
        words[Field.WEBSOCKETS] = websockets
        words[Field.MESSAGES] = self.messages
        words[Field.BYTES_SENT] = self.sent
        words[Field.BUSY_US] = int(self.busy * 1_000_000)
        if self.messages >= self.retire_at_message:
            self._on_retire("max messages")
