"""WSGI request/response cycle over HTTP/1.1, without ASGI: no task, no coroutine, no message waits for another.

A request whose body is complete, or that has none, goes straight to a thread. A response that is complete when the loop
looks at it is written in that look. Everything else takes the way through ASGI (`adapter`), whose task begins when it
is needed: at once for a body that is still arriving, and for a response that is sent in parts once its first part is
there. The states of the exchange are the same in both ways, so a response may change over at any moment.
"""

from __future__ import annotations

import asyncio
import io
from typing import Any, Protocol

from corn.server.asgi.scope import Address, Endpoints, http_scope
from corn.server.asgi.types import ClientDisconnected, Receive, Scope, Send
from corn.server.http.head import RequestHead
from corn.server.http.target import GOOD
from corn.server.http1.response import HTTP1Cycle, HTTP1Writer
from corn.server.wsgi.bridge import Exchange
from corn.server.wsgi.caller import Caller
from corn.server.wsgi.environ import AmbiguousHeaderError, Environ, connection_environ, environ_of_head

_PERCENT = ord("%")


class WSGIConnection(HTTP1Writer, Protocol):
    """Interface of the connection for a WSGI cycle."""

    ends: Endpoints
    common: dict[str, Any] | None  # what the requests of the connection have in common


def late_scope(head: RequestHead, ends: Endpoints, template: dict[str, Any]) -> dict[str, Any] | None:
    """Scope of a request, or None where its head and the connection say all; raises HTTPError for an invalid target."""
    target = head.target
    is_plain = target[:1] == b"/" and not target.translate(None, GOOD) and _PERCENT not in target
    if is_plain and not (head.forwarded or head.upgrade or template["root_path"]):
        return None
    return http_scope(head, ends, template)


class WSGICycle(HTTP1Cycle):
    """Cycle of one request and its response; subclasses have the `caller` of their application (`cycle_for`).

    `_exchange` is set while the cycle has no task. The scope is made when it is needed, see `late_scope`.
    """

    caller: Caller
    connection: WSGIConnection
    _exchange: Exchange | None = None
    _scope: dict[str, Any] | None

    @property
    def scope(self) -> dict[str, Any]:
        if self._scope is None:
            self._scope = http_scope(self.head, self.connection.ends, self.service.template)
        return self._scope

    @scope.setter
    def scope(self, scope: dict[str, Any] | None) -> None:
        self._scope = scope

    @property
    def client(self) -> Address:
        return self.connection.ends.client if self._scope is None else self._scope["client"]

    def begin(self) -> None:
        """Call the application in a thread, or in a task where the loop has to wait for the body."""
        if self.arriving or self.head.chunked:
            super().begin()
            return
        caller = self.caller
        try:
            environ = self._make_environ()
        except AmbiguousHeaderError:
            super().begin()
            return
        self.service.running.add(self)
        exchange = self._exchange = caller.exchange()
        exchange.owner = self
        body, self._body = self._body, b""
        caller.start(exchange, environ, io.BytesIO(body), sends_files=self.connection.ends.tls is None)

    def _make_environ(self) -> Environ:
        if self._scope is not None:
            return self.caller.environ(self._scope)
        connection, caller = self.connection, self.caller
        common = connection.common
        if common is None:
            drain = self.service.drain_event
            common = connection.common = connection_environ(connection.ends, drain, multithread=caller.multithread)
        return environ_of_head(self.head, common, caller.header_map)

    def cancel(self, why: str) -> None:
        """Give the call up; a request without a response yet gets 503."""
        exchange = self._exchange
        if exchange is None:
            super().cancel(why)
        elif not self.cut:
            self.cut, self.refused = why, True
            self.caller.abandon(exchange)
            self._failed(asyncio.CancelledError())
            self._end(exchange)

    @property
    def has_ended(self) -> bool:
        return self._exchange is None and super().has_ended

    def on_change(self) -> None:
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
        start, body = exchange.whole or exchange.join_outbox()
        try:
            if self.gone:
                raise ClientDisconnected
            self._take_start(start)
            self._write_first(body, False)
            self._finish()
        except Exception as error:
            self._failed(error)

    def _begin_conversation(self, exchange: Exchange) -> None:
        """Send the response in a task, as it comes."""

        async def converse(_: Scope, receive: Receive, send: Send) -> None:
            await self.caller.converse(exchange, receive, send)

        self._exchange = None
        exchange.start_conversation()
        self.task = self.service.create_task(self.run(converse))

    def _end(self, exchange: Exchange) -> None:
        """Handle the end of the call, or of the interest in it."""
        exchange.owner = exchange.error = None
        self._exchange = None
        self.service.running.discard(self)


def cycle_for(caller: Caller) -> type[WSGICycle]:
    """Class of the cycles of an application's requests."""
    return type("WSGICycle", (WSGICycle,), {"caller": caller})
