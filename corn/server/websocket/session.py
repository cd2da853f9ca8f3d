"""Open WebSocket: its queue of messages, its pings, its close; independent of its transport.

The carrier calls `feed` with what it reads, `catch_up` when writing can go on after it was paused, and `lost` when
nothing more comes; the worker's sweep calls `expire`.
Messages wait in `messages`, bounded by `--ws-max-queue` and by bytes (`MOST_BYTES`, which the last message may pass):
when it is full nothing more is taken apart, and reading stops until the application has taken three quarters of them,
or all where the bytes are many. So what is held is one message of `--ws-max-size` at the most, and little beside it,
however small a peer can compress them. Answers to pings that the peer does not read fill the queue too.

What one read holds is taken in turns of the event loop, some hundred frames each; reading stops until all are taken.

What ends it, from whichever side, is its `outcome`, set once. What comes before is still for the application, what
comes after is dropped. Then the close frame is to be answered within a deadline, or the carrier is cut.

There is no timer for a WebSocket. A ping is a deadline like any other, and any data answers it: a peer that is busy
sending one large message is alive, though its pong has to wait.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from time import monotonic

from corn.server.asgi.types import Message
from corn.server.context import ServerContext
from corn.server.send_progress import LOOK_AGAIN
from corn.server.typing import SessionTransport
from corn.server.websocket.frames import ABNORMAL, MOST_BYTES, CloseInfo, FrameCodec

INTERNAL_ERROR, SERVICE_RESTART = 1011, 1012
RESTART_REASON = "service restart"

_CLOSING = 10.0  # seconds for the peer to answer a close frame
_CLOSING_DRAINING = 1.0
_UNBOUNDED = 1 << 62


class WebSocketSession:
    """Open WebSocket. `deadline` is on `Clock.now`; past it, `expire` is called.

    `on_news` is called when there are messages to take, and `on_end` once, with the outcome.
    """

    __slots__ = (
        "_bytes",
        "_frames",
        "_heard",
        "_leave_at",
        "_limit",
        "_low",
        "_on_end",
        "_on_news",
        "_pinged",
        "_proceeds",
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
        on_news: Callable[[], None],
        on_end: Callable[[CloseInfo], None],
    ) -> None:
        self.messages: deque[Message] = deque()
        self.outcome: CloseInfo | None = None
        self._service = service
        self._frames = frames
        self._on_news = on_news
        self._on_end = on_end
        self._limit = service.config.ws_max_queue
        self._bytes = 0  # of the messages since there were none
        self.is_full = False  # reading is paused until the application has caught up, as far as `_low`
        self._low = 0
        self._proceeds = False  # the rest of the input is processed in another iteration of the event loop
        self.is_lost = False  # the transport is closed
        self._pinged = False
        self._heard = False  # anything, since the last ping
        self._leave_at = service.clock.now if service.draining else math.inf
        self._wait(service.config.ws_ping_interval)
        service.websockets.add(self)

    # Called by the transport

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self._heard = True
        messages, frames = self.messages, self._frames
        room = self._limit - len(messages) if self.outcome is None else _UNBOUNDED
        if not messages:
            self._bytes = 0
        for each in frames.feed(data, room):
            if type(each) is str:
                messages.append({"type": "websocket.receive", "text": each})
            else:
                messages.append({"type": "websocket.receive", "bytes": each})
            self._service.metrics.messages += 1
        self._bytes += frames.taken
        if frames.out or frames.end is not None:
            self._answer()
        if self._bytes >= MOST_BYTES:
            self._stop_reading(0)
        elif len(messages) >= self._limit:
            self._stop_reading(self._limit // 4)
        self._on_news()
        if frames.holds and not (self.is_full or self._proceeds):
            self._proceeds = True
            self._service.loop.call_soon(self._proceed)
            if not self.is_lost:
                self.carrier.pause_reading()

    def lost(self) -> None:
        """The transport is closed: no more input arrives, and output is discarded."""
        self.is_lost = True
        self._service.websockets.discard(self)
        if self._frames.holds:
            self.catch_up()  # where reading stopped for unread pongs, `resume_writing` comes no more
        else:
            self._end_lost()

    def _stop_reading(self, low: int) -> None:
        """Wait until there are no more than `low` messages."""
        if not self.is_full and self.outcome is None:
            self.is_full, self._low = True, low
            if not self.is_lost:
                self.carrier.pause_reading()

    # Called for the application

    def catch_up(self) -> None:
        """Resume reading, if the application or the peer has taken enough."""
        if self.is_full and len(self.messages) <= self._low:
            self.is_full = False
            self._proceed()

    def _proceed(self) -> None:
        """Process the input that was held back, and resume reading when all of it is."""
        self._proceeds = False
        if self._frames.holds and not self.is_full:
            self.feed(b"")
            if self.is_lost and not self._frames.holds:
                self._end_lost()
        if not (self.is_full or self._proceeds or self.is_lost):
            self.carrier.resume_reading()

    def send(self, message: str | bytes) -> int:
        """Send a message; returns the size of its frame. Not to be called once there is an outcome."""
        frame, service = self._frames.encode(message), self._service
        self.carrier.write_together(frame)
        if len(service.running) > 1:
            service.turn.finished(monotonic())
        return len(frame)

    def close(self, code: int, reason: str) -> None:
        """Close, unless it is closing already. Raises ValueError for a code or a reason that cannot be sent."""
        if self.outcome is None:
            self._frames.close(code, reason)
            self._answer()

    # Called by the worker

    def leave(self, at: float) -> None:
        """Close with 1012 at this time of `Clock.now`, because the worker drains."""
        self._leave_at = at
        self.deadline = min(self.deadline, at)

    def expire(self) -> None:
        """The deadline has passed: of the close handshake, of the drain, or of a ping."""
        now, config = self._service.clock.now, self._service.config
        if self.outcome is not None:
            if not self.is_lost and self.carrier.still_sends():  # the close frame waits behind a message
                self.deadline = now + LOOK_AGAIN
                return
            self.deadline = math.inf
            self.carrier.abort()
        elif self._leave_at <= now:
            self.close(SERVICE_RESTART, RESTART_REASON)
        elif self._pinged and not self._heard and self.carrier.write_paused:
            self._wait(config.ws_ping_timeout or config.ws_ping_interval)  # the ping waits behind a message
        elif self._pinged and not self._heard and not self.is_full and config.ws_ping_timeout:
            self._settle(CloseInfo(ABNORMAL, "no answer to a ping"))
            self._frames.fail(INTERNAL_ERROR, "keepalive ping timeout")
            self._answer()
        elif self._pinged and config.ws_ping_interval > config.ws_ping_timeout > 0:
            self._pinged = False
            self._wait(config.ws_ping_interval - config.ws_ping_timeout)
        else:
            self._pinged, self._heard = True, False
            self._frames.ping()
            self._answer()
            self._wait(config.ws_ping_timeout or config.ws_ping_interval)

    def _wait(self, seconds: float) -> None:
        """Set the deadline so many seconds from now; 0 for none."""
        self.deadline = min(self._service.clock.now + seconds if seconds else math.inf, self._leave_at)

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
            self._settle(frames.end)
            if frames.done and not self.is_lost:
                self.carrier.finish(expecting=frames.failed)

    def _end_lost(self) -> None:
        """End a session whose carrier is gone and whose input is all taken.

        Invariant: the session refers to its cycle no more, so that what both hold is freed at once. A cycle of
        references would keep all unread messages until the garbage collector runs, which counts objects and not bytes.
        """
        self._settle(CloseInfo(ABNORMAL, ""))
        self._on_news, self._on_end = _do_nothing, _ignore_end
        self._frames.release()

    def _settle(self, outcome: CloseInfo) -> None:
        if self.outcome is not None:
            return
        service = self._service
        self.outcome = outcome
        self.deadline = service.clock.now + (_CLOSING_DRAINING if service.draining else _CLOSING)
        if self.is_full:
            self.is_full, self._proceeds = False, True
            service.loop.call_soon(self._proceed)
        self._on_end(outcome)
        self._on_news()


def _do_nothing() -> None:
    """Stand for `on_news` of a session that has ended."""


def _ignore_end(_: CloseInfo) -> None:
    """Stand for `on_end` of a session that has ended."""
