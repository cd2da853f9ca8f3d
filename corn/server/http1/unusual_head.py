"""HTTP/1.1 request head parser in Python, for unusual heads, and for the exact error of invalid ones.

`corn.server.http1.parser` parses the heads that most clients send, and leaves all others to this parser: methods that
httptools does not know, HTTP/1.0, repeated fields, and every head that is refused, because the status depends on the
exact fault. This parser defines what corn accepts (RFC 9112, 2 to 6); the tests compare the two.

The caller has checked that every line of the head ends in CRLF and that HTAB is the only other control byte. A folded
line, a space before a colon and an invalid byte in a name are then all the same fault: a name that is not a token.
"""

from __future__ import annotations

import re

from corn.server.http.errors import HTTPError
from corn.server.http.head import RequestHead, check_together, field_meaning, read_method

_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")


def parse_unusual_head(block: bytes) -> RequestHead:
    """Parse a head whose lines were checked; raises `HTTPError` for one that must not be served."""
    line, *lines = block.split(b"\r\n")
    head = RequestHead()
    _request_line(head, line)
    headers = head.headers = []
    for each in lines:
        name, colon, value = each.partition(b":")
        lower, handler = field_meaning(name if colon else b"")
        value = value.strip()  # of spaces and tabs: no other white space is left in it
        if handler is not None:
            handler(head, value)
        headers.append((lower, value))
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
        raise HTTPError(505, "the versions served are HTTP/1.0 and HTTP/1.1")
    if match[2] == b"0":
        head.version, head.minor = "1.0", 0
        head.keep_alive = False
