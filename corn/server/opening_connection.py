"""Opening connection: base of the protocols that precede the requests of a connection.

It is never busy and never idle between requests: a drain gives it the time of a connection of which nothing was read
yet. A peer that sends gets this time anew, because it is about to send a request. After the grace period the connection
is aborted.
"""

from __future__ import annotations

import asyncio
from typing import cast

from corn.server.context import ServerContext

_NEXT_INPUT = 1.0  # seconds, in a drain


class OpeningConnection(asyncio.Protocol):
    """Protocol of a connection without a request, such as a handshake, until `deadline` (on `Clock.now`)."""

    __slots__ = ("_latest", "deadline", "service", "transport")

    transport: asyncio.Transport

    def __init__(self, service: ServerContext, deadline: float) -> None:
        self.service = service
        self.deadline = self._latest = deadline

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.service.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        self.service.closed(self)

    def extend(self) -> None:
        """Extend the deadline that a drain has shortened; to be called when the peer has sent something."""
        if self.service.draining:
            self.deadline = min(self._latest, self.service.clock.now + _NEXT_INPUT)

    def expire(self) -> None:
        self.transport.abort()

    def linger_until(self, first: float, idle: float) -> None:  # noqa: ARG002 - it is never idle
        self.deadline = min(self.deadline, first)

    @property
    def is_busy(self) -> bool:
        return False

    def abort(self) -> None:
        self.transport.abort()
