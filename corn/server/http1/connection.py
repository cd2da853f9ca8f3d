"""HTTP/1.1 connection: bytes in, requests out, one at a time and in order (RFC 9112, 9).

The connection is in one of three states: it reads a head (`cycle` and `_decoder` are None), it reads a body (`_decoder`
is set), or it holds back what the peer pipelines behind the request in progress (`_held`). The held bytes are bounded:
beyond the bound, reading stops until the application has caught up. The next request begins when the last response has
been passed to the transport. Each state has a deadline, which the worker's sweep checks; a connection has no timer.
While writing is paused, the deadline is that of the reading peer (`write_buffer`). The timeout of a body runs while the
application waits for more of it, but not before a client that expects 100 Continue has received it.

After a complete response, the connection is closed in two steps if the peer may still be sending (`lingering_close`).
An incomplete response must be recognizable as such: if the end of the connection marks the end of the response, the
connection is reset. When a deadline expires, a partly received request gets a response; an idle connection does not.
"""

from __future__ import annotations

import asyncio
import math
import socket
from time import monotonic
from typing import Any, cast

from corn.server.asgi.cycle import RequestCycle
from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http.errors import HTTPError, error_response
from corn.server.http.grammar import PRINTABLE
from corn.server.http.head import RequestHead
from corn.server.http.response_fields import CONTINUE
from corn.server.http1.body import BodyDecoder, ChunkedBody, LengthBody
from corn.server.http1.parser import PreviousHead, oversized_head
from corn.server.http1.response import HTTP1Cycle, HTTP1WebSocketCycle
from corn.server.http2.h2c import PRIOR_KNOWLEDGE, SWITCHING, upgrade_settings, without_upgrade
from corn.server.lingering_close import close_lingering
from corn.server.typing import Cycle, Session, UpgradedConnection
from corn.server.websocket.connection import WebSocketConnection, switching_head
from corn.server.websocket.handshake import check_handshake, read_offer, wants_websocket
from corn.server.write_buffer import DELIVERED_AT_ONCE, BufferedProtocol
from corn.system.sockets import has_unread, reset_on_close, shut_down

_HOLD_LIMIT = 65536  # pipelined bytes held back before reading stops
_READ_ON_LIMIT = 65536  # unread rest of a body up to which it is read and discarded, to keep the connection


