"""What a trusted proxy says about the request it forwards: X-Forwarded-* or Forwarded (RFC 7239).

Each proxy appends to these lists, so only their right end comes from somebody corn trusts. The client is the first
address from the right that is no trusted proxy's; and where the other lists are as long, their value is taken from the
same place. Which fields are read at all is the operator's choice (`--proxy-fields`), since a proxy that does not set a
field passes on whatever the client has put there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from corn.server.http.target import is_host
from corn.server.proxy.trusted_networks import TrustedNetworks

_PAIR = re.compile(
    r'[ \t]*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)=([!#$%&\'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\]|\\.)*")[ \t]*(;|,|$)'
)
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|([0-9A-Fa-f:]+:[0-9A-Fa-f:.]*))(?::([0-9]{1,5}))?")
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PREFIX = re.compile(r"(/[A-Za-z0-9\-._~!$&'()*+,;=:@]+)+")


class ForwardedInfo(NamedTuple):
    """The lists, each in the order in which the proxies have appended."""

    clients: Sequence[str] = ()
    schemes: Sequence[str] = ()
    hosts: Sequence[str] = ()
    ports: Sequence[str] = ()
    prefixes: Sequence[str] = ()


def apply_forwarded(scope: dict[str, Any], trust: TrustedNetworks, fields: Sequence[str]) -> None:
    """Change a scope to what the trusted proxy says; what is malformed changes nothing."""
    claims = read_forwarded(scope["headers"]) if "forwarded" in fields else read_x_forwarded(scope["headers"], fields)
    hops = _apply_client(scope, trust, claims.clients)
    scheme = _SCHEMES.get(_pick(claims.schemes, hops).lower())
    if scheme is not None:
        scope["scheme"] = scheme
    _apply_host(scope, _pick(claims.hosts, hops), _pick(claims.ports, hops))
    prefix = _pick(claims.prefixes, hops).rstrip("/")
    if _PREFIX.fullmatch(prefix):
        scope["root_path"] = prefix + scope["root_path"]
        scope["path"] = prefix + scope["path"]
        scope["raw_path"] = prefix.encode("ascii") + scope["raw_path"]


def read_x_forwarded(headers: Sequence[tuple[bytes, bytes]], fields: Sequence[str]) -> ForwardedInfo:
    """The X-Forwarded-* fields that are to be read."""
    lists = {field: _list(headers, f"x-forwarded-{field}".encode()) for field in fields}
    return ForwardedInfo(*(lists.get(field, ()) for field in ("for", "proto", "host", "port", "prefix")))


def read_forwarded(headers: Sequence[tuple[bytes, bytes]]) -> ForwardedInfo:
    """The Forwarded fields; none of them where they are malformed."""
    text = ", ".join(value.decode("latin-1") for name, value in headers if name == b"forwarded")
    elements: list[dict[str, str]] = [{}]
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None:
            return ForwardedInfo()
        value = match[2]
        elements[-1][match[1].lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        if match[3] == ",":
            elements.append({})
        position = match.end()
    return ForwardedInfo(*([each.get(name, "") for each in elements] for name in ("for", "proto", "host")))


def _list(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    text = ",".join(value.decode("latin-1") for name, value in headers if name == wanted)
    return [each.strip(" \t") for each in text.split(",")] if text else []


def _pick(values: Sequence[str], hops: int) -> str:
    return values[max(len(values) - hops, 0)] if values else ""


def _apply_client(scope: dict[str, Any], trust: TrustedNetworks, clients: Sequence[str]) -> int:
    """Set the client; how many proxies stand between it and corn."""
    hops = 0
    for text in reversed(clients):
        node = _NODE.fullmatch(text)
        if node is None:
            break
        hops += 1
        host = node[1] or node[2] or node[3]
        scope["client"] = (host, int(node[4] or 0))
        if not trust.contains(host):
            break
    return max(hops, 1)


def _apply_host(scope: dict[str, Any], host: str, port: str) -> None:
    name, number = scope["server"] or ("", None)
    if host and is_host(host.encode("latin-1")):
        scope["headers"][:] = [(b"host", host.encode("ascii")), *(f for f in scope["headers"] if f[0] != b"host")]
        name, stated = _split_host(host)
        number = int(stated) if stated else {"http": 80, "https": 443}[scope["scheme"]]
    if number is not None and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        number = int(port)
    if number is not None:
        scope["server"] = (name, number)


def _split_host(host: str) -> tuple[str, str]:
    if host.endswith("]") or ":" not in host:
        return host.strip("[]"), ""
    name, _, port = host.rpartition(":")
    return name.strip("[]"), port
