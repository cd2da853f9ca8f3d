"""X-Request-ID: one identifier for a request, from the outermost proxy to the application's log.

With option request_id each request has exactly one such field: that of a trusted peer (forwarded_allow_ips), if it is
safe to log, else a new one. It is in the headers of the scope, and in the response unless the application sets one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from corn.server.asgi.scope import Address
from corn.server.asgi.types import ASGIApplication, Message, Receive, Scope, Send
from corn.server.proxy.trusted_networks import TrustedNetworks

FIELD = b"x-request-id"
_USABLE = re.compile(rb"[A-Za-z0-9._~+/=:@-]{1,128}")


class RequestIds:
    """Generator of request ids; ids from `trusted` networks are kept."""

    def __init__(self, trusted: TrustedNetworks | None) -> None:
        self._trusted = trusted
        self._prefix = os.urandom(8).hex().encode()
        self._count = int.from_bytes(os.urandom(4), "big")

    def settle(self, scope: dict[str, Any], peer: Address) -> None:
        """Ensure that the headers of a scope have exactly one field, for a request that came from `peer`."""
        headers = scope["headers"]
        given = [value for name, value in headers if name == FIELD]
        if len(given) == 1 and self._trusts(peer) and _USABLE.fullmatch(given[0]):
            return
        if given:
            headers[:] = [field for field in headers if field[0] != FIELD]
        headers.append((FIELD, self._new()))

    def _trusts(self, peer: Address) -> bool:
        return self._trusted is not None and self._trusted.trusts(peer)

    def _new(self) -> bytes:
        """32 hexadecimal digits: random for the worker, then a count."""
        self._count += 1
        return self._prefix + b"%016x" % self._count


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Id of a request whose headers `RequestIds.settle` has processed."""
    return next((value for name, value in headers if name == FIELD), b"")


def with_request_id(app: ASGIApplication) -> ASGIApplication:
    """Wrap an application so that its responses carry the request id."""

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return

        async def send_named(message: Message) -> None:
            if message["type"] in _STARTS:
                headers = list(message.get("headers", ()))
                if not any(name.lower() == FIELD for name, _ in headers):
                    headers.append((FIELD, request_id(scope["headers"])))
                message = {**message, "headers": headers}
            await send(message)

        await app(scope, receive, send_named)

    return named


_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
