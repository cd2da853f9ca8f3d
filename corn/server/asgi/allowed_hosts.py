"""Middleware that refuses requests for foreign host names, against DNS rebinding.

A web site can make its own name resolve to 127.0.0.1 or to a private address, and its page can then read what is served
there (DNS rebinding). Such requests have the site's name in Host, which scripts cannot change. IP addresses, names
below localhost (RFC 6761, 6.3) and names without a dot, such as those of containers, cannot be names of a web site.
Requests without Host do not come from browsers, and a Unix socket is only reached through a proxy, which selects by
host itself.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from corn.server.asgi.types import ASGIApplication, Receive, Scope, Send
from corn.server.http.errors import plain_response

ANY = "*"


def with_allowed_hosts(app: ASGIApplication, names: Iterable[str], *, option: str) -> ASGIApplication:
    """Wrap an application to serve requests to local hosts and `names` alone; others get 421 (RFC 9110, 15.5.20).

    A name that begins with a dot matches its subdomains, `*` matches all. The response suggests `option` to add a name.
    """
    allowed = frozenset(each.lower().removesuffix(".") for each in names)
    subdomains = tuple(each for each in allowed if each.startswith("."))
    if ANY in allowed:
        return app

    def is_allowed(host: str) -> bool:
        name = host_name(host)
        is_local = "." not in name or name.endswith(".localhost") or _is_ip(name)
        return is_local or name in allowed or any(name.endswith(each) for each in subdomains)

    async def checking(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope.get("server") or (None, None))[1] is None:
            await app(scope, receive, send)
            return
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if not host or is_allowed(host):
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            headers, body = plain_response(421, f"host {host_name(host)} is not allowed; add it with {option}")
            await send({"type": "http.response.start", "status": 421, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return checking


def host_name(host: str) -> str:
    """Host of `host[:port]` in lower case, without brackets and without the dot of the root."""
    name = host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]
    return name.lower().removeprefix("[").removesuffix("]").removesuffix(".")


def _is_ip(name: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
    except (OSError, ValueError):
        return False
    return True
