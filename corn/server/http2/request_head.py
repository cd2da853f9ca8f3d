"""Request head from HTTP/2 header fields (RFC 9113, 8.2, 8.3 and 8.5; RFC 8441).

A malformed request is an error of its stream. A well-formed request that is not served gets a response, as in HTTP/1.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corn.server.http.errors import HTTPError
from corn.server.http.grammar import PRINTABLE, TOKEN
from corn.server.http.head import HANDLERS, MAX_CACHED_HOST, RequestHead, read_method
from corn.server.http.target import GOOD, is_host
from corn.server.http2.field_decoder import Fields
from corn.server.http2.frames import MalformedRequestError

_PSEUDO = (b":method", b":scheme", b":path", b":authority", b":protocol")
_OVERHEAD = 32  # of a field, when a header list is measured (RFC 9113, 6.5.2)
_MAX_NAMES = 1024

Meaning = Callable[[RequestHead, bytes], None]


class HeadReader:
    """Reader of a connection's heads, which remembers what repeated fields mean.

    The decoder returns the same list of fields for each repetition of a block of references.
    """

    __slots__ = ("_fields", "_head", "_limit_count", "_limit_size")

    def __init__(self, limit_size: int, limit_count: int) -> None:
        self._limit_size = limit_size
        self._limit_count = limit_count
        self._fields: Fields | None = None  # of the last request without a body
        self._head: RequestHead | None = None  # once they were repeated

    def read(self, fields: Fields, *, ends: bool) -> RequestHead:
        """Parse a head, see `read_head`."""
        is_repeated = ends and fields is self._fields
        if is_repeated and self._head is not None:
            return _another(self._head)
        head = read_head(fields, limit_size=self._limit_size, limit_count=self._limit_count, ends=ends)
        self._fields = fields if ends else None
        self._head = _another(head) if is_repeated else None
        return head


def _another(head: RequestHead) -> RequestHead:
    """Head of another request with the same fields."""
    other = RequestHead()
    other.__dict__.update(head.__dict__)
    other.headers = head.headers.copy()
    return other


def read_head(fields: Fields, *, limit_size: int, limit_count: int, ends: bool) -> RequestHead:
    """Parse a head; `ends`: no body follows. Raises MalformedRequestError, or HTTPError for a refused request."""
    if len(fields) > limit_count + len(_PSEUDO):
        raise HTTPError(431, "too many header fields")
    head = RequestHead()
    head.version, head.accepts_trailers = "2", True
    pseudo, size = _read_fields(head, fields)
    if size > limit_size:
        raise HTTPError(431, "the header fields are too large")
    if len(head.headers) > limit_count:
        raise HTTPError(431, "too many header fields")
    _read_pseudo(head, pseudo)
    if ends:
        if head.length:
            raise MalformedRequestError("a Content-Length without a body")
        head.expects_continue = False
    return head


def _read_fields(head: RequestHead, fields: Fields) -> tuple[dict[bytes, bytes], int]:
    """Store the fields in the head; returns the pseudo-header fields, and the size of all fields."""
    pseudo: dict[bytes, bytes] = {}
    headers = head.headers = []
    names, size, crumbs = _names, _OVERHEAD * len(fields), 0
    for name, value in fields:
        size += len(name) + len(value)
        if name[:1] == b":":
            if headers or name in pseudo or name not in _PSEUDO:
                raise MalformedRequestError("an unknown, repeated or misplaced pseudo-header field")
            pseudo[name] = value
            continue
        meaning = names[name] if name in names else _learn(name)
        if value.strip(b" \t") != value:
            raise MalformedRequestError("white space around a field value")
        headers.append((name, value))
        if meaning is _cookie:
            crumbs += 1
        elif meaning is not None:
            _apply(meaning, head, value)
    if b"".join([value for _, value in fields]).translate(None, PRINTABLE):
        raise MalformedRequestError("a control byte in a field value")
    if crumbs > 1:
        _join_cookies(headers)
    return pseudo, size


def read_trailers(fields: Fields) -> None:
    """Check the trailers of a request, which ASGI has no message for. Raises MalformedRequestError."""
    for name, value in fields:
        if name[:1] == b":" or name in _OF_HTTP1:
            raise MalformedRequestError("a field that trailers must not have")
        if name not in _names:
            _learn(name)
        if value.translate(None, PRINTABLE):
            raise MalformedRequestError("a control byte in a field value")


def _apply(meaning: Meaning, head: RequestHead, value: bytes) -> None:
    try:
        meaning(head, value)
    except HTTPError as refusal:
        if refusal.status != 400:
            raise
        raise MalformedRequestError(refusal.reason) from None


def _read_pseudo(head: RequestHead, pseudo: dict[bytes, bytes]) -> None:
    method, path, protocol = pseudo.get(b":method", b""), pseudo.get(b":path", b""), pseudo.get(b":protocol")
    if method == b"CONNECT":
        if protocol is None:
            raise HTTPError(501, "method not implemented")
        head.method, head.upgrade = "GET", protocol.lower()
    elif protocol is not None:
        raise MalformedRequestError(":protocol without CONNECT")
    else:
        _apply(read_method, head, method)
    if not pseudo.get(b":scheme") or (path[:1] != b"/" and not (path == b"*" and method == b"OPTIONS")):
        raise MalformedRequestError("no scheme or no path")
    if path.translate(None, GOOD):
        raise MalformedRequestError("invalid byte in the path")
    head.target = path
    _read_authority(head, pseudo.get(b":authority"))


def _read_authority(head: RequestHead, authority: bytes | None) -> None:
    if authority is None:
        if head.host is None:
            raise HTTPError(400, "neither :authority nor Host")
        if not head.host:
            raise MalformedRequestError("an empty Host")
        return
    if not authority:
        raise MalformedRequestError("an empty :authority")
    if head.host is not None:
        if head.host.lower() != authority.lower():
            raise MalformedRequestError(":authority and Host differ")
        head.headers[:] = [field for field in head.headers if field[0] != b"host"]
    if authority not in _authorities:
        if not is_host(authority):
            raise MalformedRequestError("invalid :authority")
        if len(_authorities) < _MAX_NAMES and len(authority) <= MAX_CACHED_HOST:
            _authorities.add(authority)
    head.host = authority
    head.headers.insert(0, (b"host", authority))


def _learn(name: bytes) -> Meaning | None:
    if not TOKEN.fullmatch(name) or name != name.lower():
        raise MalformedRequestError("invalid field name")
    if len(_names) < _MAX_NAMES and len(name) <= 64:
        _names[name] = None
    return None


def _of_http1(_: RequestHead, __: bytes) -> None:
    raise MalformedRequestError("a field that belongs to a connection of HTTP/1.1")


def _te(_: RequestHead, value: bytes) -> None:
    if value.lower() != b"trailers":
        raise MalformedRequestError("TE says more than trailers")


def _cookie(_: RequestHead, __: bytes) -> None:
    """Placeholder for the field: its values are joined at the end."""


def _join_cookies(headers: Fields) -> None:
    """Join the cookies that were split for compression (RFC 9113, 8.2.3)."""
    crumbs = [value for name, value in headers if name == b"cookie"]
    at = headers.index((b"cookie", crumbs[0]))
    headers[:] = [field for field in headers if field[0] != b"cookie"]
    headers.insert(at, (b"cookie", b"; ".join(crumbs)))


_OF_HTTP1 = (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
_authorities: set[bytes] = set()
_shared = (
    b"host",
    b"content-length",
    b"expect",
    b"traceparent",
    b"forwarded",
    *(name for name in HANDLERS if name.startswith(b"x-forwarded")),
)
_names: dict[bytes, Any] = {
    **{name: HANDLERS[name] for name in _shared},
    **dict.fromkeys(_OF_HTTP1, _of_http1),
    b"te": _te,
    b"cookie": _cookie,
}
