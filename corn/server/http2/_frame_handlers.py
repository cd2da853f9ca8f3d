"""What each frame of a peer's means (RFC 9113, 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http.errors import HTTPError
from corn.server.http2.flood_guard import ABANDONED, FAULT, TRIFLE
from corn.server.http2.frames import (
    ACK,
    DATA,
    DEFAULT_TABLE,
    END_STREAM,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_STREAM,
    PING,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ErrorCode,
    HTTP2ConnectionError,
    HTTP2StreamError,
    MalformedRequestError,
    frame,
    number,
    read_settings,
    unpadded,
)
from corn.server.http2.header_codec import FieldDecoder
from corn.server.http2.request_head import read_trailers
from corn.server.http2.stream_table import StreamTable

TOO_LARGE = 2  # a header list of up to so many times the limit is decoded, to be answered with 431

_PING_SIZE = 8
_PRIORITY_SIZE = 5
_GOAWAY_SIZE = 8


class FrameHandlers(StreamTable):
    """A connection as far as the frames go that it receives."""

    __slots__ = ("_decoder", "_settled")

    def __init__(self, service: ServerContext, ends: Endpoints) -> None:
        super().__init__(service, ends)
        self._decoder = FieldDecoder(TOO_LARGE * service.limit_header_size)
        self._settled = False  # the peer's first SETTINGS have come

    def take_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Do what a frame asks for; raises ConnectionFault."""
        if not self._settled and (kind != SETTINGS or flags & ACK):
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        try:
            self._HANDLERS.get(kind, FrameHandlers._take_unknown)(self, flags, stream, payload)
        except HTTP2StreamError as fault:
            self.patience.spend(FAULT, self.service.clock.now)
            self._end_for(stream, fault.code)

    def pinged_back(self, payload: bytes) -> None:
        """A PING was answered."""
        raise NotImplementedError

    def peer_leaves(self) -> None:
        """The peer has said that it leaves."""
        raise NotImplementedError

    def apply_settings(self, payload: bytes) -> None:
        """Take over the peer's settings; raises ConnectionFault."""
        settings = read_settings(payload)
        window = settings.get(INITIAL_WINDOW_SIZE, self.initial_window)
        change, self.initial_window = window - self.initial_window, window
        if settings.get(HEADER_TABLE_SIZE, DEFAULT_TABLE) < DEFAULT_TABLE:
            self.limit_table()
        try:
            for stream in self.streams.values():
                stream.open_window(change)
        except HTTP2StreamError as fault:
            raise HTTP2ConnectionError(fault.code, fault.reason) from None

    def _trifle(self, amount: int = TRIFLE) -> None:
        self.patience.spend(amount, self.service.clock.now)

    def _end_for(self, number: int, code: ErrorCode) -> None:
        stream = self.streams.get(number)
        if stream is None:
            self.reset_stream(number, code)
        else:
            self.end_stream(stream, code)

    # Frames of streams

    def _take_headers(self, flags: int, number: int, block: bytes) -> None:
        fields = self._decoder.decode(block)  # in any case, to keep the table
        ends = bool(flags & END_STREAM)
        stream = self.streams.get(number)
        if stream is not None:
            if not ends or stream.received:
                raise HTTP2StreamError(
                    ErrorCode.STREAM_CLOSED if stream.received else ErrorCode.PROTOCOL_ERROR, "misplaced HEADERS"
                )
            read_trailers(fields)
            stream.take_data(b"", 0, ends=True)
        elif number > self._last and number & 1:
            self._last = number
            self.begin_stream(number, fields, ends=ends)
        elif not self.was_ended(number):
            raise HTTP2ConnectionError(
                ErrorCode.STREAM_CLOSED if number & 1 else ErrorCode.PROTOCOL_ERROR, "misplaced HEADERS"
            )

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        size, data = len(payload), unpadded(flags, payload)
        self.take(size)
        stream = self.stream(number)
        ends = bool(flags & END_STREAM)
        if not data and not ends:
            self._trifle()
        if stream is not None:
            try:
                stream.take_data(data, size, ends=ends)
            except HTTPError as refusal:
                stream.refuse(refusal)
            return
        self.give_back(size)
        if not self.was_ended(number):
            raise HTTP2StreamError(ErrorCode.STREAM_CLOSED, "DATA on a stream that has ended")

    def _take_reset(self, _: int, stream_number: int, payload: bytes) -> None:
        number(payload)
        stream = self.stream(stream_number)
        self._trifle(TRIFLE if stream is None else ABANDONED)
        if stream is not None:
            self.drop_stream(stream)

    def _take_priority(self, _: int, stream: int, payload: bytes) -> None:
        self._trifle()
        if not stream:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PRIORITY on no stream")
        if len(payload) != _PRIORITY_SIZE:
            raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY of the wrong size")
        if int.from_bytes(payload[:4], "big") & MAX_STREAM == stream:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")

    def _take_window_update(self, _: int, stream_number: int, payload: bytes) -> None:
        increment = number(payload)
        self._trifle()
        if not stream_number:
            if not increment:
                raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a WINDOW_UPDATE by 0")
            self.open_window(increment)
            return
        stream = self.stream(stream_number)
        if stream is not None:
            if not increment:
                raise MalformedRequestError("a WINDOW_UPDATE by 0")
            stream.open_window(increment)
            self.send_waiting()

    # Frames of the connection

    def _take_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & ACK:
            if payload:
                raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with a payload")
            return
        self._trifle(TRIFLE + len(payload) // 60)
        self._settled = True
        self.apply_settings(payload)
        self.write_soon(frame(SETTINGS, ACK, 0, b""))
        self.send_waiting()

    def _take_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != _PING_SIZE:
            raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "PING of the wrong size")
        self._trifle()
        if flags & ACK:
            self.pinged_back(payload)
        else:
            self.write_soon(frame(PING, ACK, 0, payload))

    def _take_goaway(self, _: int, stream: int, payload: bytes) -> None:
        if stream:
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < _GOAWAY_SIZE:
            raise HTTP2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY of the wrong size")
        self.peer_leaves()

    def _take_push_promise(self, _: int, __: int, ___: bytes) -> None:
        raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "a client does not push")

    def _take_unknown(self, _: int, __: int, ___: bytes) -> None:
        """RFC 9113, 5.5: a frame of an extension that corn does not know."""
        self._trifle()

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
