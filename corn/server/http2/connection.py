"""One connection of HTTP/2, from its preface to its GOAWAY (RFC 9113, 3.4, 5.4 and 6).

Its end is told in steps, since the peer may be sending requests at this moment:

    leaving   GOAWAY that refuses nothing, and a PING; what the peer has sent by then is served
    left      the PING is answered, or its time is over: GOAWAY that names the last stream, and no more are taken
"""

from __future__ import annotations

import asyncio
import math
import socket
from typing import cast

from corn.logs import logger
from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http._error_response import error_response
from corn.server.http.errors import HTTPError
from corn.server.http.head import RequestHead
from corn.server.http2._frame_handlers import TOO_LARGE, FrameHandlers
from corn.server.http2.frames import (
    INITIAL_WINDOW,
    MAX_STREAM,
    PING,
    PREFACE,
    SETTINGS,
    ErrorCode,
    FrameReader,
    HTTP2ConnectionError,
    frame,
    goaway,
    own_settings,
    window_update,
)
from corn.server.http2.stream import Stream
from corn.server.lingering_close import close_lingering

_LEAVING = b"leaving\0"  # the PING whose answer says that the peer has seen the first GOAWAY
_ROUND_TRIP = 1.0  # seconds for it
_ANSWER_TO_HTTP1 = HTTPError(505, "this port speaks HTTP/2 only")


class HTTP2Connection(FrameHandlers):
    """A connection that begins with the preface of a client."""

    __slots__ = ("_greeted", "_head_due", "_held", "_leave_at", "_leaving", "_peer_left", "_reader")

    def __init__(self, service: ServerContext, sock: socket.socket, ends: Endpoints) -> None:  # noqa: ARG002 - as of HTTP/1.1
        super().__init__(service, ends)
        self._reader = FrameReader(TOO_LARGE * service.limit_header_size)
        self._held = b""  # of a preface that is not complete
        self._greeted = False  # the preface has come
        self._head_due = math.inf  # for a frame that is not complete
        self._leave_at = math.inf
        self._leaving = False
        self._peer_left = False

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        service = self.service
        service.connections.add(self)
        opening = frame(SETTINGS, 0, 0, own_settings(service.config))
        if self.receive_window > INITIAL_WINDOW:
            opening += window_update(0, self.receive_window - INITIAL_WINDOW)
        self.write(opening)
        if service.draining:
            self.linger_until(service.clock.now + _ROUND_TRIP, service.clock.now + _ROUND_TRIP)

    def begin_upgraded(self, head: RequestHead, settings: bytes) -> None:
        """Answer on stream 1 the request with which HTTP/1.1 was left (RFC 7540, 3.2). Raises ConnectionFault."""
        self.apply_settings(settings)
        self._last = 1
        stream = Stream(self, 1, received=True)
        try:
            self.begin_request(stream, head)
        except HTTPError as refusal:
            self._add(stream)
            stream.refuse(refusal)

    def data_received(self, data: bytes) -> None:
        try:
            if not self._greeted:
                data = self._take_preface(data)
            for kind, flags, stream, payload in self._reader.feed(data):
                self.take_frame(kind, flags, stream, payload)
                if self.is_over:
                    return
        except HTTP2ConnectionError as fault:
            self._fail(fault)
            return
        if self._reader.is_amid_head:
            if self._head_due == math.inf:
                self._head_due = self.due(self.service.config.timeout_header)
        elif self._head_due < math.inf:
            self._head_due = math.inf
            self.look_again()

    def _take_preface(self, data: bytes) -> bytes:
        """What comes after the preface, once that is complete. Raises ConnectionFault for another beginning."""
        data, self._held = self._held + data, b""
        if data.startswith(PREFACE):
            self._greeted = True
            return data[len(PREFACE) :]
        if not PREFACE.startswith(data):
            if data[:1].isalpha():
                self._left = True
                self.write(error_response(_ANSWER_TO_HTTP1, self.service.defaults))
                self._close()
                return b""
            raise HTTP2ConnectionError(ErrorCode.PROTOCOL_ERROR, "no preface of HTTP/2")
        self._held = data
        return b""

    def eof_received(self) -> bool:
        """Whether to stay open, for responses that are due: the peer may have closed its sending side only."""
        self._peer_left = True
        for stream in list(self.streams.values()):
            stream.hang_up()
        return bool(self.streams)

    def pinged_back(self, payload: bytes) -> None:
        """A PING was answered."""
        if payload == _LEAVING and self._leaving:
            self._leave_for_good()

    def peer_leaves(self) -> None:
        """The peer has said that it leaves."""
        self._peer_left = True
        if not self.streams:
            self._close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        self.service.closed(self)
        self._peer_left = self.is_over = True
        self._drop_streams()

    def resume_writing(self) -> None:
        self.look_again()
        super().resume_writing()

    # What the worker asks for

    def expire(self) -> None:
        now = self.service.clock.now
        if self.write_paused or self.transport.is_closing():
            self.abort()
        elif not (self.streams or self._reader.is_amid_head or self._leave_at < math.inf):
            self._close()
        elif self._head_due <= now:
            self._fail(HTTP2ConnectionError(ErrorCode.NO_ERROR, "a frame did not arrive in time"))
        else:
            for stream in list(self.streams.values()):
                stream.expire(now)
            if self._leave_at <= now:
                self._leave()
            if not self.is_over:
                self.look_again()

    def linger_until(self, first: float, idle: float) -> None:
        if not self._leaving:
            self._leave_at = min(self._leave_at, idle if self._last else first)
            self.deadline = min(self.deadline, self._leave_at)

    @property
    def is_busy(self) -> bool:
        return bool(self.streams)

    def abort(self) -> None:
        self.transport.abort()

    # The end

    def rest(self) -> None:
        if self._left or self._peer_left:
            self._close()
        else:
            self.look_again()

    def look_again(self) -> None:
        """Set the deadline to the next that there is."""
        dues = [min(stream.body_due, stream.send_due) for stream in self.streams.values()]
        idle = math.inf if self.streams else self.service.idle_deadline
        self.deadline = min(self._head_due, self._leave_at, idle, *dues)

    def _leave(self) -> None:
        if not self._leaving:
            self._leaving = True
            self._leave_at = self.service.clock.now + _ROUND_TRIP
            self.write(goaway(MAX_STREAM, ErrorCode.NO_ERROR) + frame(PING, 0, 0, _LEAVING))
        else:
            self._leave_for_good()

    def _leave_for_good(self) -> None:
        if not self._left:
            self._left, self._leave_at = True, math.inf
            self.write(goaway(self._last, ErrorCode.NO_ERROR))
            if not self.streams:
                self._close()

    def _fail(self, fault: HTTP2ConnectionError) -> None:
        """End the connection for a fault of the peer's."""
        client = self.ends.client
        level = logger.warning if fault.code == ErrorCode.ENHANCE_YOUR_CALM else logger.debug
        level("the HTTP/2 connection of %s was ended: %s", client[0] if client else "a peer", fault.reason)
        self._left = True
        self.write(goaway(self._last, fault.code, fault.reason))
        self._close()

    def _close(self) -> None:
        """Close after all that was written."""
        if self.is_over:
            return
        if not self._left:
            self._left = True
            self.write(goaway(self._last, ErrorCode.NO_ERROR))
        self.flush()
        self.is_over = True
        self.service.connections.discard(self)
        close_lingering(self.service, self.transport)
        self._drop_streams()

    def _drop_streams(self) -> None:
        for stream in list(self.streams.values()):
            self.drop_stream(stream)
