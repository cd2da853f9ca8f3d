"""The application that stands in for one that is broken, in `corn dev`: it answers every request with the failure."""

from __future__ import annotations

from dataclasses import replace

from corn.config import Config
from corn.failure import Failure
from corn.failurepage import render
from corn.worker.asgi import ASGIApplication, Receive, Scope, Send

_NEVER_KEPT = (b"cache-control", b"no-store")


def responder(failure: Failure) -> ASGIApplication:
    """An ASGI application that answers with status 500 and `failure`, as the client's Accept asks for it."""

    async def respond(scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1011, "reason": "the application is broken"})
            return
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
        content_type, body = render(failure, accept)
        headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body)), _NEVER_KEPT]
        await send({"type": "http.response.start", "status": 500, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return respond


def config_of_responder(config: Config) -> Config:
    """The configuration for serving a responder: what the options say of the application does not hold for it."""
    return replace(config, interface="asgi3", lifespan="off")
