"""TLS handshake of a new connection.

It counts as a connection that waits for its first byte: it has a deadline, a drain lets it finish, and it is aborted at
the end of the grace period. A client that sends plain HTTP instead of a handshake record (RFC 8446, 5.1) gets an error
response in plain HTTP.

The negotiated parameters are in the scope (ASGI, "TLS Extension", version 0.2).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Any, cast

from corn.logs import logger
from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http.errors import HTTPError, error_response
from corn.server.lingering_close import close_lingering
from corn.server.opening_connection import OpeningConnection
from corn.server.tls.context import TLSContexts
from corn.server.tls.transport import TLSStream
from corn.server.typing import Connection

_HANDSHAKE_RECORD = 0x16
NO_TLS = HTTPError(400, "a plain HTTP request was sent to an HTTPS port; use an https:// URL")

Factory = Callable[[Endpoints, "str | None"], asyncio.Protocol]

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
_ESCAPED = re.compile(r'[\\"+,;<>]|^[ #]| $')


class TLSHandshake(OpeningConnection):
    """Handshake, after which the protocol that `factory` makes for the ALPN protocol takes over."""

    __slots__ = ("_ends", "_factory", "_incoming", "_object", "_outgoing", "_tls")

    def __init__(self, service: ServerContext, tls: TLSContexts, ends: Endpoints, factory: Factory) -> None:
        super().__init__(service, service.clock.now + tls.timeout)
        self._tls = tls
        self._ends = ends
        self._factory = factory
        self._object: ssl.SSLObject | None = None

    def data_received(self, data: bytes) -> None:
        self.extend()
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
            logger.debug("TLS handshake with %s failed: %s", self._ends.client, error.reason or error)
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
            self.transport.write(error_response(NO_TLS, self.service.defaults))
            self._end()
        else:
            self.transport.abort()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.transport.write(self._outgoing.read())

    def _end(self) -> None:
        self.service.connections.discard(self)
        close_lingering(self.service, self.transport)


def tls_extension(connection: ssl.SSLObject, tls: TLSContexts) -> dict[str, Any]:
    """Fields of the ASGI extension `tls`. An invalid certificate fails the handshake, so there is no error."""
    cipher = connection.cipher()
    return {
        "server_cert": tls.certificates.get(connection.context),
        "client_cert_chain": client_chain(connection),
        "client_cert_name": _name(connection.getpeercert() or {}),
        "client_cert_error": None,
        "tls_version": _VERSIONS.get(connection.version() or ""),
        "cipher_suite": tls.suites.get(cipher[0]) if cipher else None,
    }


def client_chain(connection: ssl.SSLObject) -> tuple[str, ...]:
    """Certificates that the client sent, its own first, as PEM; before Python 3.13 only its own is available."""
    if hasattr(connection, "get_unverified_chain"):
        chain = list(connection.get_unverified_chain())
        own = connection.getpeercert(binary_form=True)
        if own and own not in chain:
            chain.insert(0, own)
    else:
        own = connection.getpeercert(binary_form=True)
        chain = [own] if own else []
    return tuple(map(ssl.DER_cert_to_PEM_cert, chain))


def _name(fields: Any) -> str | None:
    """Subject in the form of RFC 4514: the last part first; "" for an empty one."""
    parts = [
        "+".join(f"{_SHORT.get(kind, kind)}={escape(value)}" for kind, value in rdn)
        for rdn in fields.get("subject", ())
    ]
    return ",".join(reversed(parts)) or None


def escape(value: str) -> str:
    """Escape a value within a distinguished name (RFC 4514, 2.4)."""
    return _ESCAPED.sub(lambda match: "\\" + match[0], value).replace("\0", "\\00")
