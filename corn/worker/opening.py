"""A connection that has not yet come to what it is for: a request, in a protocol that is agreed on.

It was never idle, so a drain gives it the time of a connection of which nothing was read yet, and nothing is lost when
it is cut.
"""

from __future__ import annotations

import asyncio
from typing import cast

from corn.worker.service import Service


class Opening(asyncio.Protocol):
    """What such connections have in common; whoever derives from it sets `service` and `deadline`."""

    service: Service
    transport: asyncio.Transport
    deadline: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.service.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        self.service.closed(self)

    def expire(self) -> None:
        self.transport.abort()

    def linger_until(self, first: float, idle: float) -> None:  # noqa: ARG002 - it was never idle
        self.deadline = min(self.deadline, first)

    @property
    def is_busy(self) -> bool:
        return False

    def abort(self) -> None:
        self.transport.abort()
