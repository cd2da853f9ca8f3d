"""One stream: a request on its way in, and a response on its way out (RFC 9113, 5.1 and 8.1).

What the application has not taken of a body holds down the windows of the stream and of the connection: that is all
that keeps a peer from sending, and it bounds what is held.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from corn.server.asgi.cycle import RequestCycle
from corn.server.http.errors import HTTPError, plain_response
from corn.server.http.head import RequestHead
from corn.server.http.response_fields import encode_fields
from corn.server.http2._stream_sender import StreamSender
from corn.server.http2.flood_guard import RESPONSE
from corn.server.http2.frames import ErrorCode, HTTP2StreamError, MalformedRequestError, window_update
from corn.server.http2.header_codec import encode_lines, encode_status
from corn.server.websocket.session import WebSocketSession

if TYPE_CHECKING:
    from corn.server.http2.stream_table import StreamTable


class Stream(StreamSender):
    """Carries a cycle (`corn.server.asgi.stream.Exchange`), and the session of a WebSocket (RFC 8441)."""

    __slots__ = (
        "_budget",
        "_credit",
        "_early",
        "_is_paused",
        "_left",
        "_receive_window",
        "_session",
        "_unread",
        "body_due",
        "cycle",
        "received",
    )

    def __init__(self, connection: StreamTable, number: int, *, received: bool) -> None:
        super().__init__(connection, number)
        self.cycle: RequestCycle | None = None
        self.received = received  # END_STREAM
        self.body_due = math.inf  # on `Clock.now`, for the peer to send more of the body
        self._receive_window = self.service.config.http2_initial_stream_window_size
        self._unread = 0  # bytes of the windows that the application has not taken
        self._credit = 0  # bytes by which the peer's window may be opened again
        self._left = -1  # of the announced length
        self._budget = self.service.config.limit_body
        self._early: bytearray | None = None  # what came for a WebSocket that is not open yet
        self._session: WebSocketSession | None = None
        self._is_paused = False

    # Receiving

    def expect(self, head: RequestHead) -> None:
        """A body follows the head, unless it has ended already. Raises `Refusal` for one that is too large."""
        if head.upgrade:
            self._early = bytearray()
        elif not self.received:
            if self._budget is not None and head.length > self._budget:
                raise HTTPError(413, "the body is too large")
            self._left = head.length if head.has_length else -1
            self._await_body()

    def take_data(self, data: bytes, size: int, *, ends: bool) -> None:
        """Take a part of the body; `size` is what it took of the windows, its padding included.

        Raises StreamFault, and `Refusal` for a body that is too large.
        """
        self._receive_window -= size
        self._unread += size
        if self.received:
            raise HTTP2StreamError(ErrorCode.STREAM_CLOSED, "DATA after the end of the request")
        if self._receive_window < 0:
            raise HTTP2StreamError(ErrorCode.FLOW_CONTROL_ERROR, "more than the window allows")
        self._measure(len(data), ends=ends)
        self.received = ends
        if self.cycle is None:  # it was refused, and the answer waits for room
            self._give_back(self._unread)
        elif self._session is not None:
            self._feed_session(self._session, data)
        elif self._early is not None:
            self._early += data
        else:
            self._feed_cycle(self.cycle, data, size - len(data))

    def resume_body(self) -> None:
        """Let the peer go on: the application has taken all that came so far."""
        if self._unread:
            self._give_back(self._unread)
        self._await_body()

    def tell_to_continue(self) -> None:
        self.inform(encode_status(100))

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
        catch_up = cycle.feed(data, not self.received)
        self._await_body()
        if catch_up:
            self.body_due = math.inf

    def _feed_session(self, session: WebSocketSession, data: bytes) -> None:
        session.feed(data)
        if self.received:
            session.lost()
        if not self._is_paused and self._unread:
            self._give_back(self._unread)

    def _await_body(self) -> None:
        self.body_due = math.inf if self.received else self.connection.due(self.service.config.timeout_body)

    def _give_back(self, size: int) -> None:
        """Open the windows by so much, in steps that are worth a frame."""
        self._unread -= size
        self.connection.give_back(size)
        self._credit += size
        if 2 * self._credit >= self.service.config.http2_initial_stream_window_size and not self.received:
            credit, self._credit = self._credit, 0
            self._receive_window += credit
            self.connection.write_soon(window_update(self.number, credit))

    # The cycle's end

    def finished(self, cycle: RequestCycle) -> None:
        """The response is complete, or there will be none."""
        self.service.answered(cycle)
        if not cycle.gone:
            self.connection.patience.earn(RESPONSE)

    def break_off(self, cycle: RequestCycle) -> None:  # noqa: ARG002 - a stream has one
        """End a response that cannot be completed, so that the peer can tell."""
        if not self.sent:
            self.connection.end_stream(self, ErrorCode.INTERNAL_ERROR)

    def refuse(self, refusal: HTTPError) -> None:
        """Answer what cannot be served, unless an answer has begun."""
        cycle, service = self.cycle, self.service
        if cycle is not None and cycle.committed:
            self.connection.end_stream(self, ErrorCode.CANCEL)
            return
        if cycle is not None:
            cycle.status, cycle.committed = refusal.status, True
            cycle.disconnect()
        elif service.access is not None:
            service.access.refused(self.connection.ends.client, refusal)
        self.body_due = math.inf
        headers, body = plain_response(refusal.status, refusal.reason)
        lines = encode_fields([*headers, *refusal.fields])[0] + service.defaults
        self.respond(encode_status(refusal.status) + encode_lines(lines), body, end=True)

    def expire(self, now: float) -> None:
        """Let a deadline that is over have its consequence."""
        if self.send_due <= now:
            self.connection.end_stream(self, ErrorCode.CANCEL)
        elif self.body_due <= now:
            self.refuse(HTTPError(408, "the request did not arrive in time"))

    def lost(self) -> None:
        """The stream is gone: nothing comes and nothing arrives."""
        self.received = True
        self.body_due = math.inf
        self.stop_sending()
        if self._session is not None:
            self._session.lost()
        elif self.cycle is not None:
            self.cycle.disconnect()

    def hang_up(self) -> None:
        """The peer will send no more, but may still read."""
        if not self.received:
            self.connection.end_stream(self, ErrorCode.CANCEL)
        elif self.cycle is not None:
            self.cycle.hang_up()

    def _sent_all(self) -> None:
        super()._sent_all()
        self.connection.completed(self)

    @property
    def unread(self) -> int:
        return self._unread

    # What the session of a WebSocket asks for

    def open_websocket(self, head: RequestHead, session: WebSocketSession, block: bytes, flags: int) -> None:  # noqa: ARG002
        """Answer with 200 (RFC 8441, 5), and leave the stream to a session."""
        defaults = self.connection.default_fields(flags)
        self.respond(encode_status(200) + encode_lines(block) + defaults, b"", end=False)
        session.carrier = self
        self._session = session
        early, self._early = bytes(self._early or b""), bytearray()
        self._feed_session(session, early)

    def write(self, data: bytes) -> None:
        self.send(data, end=False)

    def send_some(self) -> bool:
        sent = super().send_some()
        if self._session is not None and not self.write_paused:
            self._session.catch_up()
        return sent

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        if self._unread:
            self._give_back(self._unread)

    def finish(self, *, expecting: bool) -> None:  # noqa: ARG002 - a stream ends by itself
        self.send(b"", end=True)

    def abort(self) -> None:
        self.connection.end_stream(self, ErrorCode.CANCEL)
