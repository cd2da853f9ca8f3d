"""Types of ASGI 3.0 (asgi.readthedocs.io), by the names of its specification."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

# From 2.4 on, Starlette takes it that `send` raises for a client that is gone, and waits for the disconnect no more: a
# stream that has nothing to send then outlives its reader. `send` raises in any case.
HTTP_SPEC = {"version": "3.0", "spec_version": "2.3"}
WEBSOCKET_SPEC = {"version": "3.0", "spec_version": "2.5"}
LIFESPAN_SPEC = {"version": "3.0", "spec_version": "2.0"}


class ClientDisconnected(OSError):  # noqa: N818 - what has happened, not a fault
    """Raised by `send` when the peer has disconnected, as the HTTP specification of ASGI asks since its version 2.4."""

    def __init__(self) -> None:
        super().__init__("the client has disconnected")
