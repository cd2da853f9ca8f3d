"""The sending half of a connection: one socket and one window for all of its streams.

Streams that wait for room take turns, a frame each, so a large response does not hold up a small one. They are not
served by priority: what RFC 7540 had is deprecated, and clients are told that it is not heeded.

While the socket takes no more nothing is read either: whoever sends pings and does not read the answers is not served.
"""

from __future__ import annotations

from corn.server.context import ServerContext
from corn.server.http.response_fields import OWN_DATE, OWN_SERVER
from corn.server.http2._stream_sender import StreamSender
from corn.server.http2.flood_guard import SENT, FloodGuard
from corn.server.http2.frames import INITIAL_WINDOW, MAX_WINDOW, ErrorCode, HTTP2ConnectionError, window_update
from corn.server.http2.header_codec import EMPTY_TABLE, encode_lines
from corn.server.write_buffer import BufferedProtocol


class SendScheduler(BufferedProtocol):
    """Sends what streams give it, as far as the peer's windows and the socket allow."""

    __slots__ = (
        "_credit",
        "_prefix",
        "_waiting",
        "initial_window",
        "is_over",
        "patience",
        "receive_window",
        "send_window",
    )

    def __init__(self, service: ServerContext) -> None:
        super().__init__(service)
        self.is_over = False  # nothing can be written any more
        self.patience = FloodGuard(service.clock.now)
        self.initial_window = INITIAL_WINDOW  # of each new stream, for sending
        self.send_window = INITIAL_WINDOW
        self.receive_window = service.config.http2_initial_connection_window_size
        self._credit = 0
        self._prefix = b""
        self._waiting: dict[StreamSender, None] = {}  # in the order of their turns

    def due(self, seconds: float) -> float:
        """A deadline so many seconds from now, which the connection will look at in time."""
        at = self.service.clock.now + seconds
        self.deadline = min(self.deadline, at)
        return at

    def default_fields(self, flags: int) -> bytes:
        """The fields that corn adds to a response with these flags of `encode_fields`."""
        service = self.service
        if flags & (OWN_DATE | OWN_SERVER):
            return encode_lines(service.default_fields(date=not flags & OWN_DATE, server=not flags & OWN_SERVER))
        return encode_lines(service.defaults)

    def write(self, data: bytes) -> None:
        """Write now, after what was to be written soon."""
        self.write_soon(data)
        self.flush()

    def flush(self) -> None:
        """Write what was to be written soon, unless nobody is there any more."""
        if not (self.is_over or self.transport.is_closing()):
            super().flush()

    def write_data(self, header: bytes, data: bytes) -> None:
        """Write a frame of DATA."""
        self.patience.earn(SENT)
        self.write_soon(header, data)

    def take_prefix(self) -> bytes:
        """What the next header block begins with."""
        prefix, self._prefix = self._prefix, b""
        return prefix

    def limit_table(self) -> None:
        """The peer wants a smaller table than both sides begin with: corn has none at all, and says so."""
        self._prefix = EMPTY_TABLE

    # Flow control

    def let_wait(self, stream: StreamSender) -> None:
        """Let a stream send what waits in it, now if possible."""
        self._waiting[stream] = None
        self.send_waiting()

    def send_waiting(self) -> None:
        """Let the streams that wait send a frame each in turn, as long as there is room."""
        waiting, stuck = self._waiting, 0
        while stuck < len(waiting) and self.send_window > 0 and not self.write_paused:
            stream = next(iter(waiting))
            del waiting[stream]
            stuck = 0 if stream.send_some() else stuck + 1
            if stream.has_waiting:
                waiting[stream] = None

    def open_window(self, increment: int) -> None:
        """The peer takes more, of all streams together."""
        self.send_window += increment
        if self.send_window > MAX_WINDOW:
            raise HTTP2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "the window is too large")
        self.send_waiting()

    def take(self, size: int) -> None:
        """Count what came on any stream."""
        self.receive_window -= size
        if self.receive_window < 0:
            raise HTTP2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more than the window allows")

    def give_back(self, size: int) -> None:
        """Open the window by so much, in steps that are worth a frame."""
        self._credit += size
        if 2 * self._credit >= self.service.config.http2_initial_connection_window_size:
            credit, self._credit = self._credit, 0
            self.receive_window += credit
            self.write_soon(window_update(0, credit))

    def stop_waiting(self, stream: StreamSender) -> None:
        """The stream is gone."""
        self._waiting.pop(stream, None)

    # What the transport calls

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.transport.is_reading() and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_reading() and not self.transport.is_closing():
            self.transport.resume_reading()
        self.send_waiting()
