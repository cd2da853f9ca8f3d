"""Protocols of the server's parts: what each may know of another. Nothing here runs.

They keep the import graph free of circles: a part names the protocol, and whoever makes the part hands over the object.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Protocol

from corn.server.asgi.scope import Address, Endpoints
from corn.server.http.errors import HTTPError
from corn.server.http.head import RequestHead


class Connection(Protocol):
    """A connection as the worker knows it, whatever protocol it speaks."""

    deadline: float  # on `Clock.now`; past it, `expire` is called

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""

    def expire(self) -> None:
        """The deadline is over: refuse, close or abort, as the state of the connection asks."""

    def linger_until(self, first: float, idle: float) -> None:
        """The worker drains: leave at `first` if nothing was read yet, at `idle` if no request is in flight."""

    def abort(self) -> None:
        """Close at once, whatever is in flight."""


class UpgradedConnection(Protocol):
    """A connection of HTTP/2 as one of HTTP/1.1 knows it, which makes way for it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""

    def data_received(self, data: bytes) -> None:
        """Take what was read."""

    def begin_upgraded(self, head: RequestHead, settings: bytes) -> None:
        """Answer on stream 1 the request with which HTTP/1.1 was left (RFC 7540, 3.2)."""


# Makes one, from a ServerContext, the socket, and both ends.
HTTP2Factory = Callable[[Any, socket.socket, Endpoints], Any]


class Cycle(Protocol):
    """A request and its response as a connection and the worker know them."""

    head: RequestHead
    scope: dict[str, Any]
    task: asyncio.Task[None]
    keep_alive: bool
    ends_with_connection: bool  # closing the connection would pass for the end of the response
    committed: bool  # the head of the response is written
    responded: bool  # the response is complete
    gone: bool  # the peer is
    status: int
    sent: int  # bytes of the response's body
    started_at: float  # monotonic time
    expires: float  # on `Clock.now`

    @property
    def response_fields(self) -> bytes:
        """The field lines of the response that are the application's."""

    @property
    def streams(self) -> bool:
        """Whether an HTTP response has begun whose length was not announced."""
        ...

    def cancel(self, why: str) -> None:
        """Stop the application."""


class SessionTransport(Protocol):
    """What carries the bytes of a WebSocket: a connection, or a stream of HTTP/2."""

    write_paused: bool

    def write(self, data: bytes) -> None:
        """Write, however much waits to be written."""

    def write_together(self, data: bytes) -> None:
        """Write with what else is sent in this turn of the loop, or now where that would delay it."""

    async def drained(self) -> None:
        """Wait until more should be written; returns too when the peer is gone."""

    def pause_reading(self) -> None:
        """Call `feed` no more for now."""

    def resume_reading(self) -> None:
        """Read on."""

    def still_sends(self) -> bool:
        """Whether the peer takes output that waits for it."""

    def finish(self, *, expecting: bool) -> None:
        """Close after what was written; `expecting`: the peer may be sending still."""

    def abort(self) -> None:
        """Close at once."""


class Session(Protocol):
    """An open WebSocket as its carrier and the worker know it."""

    carrier: SessionTransport
    deadline: float  # on `Clock.now`; past it, `expire` is called

    def feed(self, data: bytes) -> None:
        """Take what was read."""

    def catch_up(self) -> None:
        """Go on: the peer has read, or the application."""

    def lost(self) -> None:
        """Nothing more comes, and nothing that is written arrives."""

    def leave(self, at: float) -> None:
        """Close with 1012 at this time of `Clock.now`, because the worker drains."""

    def expire(self) -> None:
        """The deadline is over."""


class HTTPStream(Protocol):
    """What carries one request and its response: a connection of HTTP/1.1 at a time, or a stream of HTTP/2."""

    transport: asyncio.Transport
    write_paused: bool

    async def drained(self) -> None:
        """Wait until more should be written; returns too when the peer is gone."""

    def tell_to_continue(self) -> None:
        """Answer an expectation with 100 (RFC 9110, 15.2.1)."""

    def resume_body(self) -> None:
        """Read on: the application has caught up with the body."""

    def open_websocket(self, head: RequestHead, session: Session, block: bytes, flags: int) -> None:
        """Write the answer that opens a WebSocket, with these field lines, and leave the stream to the session."""

    def finished(self, cycle: Cycle) -> None:
        """The response is complete, or there will be none."""

    def break_off(self, cycle: Cycle) -> None:
        """End a response that cannot be completed, so that the peer can tell."""


class AccessLogger(Protocol):
    """An access log, whatever writes it; records are `corn.server.access_log.formats.AccessRecord`."""

    def log(self, record: Any) -> None:
        """Log a request that is done."""

    def accepted(self, record: Any) -> None:
        """Log a WebSocket that is open now."""

    def closed(self, record: Any) -> None:
        """Log a WebSocket that has come to its end."""

    def refused(self, client: Address, refusal: HTTPError, head: RequestHead | None = None) -> None:
        """Log a request that no application saw; without a head, it could not be read."""

    def flush(self) -> None:
        """Write what was collected."""

    def tick(self) -> None:
        """Write again what could not be written."""

    def reopen(self) -> None:
        """Open the file again by its name."""

    def close(self) -> None:
        """Write what is left."""

    def set_level(self, levels: str) -> None:
        """Log requests from another level on (option log_level)."""
