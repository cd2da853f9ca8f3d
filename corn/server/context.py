"""What all connections of one worker share: the application, the limits, the clock and the counters."""

from __future__ import annotations

import asyncio
import contextvars
import math
import sys
from bisect import bisect_left
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from corn.config import Config
from corn.diagnosis.user_traceback import user_traceback
from corn.ipc.scoreboard import LATENCY_BOUNDS, Field
from corn.server.access_log.log import CLIENT_CLOSED, AccessLog, LoggingAccessLog
from corn.server.asgi.scope import Address, scope_template
from corn.server.asgi.types import ASGIApplication
from corn.server.http.head import RequestHead
from corn.server.http2 import http2_connection
from corn.server.proxy.forwarded_headers import apply_forwarded
from corn.server.proxy.trusted_networks import TrustedNetworks
from corn.server.request_id import RequestIds

if TYPE_CHECKING:
    from corn.server.asgi.cycle import RequestCycle
    from corn.server.websocket.session import WebSocketSession

INTERVAL = 0.5  # seconds between two ticks of the clock
_FASTEST = LATENCY_BOUNDS[0]
# Where the counts of a status begin, by its first digit; 8 and 9 are no class of HTTP's, and share a row.
_ROWS = tuple(Field.ANSWERS + min(digit, 7) * (len(LATENCY_BOUNDS) + 1) for digit in range(10))


