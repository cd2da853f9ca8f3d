"""PROXY protocol, versions 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt).

A proxy may begin each connection with the addresses of its client's connection. The header is required from configured
peers and refused from all others: detecting it by its bytes would let any client choose its own address.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext
from corn.server.http.errors import HTTPError
from corn.server.opening_connection import OpeningConnection
from corn.server.proxy.addresses import Node, canonical_ip, parse_port

_V1_MAX = 107
_V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_MAX = 4096
_FAMILIES = {0x11: socket.AF_INET, 0x21: socket.AF_INET6}


def parse_proxy_header(data: bytes, ends: Endpoints) -> tuple[Endpoints, bytes] | None:
    """Endpoints of a PROXY header, and the bytes after it; None while it is incomplete.

    Raises `HTTPError` for an invalid header. One without addresses (LOCAL, UNKNOWN) leaves the endpoints as they are.
    """
    if data.startswith(_V2_SIGNATURE[: len(data)]):
        return _read_v2(data, ends)
    if data.startswith(b"PROXY "[: len(data)]):
        return _read_v1(data, ends)
    raise HTTPError(400, "no PROXY protocol")


def _read_v1(data: bytes, ends: Endpoints) -> tuple[Endpoints, bytes] | None:
    line, found, rest = data[:_V1_MAX].partition(b"\r\n")
    if not found:
        if len(data) >= _V1_MAX:
            raise HTTPError(400, "invalid PROXY protocol")
        return None
    rest += data[_V1_MAX:]
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        return ends, rest
    try:
        _, family, source, target, source_port, target_port = (word.decode("ascii") for word in words)
        is_ipv6 = {"TCP4": False, "TCP6": True}[family]
        client, server = _endpoint(source, source_port, is_ipv6), _endpoint(target, target_port, is_ipv6)
    except (ValueError, KeyError):
        raise HTTPError(400, "invalid PROXY protocol") from None
    return ends._replace(client=client, server=server), rest


def _endpoint(host: str, port: str, is_ipv6: bool) -> Node:
    address, number = canonical_ip(host), parse_port(port)
    if address is None or number is None or (":" in host) != is_ipv6 or port != str(number):
        raise ValueError(host)
    return address, number


def _read_v2(data: bytes, ends: Endpoints) -> tuple[Endpoints, bytes] | None:
    if len(data) < 16:
        return None
    command, family, size = struct.unpack_from("!BBH", data, 12)
    if command not in (0x20, 0x21) or size > _V2_MAX:
        raise HTTPError(400, "invalid PROXY protocol")
    if len(data) < 16 + size:
        return None
    block, rest = data[16 : 16 + size], data[16 + size :]
    if command == 0x20 or family not in _FAMILIES:
        return ends, rest
    return _v2_ends(block, _FAMILIES[family], ends), rest


def _v2_ends(block: bytes, family: socket.AddressFamily, ends: Endpoints) -> Endpoints:
    width = 4 if family == socket.AF_INET else 16
    if len(block) < 2 * width + 4:
        raise HTTPError(400, "invalid PROXY protocol")
    source_port, target_port = struct.unpack_from("!HH", block, 2 * width)
    source = socket.inet_ntop(family, block[:width])
    target = socket.inet_ntop(family, block[width : 2 * width])
    return ends._replace(client=(source, source_port), server=(target, target_port))


class ProxyProtocolReader(OpeningConnection):
    """Connection whose PROXY header has not been read; `factory` then makes the protocol that takes over."""

    __slots__ = ("_data", "_ends", "_factory")

    def __init__(
        self, service: ServerContext, ends: Endpoints, factory: Callable[[Endpoints], asyncio.Protocol]
    ) -> None:
        super().__init__(service, service.header_deadline)
        self._ends = ends
        self._factory = factory
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self.extend()
        self._data += data
        try:
            found = parse_proxy_header(self._data, self._ends)
        except HTTPError as refusal:
            if self.service.access is not None:
                self.service.access.refused(self._ends.client, refusal)
            self.transport.abort()
            return
        if found is not None:
            self._hand_over(*found)

    def _hand_over(self, ends: Endpoints, rest: bytes) -> None:
        self.service.connections.discard(self)
        protocol = self._factory(ends)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if rest:
            protocol.data_received(rest)
