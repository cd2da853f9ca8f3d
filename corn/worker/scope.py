"""From a request head to an ASGI connection scope (the HTTP specification of ASGI, "HTTP Connection Scope")."""

from __future__ import annotations

from typing import Any, NamedTuple

from corn.worker.asgi import HTTP_SPEC
from corn.worker.head import Head
from corn.worker.target import split_target

Address = tuple[str, int | None] | None


class Ends(NamedTuple):
    """Both ends of a connection, as the application is told of them."""

    client: Address
    server: Address
    scheme: str


def http_scope(head: Head, ends: Ends, root_path: str, state: dict[str, Any] | None) -> dict[str, Any]:
    """The scope of one request; every mutable part of it is its own. Raises `Refusal` for an invalid target."""
    path, raw_path, query, authority = split_target(head.method, head.target)
    if authority is not None:
        _replace_host(head, authority)
    scope = {
        "type": "http",
        "asgi": HTTP_SPEC.copy(),
        "http_version": "1.1" if head.minor else "1.0",
        "method": head.method,
        "scheme": ends.scheme,
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": root_path,
        "headers": head.headers,
        "client": ends.client,
        "server": ends.server,
        "extensions": {},
    }
    if root_path:
        scope["path"] = root_path + path
        scope["raw_path"] = root_path.encode() + raw_path
    if state is not None:
        scope["state"] = state.copy()
    return scope


def _replace_host(head: Head, authority: bytes) -> None:
    """RFC 9112, 3.2.2: the authority of an absolute target stands in for whatever Host said."""
    head.headers[:] = [field for field in head.headers if field[0] != b"host"]
    head.headers.insert(0, (b"host", authority))
    head.host = authority
