"""The head of a request, read strictly (RFC 9112, 2 to 6).

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
from corn.server.http.target import is_host

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
PRINTABLE = bytes(byte for byte in range(256) if byte == 0x09 or (byte >= 0x20 and byte != 0x7F))

_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Z]{1,32}")
_VERSION = re.compile(rb"HTTP/([0-9])\.([0-9])")
_MAX_NAMES = 1024
_MAX_HOSTS = 256
_MAX_STEADY = 1024
_MAX_STEADY_LINE = 256
_MAX_REPEATED = 2048


class RequestHead:
    """What the head of a request says. The class attributes are what most requests say."""

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
    forwarded: bool = False  # a proxy may have said something
    is_usual: bool = True  # nothing in it has to be seen together with something else
    is_special: bool = False  # the response is framed in a special way: HEAD, HTTP/1.0, or an expectation


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
        if len(parts) != 3 or parts[2] != b"HTTP/1.1" or parts[0] not in _methods:
            return None
        head = RequestHead()
        head.method, head.target = _methods[parts[0]], parts[1]
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
    known_host = _host_fields.get(lines[1]) if count else None
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
        _check(head)
    return head


def _request_line(head: RequestHead, line: bytes) -> None:
    try:
        method, head.target, version = line.split(b" ")
    except ValueError:
        raise HTTPError(400, "invalid request line") from None
    if version != b"HTTP/1.1":
        _other_version(head, version)
    read_method(head, method)


def read_method(head: RequestHead, method: bytes) -> None:
    """Set the method; raises `Refusal` for what is none, or is not served."""
    known = _methods.get(method)
    head.method = _other_method(head, method) if known is None else known


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


def _other_method(head: RequestHead, method: bytes) -> str:
    if method == b"HEAD":
        head.is_usual = False
        return "HEAD"
    if not TOKEN.fullmatch(method):
        raise HTTPError(400, "invalid method")
    if method == b"CONNECT" or not _METHOD.fullmatch(method):
        # Methods are case-sensitive (RFC 9110, 9.1) while ASGI wants them in upper case: "get" cannot be handed on.
        raise HTTPError(501, "method not implemented")
    return method.decode("ascii")


def _learn(name: bytes, colon: bytes) -> tuple[bytes, Callable[[Any, Any], None] | None]:
    if not colon or not TOKEN.fullmatch(name):
        raise HTTPError(400, "invalid header name")
    lower = name.lower()
    known = (lower, HANDLERS.get(lower))
    if len(_names) < _MAX_NAMES and len(name) <= 64:
        _names[name] = known
    return known


def _remember(line: bytes, field: tuple[bytes, bytes]) -> None:
    if len(line) <= _MAX_STEADY_LINE:
        if len(_steady_fields) >= _MAX_STEADY:
            _steady_fields.clear()
        _steady_fields[line] = field


def _check(head: RequestHead) -> None:
    """What can only be said of all fields together."""
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
        if len(_hosts) < _MAX_HOSTS:
            _hosts.add(value)
            _host_fields[b"Host: " + value] = _host_fields[b"host: " + value] = (b"host", value)


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
    head.options |= {each.strip(b" \t").lower() for each in value.split(b",")}
    if b"close" in head.options:
        head.keep_alive = False


def _expect(head: RequestHead, value: bytes) -> None:
    if value.lower() != b"100-continue":
        raise HTTPError(417, "unknown expectation")
    head.is_usual = False
    head.expects_continue = head.minor == 1  # RFC 9110, 10.1.1: ignored in HTTP/1.0


def _te(head: RequestHead, value: bytes) -> None:
    if b"trailers" in [each.strip(b" \t").lower() for each in value.split(b",")]:
        head.accepts_trailers = True


def _forwarded(head: RequestHead, _: bytes) -> None:
    head.forwarded = True


def _upgrade(head: RequestHead, value: bytes) -> None:
    head.upgrade = value.lower()


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
HANDLERS: dict[bytes, Callable[[Any, Any], None]] = {
    b"host": _host,
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
    b"expect": _expect,
    b"te": _te,
    b"upgrade": _upgrade,
    **dict.fromkeys(_STEADY, _remember),
    b"forwarded": _forwarded,
    b"x-forwarded-for": _forwarded,
    b"x-forwarded-proto": _forwarded,
    b"x-forwarded-host": _forwarded,
    b"x-forwarded-port": _forwarded,
    b"x-forwarded-prefix": _forwarded,
}
_names: dict[bytes, tuple[bytes, Callable[[Any, Any], None] | None]] = {}
_hosts: set[bytes] = set()
_host_fields: dict[bytes, tuple[bytes, bytes]] = {}
_methods = {each.encode(): each for each in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
