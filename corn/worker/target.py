"""The request target: its four forms, and what of it reaches the application (RFC 9112, 3.2).

A target is refused when two readers could take it for two different resources: with a fragment, a backslash (which many
clients and proxies turn into a slash), bytes outside ASCII, or a malformed or NUL escape in the path.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from corn.worker.refusal import Refusal

_GOOD = bytes(byte for byte in range(0x21, 0x7F) if byte not in b"#\\")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})|%00")
_ABSOLUTE = re.compile(rb"https?://([^/?]*)([^?]*)(\?.*)?", re.IGNORECASE)
_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::[0-9]{0,5})?",
)


def split_target(method: str, target: bytes) -> tuple[str, bytes, bytes, bytes | None]:
    """The decoded path, the raw path, the query string, and the authority where the target has one.

    Raises `Refusal` for a target that is malformed, or of a form that the method does not allow.
    """
    if target[:1] != b"/":
        return _uncommon(method, target)
    return (*_split_path(target), None)


def _split_path(target: bytes) -> tuple[str, bytes, bytes]:
    if target.translate(None, _GOOD):
        raise Refusal(400, "invalid byte in the request target")
    raw, _, query = target.partition(b"?")
    if b"%" in raw:
        return _decoded(raw), raw, query
    return raw.decode("ascii"), raw, query


def _decoded(raw: bytes) -> str:
    if _BAD_ESCAPE.search(raw):
        raise Refusal(400, "invalid percent-encoding in the path")
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def _uncommon(method: str, target: bytes) -> tuple[str, bytes, bytes, bytes | None]:
    if target == b"*" and method == "OPTIONS":
        return "*", b"*", b"", None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise Refusal(400, "invalid request target")
    authority, path, query = absolute.groups(b"")
    if not authority or not is_host(authority):
        raise Refusal(400, "invalid authority in the request target")
    if not path and not query and method == "OPTIONS":  # RFC 9112, 3.2.4: the asterisk form, sent by way of a proxy
        return "*", b"*", b"", authority
    return (*_split_path((path or b"/") + query), authority)


def is_host(value: bytes) -> bool:
    """Whether `value` is `uri-host [ ":" port ]` (RFC 9110, 7.2); an empty one is."""
    return _HOST.fullmatch(value) is not None
