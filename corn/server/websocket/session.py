"""Open WebSocket: its queue of messages, its pings, its close; independent of its transport.

The carrier calls `feed` with its input, `catch_up` when writing is resumed after a pause, and `lost` at the end of the
connection; the worker's sweep calls `expire`.

Messages are queued in `messages`, bounded by `--ws-max-queue` and by bytes (`MAX_BYTES`, which the last message may
exceed). When the queue is full, no more frames are parsed, and reading stops until the application has received three
quarters of the messages, or all if they have many bytes. So at most one message of `--ws-max-size` is buffered, and
little more, however well messages are compressed. Pongs that the peer does not read count as a full queue, too.

The frames of one read are processed in several iterations of the event loop, some hundred frames each; reading stops
until all are processed.

`outcome` is set once, by the first event that ends the session, from either side. Messages before it are passed to the
application, later ones are dropped. The peer must answer the close frame before a deadline; otherwise the carrier is
aborted.

A WebSocket has no timer. A ping sets the deadline, and any data counts as its answer: a peer that is sending one large
message is connected, although its pong has to wait.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from time import monotonic

from corn.server.asgi.types import Message
from corn.server.context import ServerContext
from corn.server.send_progress import CHECK_INTERVAL
from corn.server.typing import SessionTransport
from corn.server.websocket.frames import ABNORMAL, MAX_BYTES, CloseInfo, FrameCodec

INTERNAL_ERROR, SERVICE_RESTART = 1011, 1012
RESTART_REASON = "service restart"

_CLOSE_TIMEOUT = 10.0  # seconds for the peer to answer a close frame
_CLOSE_TIMEOUT_DRAINING = 1.0
_UNBOUNDED = 1 << 62


class WebSocketSession:
    """Open WebSocket. `deadline` is on `Clock.now`; past it, `expire` is called.

    `on_messages` is called when there are messages to receive, and `on_end` once, with the outcome.
    """

    __slots__ = (
        "_bytes",
        "_close_at",
        "_frames",
        "_is_scheduled",
        "_limit",
        "_low",
        "_on_end",
        "_on_messages",
        "_pinged",
        "_received_data",
        "_service",
        "carrier",
        "deadline",
        "is_full",
        "is_lost",
        "messages",
        "outcome",
    )

    carrier: SessionTransport
    deadline: float

    def __init__(
        self,
        service: ServerContext,
        frames: FrameCodec,
        on_messages: Callable[[], None],
        on_end: Callable[[CloseInfo], None],
    ) -> None:
        self.messages: deque[Message] = deque()
        self.outcome: CloseInfo | None = None
        self._service = service
        self._frames = frames
        self._on_messages = on_messages
        self._on_end = on_end
        self._limit = service.config.ws_max_queue
        self._bytes = 0  # of the messages since the queue was last empty
        self.is_full = False  # reading is paused until at most `_low` messages are left
        self._low = 0
        self._is_scheduled = False  # the rest of the input is processed in another iteration of the event loop
        self.is_lost = False  # the transport is closed
        self._pinged = False
        self._received_data = False  # data was received since the last ping
        self._close_at = service.clock.now if service.draining else math.inf
        self._wait(service.config.ws_ping_interval)
        service.websockets.add(self)

    # Called by the transport

    def feed(self, data: bytes) -> None:
        """Process input."""
        self._received_data = True
        messages, frames = self.messages, self._frames
        room = self._limit - len(messages) if self.outcome is None else _UNBOUNDED
        if not messages:
            self._bytes = 0
        received = frames.feed(data, room)
        for each in received:
            if type(each) is str:
                messages.append({"type": "websocket.receive", "text": each})
            else:
                messages.append({"type": "websocket.receive", "bytes": each})
        self._service.metrics.messages += len(received)
        self._bytes += frames.taken
        if frames.out or frames.end is not None:
            self._answer()
        if self._bytes >= MAX_BYTES:
            self._stop_reading(0)
        elif len(messages) >= self._limit:
            self._stop_reading(self._limit // 4)
        self._on_messages()
        if frames.holds and not (self.is_full or self._is_scheduled):
            self._is_scheduled = True
            self._service.loop.call_soon(self._process_held)
            if not self.is_lost:
                self.carrier.pause_reading()

    def lost(self) -> None:
        """Handle the end of the transport: no more input arrives, and output is discarded."""
        self.is_lost = True
        self._service.websockets.discard(self)
        if self._frames.holds:
            self.catch_up()  # if reading stopped for unread pongs, `resume_writing` is not called any more
        else:
            self._end_lost()

    def _stop_reading(self, low: int) -> None:
        """Pause reading until at most `low` messages are left."""
        if not self.is_full and self.outcome is None:
            self.is_full, self._low = True, low
            if not self.is_lost:
                self.carrier.pause_reading()

    # Called for the application

    def catch_up(self) -> None:
        """Resume reading if the application and the peer have caught up."""
        if self.is_full and len(self.messages) <= self._low:
            self.is_full = False
            self._process_held()

    def _process_held(self) -> None:
        """Process the input that was held back; when all is processed, resume reading."""
        self._is_scheduled = False
        if self._frames.holds and not self.is_full:
            self.feed(b"")
            if self.is_lost and not self._frames.holds:
                self._end_lost()
        if not (self.is_full or self._is_scheduled or self.is_lost):
            self.carrier.resume_reading()

    def send(self, message: str | bytes) -> int:
        """Send a message; returns the size of its frame. Not to be called once there is an outcome."""
        frame, service = self._frames.encode(message), self._service
        self.carrier.write_together(frame)
        if len(service.running) > 1:
            service.turn.finished(monotonic())
        return len(frame)

    def close(self, code: int, reason: str) -> None:
        """Close, unless closing already. Raises ValueError for a code or a reason that cannot be sent."""
        if self.outcome is None:
            self._frames.close(code, reason)
            self._answer()

    # Called by the worker

    def close_at(self, at: float) -> None:
        """Close with 1012 at this time of `Clock.now`, because the worker drains."""
        self._close_at = at
        self.deadline = min(self.deadline, at)

    def expire(self) -> None:
        """Handle an expired deadline: of the close handshake, of the drain, or of a ping."""
        now, config = self._service.clock.now, self._service.config
        if self.outcome is not None:
            if not self.is_lost and self.carrier.still_sends():  # the close frame waits behind a message
                self.deadline = now + CHECK_INTERVAL
                return
            self.deadline = math.inf
            self.carrier.abort()
        elif self._close_at <= now:
            self.close(SERVICE_RESTART, RESTART_REASON)
        elif self._pinged and not self._received_data and self.carrier.write_paused:
            self._wait(config.ws_ping_timeout or config.ws_ping_interval)  # the ping waits behind a message
        elif self._pinged and not self._received_data and not self.is_full and config.ws_ping_timeout:
            self._end_session(CloseInfo(ABNORMAL, "no answer to a ping"))
            self._frames.fail(INTERNAL_ERROR, "keepalive ping timeout")
            self._answer()
        elif self._pinged and config.ws_ping_interval > config.ws_ping_timeout > 0:
            self._pinged = False
            self._wait(config.ws_ping_interval - config.ws_ping_timeout)
        else:
            self._pinged, self._received_data = True, False
            self._frames.ping()
            self._answer()
            self._wait(config.ws_ping_timeout or config.ws_ping_interval)

    def _wait(self, seconds: float) -> None:
        """Set the deadline in so many seconds; 0 for none."""
        self.deadline = min(self._service.clock.now + seconds if seconds else math.inf, self._close_at)

    # The end

    def _answer(self) -> None:
        """Write the output of the codec itself, and close once both sides have closed."""
        frames = self._frames
        out, frames.out = frames.out, b""
        if out and not self.is_lost:
            self.carrier.write(out)
            if self.carrier.write_paused:
                self._stop_reading(self._limit // 4)
        if frames.end is not None:
            self._end_session(frames.end)
            if frames.done and not self.is_lost:
                self.carrier.finish(expecting=frames.failed)

    def _end_lost(self) -> None:
        """End a session whose carrier is gone and whose input is all taken.

        Invariant: the session no longer refers to its cycle, so that both are freed at once. A reference cycle would
        keep all unread messages until the garbage collector runs, which counts objects, not bytes.
        """
        self._end_session(CloseInfo(ABNORMAL, ""))
        self._on_messages, self._on_end = _do_nothing, _ignore_end
        self._frames.release()

    def _end_session(self, outcome: CloseInfo) -> None:
        if self.outcome is not None:
            return
        service = self._service
        self.outcome = outcome
        self.deadline = service.clock.now + (_CLOSE_TIMEOUT_DRAINING if service.draining else _CLOSE_TIMEOUT)
        if self.is_full:
            self.is_full, self._is_scheduled = False, True
            service.loop.call_soon(self._process_held)
        self._on_end(outcome)
        self._on_messages()


def _do_nothing() -> None:
    """`on_messages` of a session that has ended."""


def _ignore_end(_: CloseInfo) -> None:
    """`on_end` of a session that has ended."""
