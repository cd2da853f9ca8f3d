"""HTTP/2 stream: receives a request, and sends its response (RFC 9113, 5.1, 5.2 and 8.1).

Receiving: the windows of the stream and of the connection are reopened when the application receives the body, which
bounds the buffered data. The peer has a time budget for the body: `--timeout-body` at first, and more for the bytes
that it sends, by `--min-body-rate`. The budget only runs while the application waits for data.

Sending: data is sent at once if the windows of stream and connection and the socket allow it. Otherwise it is buffered
here, the application waits in `drained`, and the connection's scheduler lets its streams send one frame each in turn.
So the buffered data is bounded by the size of one message of the application.
"""

from __future__ import annotations

import asyncio
import math
from time import monotonic
from typing import Protocol

from corn.server.asgi.cycle import RequestCycle
from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http.errors import HTTPError, plain_response
from corn.server.http.head import RequestHead
from corn.server.http.response_fields import encode_fields
from corn.server.http2.flood_guard import RESPONSE, SENT, SHORT, FloodGuard
from corn.server.http2.frames import (
    DATA,
    HEADER,
    MAX_FRAME,
    MAX_WINDOW,
    ErrorCode,
    HTTP2StreamError,
    MalformedRequestError,
    header_frames,
    window_update,
)
from corn.server.http2.header_codec import encode_lines, encode_status
from corn.server.http2.send_scheduler import ReceiveWindow, SendScheduler
from corn.server.typing import Cycle, Session
from corn.server.write_buffer import WaiterList

_NOTHING = bytearray()  # stands for no data in every stream; never changed


class StreamOwner(Protocol):
    """Interface of the stream table for a stream."""

    def complete(self, stream: Stream) -> None:
        """Remove a stream whose response is sent."""

    def end(self, stream: Stream, code: ErrorCode) -> None:
        """Reset a stream that both sides still know."""


class StreamConnection(Protocol):
    """Interface of the connection for a stream."""

    service: ServerContext
    transport: asyncio.Transport
    write_paused: bool
    ends: Endpoints
    guard: FloodGuard
    scheduler: SendScheduler
    initial_window: int  # of each new stream, for sending
    prefix: bytes  # of the next header block

    @property
    def streams(self) -> StreamOwner:
        """Table that the stream is in."""

    def write_soon(self, *pieces: bytes) -> None:
        """Write frames together with the others of this iteration of the event loop."""

    def write_together(self, data: bytes) -> None:
        """Write with the other output of this iteration of the event loop, or now where that would delay it."""

    def flush_unless_held(self) -> None:
        """Write the buffer, unless responses are held until the end of this iteration."""

    def due(self, seconds: float) -> float:
        """Deadline in so many seconds, which the connection checks."""

    def give_back(self, size: int) -> None:
        """Open the connection's receive window by `size` bytes."""

    def default_fields(self, flags: int) -> bytes:
        """Fields that corn adds to a response with these flags of `encode_fields`."""


