"""Protocols (typing.Protocol) of the server's parts: the interface that each has for the others. Nothing here runs.

They keep the import graph free of circles: a part names the protocol, and the part's creator passes the object.
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
    """Interface of a connection of any protocol for the worker."""

    deadline: float  # on `Clock.now`; past it, `expire` is called

    @property
    def is_busy(self) -> bool:
        """True if a request is in flight."""

    def expire(self) -> None:
        """Handle an expired deadline: refuse, close or abort, according to the state of the connection."""

    def linger_until(self, first: float, idle: float) -> None:
        """Prepare for a drain: close at `first` if nothing was read yet, at `idle` if no request is in flight."""

    def abort(self) -> None:
        """Close at once, even if a request is in flight."""


class UpgradedConnection(Protocol):
    """Interface of an HTTP/2 connection for the HTTP/1.1 connection that it replaces."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""

    def data_received(self, data: bytes) -> None:
        """Take what was read."""

    def begin_upgraded(self, head: RequestHead, settings: bytes) -> None:
        """Answer the request that upgraded from HTTP/1.1 on stream 1 (RFC 7540, 3.2)."""


# Arguments: a ServerContext, the socket, and the addresses of both ends.
HTTP2Factory = Callable[[Any, socket.socket, Endpoints], Any]


class Cycle(Protocol):
    """Interface of a request/response cycle for the connection and the worker."""

    head: RequestHead
    scope: dict[str, Any]
    keep_alive: bool
    ends_with_connection: bool  # the end of the response is marked by closing the connection
    committed: bool  # the head of the response is written
    responded: bool  # the response is complete
    gone: bool  # the peer has disconnected
    lost: bool  # before the response had left corn's buffers
    refused: bool  # corn itself has ended the request
    status: int
    sent: int  # bytes of the response's body
    started_at: float  # monotonic time
    expires: float  # on `Clock.now`

    @property
    def client(self) -> Address:
        """Client of the request."""

    @property
    def response_fields(self) -> bytes:
        """Field lines of the response that the application has set."""

    @property
    def streams(self) -> bool:
        """True if an HTTP response has begun whose length was not announced."""
        ...

    @property
    def has_ended(self) -> bool:
        """True if the application's task has ended."""
        ...

    def cancel(self, why: str) -> None:
        """Cancel the application's task."""


class SessionTransport(Protocol):
    """Transport of a WebSocket: an HTTP/1.1 connection, or an HTTP/2 stream."""

    write_paused: bool

    def write(self, data: bytes) -> None:
        """Write, however much is buffered."""

    def write_together(self, data: bytes) -> None:
        """Write with the other output of this iteration of the event loop, or now where that would delay it."""

    async def drained(self) -> None:
        """Wait until more can be written; also returns when the peer has disconnected."""

    def pause_reading(self) -> None:
        """Pause reading: `feed` is not called until it is resumed."""

    def resume_reading(self) -> None:
        """Resume reading."""

    def still_sends(self) -> bool:
        """True if the peer reads the output buffered for it."""

    def finish(self, *, expecting: bool) -> None:
        """Close after the buffered output; `expecting`: the peer may still be sending."""

    def abort(self) -> None:
        """Close at once."""


class Session(Protocol):
    """Interface of an open WebSocket for its transport and the worker."""

    carrier: SessionTransport
    deadline: float  # on `Clock.now`; past it, `expire` is called

    def feed(self, data: bytes) -> None:
        """Take what was read."""

    def catch_up(self) -> None:
        """Resume reading if the application and the peer have caught up."""

    def lost(self) -> None:
        """Handle the end of the transport: no more input arrives, and output is discarded."""

    def close_at(self, at: float) -> None:
        """Close with 1012 at this time of `Clock.now`, because the worker drains."""

    def expire(self) -> None:
        """Handle an expired deadline."""


class HTTPStream(Protocol):
    """Transport of one request and its response: an HTTP/1.1 connection, or an HTTP/2 stream."""

    transport: asyncio.Transport
    write_paused: bool

    async def drained(self) -> None:
        """Wait until more can be written; also returns when the peer has disconnected."""

    def send_continue(self) -> None:
        """Answer an expectation with 100 (RFC 9110, 15.2.1)."""

    def resume_body(self) -> None:
        """Resume reading the body, because the application has caught up."""

    def open_websocket(self, head: RequestHead, session: Session, block: bytes, flags: int) -> None:
        """Write the response that opens a WebSocket, with these field lines, and hand the stream to the session."""

    def finished(self, cycle: Cycle) -> None:
        """Handle the end of the cycle: the response is complete, or there will be none."""

    def abort_response(self, cycle: Cycle) -> None:
        """Abort a response that cannot be completed, in a way that the peer can detect."""


class AccessLogger(Protocol):
    """Access log of any implementation; records are `corn.server.access_log.formats.AccessRecord`."""

    def log(self, record: Any) -> None:
        """Log a finished request."""

    def accepted(self, record: Any) -> None:
        """Log a WebSocket that has been accepted."""

    def closed(self, record: Any) -> None:
        """Log a WebSocket that has been closed."""

    def refused(self, client: Address, refusal: HTTPError, head: RequestHead | None = None) -> None:
        """Log a request that corn refused itself; `head` is None where it could not be parsed."""

    def flush(self) -> None:
        """Write the buffered lines."""

    def tick(self) -> None:
        """Retry lines that could not be written."""

    def reopen(self) -> None:
        """Reopen the file by its name."""

    def close(self) -> None:
        """Write the remaining lines."""

    def set_level(self, levels: str) -> None:
        """Set the minimum level (option log_level)."""
