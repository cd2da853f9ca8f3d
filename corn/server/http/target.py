"""Request target: its four forms, and the path and query for the application (RFC 9112, 3.2).

A target is refused if two parsers could interpret it differently: with a fragment, a backslash (which many clients and
proxies convert to a slash), non-ASCII bytes, or a malformed or NUL escape in the path.
"""

from __future__ import annotations

import re
import socket
from urllib.parse import unquote_to_bytes

from corn.server.http.errors import HTTPError

GOOD = bytes(byte for byte in range(0x21, 0x7F) if byte not in b"#\\")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00")
_ABSOLUTE = re.compile(rb"https?://([^/?]*)([^?]*)(\?.*)?", re.IGNORECASE)
_HOST = re.compile(
    rb"(?:\[(?:([0-9A-Fa-f:.]+)|[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+)\]"
    rb"|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::([0-9]{0,5}))?",
)


def decode_path(raw: bytes) -> str:
    """Path as text: escapes decoded, invalid UTF-8 replaced. Raises `HTTPError` for a malformed escape."""
    if _BAD_ESCAPE.search(raw):
        raise HTTPError(400, "invalid percent-encoding in the path")
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def origin_form(method: str, target: bytes) -> tuple[bytes, bytes | None]:
    """Path and query of a target of another form, and its authority where it has one.

    Raises `HTTPError` for a target that is malformed, or of a form that the method does not allow.
    """
    if target[:1] == b"/" or target.translate(None, GOOD):
        raise HTTPError(400, "invalid byte in the request target")
    if target == b"*" and method == "OPTIONS":
        return b"*", None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise HTTPError(400, "invalid request target")
    authority, path, query = absolute.groups(b"")
    if not authority or not is_host(authority):
        raise HTTPError(400, "invalid authority in the request target")
    if not path and not query and method == "OPTIONS":  # RFC 9112, 3.2.4: the asterisk form, through a proxy
        return b"*", authority
    return (path or b"/") + query, authority


def is_host(value: bytes) -> bool:
    """True if `value` is `uri-host [ ":" port ]` (RFC 9110, 7.2; RFC 3986, 3.2.2), which may be empty."""
    match = _HOST.fullmatch(value)
    return match is not None and (match[1] is None or _is_ipv6(match[1])) and int(match[2] or 0) < 65536


def _is_ipv6(text: bytes) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text.decode("ascii"))
    except OSError:
        return False
    return True
