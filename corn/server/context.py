"""Server context shared by all connections of one worker: the application, limits, clock and registries."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from functools import partial
from time import monotonic
from typing import Any

from corn.config import Config
from corn.diagnosis.user_traceback import user_traceback
from corn.server.asgi.drain_event import DrainEvent
from corn.server.asgi.scope import Address, http_scope, scope_template
from corn.server.asgi.types import ASGIApplication, CycleAdapter
from corn.server.http.head import RequestHead
from corn.server.http1.parser import PreviousHead
from corn.server.metrics import Metrics
from corn.server.proxy.forwarded_headers import ForwardedHeaders
from corn.server.proxy.trusted_networks import TrustedNetworks
from corn.server.request_id import RequestIds
from corn.server.turn_writer import TurnWriter
from corn.server.typing import AccessLogger, Connection, Cycle, HTTP2Factory, Session

INTERVAL = 0.5  # seconds between two ticks of the clock


class Clock:
    """Coarse time: seconds since the worker's start, precise to `INTERVAL`, and the HTTP date (RFC 9110, 5.6.7).

    A tick advances `now` by the time that has passed, but by two intervals at most. So when the application blocks the
    event loop for ten seconds, no peer times out because of input that was not read meanwhile. Because a timeout may be
    as short as that, the clock `catches_up` for an interval after such a tick: connections first read and write what
    they could not. It does so once in a row, or no peer would time out where the application blocks the loop always.
    """

    __slots__ = ("_caught_up_at", "_last", "catches_up", "date", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._last = monotonic()
        self._caught_up_at = 0.0
        self.catches_up = False
        self.date = b""
        self.tick()

    def tick(self) -> None:
        """Advance the clock."""
        moment = monotonic()
        passed, self._last = moment - self._last, moment
        self.now += min(passed, 2 * INTERVAL)
        if passed > 2 * INTERVAL and not self.catches_up:
            self._caught_up_at = moment + INTERVAL
        self.catches_up = moment < self._caught_up_at
        self.date = formatdate(usegmt=True).encode()


class ServerContext:
    """State shared by a worker's connections; one for each `Server`."""

    __slots__ = (
        "access",
        "app",
        "clock",
        "config",
        "connections",
        "context",
        "create_task",
        "defaults",
        "describe",
        "drain_event",
        "draining",
        "extra",
        "first_head",
        "forwarded",
        "header_deadline",
        "http1_cycle",
        "http2",
        "idle_deadline",
        "limit_concurrency",
        "limit_connections",
        "limit_header_count",
        "limit_header_size",
        "loop",
        "make_scope",
        "metrics",
        "opens_websockets",
        "request_ids",
        "running",
        "server_field",
        "template",
        "timeout_request",
        "turn",
        "waiting_acceptors",
        "websockets",
    )

    def __init__(
        self, app: ASGIApplication, config: Config, words: memoryview, on_retire: Callable[[str], None]
    ) -> None:
        self.app = app
        self.describe: Callable[[BaseException], str] = user_traceback  # formats an exception of a request for the log
        self.config = config
        self.metrics = Metrics(words, on_retire)
        self.metrics.keeps_exemplars = config.admin is not None  # if they are served
        self.loop = asyncio.get_running_loop()
        self.context = contextvars.copy_context()
        self.create_task: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] = self.loop.create_task
        self.clock = Clock()
        self.turn = TurnWriter(self.loop)
        self.drain_event = DrainEvent()
        self.template = self._make_template(None)
        self.access: AccessLogger | None = None
        self.connections: set[Connection] = set()
        self.timeout_request = config.timeout_request
        self.running: set[Cycle] = set()
        self.websockets: set[Session] = set()
        self.opens_websockets = config.ws != "none"
        self.draining = False
        self.server_field = b"server: corn\r\n" if config.server_header else b""
        self.extra = "".join(f"{each}\r\n" for each in config.header).encode("latin-1")
        self.limit_concurrency = config.limit_concurrency or sys.maxsize
        self.limit_connections = config.limit_connections or sys.maxsize
        proxies = TrustedNetworks(config.forwarded_allow_ips) if config.proxy_headers else None
        self.forwarded = ForwardedHeaders(proxies, config.proxy_fields) if proxies is not None else None
        self.request_ids = RequestIds(proxies) if config.request_id else None
        self.waiting_acceptors: list[Callable[[], None]] = []  # acceptors that wait for a connection to end
        self.first_head = PreviousHead()  # of all connections
        self.limit_header_count = config.limit_header_count
        self.limit_header_size = config.limit_header_size
        self.http1_cycle = app.http1_cycle if isinstance(app, CycleAdapter) else None
        self.make_scope = app.make_scope if isinstance(app, CycleAdapter) else http_scope
        self.http2: HTTP2Factory | None = None  # None if HTTP/2 is not served
        self.tick()

    def application_started(self, state: dict[str, Any] | None) -> None:
        """Take over the state of the lifespan, and the loop's task factory that the application may have set."""
        self.template = self._make_template(state)
        if self.loop.get_task_factory() is None:
            # As the loop does, without generating a name for each task.
            self.create_task = partial(asyncio.Task, loop=self.loop, name="request")

    def _make_template(self, state: dict[str, Any] | None) -> dict[str, Any]:
        config = self.config
        return scope_template(
            config.root_path,
            state,
            self.drain_event,
            stripped=config.root_path_stripped,
            pathsend=config.pathsend,
        )

    def tick(self) -> None:
        """Advance the clock, and update the values derived from it."""
        self.clock.tick()
        now = self.clock.now
        self.idle_deadline = now + self.config.timeout_keep_alive
        self.header_deadline = now + self.config.timeout_header
        self.defaults = self.default_fields(date=True, server=True)

    def default_fields(self, *, date: bool, server: bool) -> bytes:
        """Field lines that corn adds, without the fields that the application has set."""
        first = self.server_field if server else b""
        if date and self.config.date_header:
            first += b"date: " + self.clock.date + b"\r\n"
        return first + self.extra

    def sweep(self) -> None:
        """Expire every request, connection and session whose deadline has passed, unless the loop was just blocked."""
        if self.clock.catches_up:
            return
        now = self.clock.now
        if self.timeout_request is not None:
            for cycle in [each for each in self.running if each.expires <= now and not each.responded]:
                cycle.cancel("request timeout")
        for connection in [each for each in self.connections if each.deadline <= now]:
            connection.expire()
        for session in [each for each in self.websockets if each.deadline <= now]:
            session.expire()

    def apply_forwarded_fields(self, head: RequestHead, scope: dict[str, Any], peer: Address) -> None:
        """Apply the forwarding fields of `peer`, if it is a trusted proxy, to a request's scope; set the request id."""
        if head.forwarded and self.forwarded is not None:
            self.forwarded.apply(scope, peer, head.forwarded_at)
        if self.request_ids is not None:
            self.request_ids.settle(scope, peer)

    def log_requests(self, access: AccessLogger) -> None:
        """Log finished requests, and those that are refused."""
        self.access = self.metrics.access = access

    def show_counts(self) -> None:
        """Write the counters to shared memory."""
        self.metrics.show(len(self.running), len(self.websockets))

    def closed(self, connection: Connection | None = None) -> None:
        """Count a closed connection, and resume acceptors that wait for one to close."""
        if connection is not None:
            self.connections.discard(connection)
        self.metrics.closed()
        if self.waiting_acceptors and self.metrics.open < self.limit_connections:
            waiting, self.waiting_acceptors = self.waiting_acceptors, []
            for resume in waiting:
                resume()
