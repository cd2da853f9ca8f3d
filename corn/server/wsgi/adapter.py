"""A WSGI application (PEP 3333) as an ASGI 3 application, so that whatever speaks ASGI serves it."""

from __future__ import annotations

import asyncio
import faulthandler
from collections.abc import Callable

from corn.logs import logger
from corn.server.asgi.types import ClientDisconnected, Receive, Scope, Send
from corn.server.wsgi.bridge import Exchange
from corn.server.wsgi.environ import environ_of
from corn.server.wsgi.input import WholeBody, body_in_parts
from corn.server.wsgi.response import Response, WSGIApplication
from corn.server.wsgi.thread_pool import Threads

READ_AHEAD = 65536  # bytes of a body that are waited for before a thread is taken, so that slow senders hold none
PATIENCE = 10.0  # seconds after which it is worth a warning that a request waits for a thread


class WSGI:
    """Calls a WSGI application in at most `threads` threads, none of which exists before the first request.

    `on_stuck` is called, with the reason, when every thread is held by a request that was given up because its time
    was over: a thread cannot be stopped, so this worker answers nobody any more.
    """

    def __init__(self, app: WSGIApplication, threads: int, on_stuck: Callable[[str], None]) -> None:
        self._app = app
        self._threads = Threads(threads)
        self._on_stuck = on_stuck
        self._given_up: list[Exchange] = []
        self._alarm: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. WSGI has no lifespan; a WebSocket is refused, which ASGI makes a 403."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            raise NotImplementedError(f"WSGI has no {scope['type']}")
        environ = environ_of(scope)
        environ["wsgi.multithread"] = self._threads.most > 1
        exchange = Exchange()
        parts: list[bytes] = []
        # A client that waits for 100 Continue is asked for its body when the application reads it.
        if "HTTP_EXPECT" in environ or await _read_ahead(receive, parts):
            environ["wsgi.input"] = body_in_parts(parts, exchange.pull)
        else:
            environ["wsgi.input"] = WholeBody(b"".join(parts))
        response = Response(self._app, environ, exchange, "http.response.zerocopysend" in scope.get("extensions", ()))
        if not self._threads.run(lambda: exchange.run(response.answer)) and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(PATIENCE, self._look_at, exchange)
        try:
            await exchange.converse(receive, send)
        except asyncio.CancelledError:
            self._give_up(exchange)
            raise

    def _look_at(self, exchange: Exchange) -> None:
        """Say where the threads are, if a request that had to wait still does."""
        self._alarm = None
        if not (exchange.begun or exchange.abandoned):
            logger.warning("a request waits since %g s: all %d WSGI threads are busy", PATIENCE, self._threads.most)
            faulthandler.dump_traceback(2, all_threads=True)

    def _give_up(self, exchange: Exchange) -> None:
        self._given_up = [each for each in (*self._given_up, exchange) if each.begun and not each.ended]
        if len(self._given_up) >= self._threads.most:
            self._on_stuck(f"all {self._threads.most} WSGI threads are held by requests that were given up")


async def _read_ahead(receive: Receive, parts: list[bytes]) -> bool:
    """Collect the beginning of a body in `parts`; whether there is more."""
    size = 0
    while size < READ_AHEAD:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientDisconnected
        body = message.get("body", b"")
        parts.append(body)
        if not message.get("more_body", False):
            return False
        size += len(body)
    return True
