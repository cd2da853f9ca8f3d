"""Request head: method, target and fields, and their combined meaning (RFC 9110; RFC 9112, 2 to 6).

HTTP/1.1 parses a head from text (`corn.server.http1.parser`), HTTP/2 from a header block; the fields mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from corn.server.http.errors import HTTPError
from corn.server.http.grammar import TOKEN
from corn.server.http.target import is_host

_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Z]{1,32}")
_MAX_HOSTS = 256
MAX_CACHED_HOST = 262  # that is remembered: a DNS name and a port
_MAX_NAMES = 1024
_MAX_OPTIONS = 64


class RequestHead:
    """Head of a request. The class attributes are the values of most requests."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    version: str = "1.1"
    minor: int = 1  # of HTTP/1; later versions have what 1.1 has
    keep_alive: bool = True
    length: int = 0
    has_length: bool = False
    chunked: bool = False
    host: bytes | None = None
    expects_continue: bool = False
    accepts_trailers: bool = False
    options: frozenset[bytes] = frozenset()
    upgrade: bytes = b""
    forwarded: bool = False  # there are fields that a proxy may have added
    forwarded_at: tuple[int, ...] = ()  # their positions in `headers`, where these are known
    traceparent: bytes = b""
    is_usual: bool = True  # no field has to be checked together with another
    is_special: bool = False  # the response is framed in a special way: HEAD, HTTP/1.0, or an expectation


def read_method(head: RequestHead, method: bytes) -> None:
    """Set the method; raises `HTTPError` for an invalid one, or one that is not served."""
    known = METHODS.get(method)
    head.method = _other_method(head, method) if known is None else known


def _other_method(head: RequestHead, method: bytes) -> str:
    if method == b"HEAD":
        head.is_usual = False
        return "HEAD"
    if not TOKEN.fullmatch(method):
        raise HTTPError(400, "invalid method")
    if method == b"CONNECT" or not _METHOD.fullmatch(method):
        # Methods are case-sensitive (RFC 9110, 9.1), but ASGI requires upper case: "get" cannot be passed on.
        raise HTTPError(501, "method not implemented")
    return method.decode("ascii")


def field_meaning(name: bytes) -> tuple[bytes, Callable[[Any, Any], None] | None]:
    """Name of a field in lower case, and the handler of its value; raises `HTTPError` for an invalid name."""
    known = FIELD_MEANINGS.get(name)
    if known is None:
        if not TOKEN.fullmatch(name):
            raise HTTPError(400, "invalid header name")
        lower = name.lower()
        known = (lower, HANDLERS.get(lower))
        if len(FIELD_MEANINGS) < _MAX_NAMES and len(name) <= 64:
            FIELD_MEANINGS[name] = known
    return known


def check_together(head: RequestHead) -> None:
    """Check the rules that concern all fields together."""
    if head.minor:
        head.expects_continue = head.expects_continue and (head.chunked or head.length > 0)
        head.is_special = head.expects_continue or head.method == "HEAD"
        if head.host is None:
            raise HTTPError(400, "no Host header")
    else:
        if head.chunked:
            raise HTTPError(400, "Transfer-Encoding in HTTP/1.0")  # RFC 9112, 6.1
        head.is_special = True
        head.keep_alive = b"keep-alive" in head.options and b"close" not in head.options
    if head.chunked and head.has_length:
        raise HTTPError(400, "both Transfer-Encoding and Content-Length")  # RFC 9112, 6.3 (3)


def _host(head: RequestHead, value: bytes) -> None:
    if head.host is not None:
        raise HTTPError(400, "more than one Host header")
    head.host = value
    if value not in _hosts:
        if not is_host(value):
            raise HTTPError(400, "invalid Host header")
        if len(_hosts) < _MAX_HOSTS and len(value) <= MAX_CACHED_HOST:
            _hosts.add(value)


def _content_length(head: RequestHead, value: bytes) -> None:
    if head.has_length:
        raise HTTPError(400, "more than one Content-Length header")
    if not value.isdigit() or len(value) > 18:
        raise HTTPError(400, "invalid Content-Length")
    head.has_length = True
    head.is_usual = False
    head.length = int(value)


def _transfer_encoding(head: RequestHead, value: bytes) -> None:
    if head.chunked:
        raise HTTPError(400, "more than one Transfer-Encoding header")
    codings = [each.strip(b" \t").lower() for each in value.split(b",")]
    if codings != [b"chunked"]:
        _refuse_codings(codings)
    head.chunked = True
    head.is_usual = False


def _refuse_codings(codings: list[bytes]) -> None:
    # RFC 9112, 6.1: 501 for a coding that is not understood; 6.3 (4): 400 where chunked is not the final one.
    if codings[-1] == b"chunked" and b"chunked" not in codings[:-1] and all(codings):
        raise HTTPError(501, "transfer coding not implemented")
    raise HTTPError(400, "invalid Transfer-Encoding")


def _connection(head: RequestHead, value: bytes) -> None:
    options = _options.get(value)
    if options is None:
        options = frozenset([each.strip(b" \t").lower() for each in value.split(b",")])
        if len(_options) < _MAX_OPTIONS and len(value) <= 64:
            _options[value] = options
    head.options = head.options | options if head.options else options
    if b"close" in options:
        head.keep_alive = False


def _expect(head: RequestHead, value: bytes) -> None:
    if value.lower() != b"100-continue":
        raise HTTPError(417, "unknown expectation")
    head.is_usual = False
    head.expects_continue = head.minor == 1  # RFC 9110, 10.1.1: ignored in HTTP/1.0


def _te(head: RequestHead, value: bytes) -> None:
    if b"trailers" in [each.strip(b" \t").lower() for each in value.split(b",")]:
        head.accepts_trailers = True


def mark_forwarded(head: RequestHead, _: bytes) -> None:
    """Handler of forwarding fields, which are evaluated later, and only from trusted proxies."""
    head.forwarded = True


def _upgrade(head: RequestHead, value: bytes) -> None:
    head.upgrade = value.lower()


def _traceparent(head: RequestHead, value: bytes) -> None:
    head.traceparent = value


HANDLERS: dict[bytes, Callable[[Any, Any], None]] = {
    b"host": _host,
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
    b"expect": _expect,
    b"te": _te,
    b"upgrade": _upgrade,
    b"traceparent": _traceparent,
    b"forwarded": mark_forwarded,
    b"x-forwarded-for": mark_forwarded,
    b"x-forwarded-proto": mark_forwarded,
    b"x-forwarded-host": mark_forwarded,
    b"x-forwarded-port": mark_forwarded,
    b"x-forwarded-prefix": mark_forwarded,
}
# Cache of valid names, as they were sent, so that a common name takes one look-up.
FIELD_MEANINGS: dict[bytes, tuple[bytes, Callable[[Any, Any], None] | None]] = {}
METHODS = {each.encode(): each for each in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_hosts: set[bytes] = set()
_options: dict[bytes, frozenset[bytes]] = {}  # of Connection, by its value
