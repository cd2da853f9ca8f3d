"""Strict parser of IP addresses in text from a peer.

inet_pton(3) is the grammar of RFC 3986, 3.2.2: four decimal octets without leading zeros, or an IPv6 address without a
zone identifier. A zone identifier names an interface of the sender, so it has no meaning here, and `ipaddress` allows
any characters in it.
"""

from __future__ import annotations

import socket
from socket import inet_pton

Node = tuple[str, int]

_IPV4, _IPV6 = int(socket.AF_INET), int(socket.AF_INET6)  # plain numbers, because they are used for each request


def pack(host: str) -> bytes | None:
    """Bytes (4 or 16) of an IP address; None for any other text."""
    try:
        return inet_pton(_IPV6 if ":" in host else _IPV4, host)
    except (OSError, ValueError):
        return None


def canonical_ip(host: str) -> str | None:
    """Canonical spelling of an address (RFC 5952), so that equal addresses are equal texts; None if it is none."""
    packed = pack(host)
    if packed is None:
        return None
    return host if len(packed) == 4 else socket.inet_ntop(socket.AF_INET6, packed)


def parse_port(text: str) -> int | None:
    """Port number from 0 to 65535 in decimal digits; None for any other text."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        return None
    port = int(text)
    return port if port < 65536 else None


def parse_node(text: str) -> Node | None:
    """Address and port (0 if it has none) of an element of X-Forwarded-For or a `for` of Forwarded (RFC 7239, 6).

    None for anything else: `unknown`, an obfuscated identifier, a host name, a Unix socket. An IPv6 address without
    brackets, as in X-Forwarded-For, has no port.
    """
    colons = text.count(":")
    if not colons:
        return None if pack(text) is None else (text, 0)
    host, port = text, ""
    if text[:1] == "[":
        host, bracket, port = text[1:].partition("]")
        if not bracket or ":" not in host or port[:1] not in ("", ":") or port == ":":
            return None
        port = port[1:]
    elif colons == 1:
        host, _, port = text.partition(":")
        if not port:
            return None
    address = canonical_ip(host)
    number = 0 if not port or _is_obfuscated(port) else parse_port(port)
    return None if address is None or number is None else (address, number)


def is_hidden(text: str) -> bool:
    """True for the node of a client that a proxy does not disclose (RFC 7239, 6.2 and 6.3), with or without a port."""
    name, colon, port = text.partition(":")
    if colon and parse_port(port) is None and not _is_obfuscated(port):
        return False
    return name.lower() == "unknown" or _is_obfuscated(name)


def _is_obfuscated(text: str) -> bool:
    name = text[1:]
    return text[:1] == "_" and name.isascii() and name.replace(".", "a").replace("_", "a").replace("-", "a").isalnum()
