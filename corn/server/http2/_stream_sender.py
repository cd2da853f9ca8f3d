"""The sending half of a stream: what waits for room in the windows (RFC 9113, 5.2 and 6.9).

What the application sends goes out at once where the windows of stream and connection and the socket have room for it.
Else it waits here, the application waits in `drained`, and the connection lets its streams send one frame each in turn.
So what is held is bounded by what the application sends in one message.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from corn.server.http2.frames import DATA, HEADER, MAX_FRAME, MAX_WINDOW, ErrorCode, HTTP2StreamError, header_frames

if TYPE_CHECKING:
    from corn.server.http2.stream_table import StreamTable


class StreamSender:
    """Sends a response on a stream."""

    __slots__ = (
        "_ending",
        "_trailers",
        "_waiting",
        "_writers",
        "connection",
        "number",
        "send_due",
        "send_window",
        "sent",
        "service",
        "transport",
        "write_paused",
    )

    def __init__(self, connection: StreamTable, number: int) -> None:
        self.connection = connection
        self.service = connection.service
        self.transport = connection.transport
        self.number = number
        self.sent = False  # END_STREAM, or RST_STREAM from either side
        self.send_window = connection.initial_window
        self.send_due = math.inf  # on `Clock.now`, for the peer to take something of what waits
        self.write_paused = False
        self._waiting = bytearray()
        self._ending = False  # END_STREAM follows what waits
        self._trailers: bytes | None = None
        self._writers: list[asyncio.Future[None]] | None = None

    def inform(self, block: bytes) -> None:
        """Send an informational response (RFC 9110, 15.2)."""
        self._send_block(block, end=False)

    def respond(self, block: bytes, body: bytes, *, end: bool) -> None:
        """Send the head of a response, and the first of its body."""
        self._send_block(block, end=end and not body)
        if body:
            self.send(body, end=end)
        elif end:
            self._sent_all()

    def send(self, data: bytes, *, end: bool) -> None:
        """Send a part of the body, or let it wait for room."""
        if self.sent:
            return
        if not self._waiting and self._has_room(len(data)):
            self._send_data(data, end=end)
            return
        self._waiting += data
        self._ending = end
        if not self.write_paused:
            self.write_paused = True
            self.send_due = self.connection.due(self.service.config.timeout_send)
        self.connection.let_wait(self)

    def send_trailers(self, block: bytes) -> None:
        """Send trailers after all that waits, and end the stream."""
        if self._waiting:
            self._trailers, self._ending = block, True
        else:
            self._send_block(block, end=True)
            self._sent_all()

    def send_some(self) -> bool:
        """Send one frame of what waits; whether there was room."""
        size = min(len(self._waiting), MAX_FRAME, self.send_window, self.connection.send_window)
        if size <= 0:
            return False
        data = bytes(self._waiting[:size])
        del self._waiting[:size]
        if self._waiting:
            self._send_data(data, end=False)
            self.send_due = self.connection.due(self.service.config.timeout_send)
        else:
            self._stop_waiting()
            self._send_data(data, end=self._ending and self._trailers is None)
            if self._trailers is not None:
                self.send_trailers(self._trailers)
        return True

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    async def drained(self) -> None:
        """Wait until all that was sent has found room; returns too when the stream is gone."""
        waiter = self.service.loop.create_future()
        if self._writers is None:
            self._writers = []
        self._writers.append(waiter)
        await waiter

    def open_window(self, increment: int) -> None:
        """Raises StreamFault where the window would become larger than it may be."""
        self.send_window += increment
        if self.send_window > MAX_WINDOW:
            raise HTTP2StreamError(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large")

    def stop_sending(self) -> None:
        """Nothing that is sent arrives any more."""
        self.sent = True
        self._waiting.clear()
        self._stop_waiting()

    def _sent_all(self) -> None:
        """END_STREAM was sent."""
        self.sent = True

    def _stop_waiting(self) -> None:
        self.send_due = math.inf
        self.write_paused = False
        writers, self._writers = self._writers, None
        for waiter in writers or ():
            if not waiter.done():
                waiter.set_result(None)

    def _has_room(self, size: int) -> bool:
        connection = self.connection
        if connection.write_paused or size > MAX_FRAME:
            return not size
        return not size or (size <= self.send_window and size <= connection.send_window)

    def _send_block(self, block: bytes, *, end: bool) -> None:
        if not self.sent:
            connection = self.connection
            connection.write_soon(header_frames(self.number, connection.take_prefix() + block, end=end))

    def _send_data(self, data: bytes, *, end: bool) -> None:
        connection, size = self.connection, len(data)
        self.send_window -= size
        connection.send_window -= size
        connection.write_data(HEADER.pack(size >> 8, size & 0xFF, DATA, int(end), self.number), data)
        if end:
            self._sent_all()