class Clock:
    """Coarse time: seconds since the worker's start, precise to `INTERVAL`, and the HTTP date (RFC 9110, 5.6.7).

    `now` does not follow the wall: a tick adds what has passed, but never more than two intervals. So when the
    application blocks the event loop for ten seconds, no peer times out for not having been heard meanwhile.
    """

    __slots__ = ("_last", "date", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._last = monotonic()
        self.date = b""
        self.tick()

    def tick(self) -> None:
        """Move on to now."""
        moment = monotonic()
        self.now += min(moment - self._last, 2 * INTERVAL)
        self._last = moment
        self.date = formatdate(usegmt=True).encode()


class Connection(Protocol):
    """What the worker knows of a connection, whatever protocol it speaks."""

    deadline: float  # on `Clock.now`; past it, `expire` is called

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""

    def expire(self) -> None:
        """The deadline is over: refuse, close or abort, as the state of the connection asks."""

    def linger_until(self, first: float, idle: float) -> None:
        """The worker drains: leave at `first` if nothing was read yet, at `idle` if no request is in flight."""

    def abort(self) -> None:
        """Close at once, whatever is in flight."""


class ServerContext:
    """The common ground of a worker's connections. One for each `Server`."""

    __slots__ = (
        "access",
        "app",
        "busy",
        "clock",
        "closings",
        "config",
        "connections",
        "context",
        "create_task",
        "defaults",
        "describe",
        "draining",
        "extra",
        "header_deadline",
        "http2",
        "idle_deadline",
        "limit_concurrency",
        "limit_connections",
        "limit_header_count",
        "limit_header_size",
        "loop",
        "messages",
        "on_retire",
        "open",
        "opens_websockets",
        "proxies",
        "request_ids",
        "requests",
        "retire_at",
        "retire_at_message",
        "running",
        "sent",
        "server_field",
        "template",
        "timeout_request",
        "websockets",
        "when_room",
        "words",
    )

    def __init__(
        self, app: ASGIApplication, config: Config, words: memoryview, on_retire: Callable[[str], None]
    ) -> None:
        self.app = app
        self.describe: Callable[[BaseException], str] = user_traceback  # an exception of a request, for the log
        self.config = config
        self.words = words
        self.on_retire = on_retire
        self.retire_at = 0  # the count of requests that asks for a replacement of this worker
        self.retire_at_message = math.inf  # the same of messages over WebSockets
        self.loop = asyncio.get_running_loop()
        self.context = contextvars.copy_context()
        self.create_task: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] = self.loop.create_task
        self.clock = Clock()
        self.template = scope_template(config.root_path, None)
        self.access: AccessLog | LoggingAccessLog | None = None
        self.connections: set[Connection] = set()
        self.timeout_request = config.timeout_request
        self.running: set[RequestCycle] = set()
        self.open = 0
        self.closings = 0  # connections that were open once
        self.requests = 0
        self.sent = 0  # bytes of bodies
        self.busy = 0.0  # seconds, over all requests
        self.messages = 0  # received over WebSockets
        self.websockets: set[WebSocketSession] = set()
        self.opens_websockets = config.ws != "none"
        self.draining = False
        self.server_field = b"server: corn\r\n" if config.server_header else b""
        self.extra = "".join(f"{each}\r\n" for each in config.header).encode("latin-1")
        self.limit_concurrency = config.limit_concurrency or sys.maxsize
        self.limit_connections = config.limit_connections or sys.maxsize
        self.proxies = TrustedNetworks(config.forwarded_allow_ips) if config.proxy_headers else None
        self.request_ids = RequestIds(self.proxies) if config.request_id else None
        self.when_room: list[Callable[[], None]] = []  # acceptors that wait for a connection to end
        self.limit_header_count = config.limit_header_count
        self.limit_header_size = config.limit_header_size
        self.http2 = http2_connection(config)
        self.tick()

    def application_started(self, state: dict[str, Any] | None) -> None:
        """Take over what the application has set up: its state, and how the loop makes tasks."""
        self.template = scope_template(self.config.root_path, state)
        if self.loop.get_task_factory() is None:
            # What the loop would do, but that it first makes up a name for each task.
            self.create_task = partial(asyncio.Task, loop=self.loop, name="request")

    def tick(self) -> None:
        """Move the clock on, and what is derived from it."""
        self.clock.tick()
        now = self.clock.now
        self.idle_deadline = now + self.config.timeout_keep_alive
        self.header_deadline = now + self.config.timeout_header
        self.defaults = self.default_fields(date=True, server=True)

    def default_fields(self, *, date: bool, server: bool) -> bytes:
        """The fields that corn adds; one that the response brings itself is left out."""
        first = self.server_field if server else b""
        if date and self.config.date_header:
            first += b"date: " + self.clock.date + b"\r\n"
        return first + self.extra

    def sweep(self) -> None:
        """Let every connection whose deadline is over deal with it."""
        now = self.clock.now
        if self.timeout_request is not None:
            for cycle in [each for each in self.running if each.expires <= now and not each.responded]:
                cycle.cancel("it took too long")
        for connection in [each for each in self.connections if each.deadline <= now]:
            connection.expire()
        for session in [each for each in self.websockets if each.deadline <= now]:
            session.expire()

    def heed_proxies(self, head: RequestHead, scope: dict[str, Any], peer: Address) -> None:
        """Change a request's scope to what `peer`, if it is a trusted proxy, says of it; and give it its name."""
        if head.forwarded and self.proxies is not None and self.proxies.believes(peer):
            apply_forwarded(scope, self.proxies, self.config.proxy_fields)
        if self.request_ids is not None:
            self.request_ids.settle(scope, peer)

    def answered(self, cycle: RequestCycle) -> None:
        """Count a request that is done, at once and in shared memory, so that a crash loses no count; log it.

        A WebSocket is counted when it is open, and has lines of its own in the access log.
        """
        took = monotonic() - cycle.started_at
        status = cycle.status if cycle.committed else CLIENT_CLOSED
        bucket = bisect_left(LATENCY_BOUNDS, took) if took > _FASTEST else 0
        self.words[_ROWS[status // 100] + bucket] += 1
        self.sent += cycle.sent
        self.busy += took
        self.requests += 1
        if self.requests == self.retire_at:
            self.on_retire("max requests")
        if self.access is not None and status != 101:
            self.access.log(cycle, status, took)

    def show_counts(self) -> None:
        """Write what is counted here to shared memory."""
        words = self.words
        words[Field.ACTIVE] = len(self.running)
        words[Field.REQUESTS] = self.requests
        words[Field.WEBSOCKETS] = len(self.websockets)
        words[Field.MESSAGES] = self.messages
        words[Field.BYTES_SENT] = self.sent
        words[Field.BUSY_US] = int(self.busy * 1_000_000)

    def opened(self) -> None:
        """Count a connection, at once: the other workers compare theirs with this (see `accept`)."""
        self.open += 1
        self.words[Field.CONNECTIONS] = self.open

    def closed(self, connection: Connection | None = None) -> None:
        """Count a connection that is gone."""
        if connection is not None:
            self.connections.discard(connection)
        self.open -= 1
        self.closings += 1
        self.words[Field.CONNECTIONS] = self.open
        if self.when_room and self.open < self.limit_connections:
            waiting, self.when_room = self.when_room, []
            for resume in waiting:
                resume()
