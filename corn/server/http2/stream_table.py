"""HTTP/2 stream table: open streams, and those that ended recently (RFC 9113, 5.1).

A stream is in the table from its HEADERS until both sides have ended it, or one has reset it. A stream that corn has
ended while the peer may be sending is remembered for a while (`was_ended`): frames that still arrive for it are
ignored.

An application that keeps running after its stream was reset still counts as a stream (`_abandoned`). So the work in
progress for a connection is bounded by `--http2-max-concurrent-streams`, however fast the peer resets streams.

Invariant: a stream that was removed refers to no cycle, and the table of a closed connection to no connection. So no
circle of references keeps a stream or a connection until the garbage collector runs, which counts objects and not
bytes. The cycle refers to the stream for as long as the application runs.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from corn.server.asgi.cycle import RequestCycle
from corn.server.asgi.scope import http_scope
from corn.server.http.errors import HTTPError
from corn.server.http.head import RequestHead
from corn.server.http2.field_decoder import Fields
from corn.server.http2.frames import ErrorCode, HTTP2ConnectionError, HTTP2StreamError, MalformedRequestError, reset
from corn.server.http2.request_head import HeadReader
from corn.server.http2.response import HTTP2Cycle, HTTP2WebSocketCycle
from corn.server.http2.stream import Stream, StreamConnection
from corn.server.websocket.handshake import read_offer

_MAX_ENDED = 256
_MAX_SKIPPED = 16


class TableConnection(StreamConnection, Protocol):
    """Interface of the connection for the table."""

    def set_deadline(self) -> None:
        """Called when the first stream is open."""

    def all_streams_ended(self) -> None:
        """Called when the last stream has ended."""


class StreamTable:
    """Streams of one connection, by number."""

    __slots__ = (
        "_abandoned",
        "_connection",
        "_ended",
        "_heads",
        "_limit",
        "_skipped",
        "by_number",
        "is_closed",
        "last",
    )

    def __init__(self, connection: TableConnection) -> None:
        self.by_number: dict[int, Stream] = {}
        self.last = 0  # the highest number that the peer has used
        self.is_closed = False  # the last stream was announced; no more are accepted
        self._connection = connection
        service = connection.service
        self._limit = service.config.http2_max_concurrent_streams
        self._heads = HeadReader(service.limit_header_size, service.limit_header_count)
        self._skipped: list[range] = []
        self._ended: dict[int, None] = {}
        self._abandoned: set[asyncio.Task[None]] = set()

    def begin(self, number: int, fields: Fields, *, ends: bool) -> None:
        """Open a stream with a request; raises HTTP2StreamError for a malformed one."""
        connection = self._connection
        service = connection.service
        if number > self.last + 2:
            self._skipped = [*self._skipped[-_MAX_SKIPPED:], range(self.last + 2 if self.last else 1, number, 2)]
        self.last = number
        if self.is_closed:
            raise HTTP2StreamError(ErrorCode.REFUSED_STREAM, "the connection is closing")
        if len(self.by_number) + self._count_abandoned() >= self._limit:
            raise HTTP2StreamError(ErrorCode.REFUSED_STREAM, "too many streams")
        stream = Stream(connection, number, received=ends)
        try:
            head = self._heads.read(fields, ends=ends)
            self._begin_request(stream, head)
        except HTTPError as refusal:
            self._add(stream)
            stream.refuse(refusal)
        except MalformedRequestError as fault:
            if service.access is not None:
                service.access.refused(connection.ends.client, HTTPError(400, fault.reason))
            raise

    def begin_upgraded(self, head: RequestHead) -> None:
        """Open stream 1 with the request that asked HTTP/1.1 for an upgrade (RFC 7540, 3.2)."""
        self.last = 1
        stream = Stream(self._connection, 1, received=True)
        try:
            self._begin_request(stream, head)
        except HTTPError as refusal:
            self._add(stream)
            stream.refuse(refusal)

    def _begin_request(self, stream: Stream, head: RequestHead) -> None:
        """Call the application; raises HTTPError."""
        connection = self._connection
        service = connection.service
        scope = http_scope(head, connection.ends, service.template)
        scope["http_version"] = "2"
        if head.forwarded or service.request_ids is not None:
            service.apply_forwarded_fields(head, scope, connection.ends.client)
        if len(service.running) >= service.limit_concurrency:
            raise HTTPError(503, "too many concurrent requests")
        stream.expect(head)
        if not head.upgrade:
            stream.cycle = HTTP2Cycle(service, stream, head, scope)
            stream.cycle.arriving = not stream.received
        elif head.upgrade == b"websocket" and service.opens_websockets:
            stream.cycle = HTTP2WebSocketCycle(service, stream, head, scope, read_offer(head.headers))
        else:
            raise HTTPError(501, "protocol not implemented")  # RFC 9220, 3
        self._add(stream)
        stream.cycle.begin()

    def find(self, number: int) -> Stream | None:
        """Stream with a number, None if it has ended; raises HTTP2ConnectionError if it was never opened."""
        stream = self.by_number.get(number)
        if stream is None and (number > self.last or not number & 1):
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame on a stream that has not begun")
        return stream

    def was_ended(self, number: int) -> bool:
        """True if corn has ended the stream, which the peer may not know yet."""
        return number in self._ended

    def was_skipped(self, number: int) -> bool:
        """True if the peer has skipped the number, which it must not use later (RFC 9113, 5.1.1)."""
        return any(number in each for each in self._skipped)

    def complete(self, stream: Stream) -> None:
        """Remove a stream whose response is sent; the rest of its request is refused (RFC 9113, 8.1)."""
        if not stream.received:
            self.reset(stream.number, ErrorCode.NO_ERROR)
        self._remove(stream)
        cycle, stream.cycle = stream.cycle, None
        if cycle is not None and cycle.gone:  # corn has answered in place of the application
            self._abandon(cycle)

    def end(self, stream: Stream, code: ErrorCode) -> None:
        """Reset a stream that both sides still know."""
        self.reset(stream.number, code)
        self.drop(stream)

    def drop(self, stream: Stream) -> None:
        """Remove a stream that one side has reset."""
        self._remove(stream)
        stream.lost()
        cycle, stream.cycle = stream.cycle, None
        if cycle is not None:
            self._abandon(cycle)

    def drop_all(self) -> None:
        for stream in list(self.by_number.values()):
            self.drop(stream)

    def close(self) -> None:
        """Drop all streams and the connection, which is over; no other method may be called any more."""
        self.drop_all()
        del self._connection

    def reset(self, number: int, code: ErrorCode) -> None:
        """Send RST_STREAM, and remember the stream, because the peer does not know of the reset yet."""
        self._connection.write_soon(reset(number, code))
        self._ended[number] = None
        if len(self._ended) > _MAX_ENDED:
            del self._ended[next(iter(self._ended))]

    def _add(self, stream: Stream) -> None:
        was_idle = not self.by_number
        self.by_number[stream.number] = stream
        if was_idle:
            self._connection.set_deadline()

    def _remove(self, stream: Stream) -> None:
        if self.by_number.pop(stream.number, None) is None:
            return
        stream.detach()
        if not self.by_number:
            self._connection.all_streams_ended()

    def _abandon(self, cycle: RequestCycle) -> None:
        if not cycle.task.done():
            self._abandoned.add(cycle.task)

    def _count_abandoned(self) -> int:
        if self._abandoned:
            self._abandoned = {task for task in self._abandoned if not task.done()}
        return len(self._abandoned)
