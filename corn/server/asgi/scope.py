"""From a request head to an ASGI connection scope (the HTTP specification of ASGI, "HTTP Connection Scope")."""

from __future__ import annotations

from typing import Any, NamedTuple

from corn.server.asgi.types import HTTP_SPEC
from corn.server.http.head import RequestHead
from corn.server.http.target import GOOD, decode_path, origin_form

# The extensions that work for a request, by what its head says; see `extensions`.
_HTTP_10: dict[str, Any] = {"http.response.pathsend": {}, "http.response.zerocopysend": {}}
_HTTP_11 = {**_HTTP_10, "http.response.early_hint": {}}
_WITH_TRAILERS = {**_HTTP_11, "http.response.trailers": {}}

Address = tuple[str, int | None] | None


class Endpoints(NamedTuple):
    """Both ends of a connection, as the application is told of them; `tls` is the extension of that name."""

    client: Address
    server: Address
    scheme: str
    tls: dict[str, Any] | None = None


def scope_template(root_path: str, state: dict[str, Any] | None) -> dict[str, Any]:
    """What the scopes of all requests to a worker have in common; a scope begins as a copy of it."""
    # All keys are there from the start, so that no copy has to grow.
    keys = ("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path")
    template: dict[str, Any] = dict.fromkeys((*keys, "headers", "client", "server", "extensions"))
    template.update(type="http", http_version="1.1", root_path=root_path)
    if state is not None:
        template["state"] = state
    return template


def http_scope(head: RequestHead, ends: Endpoints, template: dict[str, Any]) -> dict[str, Any]:
    """The scope of one request; every mutable part of it is its own. Raises `Refusal` for an invalid target."""
    target = head.target
    if target[:1] != b"/" or target.translate(None, GOOD):
        target = _other_form(head)
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii") if b"%" not in raw_path else decode_path(raw_path)
    scope = template.copy()
    scope["asgi"] = HTTP_SPEC.copy()
    scope["method"] = head.method
    scope["path"] = path
    scope["raw_path"] = raw_path
    scope["query_string"] = query
    scope["headers"] = head.headers
    scope["client"], scope["server"], scope["scheme"], tls = ends
    if head.minor:
        scope["extensions"] = (_WITH_TRAILERS if head.accepts_trailers else _HTTP_11).copy()
    else:
        scope["extensions"] = _HTTP_10.copy()
        scope["http_version"] = "1.0"
    if tls is not None:
        scope["extensions"] = extensions_over_tls(scope["extensions"], tls)
    root_path = scope["root_path"]
    if root_path:
        scope["path"] = root_path + path
        scope["raw_path"] = root_path.encode() + raw_path
    if "state" in scope:
        scope["state"] = scope["state"].copy()
    return scope


def extensions_over_tls(extensions: dict[str, Any], tls: dict[str, Any]) -> dict[str, Any]:
    """The extensions of a request that came over TLS: there is no zero copy of what is to be encrypted."""
    extensions.pop("http.response.zerocopysend", None)
    extensions["tls"] = tls.copy()
    return extensions


def _other_form(head: RequestHead) -> bytes:
    """RFC 9112, 3.2.2: the authority of an absolute target stands in for whatever Host said."""
    target, authority = origin_form(head.method, head.target)
    if authority is not None:
        head.headers[:] = [(b"host", authority), *(field for field in head.headers if field[0] != b"host")]
        head.host = authority
    return target
