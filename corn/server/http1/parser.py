"""HTTP/1.1 request head parser: strict, and in Python (RFC 9112, 2 to 6).

Every line of the head ends in CRLF and nothing else in it is a control byte other than HTAB: one `translate` counts
them all, so a bare CR, a bare LF and a NUL are refused before any line is looked at. A folded line, a space before a
colon and a byte that is no token in a name are then all the same fault, a name that is not a token. Names that were
found to be tokens are remembered in lower case, so that a common name costs one look-up, and its bytes are shared by
all requests.

Whole lines are remembered too, of fields that say the same in request after request and hold no secret. A connection
remembers all fields of its last request (`Repeated`).

httptools was the alternative. It was measured to cost more than this on small heads and as much on large ones, because
each field is a call from C into Python; and what its parser lets through would have to be looked for here all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from corn.server.http.errors import HTTPError
from corn.server.http.grammar import PRINTABLE, TOKEN
from corn.server.http.head import HANDLERS, HOST_LINES, METHODS, RequestHead, check_together, read_method

_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_MAX_NAMES = 1024
_MAX_STEADY = 1024
_MAX_STEADY_LINE = 256
_MAX_REPEATED = 2048


class RepeatedFields:
    """The header fields of a connection's last request, to be recognised when the next one sends the same.

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
        """What to keep of a head that was read, if anything."""
        usual = head.is_usual and head.keep_alive and not (head.upgrade or head.accepts_trailers)
        return cls(block, head) if usual and len(block) <= _MAX_REPEATED else None

    def after(self, line: bytes) -> RequestHead | None:
        """The head of these fields after another request line; None where that is not a usual one."""
        parts = line.split(b" ")
        if len(parts) != 3 or parts[2] != b"HTTP/1.1" or parts[0] not in METHODS:
            return None
        head = RequestHead()
        head.method, head.target = METHODS[parts[0]], parts[1]
        head.headers, head.host = list(self._headers), self._host
        if self._forwarded:
            head.forwarded = True
        return head


def parse_head(block: bytes, limit_count: int) -> RequestHead:
    """Read a head, given without its last two line ends; raises `Refusal` for one that must not be served."""
    lines = block.split(b"\r\n")
    count = len(lines) - 1
    if len(block.translate(None, PRINTABLE)) != 2 * count:
        raise HTTPError(400, "a control byte, or a line that does not end in CRLF")
    if count > limit_count:
        raise HTTPError(431, "too many header fields")
    head = RequestHead()
    _request_line(head, lines[0])
    known_host = HOST_LINES.get(lines[1]) if count else None
    if known_host is None:
        headers = head.headers = []
        del lines[0]
    else:  # Host comes first, as RFC 9110, 7.2 would have it, and is one that was seen before
        headers = head.headers = [known_host]
        head.host = known_host[1]
        del lines[:2]
    names, steady = _names, _steady_fields
    for line in lines:
        field = steady.get(line)
        if field is not None:
            headers.append(field)
            continue
        name, colon, value = line.partition(b":")
        try:
            lower, handler = names[name if colon else b""]
        except KeyError:
            lower, handler = _learn(name, colon)
        value = value.strip()  # of spaces and tabs: no other white space is left in it
        field = (lower, value)
        if handler is _remember:
            _remember(line, field)
        elif handler is not None:
            handler(head, value)
        headers.append(field)
    if not head.is_usual or head.host is None:
        check_together(head)
    return head


def _request_line(head: RequestHead, line: bytes) -> None:
    try:
        method, head.target, version = line.split(b" ")
    except ValueError:
        raise HTTPError(400, "invalid request line") from None
    if version != b"HTTP/1.1":
        _other_version(head, version)
    read_method(head, method)


def _other_version(head: RequestHead, version: bytes) -> None:
    head.is_usual = False
    match = _VERSION.fullmatch(version)
    if match is None:
        raise HTTPError(400, "invalid HTTP version")
    if match[1] != b"1":
        raise HTTPError(505, "this is HTTP/1.1")
    if match[2] == b"0":
        head.version, head.minor = "1.0", 0
        head.keep_alive = False


def _learn(name: bytes, colon: bytes) -> tuple[bytes, Callable[[Any, Any], None] | None]:
    if not colon or not TOKEN.fullmatch(name):
        raise HTTPError(400, "invalid header name")
    lower = name.lower()
    known = (lower, _handlers.get(lower))
    if len(_names) < _MAX_NAMES and len(name) <= 64:
        _names[name] = known
    return known


def _remember(line: bytes, field: tuple[bytes, bytes]) -> None:
    if len(line) <= _MAX_STEADY_LINE:
        if len(_steady_fields) >= _MAX_STEADY:
            _steady_fields.clear()
        _steady_fields[line] = field


_STEADY = (
    b"accept",
    b"accept-charset",
    b"accept-encoding",
    b"accept-language",
    b"cache-control",
    b"content-type",
    b"dnt",
    b"origin",
    b"pragma",
    b"priority",
    b"sec-ch-ua",
    b"sec-ch-ua-mobile",
    b"sec-ch-ua-platform",
    b"sec-fetch-dest",
    b"sec-fetch-mode",
    b"sec-fetch-site",
    b"sec-fetch-user",
    b"upgrade-insecure-requests",
    b"user-agent",
    b"via",
    b"x-requested-with",
)
_steady_fields: dict[bytes, tuple[bytes, bytes]] = {}
_handlers: dict[bytes, Callable[[Any, Any], None]] = {**HANDLERS, **dict.fromkeys(_STEADY, _remember)}
_names: dict[bytes, tuple[bytes, Callable[[Any, Any], None] | None]] = {}
