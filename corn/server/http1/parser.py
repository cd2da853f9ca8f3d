"""HTTP/1.1 request head parser: httptools, with strict checks of its input and output (RFC 9112, 2 to 6).

httptools is fast and lenient. So corn checks that there are as many CRLFs as fields, no control byte but HTAB, and only
tokens as names: a bare CR, a bare LF and a NUL are refused, however llhttp treats them. Heads that are unusual, or that
httptools refuses, are parsed again in Python (`unusual_head`), which alone decides on refusals.

A call from C into Python for each field would take longer than parsing it. So the callback of httptools is a method of
a dict: the fields of a head are its items, and a repeated name is noticed because there are fewer items than fields.

Values differ between requests, but names rarely do: the meaning of the names of a head is cached for all of them
together (`_Names`). A connection caches all fields of its last request (`RepeatedFields`).
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from corn.server.http.errors import HTTPError
from corn.server.http.grammar import PRINTABLE
from corn.server.http.head import METHODS, RequestHead, check_together, field_meaning, mark_forwarded
from corn.server.http1.unusual_head import parse_unusual_head

_MAX_REPEATED = 2048
_MAX_NAMES = 512  # of heads whose names are remembered
_MAX_NAMES_SIZE = 1024


class RepeatedFields:
    """Cache of the header fields of a connection's last request, for the next one that sends the same.

    Clients that keep a connection often repeat their fields, and one comparison of bytes then replaces parsing them.
    Only usual fields are cached: nothing in them depends on the method, the version or the body. `block` is the part
    between the request line and the end of the head.
    """

    __slots__ = ("_forwarded", "_headers", "_host", "block")

    def __init__(self, block: bytes, head: RequestHead) -> None:
        self.block = block
        self._headers = tuple(head.headers)
        self._host = head.host
        self._forwarded = head.forwarded

    @classmethod
    def of(cls, block: bytes, head: RequestHead) -> RepeatedFields | None:
        """Cache entry for a parsed head; None if it is not cacheable."""
        special = head.upgrade or head.accepts_trailers or head.traceparent  # which no two requests share
        usual = head.is_usual and head.keep_alive and not special
        return cls(block, head) if usual and len(block) <= _MAX_REPEATED else None

    def after(self, line: bytes) -> RequestHead | None:
        """Head with these fields and another request line; None if that is unusual."""
        parts = line.split(b" ")
        if len(parts) != 3 or parts[2] != b"HTTP/1.1" or parts[0] not in METHODS:
            return None
        head = RequestHead()
        head.method, head.target = METHODS[parts[0]], parts[1]
        head.headers, head.host = list(self._headers), self._host
        if self._forwarded:
            head.forwarded = True
        return head


class _Fields(dict[bytes, bytes]):
    """Fields of a head, and the callback of httptools: `on_header`, with the name and the value of each."""

    __slots__ = ()

    on_header = dict.setdefault


class _Names:
    """Names of a head in lower case, and the handlers of the values that corn reads, by position."""

    __slots__ = ("forwarded", "lower", "meant")

    def __init__(self, names: tuple[bytes, ...]) -> None:
        meanings = [field_meaning(name) for name in names]
        self.lower = tuple(lower for lower, _ in meanings)
        self.forwarded = any(handler is mark_forwarded for _, handler in meanings)
        self.meant = tuple(
            (place, handler)
            for place, (_, handler) in enumerate(meanings)
            if handler is not None and handler is not mark_forwarded
        )


def parse_head(block: bytes, limit_count: int) -> RequestHead:
    """Parse a head, without its last two line ends; raises `HTTPError` for one that must not be served."""
    fields = _Fields()
    try:
        HttpRequestParser(fields).feed_data(block + b"\r\n\r\n")
    except HttpParserUpgrade:
        pass  # the connection decides about upgrades
    except HttpParserError:
        return _read_again(block, limit_count)
    line = block[: block.find(b"\r\n")].split(b" ")
    count = len(fields)
    if (
        block.translate(None, PRINTABLE) != b"\r\n" * count
        or count > limit_count
        or len(line) != 3
        or line[0] not in METHODS
        or line[2] != b"HTTP/1.1"
    ):
        return _read_again(block, limit_count)
    key = tuple(fields)
    names = _names.get(key)
    if names is None:
        try:
            names = _learn(key)
        except HTTPError:  # but another fault may precede it
            return _read_again(block, limit_count)
    head = RequestHead()
    head.method, head.target = METHODS[line[0]], line[1]
    # httptools does not strip trailing white space. The lengths are equal, and `strict` would take time.
    headers = head.headers = list(zip(names.lower, map(_strip, fields.values())))  # noqa: B905
    for place, handler in names.meant:
        handler(head, headers[place][1])
    if names.forwarded:
        head.forwarded = True
    if not head.is_usual or head.host is None:
        check_together(head)
    return head


def _learn(key: tuple[bytes, ...]) -> _Names:
    names = _Names(key)
    if sum(map(len, key)) <= _MAX_NAMES_SIZE:
        if len(_names) >= _MAX_NAMES:
            _names.clear()
        _names[key] = names
    return names


def _read_again(block: bytes, limit_count: int) -> RequestHead:
    count = block.count(b"\r\n")
    if len(block.translate(None, PRINTABLE)) != 2 * count:
        raise HTTPError(400, "a control byte, or a line that does not end in CRLF")
    if count > limit_count:
        raise HTTPError(431, "too many header fields")
    return parse_unusual_head(block)


def oversized_head(data: bytes, limit: int) -> HTTPError:
    """Refusal of a head that is longer than `limit` bytes, by the part that is too long."""
    if b" " not in data[:limit]:
        return HTTPError(501, "method not implemented")
    if 0 < data.find(b"\r\n") <= limit:
        return HTTPError(431, "the header fields are too large")
    return HTTPError(414, "the request target is too long")


_strip = bytes.strip
_names: dict[tuple[bytes, ...], _Names] = {}  # by the names as they were sent