class HTTP1Connection(BufferedProtocol):
    """HTTP/1.1 connection from its first byte to its last."""

    __slots__ = (
        "_body_credit",
        "_checked",
        "_decoder",
        "_eof",
        "_held",
        "_is_last_owner",
        "_previous",
        "_socket",
        "_used",
        "common",
        "cycle",
        "ends",
    )

    def __init__(self, service: ServerContext, sock: socket.socket, ends: Endpoints) -> None:
        super().__init__(service)
        self.cycle: RequestCycle | None = None
        self.ends = ends
        self.common: dict[str, Any] | None = None  # what a cycle leaves for the next one
        self._socket = sock
        self._decoder: BodyDecoder | None = None
        self._body_credit = math.inf  # seconds left of the body's timeout while it is stopped; else inf
        self._held = b""
        self._checked = 0  # bytes in `_held` of an incomplete head that are checked already
        self._used = False  # True after the first request
        self._eof = False
        self._is_last_owner = True  # closing the descriptor in this process ends the connection
        self._previous: PreviousHead | None = None

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.service.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._decoder is not None:
            self._read_body(data)
        elif self.cycle is not None or self.write_paused:
            self._hold(data)
        elif self._held:
            start = max(len(self._held) - 3, 0)  # where the end of the head can begin
            data, self._held = self._held + data, b""
            if data[0] == 0x0D or data.find(b"\r\n\r\n", start) > 0:
                self._read_head(data, fresh=False)
            else:
                self._keep_partial(data, fresh=False)
        else:
            self._read_head(data, fresh=True)

    def eof_received(self) -> bool:
        """Return True to stay open for a pending response: the peer may have closed only its sending side."""
        self._eof = True
        self.flush()
        while self._decoder is not None and self._decoder.holds:
            self._read_body(b"")
        if self._decoder is not None:
            return False
        if self.cycle is not None:
            self.cycle.half_closed()
        elif self._held:
            self.service.loop.call_soon(self._next, context=self.service.context)
        return self.cycle is not None or bool(self._held)

    def pause_writing(self) -> None:
        if not self.write_paused:
            self._stop_body_clock()
        super().pause_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.cycle is None and self._decoder is None:
            self._await_request()
        elif self._decoder is not None and self.transport.is_reading() and not self._is_unasked():
            self._start_body_clock()
        else:
            self.deadline = math.inf

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio.Protocol's signature
        if self._is_last_owner:
            shut_down(self._socket.fileno())
        self.service.closed(self)
        self.discard_output()
        if self.cycle is not None and not self.cycle.refused:
            self.cycle.lost = True
        self._forget()

    # Reading

    def _read_head(self, data: bytes, *, fresh: bool) -> None:
        end = data.find(b"\r\n\r\n")
        if end <= 0 or data[0] == 0x0D:
            self._read_odd_head(data, fresh=fresh)
            return
        service = self.service
        try:
            if end > service.limit_header_size:
                raise oversized_head(data, service.limit_header_size)
            previous = self._previous or self._choose_previous()
            head = previous.parse_next(data, end, service.limit_header_count)
            scope = service.make_scope(head, self.ends, service.template)
            if head.forwarded or service.request_ids is not None:
                service.apply_forwarded_fields(head, scope, self.ends.client)
            if len(service.running) >= service.limit_concurrency:
                raise HTTPError(503, "too many concurrent requests")
            if head.upgrade and self._switch(head, scope, data[end + 4 :]):
                return
        except HTTPError as refusal:
            if self._is_http2(data[:end]):
                self._become_http2().data_received(data)
            else:
                self._refuse(refusal)
        else:
            self._used = True
            if head.length or head.chunked:
                self._begin_with_body(head, scope, data[end + 4 :])
            else:
                self.deadline = math.inf
                cycle = self.cycle = (service.http1_cycle or HTTP1Cycle)(service, self, head, scope)
                if len(data) > end + 4:
                    self._hold(data[end + 4 :])
                cycle.begin()

    def _choose_previous(self) -> PreviousHead:
        if self._used:  # the first request is often the only one
            self._previous = PreviousHead()
        return self._previous or self.service.first_head

    def _read_odd_head(self, data: bytes, *, fresh: bool) -> None:
        """Handle an incomplete head, or one after the line ends that old clients send after a body (RFC 9112, 2.2)."""
        pairs = (len(data) - len(data.lstrip(b"\r\n"))) // 2
        if data.startswith(b"\r\n" * pairs):
            data = data[2 * pairs :]
        if b"\r\n\r\n" in data and data[0] != 0x0D:
            self._read_head(data, fresh=fresh)
        elif data:
            self._keep_partial(data, fresh=fresh)

    def _keep_partial(self, data: bytes, *, fresh: bool) -> None:
        if fresh:
            self.deadline = self.service.header_deadline
        unchecked = data if fresh else data[self._checked :]
        controls = len(unchecked.translate(None, PRINTABLE)) - unchecked.endswith(b"\r")
        if controls != 2 * unchecked.count(b"\r\n"):
            self._refuse(HTTPError(400, "a control byte, or a line that does not end in CRLF"))
        elif len(data) > self.service.limit_header_size:
            self._refuse(oversized_head(data, self.service.limit_header_size))
        else:
            self._held = data
            self._checked = len(data) - data.endswith(b"\r")

    def _begin_with_body(self, head: RequestHead, scope: dict[str, Any], rest: bytes) -> None:
        limit_body = self.service.config.limit_body
        if limit_body is not None and head.length > limit_body:
            self._refuse(HTTPError(413, "the body is too large"))
            return
        cycle = self.cycle = (self.service.http1_cycle or HTTP1Cycle)(self.service, self, head, scope)
        if len(rest) == head.length and not head.chunked:
            self.deadline = math.inf
            cycle.feed(rest, False)
        else:
            limit_trailers = self.service.limit_header_size
            self._decoder = ChunkedBody(limit_trailers, limit_body) if head.chunked else LengthBody(head.length)
            cycle.arriving = True
            self._body_credit = self.service.config.timeout_body
            if head.expects_continue:
                self.deadline = math.inf
            else:
                self._start_body_clock()
            if rest:
                self._read_body(rest)
        if self.cycle is cycle:
            cycle.begin()

    def _is_http2(self, head: bytes) -> bool:
        """True if the connection begins with the preface of HTTP/2 (RFC 9113, 3.4)."""
        return head == PRIOR_KNOWLEDGE and not self._used and self.service.http2 is not None

    def _become_http2(self) -> UpgradedConnection:
        assert self.service.http2 is not None
        connection: UpgradedConnection = self.service.http2(self.service, self._socket, self.ends)
        self.service.connections.discard(self)
        self.transport.set_protocol(cast("asyncio.Protocol", connection))
        connection.connection_made(self.transport)
        return connection

    def _switch(self, head: RequestHead, scope: dict[str, Any], rest: bytes) -> bool:
        """Switch to the protocol that a request asks for; False if it is not supported, so it is served as is."""
        if wants_websocket(head) and self.service.opens_websockets:
            self._begin_websocket(head, scope, rest)
            return True
        if self.service.http2 is None or not self.service.config.h2c_upgrade or self.ends.scheme != "http":
            return False
        settings = upgrade_settings(head)
        if settings is None:
            return False
        self.write(SWITCHING)
        connection = self._become_http2()
        connection.begin_upgraded(without_upgrade(head), settings)
        if rest:
            connection.data_received(rest)
        return True

    def _begin_websocket(self, head: RequestHead, scope: dict[str, Any], rest: bytes) -> None:
        check_handshake(head)
        cycle = self.cycle = HTTP1WebSocketCycle(self.service, self, head, scope, read_offer(head.headers))
        self._used = True
        self.deadline = math.inf
        if rest:
            self._hold(rest)
        cycle.begin()

    def open_websocket(self, head: RequestHead, session: Session, block: bytes, flags: int) -> None:
        """Send the response that opens a WebSocket, and hand the connection over to the session."""
        self.write(switching_head(self.service, head, block, flags))
        carrier = session.carrier = WebSocketConnection(self.service, self.transport, session)
        if self.write_paused:
            carrier.pause_writing()
        self.cycle = None
        self.service.connections.discard(self)
        self.transport.set_protocol(carrier)
        self.read_on()
        if self._held:
            session.feed(self._held)

    def _read_body(self, data: bytes) -> None:
        decoder, cycle = cast("BodyDecoder", self._decoder), self.cycle
        try:
            body = decoder.feed(data)
        except HTTPError as refusal:
            self._refuse(refusal)
            return
        arriving = not decoder.done
        if arriving:
            self._grant_time(len(data))
        else:
            self._decoder = None
            if not self.write_paused:
                self.deadline = math.inf
        is_full = cycle is not None and cycle.feed(body, arriving) and arriving
        if is_full:
            self.transport.pause_reading()
            self._stop_body_clock()
        if decoder.holds:
            self.transport.pause_reading()
            self.service.loop.call_soon(self._decode_on, decoder, context=self.service.context)
        elif not (data or is_full):
            self.read_on()
        self._hold(decoder.rest)
        if not arriving and cycle is None:
            self._await_request()

    def _decode_on(self, decoder: BodyDecoder) -> None:
        """Decode more of a body, after other connections have been served."""
        if self._decoder is decoder and decoder.holds and not self.transport.is_closing():
            self._read_body(b"")

    def send_continue(self) -> None:
        self.write(CONTINUE)
        self._start_body_clock()

    def resume_body(self) -> None:
        """Resume reading the body, because the application has caught up."""
        if self._decoder is not None and not self._decoder.holds:
            self.read_on()
            self._start_body_clock()

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) > _HOLD_LIMIT:
            self.transport.pause_reading()

    def _grant_time(self, received: int) -> None:
        """Extend the deadline by the time allowed for so many bytes, at most to a full timeout_body from now."""
        self._start_body_clock()
        if not self.write_paused:
            config = self.service.config
            latest = self.service.clock.now + config.timeout_body
            rate = config.min_body_rate
            self.deadline = min(self.deadline + received / rate, latest) if rate else latest

    def _start_body_clock(self) -> None:
        if self._body_credit < math.inf and not self.write_paused:
            self.deadline = self.service.clock.now + self._body_credit
            self._body_credit = math.inf

    def _stop_body_clock(self) -> None:
        """Stop the body's timeout; the rest of it applies when the application reads on."""
        if self._decoder is not None and self._body_credit == math.inf:
            self._body_credit = self.deadline - self.service.clock.now
            self.deadline = math.inf

    def _is_unasked(self) -> bool:
        """True if the peer waits for 100 Continue, and the application has not asked for the body yet."""
        return self.cycle is not None and self.cycle.head.expects_continue

    # From one request to the next

    def may_keep_alive(self, head: RequestHead) -> bool:
        """True if the connection can be kept after the response that is about to start, as far as is known now.

        Not while 100 Continue is due: the peer may omit the body. A draining worker still answers pipelined requests.
        """
        return not head.expects_continue and (not self.service.draining or bool(self._held))

    def finished(self, cycle: Cycle) -> None:
        """Handle the end of the cycle: the response is complete, or there will be none."""
        service, is_closing, now = self.service, self.transport.is_closing(), monotonic()
        if is_closing and not cycle.refused:
            cycle.lost = True
        (self if cycle.sent > DELIVERED_AT_ONCE else service.metrics).answered(cycle, now)
        if len(service.running) > 1:
            service.turn.finished(now)
        if self.cycle is not cycle:
            return
        self.cycle = None
        if is_closing:
            return
        if not cycle.keep_alive or (service.draining and not self._held):
            self._close(expecting=cycle.head.keep_alive)
        elif self._decoder is None:
            self._await_request()
        elif isinstance(self._decoder, LengthBody) and self._decoder.remaining <= _READ_ON_LIMIT:
            self.read_on()
            self._start_body_clock()
        else:
            self._close(expecting=True)

    def _await_request(self) -> None:
        if self._held and not self.write_paused:
            self.deadline = math.inf  # the read deadline no longer applies
            self.service.loop.call_soon(self._next, context=self.service.context)
        elif (self._eof or self.service.draining) and not self._held:
            self._close(expecting=not self._eof)
        elif not self.write_paused:
            self.deadline = self.service.idle_deadline

    def _next(self) -> None:
        """Process pipelined requests in the worker's context, so that they do not inherit that of the last request."""
        if self.cycle is not None or not self._held or self.write_paused or self.transport.is_closing():
            return
        held, self._held = self._held, b""
        self._read_head(held, fresh=True)
        if len(self._held) <= _HOLD_LIMIT:
            self.read_on()
        if self._eof and self.cycle is None:
            self._close(expecting=False)

    # Writing beside the transport (`sendfile`)

    def fileno(self) -> int:
        """Descriptor of the socket."""
        return self._socket.fileno()

    def write_blocked(self) -> None:
        """Called when a write beside the transport has to wait for the peer."""
        self.pause_writing()

    def write_progressed(self) -> None:
        """Called when a write beside the transport has made progress."""
        if self.write_paused:
            self.resume_writing()

    # Called by the worker

    def expire(self) -> None:
        """Handle an expired deadline: a partly received request is answered with 408 (RFC 9110, 15.5.9)."""
        if self.write_paused or self.transport.is_closing() or self._is_read_late():
            if not self.still_sends():
                self.abort()
        elif self._held or self.cycle is not None:
            self._refuse(HTTPError(408, "the request did not arrive in time"))
        elif self._decoder is not None:
            self._close(expecting=True)
        elif has_unread(self._socket):
            self.deadline = self.service.header_deadline
        elif self._progress is not None and not self.service.draining:
            self._progress = None  # at the last check, the peer was still reading the last response
            self.deadline = self.service.idle_deadline
        else:
            self.transport.close()

    def _is_read_late(self) -> bool:
        """True if the connection only waits until the peer has read the last response."""
        if self.cycle is not None or self._decoder is not None or self._held:
            return False
        return self.transport.get_write_buffer_size() > 0

    def idle_socket(self) -> socket.socket | None:
        """Socket if the connection has no other state, else None: plain TCP with nothing read or buffered."""
        waits = self.cycle is None and self._decoder is None and not (self._held or self._out or self._eof)
        plain = self.ends.scheme == "http" and not self.service.config.proxy_protocol
        if not waits or not plain or self.transport.is_closing() or self.transport.get_write_buffer_size():
            return None
        return self._socket

    def detach_socket(self) -> None:
        """Close this process's descriptor only, because the socket was handed to another process."""
        self._is_last_owner = False
        self.abort()

    def linger_until(self, first: float, idle: float) -> None:
        if self.cycle is None and self._decoder is None and not self._held:
            self.deadline = min(self.deadline, idle if self._used else first)

    @property
    def is_busy(self) -> bool:
        return self.cycle is not None

    def abort_response(self, cycle: Cycle) -> None:
        """Abort a response that cannot be completed, in a way that the peer can detect (RFC 9112, 8)."""
        cycle.refused = True
        if self.transport.is_closing():
            return
        self.flush()
        if cycle.ends_with_connection:
            reset_on_close(self._socket)
            self._is_last_owner = False
            self.transport.abort()
        else:
            self.close_when_written()

    def _refuse(self, refusal: HTTPError) -> None:
        """Send an error response, unless a response has begun, and close."""
        cycle = self.cycle
        if cycle is not None and cycle.committed:
            self.abort_response(cycle)
            cycle.disconnect()
            return
        if cycle is not None:
            cycle.status, cycle.committed, cycle.refused = refusal.status, True, True
        elif self.service.access is not None:
            self.service.access.refused(self.ends.client, refusal)
        self.write(error_response(refusal, self.service.defaults))
        self._close(expecting=True)

    def _close(self, *, expecting: bool) -> None:
        """Close after the buffered output; `expecting` is True if the peer may send more."""
        if (expecting or self._decoder is not None or self._held) and not self._eof:
            self.flush()
            self._forget()
            self._held = b""  # so that no pipelined request is started
            self.service.connections.discard(self)
            close_lingering(self.service, self.transport, self)
        else:
            self.close_when_written()

    def _forget(self) -> None:
        self.wake_writers()
        cycle, self.cycle = self.cycle, None
        if cycle is not None:
            cycle.disconnect()
