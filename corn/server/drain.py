"""Graceful drain of a worker's connections without dropping a request.

In-flight requests finish, and their responses have `Connection: close`. An idle connection stays open for a short time
for one more request, because the peer may be sending it at this moment. These times are spread, so that not all peers
reconnect at once. At the end of the grace period the remaining requests are cancelled, and a little later their
connections are aborted: a task that ignores its cancellation does not delay the exit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from corn.lifecycle import begin_draining
from corn.server.context import ServerContext

if TYPE_CHECKING:
    from corn.server.connection_handoff import ConnectionHandoff

_STEP = 0.02
_FIRST_BYTE = 1.0  # seconds for a connection of which nothing was read yet
_FIRST_BYTE_FAST = 0.05  # browsers open connections ahead of need, and must not get a response of the old code
_IDLE_ROLLING = 5.0  # other workers serve meanwhile
_IDLE_FINAL = 1.0
_WEBSOCKETS_PER_SECOND = 200
_CANCEL_TIMEOUT = 1.0  # for cancelled requests to end


class GracefulDrain:
    """Graceful drain of one worker. Times are of the loop's clock, which also advances while it is blocked."""

    def __init__(self, service: ServerContext, mailbox: ConnectionHandoff | None = None) -> None:
        self._service = service
        self._mailbox = mailbox
        self._hands_over = False  # idle connections are handed to the next worker
        self._deadline: float | None = None
        self._cancelled: float | None = None
        self.done: asyncio.Future[None] = service.loop.create_future()

    def begin(self, grace: float, *, final: bool, fast: bool = False) -> None:
        """Start, or shorten the grace period of a drain that has started; `fast` as for `Server.drain`."""
        self._service.tick()  # the following timeouts are short compared with the interval of the clock
        now = self._service.loop.time()
        idle, first = _IDLE_FINAL if final else _IDLE_ROLLING, _FIRST_BYTE
        if fast:
            idle, first = 0.0, _FIRST_BYTE_FAST
            self._cancel_committed()
            self._hands_over = self._mailbox is not None and not final
            self._hand_over_idle()
        if self._deadline is None:
            self._deadline = now + grace
            self._service.draining = True
            self._spread(grace, idle, first)
            self._close_websockets(min(grace / 4, idle))
            self._service.drain_event.set()
            begin_draining()
            self._limit_streams()
            self._service.loop.call_soon(self._step)
        elif now + grace < self._deadline:
            self._deadline = now + grace
            self._spread(grace, _IDLE_FINAL, first)
            self._close_websockets(min(grace / 4, _IDLE_FINAL))

    def _limit_streams(self) -> None:
        limit = self._service.config.timeout_streams
        if limit is not None:
            self._service.loop.call_later(limit, self._cancel_streams)

    def _cancel_streams(self) -> None:
        for cycle in list(self._service.running):
            if cycle.streams:
                cycle.cancel("the worker drains")

    def _hand_over_idle(self) -> None:
        if self._mailbox is not None and self._hands_over:
            self._mailbox.hand_over_all(self._service)

    def _cancel_committed(self) -> None:
        for cycle in list(self._service.running):
            if cycle.committed:
                cycle.cancel("the worker drains")

    def _spread(self, grace: float, idle: float, first: float) -> None:
        now = self._service.clock.now
        idle = min(grace, idle, self._service.config.timeout_keep_alive)
        first = min(grace, first, self._service.config.timeout_keep_alive)
        connections = list(self._service.connections)
        for position, connection in enumerate(connections, start=1):
            connection.linger_until(now + first, now + idle * position / len(connections))

    def _close_websockets(self, limit: float) -> None:
        """Close the sessions one after the other, so that not all clients reconnect at once."""
        now = self._service.clock.now
        sessions = list(self._service.websockets)
        spread = min(limit, len(sessions) / _WEBSOCKETS_PER_SECOND)
        for position, session in enumerate(sessions):
            session.close_at(now + spread * position / len(sessions))

    def _step(self) -> None:
        service, now = self._service, self._service.loop.time()
        service.tick()
        self._hand_over_idle()  # also connections that were accepted at the last moment
        service.sweep()
        if self._deadline is not None and now >= self._deadline and self._cancelled is None:
            self._cancelled = now
            self._cancel()
        if self._cancelled is not None:
            self._abort_connections(by_force=now >= self._cancelled + _CANCEL_TIMEOUT)
        if self._is_over(now):
            self.done.set_result(None)
        else:
            service.loop.call_later(_STEP, self._step)

    def _is_over(self, now: float) -> bool:
        if self._service.metrics.open == 0 and not self._service.running:
            return True
        return self._cancelled is not None and now >= self._cancelled + 2 * _CANCEL_TIMEOUT

    def _cancel(self) -> None:
        for cycle in list(self._service.running):
            cycle.cancel("the worker drains")

    def _abort_connections(self, *, by_force: bool) -> None:
        """Abort the connections without a request; by force also those with one."""
        for cycle in [each for each in self._service.running if each.has_ended]:
            self._service.running.discard(cycle)  # a task that is cancelled before its first step cannot do this itself
        for connection in list(self._service.connections):
            if by_force or not connection.is_busy:
                connection.abort()
