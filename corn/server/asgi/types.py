"""Types of ASGI 3.0 (asgi.readthedocs.io), by the names of its specification."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


class CycleAdapter:
    """Base of an adapter with a request cycle of its own, which is used over HTTP/1.1 where nothing wraps the adapter.

    The arguments of `http1_cycle` are those of `HTTP1Cycle`, those of `make_scope` are those of `http_scope`. It may
    return None, and leave the scope to the cycle.
    """

    http1_cycle: Callable[..., Any]
    make_scope: Callable[..., Any]


# With 2.4 or later, Starlette relies on `send` to raise for a disconnected client and does not wait for the disconnect,
# so a stream that has nothing to send outlives its reader. `send` raises in any case.
HTTP_SPEC = {"version": "3.0", "spec_version": "2.3"}
WEBSOCKET_SPEC = {"version": "3.0", "spec_version": "2.5"}
LIFESPAN_SPEC = {"version": "3.0", "spec_version": "2.0"}


class ClientDisconnected(OSError):  # noqa: N818 - what has happened, not a fault
    """Raised by `send` when the peer has disconnected, as the HTTP specification of ASGI requires since 2.4."""

    def __init__(self) -> None:
        super().__init__("the client has disconnected")
