"""WSGI adapter: a WSGI application (PEP 3333) as an ASGI 3 application."""

from __future__ import annotations

import asyncio
import faulthandler
import io
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import BinaryIO

from corn.logs import logger
from corn.server.asgi.drain_event import DRAIN
from corn.server.asgi.types import Receive, Scope, Send
from corn.server.http.errors import HTTPError, plain_response
from corn.server.wsgi.bridge import Exchange
from corn.server.wsgi.environ import AmbiguousHeaderError, HeaderMap, environ_of
from corn.server.wsgi.request_body import has_body, read_input
from corn.server.wsgi.response import Response, WSGIApplication

PATIENCE = 10.0  # seconds that a request waits for a thread before a warning is logged

Call = Callable[[], None]


class Threads:
    """Pool of at most `most` daemon threads that share one queue of calls; `run` is for the event loop's thread only.

    A thread is started when a call arrives and none is free, so never in a template, and never more than needed. The
    number of free threads is exact: there is one thread for each queued or running call, up to `most`.

    Rejected: concurrent.futures. Its count of idle threads is wrong if a call arrives while a thread becomes idle; it
    also makes a future, a condition and a work item for each call, and joins its threads at exit. Rejected: a lock for
    each idle thread. Each call would wake a thread, while the queue wakes one for all calls of an iteration: 0.5
    switches for each of 64 concurrent requests instead of 0.1.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self._inside = 0  # queued and running calls, and the ended ones that are still in `_over`
        self._over: deque[None] = deque()  # one entry for each call that has ended; append and pop are atomic
        self._started = 0

    def run(self, call: Call) -> bool:
        """Queue a call, which must not raise, for a thread; returns True if one is free to make it now.

        Raises RuntimeError if there is no thread and none can be started; otherwise corn continues with fewer threads.
        """
        while self._over:
            self._over.pop()
            self._inside -= 1
        if self._started <= self._inside and self._started < self.most:
            self._start()
        self._inside += 1
        self._calls.put(call)
        return self._inside <= self._started

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, name=f"wsgi-{self._started}", daemon=True).start()
        except RuntimeError:
            if not self._started:
                raise
        else:
            self._started += 1

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            call()
            del call  # so that its objects are not kept until the next call
            self._over.append(None)


class WSGI:
    """ASGI application that calls a WSGI application in at most `threads` threads, made on demand.

    `on_stuck` is called with a reason when every thread is blocked by a cancelled request: threads cannot be stopped,
    so this worker can serve no more requests.
    """

    def __init__(
        self,
        app: WSGIApplication,
        threads: int,
        on_stuck: Callable[[str], None],
        *,
        header_map: HeaderMap = "drop",
        buffer: int = 0,
    ) -> None:
        self._app = app
        self._threads = Threads(threads)
        self._on_stuck = on_stuck
        self._header_map: HeaderMap = header_map
        self._buffer = buffer  # maximum bytes of a body of unknown length to read before the application is called
        self._given_up: list[Exchange] = []
        self._alarm: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. WSGI has no lifespan; a WebSocket is refused, with status 403 by ASGI."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            raise NotImplementedError(f"WSGI has no {scope['type']}")
        try:
            environ = environ_of(scope, self._header_map)
        except AmbiguousHeaderError as error:
            await _refuse(send, HTTPError(400, str(error)))
            return
        environ["wsgi.multithread"] = self._threads.most > 1
        environ[DRAIN] = scope["extensions"][DRAIN]["event"]
        exchange = Exchange()
        body: BinaryIO = io.BytesIO()
        if has_body(environ):
            try:
                body = await read_input(environ, receive, exchange.pull, self._buffer)
            except HTTPError as refusal:
                await _refuse(send, refusal)
                return
        environ["wsgi.input"] = body
        response = Response(self._app, environ, exchange, "http.response.zerocopysend" in scope.get("extensions", ()))

        def answer() -> None:
            exchange.run(response.answer)
            if not isinstance(body, io.BytesIO):
                body.close()

        if not self._threads.run(answer) and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(PATIENCE, self._look_at, exchange)
        try:
            await exchange.converse(receive, send)
        except asyncio.CancelledError:
            self._give_up(exchange)
            raise

    def _look_at(self, exchange: Exchange) -> None:
        """Log the stacks of the threads, if a request that had to wait still does."""
        self._alarm = None
        if not (exchange.begun or exchange.abandoned):
            logger.warning("a request has waited %g s for a WSGI thread (all %d busy)", PATIENCE, self._threads.most)
            faulthandler.dump_traceback(2, all_threads=True)

    def _give_up(self, exchange: Exchange) -> None:
        self._given_up = [each for each in (*self._given_up, exchange) if each.begun and not each.ended]
        if len(self._given_up) >= self._threads.most:
            self._on_stuck(f"all {self._threads.most} WSGI threads are blocked by cancelled requests")


async def _refuse(send: Send, refusal: HTTPError) -> None:
    headers, body = plain_response(refusal.status, refusal.reason)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
