"""WSGI environ of a request (PEP 3333, "environ Variables"; RFC 3875, 4.1), from its head or its ASGI scope.

Texts are "bytes as unicode", each character one byte. PATH_INFO is the path as it was sent, unescaped, even if it is
not UTF-8. A header with an underscore in its name maps to the same variable as one with hyphens, which a proxy may have
set or checked; option `wsgi_header_map` decides whether it is dropped, refused or kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from corn.server.asgi.drain_event import DRAIN, DrainEvent
from corn.server.asgi.scope import Address, Endpoints
from corn.server.asgi.types import Scope
from corn.server.http.head import RequestHead
from corn.version import __version__

Environ = dict[str, Any]
HeaderMap = Literal["drop", "refuse", "keep"]

_MAX_NAMES = 1024
_MAX_CACHED_NAME = 64  # that is remembered
_PORTS = {"http": "80", "https": "443"}
_keys: dict[bytes, str] = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}
_ALIKE: Environ = {
    "SERVER_SOFTWARE": f"corn/{__version__}",
    "wsgi.version": (1, 0),
    "wsgi.run_once": False,
    # During a reload or a recycling, there are two processes even with a single worker.
    "wsgi.multiprocess": True,
    "wsgi.file_wrapper": FileWrapper,
    "wsgi.input_terminated": True,  # reading past the body is safe, with and without a Content-Length
    # All other keys but those of header fields exist from the start, so that no copy has to be resized.
    **dict.fromkeys(("REQUEST_METHOD", "SERVER_PROTOCOL", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_URI")),
    **dict.fromkeys(("RAW_URI", "REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme")),
    **dict.fromkeys(("wsgi.errors", "wsgi.input", "wsgi.multithread", DRAIN)),
}


class AmbiguousHeaderError(Exception):
    """Raised for a header whose variable is also that of another header."""


def environ_of(scope: Scope, header_map: HeaderMap = "drop") -> Environ:
    """Environ of an ASGI request, but for `wsgi.input` and `wsgi.multithread`; raises AmbiguousHeaderError."""
    environ = _ALIKE.copy()
    environ["REQUEST_METHOD"] = scope["method"]
    environ["SERVER_PROTOCOL"] = "HTTP/" + scope["http_version"]
    environ["wsgi.url_scheme"] = scope["scheme"]
    environ["wsgi.errors"] = sys.stderr
    environ[DRAIN] = scope["extensions"][DRAIN]["event"]
    _add_target(environ, scope)
    _add_ends(environ, scope["client"], scope["server"], scope["scheme"])
    _add_fields(environ, scope["headers"], header_map)
    return environ


def connection_environ(ends: Endpoints, drain: DrainEvent, *, multithread: bool) -> Environ:
    """What the environs of a connection's requests have in common, if they take their ends from it."""
    environ = _ALIKE.copy()
    environ["SCRIPT_NAME"] = ""
    environ["SERVER_PROTOCOL"] = "HTTP/1.1"
    environ["wsgi.url_scheme"] = ends.scheme
    environ["wsgi.multithread"] = multithread
    environ[DRAIN] = drain
    _add_ends(environ, ends.client, ends.server, ends.scheme)
    return environ


def environ_of_head(head: RequestHead, common: Environ, header_map: HeaderMap) -> Environ:
    """Environ, but for `wsgi.input`, of a request whose target is a path without escapes; as `environ_of`."""
    environ = common.copy()
    environ["REQUEST_METHOD"] = head.method
    if not head.minor:
        environ["SERVER_PROTOCOL"] = "HTTP/1.0"
    environ["wsgi.errors"] = sys.stderr
    target = head.target.decode("ascii")
    path, _, query = target.partition("?")
    environ["PATH_INFO"] = path
    environ["QUERY_STRING"] = query
    environ["REQUEST_URI"] = environ["RAW_URI"] = target if query else path
    _add_fields(environ, head.headers, header_map)
    return environ


def _add_fields(environ: Environ, headers: Iterable[tuple[bytes, bytes]], header_map: HeaderMap) -> None:
    """Add the variables of header fields; raises AmbiguousHeaderError for one that `header_map` refuses."""
    for name, value in headers:
        key = _keys.get(name) or _key_of(name, header_map)
        if key in environ:
            separator = "; " if key == "HTTP_COOKIE" else ","
            environ[key] += separator + value.decode("latin-1")
        elif key:
            environ[key] = value.decode("latin-1")


def _add_target(environ: Environ, scope: Scope) -> None:
    raw = scope["raw_path"].decode("latin-1")
    path = raw if "%" not in raw else unquote_to_bytes(scope["raw_path"]).decode("latin-1")
    prefix = scope["root_path"].encode("utf-8").decode("latin-1").rstrip("/")
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        path = path[len(prefix) :]
    query = scope["query_string"].decode("latin-1")
    environ["SCRIPT_NAME"] = prefix
    environ["PATH_INFO"] = path
    environ["QUERY_STRING"] = query
    environ["REQUEST_URI"] = environ["RAW_URI"] = f"{raw}?{query}" if query else raw


def _add_ends(environ: Environ, client: Address, server: Address, scheme: str) -> None:
    environ["REMOTE_ADDR"] = client[0] if client else ""
    environ["REMOTE_PORT"] = str(client[1]) if client else ""
    name, port = server or ("", None)
    environ["SERVER_NAME"] = "localhost" if port is None else name  # a Unix socket has no port
    environ["SERVER_PORT"] = _PORTS.get(scheme, "80") if port is None else str(port)


def _key_of(name: bytes, header_map: HeaderMap) -> str:
    """Variable of a header; "" for one that is dropped."""
    key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
    if b"_" in name:
        if header_map == "refuse":
            raise AmbiguousHeaderError(f"the name of header field {name.decode('latin-1')} has an underscore")
        return key if header_map == "keep" else ""
    if len(_keys) < _MAX_NAMES and len(name) <= _MAX_CACHED_NAME:
        _keys[name] = key
    return key
