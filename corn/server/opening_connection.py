"""Opening connection: base of the protocols that precede the requests of a connection.

It is never busy and never idle between requests: a drain gives it the time of a connection of which nothing was read
yet, and it can be aborted at any time without losing a request.
"""

from __future__ import annotations

import asyncio
from typing import cast

from corn.server.context import ServerContext


class OpeningConnection(asyncio.Protocol):
    """Protocol of a connection without a request, such as a handshake, until `deadline` (on `Clock.now`)."""

    __slots__ = ("deadline", "service", "transport")

    transport: asyncio.Transport

    def __init__(self, service: ServerContext, deadline: float) -> None:
        self.service = service
        self.deadline = deadline

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.service.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        self.service.closed(self)

    def expire(self) -> None:
        self.transport.abort()

    def linger_until(self, first: float, idle: float) -> None:  # noqa: ARG002 - it is never idle
        self.deadline = min(self.deadline, first)

    @property
    def is_busy(self) -> bool:
        return False

    def abort(self) -> None:
        self.transport.abort()
