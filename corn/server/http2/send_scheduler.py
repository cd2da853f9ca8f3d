"""HTTP/2 flow-control scheduler: one socket and one send window, shared by the streams of a connection.

Streams that wait for the window send one frame each in turn, so a large response does not delay a small one. Priorities
are ignored: those of RFC 7540 are deprecated, and corn announces in its SETTINGS that it does not use them.
"""

from __future__ import annotations

from typing import Protocol

from corn.server.http2.frames import INITIAL_WINDOW, MAX_WINDOW, ErrorCode, HTTP2ConnectionError


class WaitingStream(Protocol):
    """Stream with buffered data that exceeds the window."""

    @property
    def has_waiting(self) -> bool:
        """True if data is buffered."""

    def send_some(self) -> bool:
        """Send one frame of the buffered data; returns False if the window is too small."""


class SendScheduler:
    """Round-robin scheduler of streams, within the peer's window and the socket's buffer."""

    __slots__ = ("_waiting", "is_paused", "window")

    def __init__(self) -> None:
        self.window = INITIAL_WINDOW
        self.is_paused = False  # the socket's buffer is full
        self._waiting: dict[WaitingStream, None] = {}  # in round-robin order

    def enqueue(self, stream: WaitingStream) -> None:
        """Queue a stream, and send its buffered data if there is room."""
        self._waiting[stream] = None
        self.send_waiting()

    def send_waiting(self) -> None:
        """Have the queued streams send a frame each in turn, as long as there is room."""
        waiting, stuck = self._waiting, 0
        while stuck < len(waiting) and self.window > 0 and not self.is_paused:
            stream = next(iter(waiting))
            del waiting[stream]
            stuck = 0 if stream.send_some() else stuck + 1
            if stream.has_waiting:
                waiting[stream] = None

    def open_window(self, increment: int) -> None:
        """Add to the connection's send window; raises HTTP2ConnectionError where it would be larger than allowed."""
        self.window += increment
        if self.window > MAX_WINDOW:
            raise HTTP2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "the window is too large")
        self.send_waiting()

    def forget(self, stream: WaitingStream) -> None:
        """Remove a stream that has ended."""
        self._waiting.pop(stream, None)


class ReceiveWindow:
    """Receive window of a connection or a stream (RFC 9113, 6.9)."""

    __slots__ = ("_credit", "_size", "left")

    def __init__(self, size: int) -> None:
        self.left = size
        self._size = size
        self._credit = 0  # consumed bytes that were not announced yet

    def take(self, size: int) -> bool:
        """Count received bytes; returns True if the window allowed them."""
        self.left -= size
        return self.left >= 0

    def give_back(self, size: int) -> int:
        """Count consumed bytes; returns the increment to announce to the peer, or 0 while it is not worth a frame."""
        self._credit += size
        if 2 * self._credit < self._size:
            return 0
        credit, self._credit = self._credit, 0
        self.left += credit
        return credit
