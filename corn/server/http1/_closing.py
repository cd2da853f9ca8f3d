"""How an HTTP/1.1 connection ends, in order or not (RFC 9112, 9.6 and 9.8).

After an answer that the peer can read to its end the connection is closed in two steps (see `lingering`), where the
peer may still send. A response that breaks off has to look broken: a connection whose end would pass for the end of the
response is reset. What a deadline means depends on where the connection stands: a request of which a part was read gets
an answer, a silent connection does not.
"""

from __future__ import annotations

import math
import socket
import struct

from corn.server.asgi.cycle import RequestCycle
from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http.errors import HTTPError, error_response
from corn.server.http1.body import BodyDecoder
from corn.server.lingering_close import close_lingering
from corn.server.write_buffer import BufferedProtocol

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger, socket(7)


class Leaving(BufferedProtocol):
    """What a connection holds, and how it lets go of it; reading is up to the class that derives from it."""

    __slots__ = ("_decoder", "_eof", "_held", "_socket", "_used", "cycle", "ends")

    def __init__(self, service: ServerContext, sock: socket.socket, ends: Endpoints) -> None:
        super().__init__(service)
        self.cycle: RequestCycle | None = None
        self.ends = ends
        self._socket = sock
        self._decoder: BodyDecoder | None = None
        self._held = b""
        self._used = False  # for a request
        self._eof = False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        self.service.closed(self)
        self._forget()

    def expire(self) -> None:
        """The deadline is over. A request of which a part was read is answered with 408 (RFC 9110, 15.5.9)."""
        if self.write_paused or self.transport.is_closing():
            self.abort()
        elif self._held or self.cycle is not None:
            self._refuse(HTTPError(408, "the request did not arrive in time"))
        elif self._decoder is not None:
            self._close(expecting=True)
        elif self._has_unread():
            self.deadline = self.service.header_deadline
        else:
            self.transport.close()

    def idle_socket(self) -> socket.socket | None:
        """The socket, if it is all there is of the connection: plain TCP, and nothing read or to be written."""
        waits = self.cycle is None and self._decoder is None and not (self._held or self._out or self._eof)
        plain = self.ends.scheme == "http" and not self.service.config.proxy_protocol
        if not waits or not plain or self.transport.is_closing() or self.transport.get_write_buffer_size():
            return None
        return self._socket

    def linger_until(self, first: float, idle: float) -> None:
        if self.cycle is None and self._decoder is None and not self._held:
            self.deadline = min(self.deadline, idle if self._used else first)

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    def stalled(self) -> None:
        """A write beside the transport waits for the peer."""
        self.deadline = self.service.clock.now + self.service.config.timeout_send
        self.write_paused = True

    def progressed(self) -> None:
        """A write beside the transport has moved on."""
        self.write_paused = False
        self._expect_body()

    @property
    def is_busy(self) -> bool:
        return self.cycle is not None

    def abort(self) -> None:
        self.transport.abort()

    def break_off(self, cycle: RequestCycle) -> None:
        """End a response that cannot be completed, so that the peer can tell (RFC 9112, 8)."""
        if self.transport.is_closing():
            return
        self.flush()
        self.deadline = self.service.clock.now + self.service.config.timeout_send
        if cycle.ends_with_connection:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()
        else:
            self.transport.close()

    def _refuse(self, refusal: HTTPError) -> None:
        """Answer what cannot be served, unless an answer has begun, and close."""
        cycle = self.cycle
        if cycle is not None and cycle.committed:
            self.break_off(cycle)
            cycle.disconnect()
            return
        if cycle is not None:
            cycle.status, cycle.committed = refusal.status, True
        elif self.service.access is not None:
            self.service.access.refused(self.ends.client, refusal)
        self.write(error_response(refusal, self.service.defaults))
        self._close(expecting=True)

    def _close(self, *, expecting: bool) -> None:
        """Close after all that was written; `expecting` says whether the peer may send more."""
        if (expecting or self._decoder is not None or self._held) and not self._eof:
            self._forget()
            self.service.connections.discard(self)
            close_lingering(self.service, self.transport)
        else:
            self.deadline = self.service.clock.now + self.service.config.timeout_send
            self.transport.close()

    def _forget(self) -> None:
        self.wake_writers()
        cycle, self.cycle = self.cycle, None
        if cycle is not None:
            cycle.disconnect()

    def _has_unread(self) -> bool:
        """Whether the kernel has bytes that the loop has not handed over: a request that came at the last moment."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

    def _expect_body(self) -> None:
        due = self._decoder is not None
        self.deadline = self.service.clock.now + self.service.config.timeout_body if due else math.inf
