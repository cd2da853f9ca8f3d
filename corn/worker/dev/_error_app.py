"""The application that stands in for one that is broken, in `corn dev`: it answers every request with the failure."""

from __future__ import annotations

from dataclasses import replace

from corn.config import Config
from corn.diagnosis.failure import Failure
from corn.server.asgi.types import ASGIApplication, Receive, Scope, Send
from corn.worker.dev.error_pages import send_failure

_INTERNAL_ERROR = 1011


def responder(failure: Failure) -> ASGIApplication:
    """An ASGI application that answers with status 500 and `failure`, as the client's Accept asks for it."""

    async def respond(scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send_failure(failure, scope, send)
        else:
            await send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": "the application is broken"})

    return respond


def config_of_responder(config: Config) -> Config:
    """The configuration for serving a responder: what the options say of the application does not hold for it."""
    return replace(config, interface="asgi3", lifespan="off")
