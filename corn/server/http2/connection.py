"""HTTP/2 connection, from its preface to its GOAWAY (RFC 9113, 3.4, 5.4 and 6).

It closes in two steps, because the peer may be sending requests at this moment:

    draining  send a GOAWAY that allows all streams, and a PING; requests that arrive meanwhile are served
    closed    after the answer to the PING, or its timeout: send a GOAWAY with the last stream, and accept no more

While the socket cannot be written to, it is not read either: a peer that sends pings without reading the answers is
not served.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from typing import Any, ClassVar, cast

from corn.logs import logger
from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http.errors import HTTPError, error_response
from corn.server.http.head import RequestHead
from corn.server.http.response_fields import OWN_DATE, OWN_SERVER
from corn.server.http2.field_decoder import FieldDecoder
from corn.server.http2.flood_guard import ABANDONED, FAULT, FIELDS_A_TRIFLE, TRIFLE, FloodGuard
from corn.server.http2.frames import (
    ACK,
    DATA,
    DEFAULT_TABLE,
    END_STREAM,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW,
    INITIAL_WINDOW_SIZE,
    MAX_STREAM,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ErrorCode,
    FrameReader,
    HTTP2ConnectionError,
    HTTP2StreamError,
    MalformedRequestError,
    frame,
    goaway,
    number,
    own_settings,
    read_settings,
    unpadded,
    window_update,
)
from corn.server.http2.header_codec import EMPTY_TABLE, ENCODED_LINES, encode_lines
from corn.server.http2.request_head import read_trailers
from corn.server.http2.send_scheduler import ReceiveWindow, SendScheduler
from corn.server.http2.stream_table import StreamTable
from corn.server.lingering_close import close_lingering
from corn.server.write_buffer import BufferedProtocol

_TOO_LARGE = 2  # header lists up to this multiple of the limit are decoded, to be answered with 431
_DRAIN_PING = b"leaving\0"  # payload of the PING whose answer shows that the peer has received the first GOAWAY
_ROUND_TRIP_TIMEOUT = 1.0  # seconds for that answer
_ANSWER_TO_HTTP1 = HTTPError(505, "this port speaks HTTP/2 only")

_PSEUDO_FIELDS = 5  # at most, in a request; --limit-header-count does not count them
_PING_SIZE = 8
_PRIORITY_SIZE = 5
_GOAWAY_SIZE = 8


class HTTP2Connection(BufferedProtocol):
    """HTTP/2 connection of a client, from its preface on."""

    __slots__ = (
        "_decoder",
        "_drain_at",
        "_greeted",
        "_head_due",
        "_held",
        "_is_draining",
        "_is_over",
        "_peer_closed",
        "_reader",
        "_settled",
        "_window",
        "ends",
        "guard",
        "initial_window",
        "prefix",
        "scheduler",
        "streams",
    )

    def __init__(self, service: ServerContext, sock: socket.socket, ends: Endpoints) -> None:  # noqa: ARG002 - as of HTTP/1.1
        super().__init__(service)
        self.ends = ends
        self.guard = FloodGuard(service.clock.now)
        self.scheduler = SendScheduler()
        self.initial_window = INITIAL_WINDOW  # of each new stream, for sending
        self.streams = StreamTable(self)
        self._window = ReceiveWindow(service.config.http2_initial_connection_window_size)
        config, most = service.config, _TOO_LARGE * service.limit_header_size
        self._reader = FrameReader(most, config.http2_max_frame_size, config.http2_initial_stream_window_size)
        self._decoder = FieldDecoder(most)
        self.prefix = b""  # of the next header block
        self._held = b""  # part of an incomplete preface
        self._greeted = False  # the preface has been received
        self._settled = False  # the peer's first SETTINGS have been received
        self._head_due = math.inf  # deadline for an incomplete frame
        self._drain_at = math.inf
        self._is_draining = False
        self._peer_closed = False
        self._is_over = False  # nothing more can be written

    # Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        service = self.service
        service.connections.add(self)
        opening = frame(SETTINGS, 0, 0, own_settings(service.config))
        if self._window.left > INITIAL_WINDOW:
            opening += window_update(0, self._window.left - INITIAL_WINDOW)
        self.write(opening)
        if service.draining:
            at = service.clock.now + _ROUND_TRIP_TIMEOUT
            self.linger_until(at, at)

    def begin_upgraded(self, head: RequestHead, settings: bytes) -> None:
        """Serve the request that upgraded from HTTP/1.1 on stream 1. Raises HTTP2ConnectionError."""
        self._apply_settings(settings)
        self.streams.begin_upgraded(head)

    def data_received(self, data: bytes) -> None:
        try:
            if not self._greeted:
                data = self._take_preface(data)
            for kind, flags, stream, payload in self._reader.feed(data):
                self._take_frame(kind, flags, stream, payload)
                if self._is_over:
                    return
        except HTTP2ConnectionError as fault:
            self._fail(fault)
            return
        if self._reader.is_amid_head:
            if self._head_due == math.inf:
                self._head_due = self.due(self.service.config.timeout_header)
        elif self._head_due < math.inf:
            self._head_due = math.inf
            self.set_deadline()

    def _take_preface(self, data: bytes) -> bytes:
        """Return the bytes after a complete preface. Raises HTTP2ConnectionError for other first bytes."""
        data, self._held = self._held + data, b""
        if data.startswith(PREFACE):
            self._greeted = True
            return data[len(PREFACE) :]
        if not PREFACE.startswith(data):
            if data[:1].isalpha():
                self.streams.is_closed = True
                self.write(error_response(_ANSWER_TO_HTTP1, self.service.defaults))
                self._close()
                return b""
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "no preface of HTTP/2")
        self._held = data
        return b""

    def eof_received(self) -> bool:
        """Return True to stay open for pending responses: the peer may have closed only its sending side."""
        self._peer_closed = True
        for stream in list(self.streams.by_number.values()):
            stream.half_closed()
        return bool(self.streams.by_number)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        self.shut_down()
        self.service.closed(self)
        if not self._is_over:
            self._peer_closed = self._is_over = True
            self.streams.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.scheduler.is_paused = True
        if self.transport.is_reading() and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.scheduler.is_paused = False
        self.set_deadline()
        self.read_on()
        self.scheduler.send_waiting()

    # Frames

    def _take_frame(self, kind: int, flags: int, stream_number: int, payload: bytes) -> None:
        """Handle one frame; raises HTTP2ConnectionError."""
        if not self._settled and (kind != SETTINGS or flags & ACK):
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        try:
            self._HANDLERS.get(kind, HTTP2Connection._take_unknown)(self, flags, stream_number, payload)
        except HTTP2StreamError as fault:
            self._spend(FAULT)
            if self._is_over:
                return
            stream = self.streams.by_number.get(stream_number)
            if stream is None:
                self.streams.reset(stream_number, fault.code)
            else:
                self.streams.end(stream, fault.code)

    def _spend(self, amount: int = TRIFLE) -> None:
        self.guard.spend(amount, self.service.clock.now)

    def _take_headers(self, flags: int, stream_number: int, block: bytes) -> None:
        fields = self._decoder.decode(block)  # in any case, to keep the table in step
        excess = len(fields) - self.service.limit_header_count
        if excess > _PSEUDO_FIELDS:  # a field may cost the peer one byte, and corn its decoding
            self._spend(excess // FIELDS_A_TRIFLE)
        ends, streams = bool(flags & END_STREAM), self.streams
        stream = streams.by_number.get(stream_number)
        if stream is not None:
            if not ends or stream.received:
                raise HTTP2StreamError(
                    ErrorCode.STREAM_CLOSED if stream.received else ErrorCode.PROTOCOL_ERROR, "misplaced HEADERS"
                )
            read_trailers(fields)
            stream.take_data(b"", 0, ends=True)
        elif stream_number > streams.last and stream_number & 1:
            streams.begin(stream_number, fields, ends=ends)
        elif streams.was_ended(stream_number):
            self._spend()
        else:
            used = stream_number & 1 and not streams.was_skipped(stream_number)
            raise HTTP2ConnectionError(
                ErrorCode.STREAM_CLOSED if used else ErrorCode.PROTOCOL_ERROR, "misplaced HEADERS"
            )

    def _take_data(self, flags: int, stream_number: int, payload: bytes) -> None:
        size, data = len(payload), unpadded(flags, payload)
        if not self._window.take(size):
            raise HTTP2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more than the window allows")
        stream = self.streams.find(stream_number)
        ends = bool(flags & END_STREAM)
        if not data and (stream is None or not ends):
            self._spend()
        if stream is not None:
            try:
                stream.take_data(data, size, ends=ends)
            except HTTPError as refusal:
                stream.refuse(refusal)
            return
        self.give_back(size)
        if not self.streams.was_ended(stream_number):
            raise HTTP2StreamError(ErrorCode.STREAM_CLOSED, "DATA on a stream that has ended")

    def _take_reset(self, _: int, stream_number: int, payload: bytes) -> None:
        number(payload)
        stream = self.streams.find(stream_number)
        self._spend(TRIFLE if stream is None else ABANDONED)
        if stream is not None:
            self.streams.drop(stream)

    def _take_priority(self, _: int, stream_number: int, payload: bytes) -> None:
        self._spend()
        if not stream_number:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PRIORITY on no stream")
        if len(payload) != _PRIORITY_SIZE:
            raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY of the wrong size")
        if int.from_bytes(payload[:4], "big") & MAX_STREAM == stream_number:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")

    def _take_window_update(self, _: int, stream_number: int, payload: bytes) -> None:
        increment = number(payload)
        self._spend()
        if not stream_number:
            if not increment:
                raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a WINDOW_UPDATE by 0")
            self.scheduler.open_window(increment)
            return
        stream = self.streams.find(stream_number)
        if stream is not None:
            if not increment:
                raise MalformedRequestError("a WINDOW_UPDATE by 0")
            stream.open_window(increment)
            self.scheduler.send_waiting()

    def _take_settings(self, flags: int, stream_number: int, payload: bytes) -> None:
        if stream_number:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & ACK:
            if payload:
                raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with a payload")
            self._spend()
            return
        self._spend(TRIFLE + len(payload) // 60)
        self._settled = True
        self._apply_settings(payload)
        self.write_soon(frame(SETTINGS, ACK, 0, b""))
        self.scheduler.send_waiting()

    def _apply_settings(self, payload: bytes) -> None:
        settings = read_settings(payload)
        window = settings.get(INITIAL_WINDOW_SIZE, self.initial_window)
        change, self.initial_window = window - self.initial_window, window
        if settings.get(HEADER_TABLE_SIZE, DEFAULT_TABLE) < DEFAULT_TABLE:
            self.prefix = EMPTY_TABLE  # corn uses no dynamic table, and announces that in its next header block
        try:
            for stream in self.streams.by_number.values():
                stream.open_window(change)
        except HTTP2StreamError as fault:
            raise HTTP2ConnectionError(fault.code, fault.reason) from None

    def _take_ping(self, flags: int, stream_number: int, payload: bytes) -> None:
        if stream_number:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != _PING_SIZE:
            raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "PING of the wrong size")
        self._spend()
        if not flags & ACK:
            self.write_soon(frame(PING, ACK, 0, payload))
        elif payload == _DRAIN_PING and self._is_draining:
            self._close_when_idle()

    def _take_goaway(self, _: int, stream_number: int, payload: bytes) -> None:
        if stream_number:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < _GOAWAY_SIZE:
            raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY of the wrong size")
        self._spend()
        self._peer_closed = True
        if not self.streams.by_number:
            self._close()

    def _take_push_promise(self, _: int, __: int, ___: bytes) -> None:
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a client does not push")

    def _take_unknown(self, _: int, __: int, ___: bytes) -> None:
        """Ignore a frame of an unknown extension (RFC 9113, 5.5)."""
        self._spend()

    _HANDLERS: ClassVar[dict[int, Callable[[Any, int, int, bytes], None]]] = {
        DATA: _take_data,
        HEADERS: _take_headers,
        PRIORITY: _take_priority,
        RST_STREAM: _take_reset,
        SETTINGS: _take_settings,
        PUSH_PROMISE: _take_push_promise,
        PING: _take_ping,
        GOAWAY: _take_goaway,
        WINDOW_UPDATE: _take_window_update,
    }

    # Streams

    def due(self, seconds: float) -> float:
        """Deadline in so many seconds, which the connection checks."""
        at = self.service.clock.now + seconds
        self.deadline = min(self.deadline, at)
        return at

    def default_fields(self, flags: int) -> bytes:
        """Fields that corn adds to a response with these flags of `encode_fields`."""
        service = self.service
        if flags & (OWN_DATE | OWN_SERVER):
            return encode_lines(service.default_fields(date=not flags & OWN_DATE, server=not flags & OWN_SERVER))
        return ENCODED_LINES[service.defaults]

    def give_back(self, size: int) -> None:
        """Open the receive window by `size` bytes."""
        increment = self._window.give_back(size)
        if increment:
            self.write_soon(window_update(0, increment))

    def write(self, data: bytes) -> None:
        """Write, unless the connection is closed."""
        if not (self._is_over or self.transport.is_closing()):
            super().write(data)

    def flush(self) -> None:
        """Write the buffer, unless the connection is closed."""
        if not (self._is_over or self.transport.is_closing()):
            super().flush()

    def all_streams_ended(self) -> None:
        if self.streams.is_closed or self._peer_closed:
            self._close()
        else:
            self.set_deadline()

    def set_deadline(self) -> None:
        """Set the deadline to the earliest; while writing is paused, the reading peer's deadline is kept."""
        if self.write_paused:
            return
        streams = self.streams.by_number
        deadlines = [min(stream.body_due, stream.send_due) for stream in streams.values()]
        idle = math.inf if streams else self.service.idle_deadline
        self.deadline = min(self._head_due, self._drain_at, idle, *deadlines)

    # Worker

    def expire(self) -> None:
        now, streams = self.service.clock.now, self.streams.by_number
        if self.write_paused or self.transport.is_closing():
            if not self.still_sends():
                self.abort()
        elif not (streams or self._reader.is_amid_head or self._drain_at < math.inf):
            self._close()
        elif self._head_due <= now:
            self._fail(HTTP2ConnectionError(ErrorCode.NO_ERROR, "a frame did not arrive in time"))
        else:
            for stream in list(streams.values()):
                stream.expire(now)
            if self._drain_at <= now:
                self._begin_drain()
            if not self._is_over:
                self.set_deadline()

    def linger_until(self, first: float, idle: float) -> None:
        if not self._is_draining:
            self._drain_at = min(self._drain_at, idle if self.streams.last else first)
            self.deadline = min(self.deadline, self._drain_at)

    @property
    def is_busy(self) -> bool:
        return bool(self.streams.by_number)

    # The end

    def _begin_drain(self) -> None:
        if not self._is_draining:
            self._is_draining = True
            self._drain_at = self.service.clock.now + _ROUND_TRIP_TIMEOUT
            self.write(goaway(MAX_STREAM, ErrorCode.NO_ERROR) + frame(PING, 0, 0, _DRAIN_PING))
        else:
            self._close_when_idle()

    def _close_when_idle(self) -> None:
        if not self.streams.is_closed:
            self.streams.is_closed, self._drain_at = True, math.inf
            self.write(goaway(self.streams.last, ErrorCode.NO_ERROR))
            if not self.streams.by_number:
                self._close()

    def _fail(self, fault: HTTP2ConnectionError) -> None:
        """Close the connection because of a protocol error of the peer."""
        client = self.ends.client
        level = logger.warning if fault.code == ErrorCode.ENHANCE_YOUR_CALM else logger.debug
        level("HTTP/2 connection of %s closed: %s", client[0] if client else "a peer", fault.reason)
        self.streams.is_closed = True
        self.write(goaway(self.streams.last, fault.code, fault.reason))
        self._close()

    def _close(self) -> None:
        """Close after the buffered output."""
        if self._is_over:
            return
        if not self.streams.is_closed:
            self.streams.is_closed = True
            self.write(goaway(self.streams.last, ErrorCode.NO_ERROR))
        self.flush()
        self._is_over = True
        self.service.connections.discard(self)
        close_lingering(self.service, self.transport)
        self.streams.close()
