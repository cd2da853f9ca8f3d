"""Record of a worker's finished requests: the counters, with a copy in shared memory for the master, and the log."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

from corn.ipc.scoreboard import LATENCY_BOUNDS, Field
from corn.server.access_log.formats import AccessRecord
from corn.server.exemplars import keep_exemplar
from corn.server.typing import AccessLogger, Cycle

CLIENT_CLOSED = 499  # nginx's status for a client that left before it was answered

_FASTEST = LATENCY_BOUNDS[0]
# Offset of the counts by the first digit of the status; 8 and 9 are no class of HTTP, and share a row.
_ROWS = tuple(Field.ANSWERS + min(digit, 7) * (len(LATENCY_BOUNDS) + 1) for digit in range(10))


class Metrics:
    """Counters of connections, requests and messages; requests the worker's replacement at a limit.

    A finished request is recorded in one call, from the connection: what is rarely in use (the access log, exemplars)
    costs a request no more than a look at an attribute.
    """

    __slots__ = (
        "_on_retire",
        "_words",
        "access",
        "busy",
        "closings",
        "keeps_exemplars",
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
        self.access: AccessLogger | None = None  # log of finished requests
        self.keeps_exemplars = False  # of traced requests
        self.retire_at = 0  # number of requests at which the worker requests its replacement; 0 for never
        self.retire_at_message = math.inf  # the same for WebSocket messages
        self.open = 0  # connections
        self.closings = 0  # closed connections
        self.requests = 0
        self.sent = 0  # bytes of bodies
        self.busy = 0.0  # seconds, over all requests
        self.messages = 0  # received over WebSockets

    def answered(self, cycle: Cycle, now: float, *, logs: bool = True) -> None:
        """Count a finished request at once in shared memory, so that a crash loses no count; log it.

        A request whose response was not delivered has the status 499. A WebSocket has other lines in the log.
        """
        took = now - cycle.started_at
        status = cycle.status if cycle.committed and not cycle.lost else CLIENT_CLOSED
        self._words[_ROWS[status // 100] + (bisect_left(LATENCY_BOUNDS, took) if took > _FASTEST else 0)] += 1
        self.sent += cycle.sent
        self.busy += took
        self.requests += 1
        if self.requests == self.retire_at:
            self._on_retire("max requests")
        if self.keeps_exemplars and cycle.head.traceparent:
            keep_exemplar(self._words, cycle.head.traceparent, took)
        if logs and self.access is not None:
            self.access.log(AccessRecord(cycle.client, cycle.head, status, cycle.sent, took, cycle.response_fields))

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
