"""Caller of a WSGI application: starts its calls in threads, and abandons those that do not return."""

from __future__ import annotations

import asyncio
import faulthandler
import io
from collections.abc import Callable
from typing import BinaryIO

from corn.logs import logger
from corn.server.asgi.types import Receive, Scope, Send
from corn.server.wsgi.bridge import Exchange, LoopInbox
from corn.server.wsgi.environ import Environ, HeaderMap, environ_of
from corn.server.wsgi.response import Response, WSGIApplication
from corn.server.wsgi.threads import Threads

WAIT_WARNING = 10.0  # seconds that a request waits for a thread before a warning is logged


class Caller:
    """Caller of one application in at most `threads` threads, made on demand.

    `on_stuck` is called with a reason when every thread is blocked by a cancelled request: threads cannot be stopped,
    so this worker can serve no more requests.
    """

    def __init__(
        self, app: WSGIApplication, threads: int, on_stuck: Callable[[str], None], header_map: HeaderMap
    ) -> None:
        self._app = app
        self._threads = Threads(threads)
        self._on_stuck = on_stuck
        self.header_map: HeaderMap = header_map
        self.multithread = threads > 1
        self._inbox: LoopInbox | None = None
        self._due: list[Exchange] = []
        self._abandoned: list[Exchange] = []
        self._warning_timer: asyncio.TimerHandle | None = None

    def environ(self, scope: Scope) -> Environ:
        """Environ of a request, without its `wsgi.input`; raises AmbiguousHeaderError."""
        environ = environ_of(scope, self.header_map)
        environ["wsgi.multithread"] = self.multithread
        return environ

    def exchange(self) -> Response:
        """Exchange for a request that is about to be started."""
        if self._inbox is None:
            self._inbox = LoopInbox()
        return Response(self._inbox)

    def start(self, exchange: Response, environ: Environ, body: BinaryIO, *, sends_files: bool) -> None:
        """Have a thread call the application, after the requests of this iteration of the event loop are read."""
        environ["wsgi.input"] = body
        if not isinstance(body, io.BytesIO):
            exchange.body = body
        exchange.app, exchange.environ, exchange.sends_files = self._app, environ, sends_files
        if not self._due:
            asyncio.get_running_loop().call_soon(self._start_due)
        self._due.append(exchange)

    def _start_due(self) -> None:
        due, self._due = self._due, []
        for exchange in due:
            try:
                is_free = self._threads.run(exchange.run)
            except RuntimeError as error:
                exchange.fail(error)
                continue
            if not is_free and self._warning_timer is None:
                self._warning_timer = asyncio.get_running_loop().call_later(WAIT_WARNING, self._check_wait, exchange)

    async def converse(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        """Pass the response on as it comes; a cancellation abandons the call."""
        try:
            await exchange.converse(receive, send)
        except asyncio.CancelledError:
            self.abandon(exchange)
            raise

    def abandon(self, exchange: Exchange) -> None:
        """Abandon the call of a cancelled request, which continues in its thread."""
        exchange.abandon()
        self._abandoned = [each for each in (*self._abandoned, exchange) if each.begun and not each.ended]
        if len(self._abandoned) >= self._threads.limit:
            self._on_stuck(f"all {self._threads.limit} WSGI threads are blocked by cancelled requests")

    def _check_wait(self, exchange: Exchange) -> None:
        """Log the stacks of the threads if the request still waits for one."""
        self._warning_timer = None
        if not (exchange.begun or exchange.abandoned):
            logger.warning(
                "a request has waited %g s for a WSGI thread (all %d busy)", WAIT_WARNING, self._threads.limit
            )
            faulthandler.dump_traceback(2, all_threads=True)
