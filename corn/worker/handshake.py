"""A connection to a TLS listener until its handshake is done.

It counts as a connection that waits for its first byte: it has a deadline, a drain lets it finish, and the stop at the
end of the grace cuts it. What begins with no handshake record (RFC 8446, 5.1) is no TLS: somebody who speaks plain HTTP
is told so, in plain HTTP.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from corn.logs import logger
from corn.worker.last_answer import last_answer
from corn.worker.lingering import linger
from corn.worker.opening import Opening
from corn.worker.peer import tls_extension
from corn.worker.refusal import Refusal
from corn.worker.scope import Ends
from corn.worker.service import Connection, Service
from corn.worker.tls import TLS
from corn.worker.tls_stream import TLSStream

_HANDSHAKE_RECORD = 0x16
NO_TLS = Refusal(400, "this port speaks HTTPS, and the request came as plain HTTP; ask for an https:// address")

Factory = Callable[[Ends, "str | None"], asyncio.Protocol]


class Handshake(Opening):
    """Shakes hands; then the protocol that `factory` makes for the ends and the ALPN protocol takes over."""

    __slots__ = ("_ends", "_factory", "_incoming", "_object", "_outgoing", "_tls")

    def __init__(self, service: Service, tls: TLS, ends: Ends, factory: Factory) -> None:
        self.service = service
        self._tls = tls
        self._ends = ends
        self._factory = factory
        self._object: ssl.SSLObject | None = None
        self.deadline = service.clock.now + tls.timeout

    def data_received(self, data: bytes) -> None:
        if self._object is None:
            if data[0] != _HANDSHAKE_RECORD:
                self._refuse(data)
                return
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._object = self._tls.new_object(self._incoming, self._outgoing)
        self._incoming.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            logger.debug("a TLS handshake with %s failed: %s", self._ends.client, error.reason or error)
            self._flush()
            self._end()
        else:
            self._hand_over(self._object)

    def _hand_over(self, tls_object: ssl.SSLObject) -> None:
        stream = TLSStream(self.transport, tls_object, self._incoming, self._outgoing)
        ends = self._ends._replace(scheme="https", tls=tls_extension(tls_object, self._tls))
        protocol = self._factory(ends, tls_object.selected_alpn_protocol())
        stream.set_protocol(protocol)
        self.transport.set_protocol(cast("asyncio.BaseProtocol", stream))
        self.service.connections.discard(self)
        protocol.connection_made(stream)
        if self.service.draining:
            cast("Connection", protocol).linger_until(self.deadline, self.deadline)
        stream.deliver()
        self._flush()

    def _refuse(self, data: bytes) -> None:
        if data[:1].isalpha():
            if self.service.access is not None:
                self.service.access.refused(self._ends.client, NO_TLS)
            self.transport.write(last_answer(NO_TLS, self.service.defaults))
            self._end()
        else:
            self.transport.abort()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.transport.write(self._outgoing.read())

    def _end(self) -> None:
        self.service.connections.discard(self)
        linger(self.service, self.transport)