class Stream:
    """HTTP/2 stream: transport of a request cycle (`HTTPStream`), or of a WebSocket session (RFC 8441)."""

    __slots__ = (
        "_allowance",
        "_budget",
        "_early",
        "_ending",
        "_is_paused",
        "_left",
        "_session",
        "_trailers",
        "_undelivered",
        "_waiting",
        "_window",
        "_writers",
        "body_due",
        "connection",
        "cycle",
        "number",
        "received",
        "send_due",
        "send_window",
        "sent",
        "service",
        "transport",
        "unread",
        "write_paused",
    )

    def __init__(self, connection: StreamConnection, number: int, *, received: bool) -> None:
        self.connection = connection
        self.service = connection.service
        self.transport = connection.transport
        self.number = number
        self.cycle: RequestCycle | None = None
        # Receiving
        self.received = received  # END_STREAM
        self.body_due = math.inf  # on `Clock.now`, for the peer to send more of the body
        self.unread = 0  # bytes of the windows that the application has not taken
        self._window = None if received else ReceiveWindow(self.service.config.http2_initial_stream_window_size)
        self._allowance = self.service.config.timeout_body  # seconds left of the time budget for the body
        self._left = -1  # of the announced length
        self._budget = self.service.config.limit_body
        # Sending
        self.sent = False  # END_STREAM, or RST_STREAM from either side
        self.send_window = connection.initial_window
        self.send_due = math.inf  # on `Clock.now`, for the peer to make room for buffered data
        self.write_paused = False
        self._waiting = _NOTHING
        self._ending = False  # END_STREAM follows the buffered data
        self._trailers: bytes | None = None
        self._writers: WaiterList | None = None
        self._undelivered: Cycle | None = None  # finished, and the end of its response waits for room
        # A WebSocket
        self._early: bytearray | None = None  # data received before it is open
        self._session: Session | None = None
        self._is_paused = False

    # Receiving

    def expect(self, head: RequestHead) -> None:
        """Prepare for the body, if there is one. Raises HTTPError if it is too large."""
        if head.upgrade:
            self._early = bytearray()
        elif not self.received:
            if self._budget is not None and head.length > self._budget:
                raise HTTPError(413, "the body is too large")
            self._left = head.length if head.has_length else -1
            if not head.expects_continue:
                self._await_body()

    def take_data(self, data: bytes, size: int, *, ends: bool) -> None:
        """Take a part of the body; `size` is its flow-controlled size, padding included.

        Raises HTTP2StreamError, and HTTPError for a body that is too large.
        """
        self.unread += size
        if self.received or self._window is None:
            raise HTTP2StreamError(ErrorCode.STREAM_CLOSED, "DATA after the end of the request")
        if not self._window.take(size):
            raise HTTP2StreamError(ErrorCode.FLOW_CONTROL_ERROR, "more than the window allows")
        self._measure(len(data), ends=ends)
        self.received = ends
        if self.cycle is None:  # the request was refused, and the response waits for the window
            self._give_back(self.unread)
        elif self._session is not None:
            self._feed_session(self._session, data)
        elif self._early is not None:
            self._early += data
        else:
            self._feed_cycle(self.cycle, data, size - len(data))

    def resume_body(self) -> None:
        """Reopen the windows, because the application has received all data so far."""
        if self.unread:
            self._give_back(self.unread)
        if self.body_due == math.inf:
            self._await_body()

    def send_continue(self) -> None:
        self.inform(encode_status(100))
        self._await_body()

    def _measure(self, size: int, *, ends: bool) -> None:
        if self._left >= 0:
            self._left -= size
            if self._left < 0 or (ends and self._left):
                raise MalformedRequestError("the body is not as long as Content-Length says")
        if self._budget is not None and self._early is None:
            self._budget -= size
            if self._budget < 0:
                raise HTTPError(413, "the body is too large")

    def _feed_cycle(self, cycle: RequestCycle, data: bytes, padding: int) -> None:
        if padding:
            self._give_back(padding)
        self._add_allowance(len(data))
        cycle.feed(data, not self.received)

    def _feed_session(self, session: Session, data: bytes) -> None:
        session.feed(data)
        if self.received:
            session.lost()
        if not self._is_paused and self.unread:
            self._give_back(self.unread)

    def _await_body(self) -> None:
        """Start the timeout of the body, because the application waits for data."""
        self.body_due = math.inf if self.received else self.connection.due(self._allowance)

    def _add_allowance(self, size: int) -> None:
        """Count received bytes, and stop the timeout until the application has received them."""
        config = self.service.config
        most, rate = config.timeout_body, config.min_body_rate
        if self.body_due < math.inf:
            self._allowance = self.body_due - self.service.clock.now
        self._allowance = min(max(self._allowance, 0.0) + size / rate, most) if rate else most
        if self.unread:
            self.body_due = math.inf

    def _give_back(self, size: int) -> None:
        """Open both windows by `size` bytes."""
        self.unread -= size
        self.connection.give_back(size)
        increment = self._window.give_back(size) if self._window is not None and not self.received else 0
        if increment:
            self.connection.write_soon(window_update(self.number, increment))

    # Sending

    def inform(self, block: bytes) -> None:
        """Send an informational response (RFC 9110, 15.2)."""
        self._send_block(block, end=False)

    def respond(self, block: bytes, body: bytes, *, end: bool) -> None:
        """Send the head of a response, and the first part of its body; a whole response that has room, in one write."""
        if body and end and not self.sent and self._has_room(len(body)):
            self.connection.guard.earn(SENT)
            self._send_data(body, end=True, head=self._head_frames(block, end=False))
            return
        self._send_block(block, end=end and not body)
        if body:
            self.send(body, end=end)
        elif end:
            self._sent_all()

    def still_sends(self) -> bool:
        """True if data is buffered; a stream whose peer does not open the window ends at `send_due`."""
        return self.write_paused

    def send(self, data: bytes, *, end: bool) -> None:
        """Send a part of the body, or buffer it until the window allows it."""
        if self.sent:
            return
        if not self._waiting and self._has_room(len(data)):
            self.connection.guard.earn(SENT)
            self._send_data(data, end=end)
            return
        if self._waiting:
            self._waiting += data
        else:
            self._waiting = bytearray(data)
        self._ending = end
        if not self.write_paused:
            self.write_paused = True
            self.send_due = self.connection.due(self.service.config.timeout_send)
        self.connection.scheduler.enqueue(self)

    def send_trailers(self, block: bytes) -> None:
        """Send trailers after the buffered data, and end the stream."""
        if self._waiting:
            self._trailers, self._ending = block, True
        else:
            self._send_block(block, end=True)
            self._sent_all()

    def send_some(self) -> bool:
        """Send one frame of the buffered data; returns False if the window is too small."""
        size = min(len(self._waiting), MAX_FRAME, self.send_window, self.connection.scheduler.window)
        if size <= 0:
            return False
        data = bytes(self._waiting[:size])
        del self._waiting[:size]
        if size >= SHORT or not self._waiting:
            self.connection.guard.earn(SENT)
        if self._waiting:
            self._send_data(data, end=False)
            self._put_off(size)
            return True
        self._stop_waiting()
        self._send_data(data, end=self._ending and self._trailers is None)
        if self._trailers is not None:
            self.send_trailers(self._trailers)
        if self._session is not None:
            self._session.catch_up()
        return True

    def _put_off(self, sent: int) -> None:
        """Extend the peer's deadline to receive the buffered data, by --min-send-rate."""
        config, now = self.service.config, self.service.clock.now
        rate, most = config.min_send_rate, now + config.timeout_send
        self.send_due = min(self.send_due + sent / rate, most) if rate else most

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    async def drained(self) -> None:
        """Wait until no data is buffered; also returns when the stream has ended."""
        if self._writers is None:
            self._writers = WaiterList()
        await self._writers.wait()

    def open_window(self, increment: int) -> None:
        """Add to the send window; raises HTTP2StreamError where it would be larger than allowed."""
        self.send_window += increment
        if self.send_window > MAX_WINDOW:
            raise HTTP2StreamError(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large")

    def _sent_all(self) -> None:
        """Complete the stream: END_STREAM was sent."""
        if self.sent:  # or reset, or the connection is lost
            return
        self.sent = True
        self.connection.streams.complete(self)
        if self._session is not None:
            self._lose_session()
        if self._undelivered is not None:
            self._settle()

    def _stop_waiting(self) -> None:
        self.send_due = math.inf
        self.write_paused = False
        if self._writers is not None:
            self._writers.wake()

    def _has_room(self, size: int) -> bool:
        connection = self.connection
        if connection.write_paused or size > MAX_FRAME:
            return not size
        return not size or (size <= self.send_window and size <= connection.scheduler.window)

    def _send_block(self, block: bytes, *, end: bool) -> None:
        if not self.sent:
            self.connection.write_soon(self._head_frames(block, end=end))

    def _head_frames(self, block: bytes, *, end: bool) -> bytes:
        connection = self.connection
        prefix, connection.prefix = connection.prefix, b""
        return header_frames(self.number, prefix + block, end=end)

    def _send_data(self, data: bytes, *, end: bool, head: bytes = b"") -> None:
        """Send a part of the body that has room; with the frames of the head, it is the whole response."""
        connection, size = self.connection, len(data)
        self.send_window -= size
        connection.scheduler.window -= size
        first = HEADER.pack(size >> 8, size & 0xFF, DATA, int(end), self.number)
        if head:
            connection.write_together(head + first + data)
        else:
            connection.write_soon(first, data)
        if end:
            self._sent_all()

    # The end

    def finished(self, cycle: Cycle) -> None:
        """Handle the end of the cycle: the response is complete, or there will be none."""
        now = monotonic()
        if self.sent or self.cycle is None:
            self.service.metrics.answered(cycle, now)
        else:
            self._undelivered = cycle
        if not cycle.gone:
            self.connection.guard.earn(RESPONSE)
        if len(self.service.running) > 1:
            self.service.turn.finished(now)
        self.connection.flush_unless_held()

    def abort_response(self, cycle: Cycle) -> None:
        """Abort a response that cannot be completed, in a way that the peer can detect."""
        cycle.refused = True
        if not self.sent:
            self.connection.streams.end(self, ErrorCode.INTERNAL_ERROR)

    def refuse(self, refusal: HTTPError) -> None:
        """Send an error response, unless a response has begun."""
        cycle, service = self.cycle, self.service
        if cycle is not None:
            cycle.refused = True
        if cycle is not None and cycle.committed:
            self.connection.streams.end(self, ErrorCode.CANCEL)
            return
        if cycle is not None:
            cycle.status, cycle.committed = refusal.status, True
            cycle.disconnect()
        elif service.access is not None:
            service.access.refused(self.connection.ends.client, refusal)
        self.body_due = math.inf
        headers, body = plain_response(refusal.status, refusal.reason)
        lines = encode_fields([*headers, *refusal.fields])[0] + service.defaults
        # Not as one write: a peer may have many requests refused with one packet.
        self._send_block(encode_status(refusal.status) + encode_lines(lines), end=False)
        self.send(body, end=True)

    def expire(self, now: float) -> None:
        """Handle a deadline that has passed."""
        if self.send_due <= now:
            self.connection.streams.end(self, ErrorCode.CANCEL)
        elif self.body_due <= now:
            self.refuse(HTTPError(408, "the request did not arrive in time"))

    def lost(self) -> None:
        """Handle the end of the stream: no more input arrives, and output is discarded."""
        self.received = True
        self.body_due = math.inf
        self.sent = True
        self._waiting = _NOTHING
        self._stop_waiting()
        if self._session is not None:
            self._lose_session()
        elif self.cycle is not None:
            self.cycle.lost = not self.cycle.refused
            self.cycle.disconnect()
        self._settle()

    def _settle(self) -> None:
        """Count and log the finished request whose response is delivered, or lost."""
        cycle, self._undelivered = self._undelivered, None
        if cycle is not None:
            self.service.metrics.answered(cycle, monotonic())

    def _lose_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.lost()

    def half_closed(self) -> None:
        """Record that the peer sends no more, but may still read."""
        if not self.received:
            self.connection.streams.end(self, ErrorCode.CANCEL)
        elif self.cycle is not None:
            self.cycle.half_closed()

    def detach(self) -> None:
        """Remove the stream from the scheduler, and return its unread bytes to the connection's window."""
        if self._waiting:
            self.connection.scheduler.forget(self)
        unread, self.unread = self.unread, 0
        if unread:
            self.connection.give_back(unread)

    # Session of a WebSocket

    def open_websocket(self, head: RequestHead, session: Session, block: bytes, flags: int) -> None:  # noqa: ARG002
        """Answer with 200 (RFC 8441, 5), and hand the stream to a session."""
        defaults = self.connection.default_fields(flags)
        self.respond(encode_status(200) + encode_lines(block) + defaults, b"", end=False)
        session.carrier = self
        self._session = session
        early, self._early = bytes(self._early or b""), bytearray()
        self._feed_session(session, early)

    def write(self, data: bytes) -> None:
        self.send(data, end=False)

    def write_together(self, data: bytes) -> None:
        self.send(data, end=False)
        self.connection.flush_unless_held()

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        if self.unread:
            self._give_back(self.unread)

    def finish(self, *, expecting: bool) -> None:  # noqa: ARG002 - a stream ends by itself
        self.send(b"", end=True)

    def abort(self) -> None:
        if not self.sent:
            self.connection.streams.end(self, ErrorCode.CANCEL)
