"""HTTP/1.1 response writer: status line, field lines, and the framed body (RFC 9112, 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from corn.server.asgi.cycle import RequestCycle
from corn.server.asgi.extensions import ExtendedCycle
from corn.server.http.head import RequestHead
from corn.server.http.response_fields import CLOSE, LAST_CHUNK, NO_BODY, OWN_DATE, OWN_SERVER, TRAILERS
from corn.server.http1.sendfile import FileWriter, send_file
from corn.server.typing import HTTPStream
from corn.server.websocket.cycle import WebSocketCycle

_JOIN_LIMIT = 65536  # a body up to this size is joined with its head into one write
NOTHING, LENGTH, CHUNKED, UNTIL_CLOSE = range(4)  # how the end of the response's body is marked


class HTTP1Writer(FileWriter, HTTPStream, Protocol):
    """Interface of the connection for a response."""

    def write_together(self, data: bytes) -> None:
        """Write the end of a response, or all of it."""

    def write_soon(self, *pieces: bytes) -> None:
        """Write pieces together with others."""

    def write_many(self, pieces: Sequence[bytes]) -> None:
        """Write pieces that are too long to be joined."""

    def may_keep_alive(self, head: RequestHead) -> bool:
        """True if the connection can be kept after the response that is about to start."""


class HTTP1Framing(RequestCycle):
    """Writer of one response."""

    connection: HTTP1Writer
    _framing = 0

    def _write_first(self, body: bytes, more: bool) -> None:
        """Write the head with the first part of the body."""
        connection, head, service, size = self.connection, self.head, self.service, len(body)
        if size == self._remaining and not (more or self._flags or head.is_special):
            self.committed = True
            self.sent = size
            fields = service.defaults if self.keep_alive and not service.draining else self._default_fields()
            pieces = (self._line, self._block, fields, b"\r\n", body)
            if size < _JOIN_LIMIT:
                # While nothing is held, nothing is buffered before a response: it may bypass the buffer.
                write = connection.write_together if service.turn.holds else connection.transport.write
                write(b"".join(pieces))
            else:
                connection.write_many(pieces)
            return
        self._write_head(size, more)
        self._write_body(body, more)

    def _write_head(self, size: int, more: bool) -> None:
        framing, field = self._choose_framing(size, more)
        self._framing = framing
        if framing == LENGTH:
            self._check_length(size, more)
        self.connection.write_soon(self._line, self._block, field, self._default_fields(), b"\r\n")
        self.committed = True

    def _choose_framing(self, size: int, more: bool) -> tuple[int, bytes]:
        """Framing of the body (RFC 9112, 6.3), and the field line that announces it."""
        if self.head.method == "HEAD" or self._flags & NO_BODY:
            return NOTHING, b""
        if self._remaining >= 0:
            return LENGTH, b""
        if not more and not self._flags & TRAILERS:
            self._remaining = size
            return LENGTH, b"content-length: %d\r\n" % size
        if self.head.minor:
            return CHUNKED, b"transfer-encoding: chunked\r\n"
        self.keep_alive, self.ends_with_connection = False, True
        return UNTIL_CLOSE, b""

    def _default_fields(self) -> bytes:
        connection, service, flags = self.connection, self.service, self._flags
        if self.keep_alive and (flags & CLOSE or not connection.may_keep_alive(self.head)):
            self.keep_alive = False
        fields = service.defaults
        if flags & (OWN_DATE | OWN_SERVER):
            fields = service.default_fields(date=not flags & OWN_DATE, server=not flags & OWN_SERVER)
        if not self.keep_alive:
            return fields + b"connection: close\r\n"
        return fields if self.head.minor else fields + b"connection: keep-alive\r\n"

    def _write_body(self, body: bytes, more: bool) -> None:
        """Write a part of the body in its framing; flush the last; raises if the length is not the announced one."""
        framing, size, connection = self._framing, len(body), self.connection
        if framing == LENGTH:
            self._check_length(size, more)
            self._remaining -= size
        if size and framing != NOTHING:
            self.sent += size
            if framing == CHUNKED:
                connection.write_soon(b"%x\r\n" % size, body, b"\r\n")
            else:
                connection.write_soon(body)
        if not more:
            self._write_end()

    def _write_end(self) -> None:
        ends_here = self._framing == CHUNKED and not self._flags & TRAILERS
        self.connection.write_together(LAST_CHUNK if ends_here else b"")


class HTTP1Cycle(HTTP1Framing, ExtendedCycle):
    """Request/response cycle over HTTP/1.1."""

    def _write_hint(self, block: bytes) -> None:
        self.connection.write(b"HTTP/1.1 103 Early Hints\r\n" + block + b"\r\n")

    async def _write_file(self, fd: int, offset: int, count: int, *, more: bool) -> None:
        connection = self.connection
        if not self.committed:
            self._write_head(count, more)
        if self._framing == LENGTH:
            self._check_length(count, more)
            self._remaining -= count
        if count and self._framing != NOTHING:
            if self._framing == CHUNKED:
                connection.write_soon(b"%x\r\n" % count)
            await send_file(connection, fd, offset, count)
            self.sent += count
            if self._framing == CHUNKED:
                connection.write_soon(b"\r\n")

    def _write_trailers(self, block: bytes) -> None:
        if self._framing == CHUNKED:
            fields = block if self.head.accepts_trailers else b""
            self.connection.write_together(LAST_CHUNK[:-2] + fields + b"\r\n")


class HTTP1WebSocketCycle(HTTP1Framing, WebSocketCycle):
    """WebSocket cycle over HTTP/1.1."""
