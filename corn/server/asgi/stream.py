"""What carries one request and its response: a connection of HTTP/1.1 at a time, or a stream of HTTP/2."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from corn.server.context import ServerContext
from corn.server.http.head import RequestHead

if TYPE_CHECKING:
    from corn.server.asgi.cycle import RequestCycle
    from corn.server.websocket.session import WebSocketSession


class HTTPStream(Protocol):
    """What a cycle knows of whatever carries it."""

    service: ServerContext
    transport: asyncio.Transport
    write_paused: bool

    async def drained(self) -> None:
        """Wait until more should be written; returns too when the peer is gone."""

    def tell_to_continue(self) -> None:
        """Answer an expectation with 100 (RFC 9110, 15.2.1)."""

    def resume_body(self) -> None:
        """Read on: the application has caught up with the body."""

    def open_websocket(self, head: RequestHead, session: WebSocketSession, block: bytes, flags: int) -> None:
        """Write the answer that opens a WebSocket, with these field lines, and leave the exchange to the session."""

    def finished(self, cycle: RequestCycle) -> None:
        """The response is complete, or there will be none."""

    def break_off(self, cycle: RequestCycle) -> None:
        """End a response that cannot be completed, so that the peer can tell."""
