"""WSGI adapter: a WSGI application (PEP 3333) as an ASGI 3 application.

Over HTTP/1.1, where nothing wraps the application, most requests pass it by: they have a cycle of their own, which
knows WSGI and needs neither a task nor messages (`wsgi/cycle.py`).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from corn.server.asgi.types import CycleAdapter, Receive, Scope, Send
from corn.server.http.errors import HTTPError, plain_response
from corn.server.wsgi.caller import Caller
from corn.server.wsgi.cycle import cycle_for, late_scope
from corn.server.wsgi.environ import AmbiguousHeaderError, HeaderMap
from corn.server.wsgi.request_body import has_body, read_input
from corn.server.wsgi.response import WSGIApplication


class WSGI(CycleAdapter):
    """ASGI application that calls a WSGI application in at most `threads` threads; `on_stuck`: see `Caller`."""

    def __init__(
        self,
        app: WSGIApplication,
        threads: int,
        on_stuck: Callable[[str], None],
        *,
        header_map: HeaderMap = "drop",
        buffer: int = 0,
    ) -> None:
        self._caller = Caller(app, threads, on_stuck, header_map)
        self._buffer = buffer  # maximum bytes of a body of unknown length to read before the application is called
        self.http1_cycle = cycle_for(self._caller)
        self.make_scope = late_scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. WSGI has no lifespan; a WebSocket is refused, with status 403 by ASGI."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            raise NotImplementedError(f"WSGI has no {scope['type']}")
        caller = self._caller
        try:
            environ = caller.environ(scope)
        except AmbiguousHeaderError as error:
            await _refuse(send, HTTPError(400, str(error)))
            return
        exchange = caller.exchange()
        body: BinaryIO = io.BytesIO()
        if has_body(environ):
            try:
                body = await read_input(environ, receive, exchange.pull, self._buffer)
            except HTTPError as refusal:
                await _refuse(send, refusal)
                return
        sends_files = "http.response.zerocopysend" in scope.get("extensions", ())
        caller.start(exchange, environ, body, sends_files=sends_files)
        await caller.converse(exchange, receive, send)


async def _refuse(send: Send, refusal: HTTPError) -> None:
    headers, body = plain_response(refusal.status, refusal.reason)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
