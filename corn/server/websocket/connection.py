"""WebSocket over HTTP/1.1, which owns the connection from the 101 on (RFC 6455, 4.2.2; RFC 9110, 7.8)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from corn.server.context import ServerContext
from corn.server.http.head import RequestHead
from corn.server.http.response_fields import OWN_DATE, OWN_SERVER
from corn.server.lingering_close import close_lingering
from corn.server.typing import Session
from corn.server.websocket.handshake import accept_key
from corn.server.write_buffer import BufferedProtocol

_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: "


def switching_head(service: ServerContext, head: RequestHead, block: bytes, flags: int) -> bytes:
    """Response that opens a WebSocket; `block` and `flags` are those of `encode_fields`."""
    defaults = service.default_fields(date=not flags & OWN_DATE, server=not flags & OWN_SERVER)
    return b"".join((_SWITCHING, accept_key(head), b"\r\n", block, defaults, b"\r\n"))


class WebSocketConnection(BufferedProtocol):
    """Transport of a WebSocket session over HTTP/1.1, which takes what is read itself."""

    __slots__ = ("_session", "data_received")

    data_received: Callable[[bytes], None]  # type: ignore[assignment]  # of the session

    def __init__(self, service: ServerContext, transport: asyncio.Transport, session: Session) -> None:
        super().__init__(service)
        self.transport = transport
        self.deadline = math.inf
        self._session: Session | None = session  # None once it is lost: the session refers to the connection
        self.data_received = session.feed
        service.connections.add(self)

    # Called by the transport

    def eof_received(self) -> None:
        self._lose_session()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        self.shut_down()
        self.service.closed(self)
        self._lose_session()
        self.wake_writers()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
            self.deadline = math.inf
        super().resume_writing()
        if self._session is not None:
            self._session.catch_up()

    # Called by the session

    def pause_reading(self) -> None:
        if self.transport.is_reading() and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.read_on()

    def finish(self, *, expecting: bool) -> None:
        if expecting:
            self.wake_writers()
            self.service.connections.discard(self)
            close_lingering(self.service, self.transport)
            self._lose_session()
        else:
            self.close_when_written()

    def _lose_session(self) -> None:
        session, self._session = self._session, None
        self.data_received = _discard
        if session is not None:
            session.lost()

    # Called by the worker

    def expire(self) -> None:
        if self.still_sends():
            return
        if self.transport.get_write_buffer_size() or self.transport.is_closing():
            self.abort()
        else:
            self.deadline = math.inf

    def linger_until(self, first: float, idle: float) -> None:
        """Do nothing: the session closes by itself."""

    @property
    def is_busy(self) -> bool:
        return True


def _discard(_: bytes) -> None:
    """`data_received` of a connection without a session."""
