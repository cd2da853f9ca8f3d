"""WebSocket opening handshake: checks of the request, and fields of the response (RFC 6455, 4; RFC 7692, 5). Pure.

A handshake over HTTP/2 (RFC 8441) has no key and no Upgrade field, but offers subprotocols and extensions in the same
fields, which `read_offer` parses for both.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from websockets.exceptions import InvalidHeaderFormat
from websockets.headers import parse_extension
from websockets.typing import ExtensionHeader

from corn.server.asgi.drain_event import DRAIN
from corn.server.asgi.types import WEBSOCKET_SPEC
from corn.server.http.errors import HTTPError
from corn.server.http.grammar import TOKEN
from corn.server.http.head import RequestHead

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = b"13"
_KEY_BYTES = 16
_SCHEMES = {"http": "ws", "https": "wss"}
_RESERVED = (b"upgrade", b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol")


class Offer(NamedTuple):
    """Subprotocols and extensions that the client offers."""

    subprotocols: list[str]
    extensions: list[ExtensionHeader]


def wants_websocket(head: RequestHead) -> bool:
    """True if a request offers an upgrade to a WebSocket. With another method than GET, it is served as an HTTP
    request.

    An upgrade may be ignored, and must be ignored in HTTP/1.0 and without the connection option (RFC 9110, 7.8).
    """
    offered = b"websocket" in [each.strip() for each in head.upgrade.split(b",")]
    return offered and head.method == "GET" and head.minor > 0 and b"upgrade" in head.options


def check_handshake(head: RequestHead) -> None:
    """Check a handshake; raises HTTPError for one over HTTP/1.1 that cannot be accepted."""
    versions, keys = _values(head.headers, b"sec-websocket-version"), _values(head.headers, b"sec-websocket-key")
    if len(versions) != 1 or len(keys) != 1:
        raise HTTPError(400, "a WebSocket handshake needs one Sec-WebSocket-Version and one Sec-WebSocket-Key")
    if versions != [_VERSION]:
        raise HTTPError(
            426, "the WebSocket version is 13", [(b"upgrade", b"websocket"), (b"sec-websocket-version", b"13")]
        )
    if not _is_key(keys[0]):
        raise HTTPError(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    if head.length or head.chunked:
        raise HTTPError(400, "a WebSocket handshake has no body")


def accept_key(head: RequestHead) -> bytes:
    """Value of Sec-WebSocket-Accept for a handshake that was checked."""
    (key,) = _values(head.headers, b"sec-websocket-key")
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def read_offer(headers: Iterable[tuple[bytes, bytes]]) -> Offer:
    """Parse the offer of a handshake; raises HTTPError if it is malformed."""
    protocols = b",".join(_values(headers, b"sec-websocket-protocol"))
    names = [name for each in protocols.split(b",") if (name := each.strip(b" \t"))]  # RFC 9110, 5.6.1.2
    if not all(map(TOKEN.fullmatch, names)):
        raise HTTPError(400, "invalid Sec-WebSocket-Protocol")
    extensions = b",".join(_values(headers, b"sec-websocket-extensions")).decode("latin-1")
    try:
        return Offer([each.decode("ascii") for each in names], parse_extension(extensions) if extensions else [])
    except InvalidHeaderFormat:
        raise HTTPError(400, "invalid Sec-WebSocket-Extensions") from None


def websocket_scope(scope: dict[str, Any], offer: Offer) -> dict[str, Any]:
    """Convert an HTTP scope to that of a WebSocket (ASGI, "WebSocket Connection Scope")."""
    del scope["method"]
    scope["type"] = "websocket"
    scope["asgi"] = WEBSOCKET_SPEC.copy()
    scope["scheme"] = _SCHEMES[scope["scheme"]]
    scope["subprotocols"] = offer.subprotocols
    kept = {name: each for name, each in scope["extensions"].items() if name in ("tls", DRAIN)}
    scope["extensions"] = {"websocket.http.response": {}, **kept}
    return scope


def check_fields(headers: Iterable[Iterable[bytes]]) -> None:
    """Check the fields of `websocket.accept`; raises ValueError for one that only corn may send."""
    for name, _ in headers:
        if name.lower() in _RESERVED:
            hint = "; the message has 'subprotocol' for it" if name.lower() == b"sec-websocket-protocol" else ""
            raise ValueError(f"'websocket.accept' must not have the header {name!r}{hint}")


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False
