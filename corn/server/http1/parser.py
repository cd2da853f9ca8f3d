"""HTTP/1.1 request head parser: httptools, under a strictness of corn's own (RFC 9112, 2 to 6).

httptools is fast and lenient. So the bytes are checked before it reads them: every line of a head ends in CRLF, and
nothing else in it is a control byte other than HTAB, so a bare CR, a bare LF and a NUL are refused, whatever llhttp
makes of them. Afterwards there must be as many fields as there are lines, and each name must be a token. What is
unusual, or refused by httptools for any reason, is read again in Python (`unusual_head`), which alone decides on
refusals.

A call from C into Python for each field would cost more than reading the field. So httptools is given a method of a
dict to call: the fields of a head are its items, and a name that comes twice makes them too few.

A connection remembers all fields of its last request (`RepeatedFields`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from corn.server.http.errors import HTTPError
from corn.server.http.grammar import PRINTABLE
from corn.server.http.head import FIELD_MEANINGS, METHODS, RequestHead, check_together, field_meaning
from corn.server.http1.unusual_head import parse_unusual_head

_MAX_REPEATED = 2048


class RepeatedFields:
    """Cache of the header fields of a connection's last request, for the next one that sends the same.

    Clients that keep a connection often do, and one comparison of bytes then stands for reading the fields again. Only
    fields that are usual in every way are kept: nothing in them depends on the method, the version or the body.
    `block` is what stood between the request line and the end of the head.
    """

    __slots__ = ("_forwarded", "_headers", "_host", "block")

    def __init__(self, block: bytes, head: RequestHead) -> None:
        self.block = block
        self._headers = tuple(head.headers)
        self._host = head.host
        self._forwarded = head.forwarded

    @classmethod
    def of(cls, block: bytes, head: RequestHead) -> RepeatedFields | None:
        """Cache entry for a parsed head; None where it is not cacheable."""
        usual = head.is_usual and head.keep_alive and not (head.upgrade or head.accepts_trailers)
        return cls(block, head) if usual and len(block) <= _MAX_REPEATED else None

    def after(self, line: bytes) -> RequestHead | None:
        """Head of these fields after another request line; None where that is not a usual one."""
        parts = line.split(b" ")
        if len(parts) != 3 or parts[2] != b"HTTP/1.1" or parts[0] not in METHODS:
            return None
        head = RequestHead()
        head.method, head.target = METHODS[parts[0]], parts[1]
        head.headers, head.host = list(self._headers), self._host
        if self._forwarded:
            head.forwarded = True
        return head


class _Fields:
    """Callbacks of httptools: `on_header`, with the name and the value of each field."""

    __slots__ = ("on_header",)

    def __init__(self, on_header: Callable[[bytes, bytes], Any]) -> None:
        self.on_header = on_header


def parse_head(block: bytes, limit_count: int) -> RequestHead:
    """Parse a head, given without its last two line ends; raises `HTTPError` for one that must not be served."""
    count = block.count(b"\r\n")
    if len(block.translate(None, PRINTABLE)) != 2 * count:
        raise HTTPError(400, "a control byte, or a line that does not end in CRLF")
    if count > limit_count:
        raise HTTPError(431, "too many header fields")
    fields: dict[bytes, bytes] = {}
    try:
        HttpRequestParser(_Fields(fields.setdefault)).feed_data(block + b"\r\n\r\n")
    except HttpParserUpgrade:
        pass  # the connection decides about upgrades
    except HttpParserError:
        return parse_unusual_head(block)
    line = block[: block.find(b"\r\n")].split(b" ")
    if len(fields) != count or len(line) != 3 or line[0] not in METHODS or line[2] != b"HTTP/1.1":
        return parse_unusual_head(block)
    head = RequestHead()
    head.method, head.target = METHODS[line[0]], line[1]
    headers = head.headers = []
    meanings = FIELD_MEANINGS
    for name, value in fields.items():
        lower, handler = meanings[name] if name in meanings else field_meaning(name)
        value = value.strip()  # noqa: PLW2901 - of spaces and tabs, which httptools leaves behind a value
        if handler is not None:
            handler(head, value)
        headers.append((lower, value))
    if not head.is_usual or head.host is None:
        check_together(head)
    return head


def oversized_head(data: bytes, limit: int) -> HTTPError:
    """The refusal of a head longer than `limit` bytes, by the part that is too long."""
    if b" " not in data[:limit]:
        return HTTPError(501, "method not implemented")
    if 0 < data.find(b"\r\n") <= limit:
        return HTTPError(431, "the header fields are too large")
    return HTTPError(414, "the request target is too long")
