"""The end of a connection whose peer may still be sending.

Closing a socket with unread input makes the kernel answer with a reset, and the reset may destroy the response before
the peer has read it (RFC 9112, 9.6). So corn first closes its own side only, discards what still comes for a bounded
time and amount, and closes when the peer does.
"""

from __future__ import annotations

import asyncio
from typing import cast

from corn.server.context import ServerContext
from corn.server.send_progress import LOOK_AGAIN, SendProgress

_SECONDS = 2.0
_SECONDS_DRAINING = 1.0
_BYTES = 1 << 20


class LingeringClose(asyncio.Protocol):
    """Takes over a transport to which everything has been written; what the peer has not read yet is waited for."""

    __slots__ = ("_left", "_progress", "_service", "_transport", "deadline")

    def __init__(self, service: ServerContext, transport: asyncio.Transport) -> None:
        self._service = service
        self._transport = transport
        self._left = _BYTES
        self._progress: SendProgress | None = None  # while there is output that the peer has not read
        self._wait()
        service.connections.add(self)
        transport.set_protocol(self)
        transport.write_eof()
        if not transport.is_reading() and not transport.is_closing():
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        self._service.closed(self)

    def expire(self) -> None:
        if self._progress is None or (self._transport.get_write_buffer_size() and not self._is_read()):
            self._transport.abort()
        else:
            self._wait()

    def _wait(self) -> None:
        service, now = self._service, self._service.clock.now
        if self._is_read():
            self.deadline = now + LOOK_AGAIN
        else:
            self._progress = None
            self.deadline = now + (_SECONDS_DRAINING if service.draining else _SECONDS)

    def _is_read(self) -> bool:
        """Whether there is output that the peer takes."""
        now = self._service.clock.now
        if self._progress is None:
            self._progress = SendProgress(self._service.config, now)
        return self._progress.is_made(self._transport.get_write_buffer_size(), now)

    def linger_until(self, first: float, idle: float) -> None:
        """It lingers already."""

    @property
    def is_busy(self) -> bool:
        return False

    def abort(self) -> None:
        self._transport.abort()


def close_lingering(service: ServerContext, transport: asyncio.BaseTransport) -> None:
    """Close a connection to which everything has been written, without destroying what was."""
    stream = cast("asyncio.Transport", transport)
    if stream.is_closing():
        return
    if stream.can_write_eof():
        LingeringClose(service, stream)
    else:
        stream.close()
