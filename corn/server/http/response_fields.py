"""Response serialization: status lines, header fields, chunks (RFC 9112, 4, 5 and 7.1).

The fields of the application are checked once, after they are joined: the only control bytes may be the line ends that
corn has added, so a CR, LF or NUL in a name or a value is never sent. Most applications send few different sets of
fields, so checked sets are cached.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from corn.server.http.cache import BoundedCache
from corn.server.http.grammar import PRINTABLE, TOKEN

CLOSE: Final = 1  # the application requests that the connection is closed
OWN_DATE: Final = 2  # the application sends a Date field
OWN_SERVER: Final = 4
NO_BODY: Final = 8  # the status allows no body
TRAILERS: Final = 16  # trailers follow the body

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

_PLAIN, _LENGTH, _CODING, _CONNECTION, _DATE, _SERVER = range(6)
_SPECIAL = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"date": _DATE,
    b"server": _SERVER,
}
_MAX_NAMES = 1024
_MAX_CACHED_NAME = 64  # that is remembered
_names: dict[bytes, int] = {}
STATUS_LINES = {int(each): b"HTTP/1.1 %d %b\r\n" % (each, each.phrase.encode()) for each in HTTPStatus if each >= 200}


def status_line(status: Any) -> bytes:
    """Status line of a response; raises ValueError for a status that is not a final one (RFC 9110, 15)."""
    if not isinstance(status, int) or not 200 <= status <= 999:
        raise ValueError(f"'status' must be a number from 200 to 999, not {status!r}")
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def encode_fields(headers: Iterable[Iterable[bytes]]) -> tuple[bytes, int, int]:
    """Field lines; the Content-Length in them, or -1; and the flags above.

    `connection` and `transfer-encoding` are left out, because corn manages the connection.
    Raises ValueError or TypeError for a field that cannot be sent, naming it.
    """
    fields = tuple(headers)
    parts: list[bytes] = []
    length, flags, has_coding = -1, 0, False
    try:
        for name, value in fields:
            kind = _names.get(name)
            if kind is None:
                kind = _learn(name)
            if kind:
                if kind == _LENGTH:
                    if length >= 0 or not value.isdigit():
                        raise ValueError(f"invalid or repeated Content-Length in the response: {value!r}")
                    length = int(value)
                elif kind <= _CONNECTION:
                    flags |= _connection_field(kind, value)
                    has_coding |= kind == _CODING
                    continue
                else:
                    flags |= OWN_DATE if kind == _DATE else OWN_SERVER
            parts += (name, b": ", value, b"\r\n")
        block = b"".join(parts)
    except (AttributeError, TypeError, ValueError) as error:
        raise _not_pair(fields) or error from None
    if len(block.translate(None, PRINTABLE)) != len(parts) // 2:
        raise _unsendable(parts)
    if has_coding and length >= 0:  # RFC 9112, 6.3 (3): Transfer-Encoding overrides the Content-Length
        return encode_fields(without_length(fields))
    return block, length, flags


# Cache of `encode_fields`, by tuples of fields. Fields that are lists cannot be looked up: they raise TypeError.
ENCODED_FIELDS: BoundedCache[tuple[Iterable[bytes], ...], tuple[bytes, int, int]] = BoundedCache(
    encode_fields, lambda encoded: len(encoded[0])
)


def without_length(headers: Iterable[Iterable[bytes]]) -> list[tuple[bytes, ...]]:
    """Fields without Content-Length, which a 204 must not have (RFC 9110, 8.6).

    Raises TypeError for a field that is not a pair of bytes, naming it.
    """
    fields = tuple(headers)
    if error := _not_pair(fields):
        raise error
    return [(name, value) for name, value in fields if name.lower() != b"content-length"]


def _learn(name: bytes) -> int:
    if not TOKEN.fullmatch(name):
        raise ValueError(f"invalid response header name {name!r}")
    kind = _SPECIAL.get(name.lower(), _PLAIN)
    if len(_names) < _MAX_NAMES and len(name) <= _MAX_CACHED_NAME:
        _names[name] = kind
    return kind


def _connection_field(kind: int, value: bytes) -> int:
    options = [each.strip() for each in value.lower().split(b",")]
    if kind == _CODING:
        if options != [b"chunked"]:
            raise ValueError(f"corn frames responses itself and cannot apply Transfer-Encoding {value!r}")
        return 0
    return CLOSE if b"close" in options else 0


def _not_pair(headers: Iterable[Iterable[bytes]]) -> TypeError | None:
    """Error that names the first field that is not a pair of bytes, None if all are."""
    for field in headers:
        pair = tuple(field) if isinstance(field, Iterable) else ()
        if len(pair) != 2 or not all(isinstance(each, bytes) for each in pair):
            return TypeError(f"response headers are pairs of bytes, not {field!r}")
    return None


def _unsendable(parts: list[bytes]) -> ValueError:
    """Error that names the first field with a control byte in its value; names are checked when they are learned."""
    pairs = zip(parts[::4], parts[2::4], strict=True)
    name, value = next(pair for pair in pairs if bytes(pair[1]).translate(None, PRINTABLE))
    return ValueError(f"response header {name!r} holds a control byte: {value!r}")
