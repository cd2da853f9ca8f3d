"""Server of one worker, from the application's start-up to the last connection.

    start()        the application's lifespan begins
    accept()       connections are accepted from the listeners, which other workers share
    drain()        no new ones are accepted; in-flight requests finish
    wait_closed()  all connections are closed, and the application's lifespan has ended

The owner of the worker calls these in this order. The server handles no signals and ends no process, so it can also run
in the event loop of another program.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from corn.config import Config
from corn.diagnosis.user_traceback import user_traceback
from corn.ipc.scoreboard import Field, Scoreboard
from corn.lifecycle import begin_serving
from corn.logs import flush, is_handed_over
from corn.server.acceptor import AcceptBalance, Acceptor
from corn.server.access_log.log import AccessLog, LoggingAccessLog
from corn.server.asgi.health_check import check_health
from corn.server.asgi.interface import as_asgi3
from corn.server.asgi.lifespan import Lifespan
from corn.server.asgi.types import ASGIApplication
from corn.server.context import INTERVAL, ServerContext
from corn.server.drain import GracefulDrain
from corn.server.http2 import http2_connection
from corn.server.protocol_factory import ProtocolFactory
from corn.server.request_id import with_request_id
from corn.server.static import static_files
from corn.server.tls.context import TLSContexts
from corn.server.typing import AccessLogger

if TYPE_CHECKING:
    from corn.server.connection_handoff import ConnectionHandoff


MAX_IN_FLIGHT = 1000  # requests that are listed
_MAX_PATH = 300
_RANDOM = random.SystemRandom()  # not the generator that the application may have seeded


def _retire_never(reason: str) -> None:
    """Default of `on_retire`, for an owner that does not replace the worker."""


def _as_it_is(app: ASGIApplication) -> ASGIApplication:
    """Default of `wrap`, for an owner that wraps nothing around the application."""
    return app


class Server:
    """ASGI server on open listeners; to be created and used in a running event loop.

    `cell` is the scoreboard entry of this worker, for the heartbeat and the counters. `on_retire` is called with a
    reason when the worker should be replaced; it serves until it is drained. With `tls`, all listeners use TLS except
    the `redirecting` ones, which redirect to HTTPS. `wrap` wraps the application after its conversion to ASGI 3, and
    `describe` formats an exception for the log. `mailbox` passes idle connections to the next worker in a fast drain,
    and from the previous one.
    """

    def __init__(
        self,
        app: ASGIApplication,
        config: Config,
        listeners: Sequence[socket.socket],
        *,
        slots: Scoreboard,
        cell: int,
        tls: TLSContexts | None = None,
        redirecting: Sequence[socket.socket] = (),
        on_retire: Callable[[str], None] = _retire_never,
        wrap: Callable[[ASGIApplication], ASGIApplication] = _as_it_is,
        describe: Callable[[BaseException], str] = user_traceback,
        mailbox: ConnectionHandoff | None = None,
    ) -> None:
        self._words = slots.cell(cell).words
        served, static = as_asgi3(app, config, on_retire), static_files(config)
        served = wrap(static(served, config) if static else served)
        served = with_request_id(served) if config.request_id else served
        self._service = ServerContext(served, config, self._words, on_retire)
        self._service.describe = describe
        self._service.http2 = http2_connection(config)
        self._service.metrics.retire_at = _retire_at(config)
        self._service.metrics.retire_at_message = _retire_at_message(config)
        self._balance = AcceptBalance(slots, self._words)
        self._lifespan = Lifespan(self._service.app, config.lifespan, self._service.drain_event)
        self._protocols = ProtocolFactory(self._service, tls, _port(listeners))
        self._acceptors = [
            Acceptor(self._service, self._balance, listener, factory)
            for listeners_of, factory in ((listeners, self._protocols.first), (redirecting, self._protocols.redirect))
            for listener in listeners_of
        ]
        self._mailbox = mailbox
        self._drain = GracefulDrain(self._service, mailbox)
        self._ticking: asyncio.TimerHandle | None = None
        self._expected = math.inf  # due time of the next tick
        self._ticked = (time.monotonic(), time.process_time())  # at the last tick

    async def start(self) -> None:
        """Start the application, without a timeout; raises ApplicationError if it does not start."""
        begin_serving()
        self._tick()
        config, service = self._service.config, self._service
        await self._lifespan.startup()
        service.application_started(self._lifespan.state if self._lifespan.is_running else None)
        if config.access_log:
            service.log_requests(_access_log(service))

    async def check_health(self, path: str) -> None:
        """Send a health check to the application, once started; raises ApplicationError if it fails."""
        state = self._lifespan.state if self._lifespan.is_running else None
        await check_health(self._service.app, path, self._service.config.root_path, state, self._service.drain_event)

    def accept(self) -> None:
        """Start accepting connections."""
        self._words[Field.ACCEPTING] = 1
        self._tick()
        for acceptor in self._acceptors:
            acceptor.start()
        if self._mailbox is not None:
            self._mailbox.open(self._service, self._protocols.first)

    def drain(self, *, grace: float, final: bool, fast: bool = False) -> None:
        """Accept no new connections, finish in-flight requests within `grace` seconds, then cancel them.

        `final`: no other process accepts from the listeners, so the connections in the accept queues are served too.
        Another call can only shorten the grace period; 0 cancels all requests now. `fast`: the grace period applies
        only to requests without a response yet; idle connections and streaming responses end now.
        """
        self._words[Field.ACCEPTING] = 0
        for acceptor in self._acceptors:
            acceptor.stop(final=final)
        if self._mailbox is not None:
            self._mailbox.close(self._service)
        self._drain.begin(grace, final=final, fast=fast)

    async def wait_closed(self) -> None:
        """Wait until a drain is over and the application has shut down (or its shutdown has timed out)."""
        await asyncio.shield(self._drain.done)
        await self._lifespan.shutdown(self._service.config.timeout_lifespan_shutdown)
        if self._ticking is not None:
            self._ticking.cancel()
        self._service.show_counts()
        if self._service.access is not None:
            self._service.access.close()

    def in_flight(self) -> list[dict[str, Any]]:
        """In-flight requests, see `_requests_in_flight`."""
        return _requests_in_flight(self._service)

    def set_log_level(self, levels: str) -> None:
        """Set the minimum level of the access log (option log_level)."""
        if self._service.access is not None:
            self._service.access.set_level(levels)

    def reopen_logs(self) -> None:
        """Reopen the access log's file, after it was renamed."""
        if self._service.access is not None:
            self._service.access.reopen()

    def _tick(self) -> None:
        service, words = self._service, self._words
        now = time.monotonic()
        words[Field.HEARTBEAT_MS] = int(now * 1000)
        lag = max(0.0, now - self._expected)
        words[Field.LAG_US] = int(lag * 1_000_000)
        words[Field.LOAD_PERMILLE] = self._load_since_last_tick(now, lag)
        service.show_counts()
        service.tick()
        service.sweep()
        if service.access is not None:
            service.access.tick()
        flush()
        self._balance.tick(service.metrics.closings)
        if self._ticking is not None:
            self._ticking.cancel()
        self._ticking = service.loop.call_later(INTERVAL, self._tick)
        self._expected = time.monotonic() + INTERVAL

    def _load_since_last_tick(self, now: float, lag: float) -> int:
        """Share of the time, in thousandths: of processor time, or of waiting that delayed the tick if that is more."""
        before, self._ticked = self._ticked, (now, time.process_time())
        passed, spent = (this - last for this, last in zip(self._ticked, before, strict=True))
        return int(min(1.0, max(spent, lag) / passed) * 1000) if passed > 0 else 0


