"""HTTP/2 response writer: a header block, and DATA frames."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from corn.server.asgi.cycle import RequestCycle
from corn.server.asgi.extensions import ExtendedCycle
from corn.server.asgi.types import ClientDisconnected, Message
from corn.server.http.response_fields import NO_BODY, TRAILERS
from corn.server.http2.header_codec import ENCODED_LINES, ENCODED_STATUS, encode_field, encode_lines
from corn.server.websocket.cycle import WebSocketCycle

if TYPE_CHECKING:
    from corn.server.http2.stream import Stream

_PIECE = 65536  # bytes of a file that are read at a time


class HTTP2Framing(RequestCycle):
    """Writer of one response."""

    connection: Stream
    _is_silent = False  # the response has no body, whatever the application sends

    def _write_first(self, body: bytes, more: bool) -> None:
        self._write_head(body, len(body), more=more)

    def _write_head(self, body: bytes, size: int, *, more: bool) -> None:
        """Write the head of a response and the first `size` bytes of its body."""
        stream, flags = self.connection, self._flags
        block = ENCODED_STATUS[self.status] + ENCODED_LINES[self._block]
        if flags & NO_BODY or self.head.method == "HEAD":
            self._is_silent = True
            body = b""
        elif self._remaining >= 0:
            self._check_length(size, more)
            self._remaining -= len(body)
        elif not more and not flags & TRAILERS:
            block += encode_field(b"content-length", b"%d" % size)
            self._remaining = size - len(body)
        self.committed = True
        self.sent += len(body)
        ends = self._is_silent or (size == len(body) and not (more or flags & TRAILERS))
        stream.respond(block + stream.connection.default_fields(flags), body, end=ends)

    def _write_body(self, body: bytes, more: bool) -> None:
        if self._is_silent:
            return
        size = len(body)
        if self._remaining >= 0:
            self._check_length(size, more)
            self._remaining -= size
        ends = not (more or self._flags & TRAILERS)
        if size or ends:
            self.sent += size
            self.connection.send(body, end=ends)


class HTTP2Cycle(HTTP2Framing, ExtendedCycle):
    """Request/response cycle over HTTP/2."""

    def _give_body(self) -> Message:
        message = super()._give_body()
        if not message["more_body"]:
            self.connection.resume_body()
        return message

    def _write_hint(self, block: bytes) -> None:
        self.connection.inform(ENCODED_STATUS[103] + ENCODED_LINES[block])

    async def _write_file(self, fd: int, offset: int, count: int, *, more: bool) -> None:
        if not self.committed:
            self._write_head(b"", count, more=more)
        elif self._remaining >= 0:
            self._check_length(count, more)
        end = offset + count
        while offset < end and not self._is_silent:
            data = os.pread(fd, min(end - offset, _PIECE), offset)
            if not data:
                raise RuntimeError("the file became shorter while it was sent")
            offset += len(data)
            self._write_body(data, more=True)
            if self.connection.write_paused:
                await self.connection.drained()
            if self.gone:
                raise ClientDisconnected

    def _write_trailers(self, block: bytes) -> None:
        if not self._is_silent:
            self.connection.send_trailers(encode_lines(block))


class HTTP2WebSocketCycle(HTTP2Framing, WebSocketCycle):
    """WebSocket cycle over HTTP/2."""

    opened_by = 200  # RFC 8441, 5
