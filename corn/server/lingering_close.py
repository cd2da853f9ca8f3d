"""Lingering close: the end of a connection whose peer may still be sending.

If a socket with unread input is closed, the kernel sends a reset, which may destroy the response before the peer has
read it (RFC 9112, 9.6). So corn first closes only its sending side, discards further input, and closes when the peer
does. Clients and proxies may send a large body completely before they read the response, so the amount of input is not
limited; the time is, and the rate, as for bodies that are read.
"""

from __future__ import annotations

import asyncio
import math
from typing import cast

from corn.server.context import ServerContext
from corn.server.write_buffer import BufferedProtocol

_TOTAL_TIMEOUT = 30.0  # in total, once the response is written
_IDLE_TIMEOUT = 5.0  # idle timeout: nothing received from the peer
_TOTAL_TIMEOUT_DRAINING = 5.0
_IDLE_TIMEOUT_DRAINING = 1.0


class LingeringClose(BufferedProtocol):
    """Lingering close of a transport whose output is complete, at least in its buffer."""

    __slots__ = ("_end",)

    def __init__(
        self, service: ServerContext, transport: asyncio.Transport, predecessor: BufferedProtocol | None
    ) -> None:
        super().__init__(service)
        self.transport = transport
        if predecessor is not None:
            predecessor.hand_over_output(self)
        self._end = math.inf  # inf until all output is written
        service.connections.add(self)
        transport.set_protocol(self)
        try:
            transport.write_eof()
        except OSError:  # asyncio's: the peer has reset the connection, so that shutdown(2) fails
            transport.abort()
            return
        self.read_on()
        if not (transport.get_write_buffer_size() and self.still_sends()):
            self._begin()

    def data_received(self, data: bytes) -> None:
        if self._end < math.inf:
            now, rate = self.service.clock.now, self.service.config.min_body_rate
            latest = min(now + self._idle_timeout, self._end)
            self.deadline = min(self.deadline + len(data) / rate, latest) if rate else latest

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        self.service.closed(self)
        self.discard_output()

    def expire(self) -> None:
        if self._end < math.inf:
            self.abort()
        elif not self.transport.get_write_buffer_size():
            self._begin()
        elif not self.still_sends():
            self.abort()

    def linger_until(self, first: float, idle: float) -> None:  # noqa: ARG002 - no request comes any more
        if self._end < math.inf:
            now = self.service.clock.now
            self._end = min(self._end, now + _TOTAL_TIMEOUT_DRAINING)
            self.deadline = min(self.deadline, now + _IDLE_TIMEOUT_DRAINING)

    @property
    def is_busy(self) -> bool:
        return False

    @property
    def _idle_timeout(self) -> float:
        return _IDLE_TIMEOUT_DRAINING if self.service.draining else _IDLE_TIMEOUT

    def _begin(self) -> None:
        now = self.service.clock.now
        self._end = now + (_TOTAL_TIMEOUT_DRAINING if self.service.draining else _TOTAL_TIMEOUT)
        self.deadline = now + self._idle_timeout


def close_lingering(
    service: ServerContext, transport: asyncio.BaseTransport, predecessor: BufferedProtocol | None = None
) -> None:
    """Close a connection after its complete output, without destroying output that the peer has not read.

    `predecessor` is the protocol that has written a response which may still be in the buffer.
    """
    stream = cast("asyncio.Transport", transport)
    if stream.is_closing():
        return
    if stream.can_write_eof():
        LingeringClose(service, stream, predecessor)
    else:
        stream.close()
