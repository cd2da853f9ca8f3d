"""Forwarding headers of trusted proxies: X-Forwarded-* or Forwarded (RFC 7239).

Each proxy appends to these lists, so only their right end comes from a trusted peer. The client is the first address
from the right that does not belong to a trusted proxy. If another list has the same length, its value at the same
position applies. The search stops at an element that is not an address, because elements left of it cannot be trusted;
this includes the empty element that a proxy appends if it does not know its client. The operator chooses the fields to
read (`--proxy-fields`), because a proxy that does not set a field passes on that of the client.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from corn.server.asgi.scope import Address
from corn.server.http.target import is_host
from corn.server.proxy.addresses import is_hidden, parse_node, parse_port
from corn.server.proxy.trusted_networks import TrustedNetworks

_PAIR = re.compile(r'([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)=([!#$%&\'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\]|\\.)*")')
_COMMA = ord(",")  # an integer is found in bytes ten times as fast as bytes are
_SPACE = re.compile(r"[ \t]*")
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PREFIX = re.compile(r"(/[A-Za-z0-9\-._~!$&'()*+,;=:@]+)+")
_FORWARDED = frozenset({b"forwarded"})
_PLAIN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=;"  # tokens, and between them
_OTHERS = (b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-prefix")
_OF_FORWARDED = {each: b"x-forwarded-" + each for each in (b"for", b"proto", b"host")}


class ForwardedInfo(NamedTuple):
    """Lists of forwarded values, each in the order in which the proxies have appended."""

    clients: Sequence[str] = ()
    schemes: Sequence[str] = ()
    hosts: Sequence[str] = ()
    ports: Sequence[str] = ()
    prefixes: Sequence[str] = ()


class ForwardedHeaders:
    """Rewriter of scopes by the forwarding headers that the operator has chosen, for requests from trusted proxies.

    In nearly every request each of them occurs once, with one element; these are applied without building lists.
    """

    def __init__(self, trust: TrustedNetworks, fields: Sequence[str]) -> None:
        self._trust = trust
        self._fields = () if "forwarded" in fields else tuple(fields)  # of X-Forwarded-*
        self._names = frozenset(f"x-forwarded-{field}".encode() for field in self._fields) or _FORWARDED

    def apply(self, scope: dict[str, Any], peer: Address, places: Sequence[int] = ()) -> None:
        """Apply the fields of `peer`, if it is a trusted proxy, to a scope; malformed values change nothing.

        `places` are the positions of all forwarding headers, if these are known.
        """
        if not self._trust.trusts(peer):
            return
        headers = scope["headers"]
        names, found = self._names, {}
        for place in places or range(len(headers)):
            name, value = headers[place]
            if name in names:
                if name in found or _COMMA in value:
                    self._apply_lists(scope)
                    return
                found[name] = value
        if self._fields:
            self._apply_one(scope, found)
        elif found:
            pairs = _plain_pairs(found[b"forwarded"])
            if pairs is None:
                self._apply_lists(scope)
            else:
                self._apply_one(scope, pairs)

    def _apply_one(self, scope: dict[str, Any], found: dict[bytes, bytes]) -> None:
        client, scheme = found.get(b"x-forwarded-for"), found.get(b"x-forwarded-proto")
        if client is not None:
            node = parse_node(client.decode("latin-1"))
            if node is not None:
                scope["client"] = node
        if scheme is not None:
            known = _SCHEMES.get(scheme.decode("latin-1").lower())
            if known is not None:
                scope["scheme"] = known
        if len(found) > (client is not None) + (scheme is not None):
            host, port, prefix = (found.get(each, b"").decode("latin-1") for each in _OTHERS)
            _apply_host(scope, host, port)
            _apply_prefix(scope, prefix)

    def _apply_lists(self, scope: dict[str, Any]) -> None:
        headers = scope["headers"]
        info = read_x_forwarded(headers, self._fields) if self._fields else read_forwarded(headers)
        hops = _apply_client(scope, self._trust, info.clients)
        scheme = _SCHEMES.get(_pick(info.schemes, hops).lower())
        if scheme is not None:
            scope["scheme"] = scheme
        _apply_host(scope, _pick(info.hosts, hops), _pick(info.ports, hops))
        _apply_prefix(scope, _pick(info.prefixes, hops))


def read_x_forwarded(headers: Sequence[tuple[bytes, bytes]], fields: Sequence[str]) -> ForwardedInfo:
    """Values of the X-Forwarded-* fields that are to be read."""
    lists = {field: _list(headers, f"x-forwarded-{field}".encode()) for field in fields}
    return ForwardedInfo(*(lists.get(field, ()) for field in ("for", "proto", "host", "port", "prefix")))


def read_forwarded(headers: Sequence[tuple[bytes, bytes]]) -> ForwardedInfo:
    """Values of the Forwarded fields, from the last malformed element on.

    Elements left of a malformed one were not written by the nearest proxy and are ignored; those right of it are valid.
    So a client cannot hide its address by sending a malformed element.
    """
    elements: list[dict[str, str]] = []
    for text in (value.decode("latin-1") for name, value in headers if name == b"forwarded"):
        position = 0
        while position < len(text):
            element, position = _read_element(text, position)
            if element is None:
                elements.clear()
                position = text.find(",", position) + 1 or len(text)
            elif element:  # RFC 9110, 5.6.1.2: empty elements of a list are ignored
                elements.append(element)
    return ForwardedInfo(*([each.get(name, "") for each in elements] for name in ("for", "proto", "host")))


def _read_element(text: str, position: int) -> tuple[dict[str, str] | None, int]:
    """Parse one forwarded-element, None if it is malformed; and the position after its comma, or of the fault."""
    element: dict[str, str] = {}
    while True:
        start = _skip(text, position)
        match = _PAIR.match(text, start)
        if match is not None:
            value = match[2]
            value = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value
            element.setdefault(match[1].lower(), value)
            start = _skip(text, match.end())
        if start == len(text) or text[start] == ",":
            return element, start + 1
        if text[start] != ";":
            return None, position
        position = start + 1


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match is not None else position


def _plain_pairs(value: bytes) -> dict[bytes, bytes] | None:
    """Parse a Forwarded field of one element without quotes, under the names of X-Forwarded-*; None for any other."""
    if value.translate(None, _PLAIN):
        return None
    pairs: dict[bytes, bytes] = {}
    for pair in value.split(b";"):
        name, _, text = pair.partition(b"=")
        if not name or not text or b"=" in text:
            return None
        known = _OF_FORWARDED.get(name) or _OF_FORWARDED.get(name.lower())
        if known is not None and known not in pairs:
            pairs[known] = text
    return pairs


def _list(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    text = ",".join(value.decode("latin-1") for name, value in headers if name == wanted)
    return [each.strip(" \t") for each in text.split(",")] if text else []


def _pick(values: Sequence[str], hops: int) -> str:
    return values[max(len(values) - hops, 0)] if values else ""


def _apply_client(scope: dict[str, Any], trust: TrustedNetworks, clients: Sequence[str]) -> int:
    """Set the client; returns the number of proxies between it and corn."""
    hops = 0
    for text in reversed(clients):
        node = parse_node(text)
        if node is None:
            hops += is_hidden(text)  # the other values of its proxy apply
            break
        hops += 1
        scope["client"] = node
        if not trust.contains(node[0]):
            break
    return max(hops, 1)


def _apply_host(scope: dict[str, Any], host: str, port: str) -> None:
    name, number = scope["server"] or ("", None)
    if host and is_host(host.encode("latin-1")):
        scope["headers"][:] = [(b"host", host.encode("ascii")), *(f for f in scope["headers"] if f[0] != b"host")]
        name, stated = _split_host(host)
        number = int(stated) if stated else {"http": 80, "https": 443}[scope["scheme"]]
    if number is not None:
        number = parse_port(port) or number
    if number is not None:
        scope["server"] = (name, number)


def _apply_prefix(scope: dict[str, Any], prefix: str) -> None:
    prefix = prefix.rstrip("/")
    if _PREFIX.fullmatch(prefix):
        scope["root_path"] = prefix + scope["root_path"]
        scope["path"] = prefix + scope["path"]
        scope["raw_path"] = prefix.encode("ascii") + scope["raw_path"]


def _split_host(host: str) -> tuple[str, str]:
    if host.endswith("]") or ":" not in host:
        return host.strip("[]"), ""
    name, _, port = host.rpartition(":")
    return name.strip("[]"), port