def _access_log(service: ServerContext) -> AccessLogger:
    return LoggingAccessLog() if is_handed_over() else AccessLog(service.loop, service.config)


def _retire_at(config: Config) -> int:
    """Number of requests after which the worker requests its replacement; 0 for never."""
    if config.limit_max_requests is None:
        return 0
    return config.limit_max_requests + _RANDOM.randint(0, config.limit_max_requests_jitter)


def _retire_at_message(config: Config) -> float:
    if config.limit_max_messages is None:
        return math.inf
    return config.limit_max_messages * _RANDOM.uniform(1, 1.1)


def _port(listeners: Sequence[socket.socket]) -> int | None:
    """First TCP port of the listeners."""
    return next((each.getsockname()[1] for each in listeners if each.family != socket.AF_UNIX), None)


def _requests_in_flight(service: ServerContext) -> list[dict[str, Any]]:
    """In-flight requests, the oldest first, at most `MAX_IN_FLIGHT`.

    Each has a method, a path, its age in seconds, the client, the status if the response has begun, and the number of
    body bytes sent so far. It changes no state, because a signal handler calls it too.
    """
    now = time.monotonic()
    cycles = sorted(service.running, key=lambda each: each.started_at)[:MAX_IN_FLIGHT]
    return [
        {
            "method": "WEBSOCKET" if cycle.scope["type"] == "websocket" else cycle.head.method,
            "path": str(cycle.scope["path"])[:_MAX_PATH],
            "age": round(now - cycle.started_at, 3),
            "client": ":".join(str(part) for part in cycle.scope["client"] or ("-",) if part is not None),
            "status": cycle.status if cycle.committed else None,
            "sent": cycle.sent,
        }
        for cycle in cycles
    ]
