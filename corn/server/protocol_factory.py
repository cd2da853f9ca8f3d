"""Factory of the protocols of a connection, in the order in which one replaces the other.

    [ProxyProtocolReader]  ->  [TLSHandshake]  ->  HTTP1Connection, or HTTP2Connection

Those in brackets are used where options enable them.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial

from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http1.connection import HTTP1Connection
from corn.server.http1.https_redirect import HTTPSRedirect
from corn.server.proxy.proxy_protocol import ProxyProtocolReader
from corn.server.proxy.trusted_networks import TrustedNetworks
from corn.server.tls.context import TLSContexts
from corn.server.tls.handshake import TLSHandshake


class ProtocolFactory:
    """Factory of the protocols of a worker's connections; plain text without `tls`.

    `port` is the HTTPS port to which clients are redirected.
    """

    def __init__(self, service: ServerContext, tls: TLSContexts | None, port: int | None = None) -> None:
        config = service.config
        self._service = service
        self._tls = tls
        self._port = port
        self._preamble_peers = TrustedNetworks(config.proxy_protocol_allow_ips) if config.proxy_protocol else None

    def first(self, sock: socket.socket, ends: Endpoints) -> asyncio.BaseProtocol:
        """First protocol of a connection."""
        if self._preamble_peers is not None and self._preamble_peers.trusts(ends.client):
            return ProxyProtocolReader(self._service, ends, partial(self._second, sock))
        return self._second(sock, ends)

    def redirect(self, _: socket.socket, ends: Endpoints) -> asyncio.BaseProtocol:
        """First protocol of a connection whose listener redirects to HTTPS."""
        if self._preamble_peers is not None and self._preamble_peers.trusts(ends.client):
            return ProxyProtocolReader(self._service, ends, self._redirection)
        return self._redirection(ends)

    def _redirection(self, ends: Endpoints) -> asyncio.Protocol:
        return HTTPSRedirect(self._service, ends, self._port)

    def _second(self, sock: socket.socket, ends: Endpoints) -> asyncio.Protocol:
        if self._tls is None:
            return self._http(sock, ends, None)
        return TLSHandshake(self._service, self._tls, ends, partial(self._http, sock))

    def _http(self, sock: socket.socket, ends: Endpoints, negotiated: str | None) -> asyncio.Protocol:
        """HTTP protocol by the version negotiated with ALPN; without ALPN the client's first bytes decide."""
        http2 = self._service.http2
        if http2 is not None and (negotiated == "h2" or self._service.config.http == "2"):
            connection: asyncio.Protocol = http2(self._service, sock, ends)
            return connection
        return HTTP1Connection(self._service, sock, ends)
