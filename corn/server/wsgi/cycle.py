"""WSGI request/response cycle over HTTP/1.1, without ASGI: no task, no coroutine, no message waits for another.

A request whose body is complete, or that has none, goes straight to a thread. A response that is complete when the loop
looks at it is written in that look. Everything else takes the way through ASGI (`adapter`), whose task begins when it
is needed: at once for a body that is still arriving, and for a response that is sent in parts once its first part is
there. The states of the exchange are the same in both ways, so a response may change over at any moment.
"""

from __future__ import annotations

import asyncio
import io
from typing import Any

from corn.server.asgi.types import ClientDisconnected, Receive, Scope, Send
from corn.server.context import ServerContext
from corn.server.http.head import RequestHead
from corn.server.http1.response import HTTP1Cycle, HTTP1Writer
from corn.server.wsgi.bridge import Exchange
from corn.server.wsgi.caller import Caller
from corn.server.wsgi.environ import AmbiguousHeaderError


class WSGICycle(HTTP1Cycle):
    """Cycle of one request and its response; `_exchange` is set while it has no task."""

    _exchange: Exchange | None = None

    def __init__(
        self,
        caller: Caller,
        service: ServerContext,
        connection: HTTP1Writer,
        head: RequestHead,
        scope: dict[str, Any],
    ) -> None:
        super().__init__(service, connection, head, scope)
        self._caller = caller

    def begin(self) -> None:
        """Call the application in a thread, or in a task where the loop has to wait for the body."""
        if self.arriving or self.head.chunked:
            super().begin()
            return
        caller, scope = self._caller, self.scope
        try:
            environ = caller.environ(scope)
        except AmbiguousHeaderError:
            super().begin()
            return
        self.service.running.add(self)
        exchange = self._exchange = caller.exchange()
        exchange.on_notice = self._look
        body, self._body = self._body, b""
        sends_files = "http.response.zerocopysend" in scope["extensions"]
        caller.start(exchange, environ, io.BytesIO(body), sends_files=sends_files)

    def cancel(self, why: str) -> None:
        """Give the call up; a request without a response yet gets 503."""
        exchange = self._exchange
        if exchange is None:
            super().cancel(why)
        elif not self.cut:
            self.cut, self.refused = why, True
            self._caller.give_up(exchange)
            self._failed(asyncio.CancelledError())
            self._end(exchange)

    @property
    def has_ended(self) -> bool:
        return self._exchange is None and super().has_ended

    def _look(self) -> None:
        """Handle what the thread has changed."""
        exchange = self._exchange
        assert exchange is not None
        ended = exchange.ended  # read first: what is put later is seen in the next look
        if not self.responded:
            if exchange.complete and not exchange.has_file:
                self._deliver(exchange)
            elif exchange.outbox or not ended:
                self._begin_conversation(exchange)
                return
        if ended:
            if exchange.error is not None:
                self._failed(exchange.error)
            self._end(exchange)

    def _deliver(self, exchange: Exchange) -> None:
        """Send a complete response."""
        start, body = exchange.take_whole()
        try:
            if self.gone:
                raise ClientDisconnected
            self._take_start(start)
            self._take_body({"body": body})
        except Exception as error:
            self._failed(error)

    def _begin_conversation(self, exchange: Exchange) -> None:
        """Send the response in a task, as it comes."""

        async def converse(_: Scope, receive: Receive, send: Send) -> None:
            await self._caller.converse(exchange, receive, send)

        self._exchange = None
        exchange.converse_from_now_on()
        self.task = self.service.create_task(self.run(converse))

    def _end(self, exchange: Exchange) -> None:
        """Handle the end of the call, or of the interest in it."""
        exchange.on_notice = exchange.error = None
        self._exchange = None
        self.service.running.discard(self)
