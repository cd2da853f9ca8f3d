"""Error pages of `corn dev`: for an exception of a request, and for an application that cannot be loaded.

Frameworks with an error page of their own send it before they raise the exception, and it is kept. Only the bare
"Internal Server Error" that Starlette sends before it raises is replaced. It is held until the application has returned
or raised.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from corn.config import Config
from corn.diagnosis.diagnose import diagnose
from corn.diagnosis.failure import Failure
from corn.diagnosis.response import answer
from corn.server.asgi.types import ASGIApplication, ClientDisconnected, Message, Receive, Scope, Send
from corn.system.paths import working_directory

_INTERNAL_ERROR = 1011  # RFC 6455, 7.4.1
_BARE = b"Internal Server Error"


def with_error_pages(app: ASGIApplication) -> ASGIApplication:
    """Middleware: exceptions of the application are shown to the client, and raised again to be logged."""

    async def showing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        response = _Response(send)
        try:
            await app(scope, receive, response.send)
        except ClientDisconnected:
            raise
        except Exception as error:
            if not response.begun:
                failure = replace(diagnose(error), summary=f"{scope['method']} {scope['path']} failed")
                with contextlib.suppress(OSError):
                    await send_failure(failure, scope, send)
            raise
        await response.release()

    return showing


async def send_failure(failure: Failure, scope: Scope, send: Send) -> None:
    """Answer a request with a failure, in the form that its Accept field selects."""
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
    content_type, body = answer(failure, accept, working_directory())
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"vary", b"accept"),
    ]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class _Response:
    """Response of the application; a bare one is held until its application returns."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: list[Message] = []
        self.begun = False

    async def send(self, message: Message) -> None:
        if not self.begun and (_is_bare_start(message) or (self._held and _is_bare_body(message))):
            self._held.append(message)
            return
        await self.release()
        self.begun = True
        await self._send(message)

    async def release(self) -> None:
        """Send the held messages."""
        held, self._held = self._held, []
        for message in held:
            self.begun = True
            await self._send(message)


def _is_bare_start(message: Message) -> bool:
    if message["type"] != "http.response.start" or message["status"] != 500:
        return False
    fields = {bytes(name).lower(): bytes(value) for name, value in message.get("headers", ())}
    return fields.get(b"content-type", b"").startswith(b"text/plain") and fields.get(b"content-length") == b"21"


def _is_bare_body(message: Message) -> bool:
    whole = message["type"] == "http.response.body" and not message.get("more_body", False)
    return whole and message.get("body", b"") == _BARE


def responder(failure: Failure) -> ASGIApplication:
    """An ASGI application that answers with status 500 and `failure`, in the form that the Accept field selects."""

    async def respond(scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send_failure(failure, scope, send)
        else:
            await send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": "the application is broken"})

    return respond


def config_of_responder(config: Config) -> Config:
    """The configuration for serving a responder, without the options about the application."""
    return replace(config, interface="asgi3", lifespan="off")
