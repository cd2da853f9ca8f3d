"""ASGI connection scope of a request head (the HTTP specification of ASGI, "HTTP Connection Scope")."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote

from corn.server.asgi.drain_event import DRAIN, DrainEvent
from corn.server.asgi.types import HTTP_SPEC
from corn.server.http.head import RequestHead
from corn.server.http.target import GOOD, decode_path, origin_form

_PERCENT = ord("%")  # an integer is found in bytes ten times as fast as bytes are
_PATH_SAFE = "/!$&'()*+,;=:@-._~%"  # RFC 3986, 3.3; a % begins an escape

Address = tuple[str, int | None] | None


class Endpoints(NamedTuple):
    """Addresses of both ends of a connection in the form of scopes; `tls` is the ASGI extension of that name."""

    client: Address
    server: Address
    scheme: str
    tls: dict[str, Any] | None = None


class Extensions(NamedTuple):
    """Extensions available to a request, by its head; see `extensions`."""

    http_10: dict[str, Any]
    http_11: dict[str, Any]
    with_trailers: dict[str, Any]


def offered_extensions(drain: DrainEvent, *, pathsend: bool) -> Extensions:
    """Extensions available to the requests of a worker."""
    plain: dict[str, Any] = {DRAIN: drain.extension(), "http.response.zerocopysend": {}}
    if pathsend:
        plain["http.response.pathsend"] = {}
    http_11 = {**plain, "http.response.early_hint": {}}
    return Extensions(plain, http_11, {**http_11, "http.response.trailers": {}})


def scope_template(
    root_path: str, state: dict[str, Any] | None, drain: DrainEvent, *, stripped: str = "auto", pathsend: bool = False
) -> dict[str, Any]:
    """Common part of the scopes of all requests to a worker; each scope begins as a copy of it.

    Two keys hold parameters of their final value: `extensions` has the extensions that are offered, and `path` the
    option root_path_stripped.
    """
    # All keys exist from the start, so that no copy has to be resized.
    keys = ("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path")
    template: dict[str, Any] = dict.fromkeys((*keys, "headers", "client", "server", "extensions"))
    root_path = root_path.strip("/")
    template.update(type="http", http_version="1.1", root_path=f"/{root_path}" if root_path else "")
    template.update(path=stripped, extensions=offered_extensions(drain, pathsend=pathsend))
    if state is not None:
        template["state"] = state
    return template


def http_scope(head: RequestHead, ends: Endpoints, template: dict[str, Any]) -> dict[str, Any]:
    """Scope of one request, which shares no mutable part with others. Raises `HTTPError` for an invalid target."""
    target = head.target
    if target[:1] != b"/" or target.translate(None, GOOD):
        target = _other_form(head)
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii") if _PERCENT not in raw_path else decode_path(raw_path)
    scope = template.copy()
    scope["asgi"] = HTTP_SPEC.copy()
    scope["method"] = head.method
    scope["path"] = path
    scope["raw_path"] = raw_path
    scope["query_string"] = query
    scope["headers"] = head.headers
    scope["client"], scope["server"], scope["scheme"], tls = ends
    offered: Extensions = scope["extensions"]
    if head.minor:
        scope["extensions"] = (offered.with_trailers if head.accepts_trailers else offered.http_11).copy()
    else:
        scope["extensions"] = offered.http_10.copy()
        scope["http_version"] = "1.0"
    if tls is not None:
        scope["extensions"] = extensions_over_tls(scope["extensions"], tls)
    root_path = scope["root_path"]
    if root_path and _lacks_root_path(path, root_path, template["path"]):
        scope["path"] = root_path + path
        scope["raw_path"] = quote(root_path, safe=_PATH_SAFE).encode("ascii") + raw_path
    if "state" in scope:
        scope["state"] = scope["state"].copy()
    return scope


def _lacks_root_path(path: str, root_path: str, stripped: str) -> bool:
    """True if the root path must be prepended: the path of a scope includes it (ASGI, "HTTP Connection Scope")."""
    if path == "*":
        return False
    if stripped == "auto":
        return path != root_path and not path.startswith(root_path + "/")
    return stripped == "yes"


def extensions_over_tls(extensions: dict[str, Any], tls: dict[str, Any]) -> dict[str, Any]:
    """Extensions of a request over TLS: without zero copy, because the bytes are encrypted."""
    extensions.pop("http.response.zerocopysend", None)
    extensions["tls"] = tls.copy()
    return extensions


def _other_form(head: RequestHead) -> bytes:
    """RFC 9112, 3.2.2: the authority of an absolute target replaces the Host field."""
    target, authority = origin_form(head.method, head.target)
    if authority is not None:
        head.headers[:] = [(b"host", authority), *(field for field in head.headers if field[0] != b"host")]
        head.host, head.forwarded_at = authority, ()
    return target
