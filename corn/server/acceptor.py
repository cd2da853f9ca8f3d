"""Acceptor of connections from a listener that several workers share.

One connection is accepted per wake-up. asyncio's own listener takes as many as there are, so that one worker swallows
a burst while the others idle; leaving it to the kernel (EPOLLEXCLUSIVE, SO_REUSEPORT) either favours the worker that
was woken last or also picks blocked workers. Here the workers compare how many connections they hold, through the
shared table of counters. A worker that is more than one ahead of the least loaded defers a new connection to the others
for a few milliseconds, and for longer while they accept. Then it accepts a few, and a few more after each millisecond:
a worker that does not respond may be blocked, or may wait for a core. So a blocked worker delays a connection by
milliseconds, and not at all once its heartbeat is stale.

Where deferring gains nothing, several connections are accepted per wake-up: by a single worker, and if connections are
short-lived. The numbers of short-lived connections change all the time, and a busy worker does not poll the listener.

The loop's coroutine for a new connection needs no task: it waits for a single future, and nobody cancels it. Without a
task, it begins at once instead of in the next iteration.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from corn.ipc.scoreboard import Field, Scoreboard
from corn.logs import logger
from corn.server.asgi.scope import Address, Endpoints
from corn.server.context import ServerContext

_DEFERRAL = 0.001  # seconds for which a connection is deferred to the others
_MAX_DEFERRALS = 3  # in a row, after which connections are no longer deferred to a worker that has accepted none
_MAX_UNRESPONSIVE = 64
_BATCH = 8  # connections accepted in one iteration of the event loop, where that is fair
_PAUSE = 1.0  # seconds without accepting once the process or the system is out of descriptors or memory
_CACHE_SECONDS = 0.01  # seconds for which the list of accepting workers is cached
_STALE_MS = 1500  # since a heartbeat
_SHORT_LIVED = 20  # connections closed within a tick, if they are more than the open ones, that count as short-lived,
_SHORT_TICKS = 2  # in so many ticks in a row: clients that all reconnect at once close theirs once
_MAX_CONSECUTIVE = 2  # connections accepted while others hold fewer, until they are given time again
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Factory = Callable[[socket.socket, Endpoints], asyncio.BaseProtocol]


class AcceptBalance:
    """Load of this worker relative to all workers that accept; refreshed while connections arrive."""

    __slots__ = ("_accepting", "_closings", "_sampled_at", "_short_ticks", "_slots", "_unresponsive", "_words")

    def __init__(self, slots: Scoreboard, own: memoryview) -> None:
        self._slots = slots
        self._words = own
        self._accepting: list[memoryview] = []
        self._sampled_at = 0.0
        self._unresponsive: set[tuple[int, int]] = set()
        self._closings = 0
        self._short_ticks = 0

    def tick(self, closings: int) -> None:
        """Detect short-lived connections; `closings` counts the connections closed so far."""
        are_short = closings - self._closings > max(_SHORT_LIVED, self._words[Field.CONNECTIONS])
        self._short_ticks = self._short_ticks + 1 if are_short else 0
        self._closings = closings

    def distributes(self) -> bool:
        """True if other workers accept now, so that connections are distributed among them."""
        if self._short_ticks >= _SHORT_TICKS:
            return False
        now = time.monotonic()
        if now - self._sampled_at > _CACHE_SECONDS:
            self._sampled_at = now
            oldest = int(now * 1000) - _STALE_MS
            self._accepting = [
                each.words for each in self._slots.accepting() if each.words[Field.HEARTBEAT_MS] >= oldest
            ]
        return len(self._accepting) > 1

    def is_ahead(self) -> bool:
        """True if this worker has at least two more connections than another that is expected to accept."""
        return any(each not in self._unresponsive for each in self.less_loaded())

    def less_loaded(self) -> list[tuple[int, int]]:
        """Heartbeats and connections of the workers with at least two connections fewer than this one."""
        limit = self._words[Field.CONNECTIONS] - 1
        return [
            (words[Field.HEARTBEAT_MS], words[Field.CONNECTIONS])
            for words in self._accepting
            if words[Field.CONNECTIONS] < limit and words[Field.ACCEPTING]
        ]

    def mark_unresponsive(self, unchanged: set[tuple[int, int]]) -> None:
        """Stop deferring to workers that accepted nothing that was deferred to them, until their counters change."""
        if len(self._unresponsive) > _MAX_UNRESPONSIVE:
            self._unresponsive.clear()
        self._unresponsive |= unchanged


class AcceptedSocket(socket.socket):
    """Socket whose family and type are plain numbers, because event loops read both for each connection.

    The standard library makes an enum of them each time: a tenth of the instructions of a connection with one request.
    """

    __slots__ = ()
    family = socket.SocketType.family  # type: ignore[assignment]
    type = socket.SocketType.type  # type: ignore[assignment]


class Acceptor:
    """Acceptor of one listener: gives each connection a protocol."""

    def __init__(
        self, service: ServerContext, balance: AcceptBalance, listener: socket.socket, factory: Factory
    ) -> None:
        self._service = service
        self._balance = balance
        self._listener = listener
        self._factory = factory
        self._resumption: asyncio.TimerHandle | None = None
        self._deferrals = 0  # in a row
        self._consecutive = 0  # connections accepted while others hold fewer
        self._deferred_to: set[tuple[int, int]] = set()  # the workers to which a connection is deferred
        self._kind = (int(listener.family), int(listener.type), listener.proto)
        self._is_tcp = listener.family != socket.AF_UNIX
        # uvloop makes a socket non-blocking and sets TCP_NODELAY for itself.
        self._loop_prepares = type(service.loop).__module__.startswith("uvloop")
        self._server = _fixed_address(listener)

    def start(self) -> None:
        """Start accepting."""
        self._listener.setblocking(False)
        self._service.loop.add_reader(self._listener.fileno(), self._readable)

    def stop(self, *, final: bool) -> None:
        """Stop, and close this process's listener; `final`: no other process accepts the connections in its queue."""
        if self._listener.fileno() < 0:
            return
        self._pause(None)
        while final and self._accept():
            pass
        self._listener.close()

    def _readable(self) -> None:
        if not self._balance.distributes():
            for _ in range(_BATCH):
                if not self._accept() or self._service.metrics.open >= self._service.limit_connections:
                    return
        elif self._balance.is_ahead():
            self._defer()
        else:
            self._accept_fairly()

    def _accept_fairly(self) -> None:
        """Accept a connection; pause after some, while others hold fewer and do not respond: they may be late."""
        if not self._accept() or not self._balance.less_loaded():
            self._consecutive = 0
            return
        self._consecutive += 1
        if self._consecutive >= _MAX_CONSECUTIVE and self._service.metrics.open < self._service.limit_connections:
            self._consecutive = 0
            self._pause(_DEFERRAL)

    def _defer(self) -> None:
        """Defer a connection to the other workers for a moment."""
        if not self._deferrals:
            self._deferred_to = set(self._balance.less_loaded())
        self._deferrals += 1
        self._pause(_DEFERRAL)

    def _pause(self, seconds: float | None) -> None:
        """Stop polling the listener for so many seconds; for ever if None."""
        self._service.loop.remove_reader(self._listener.fileno())
        if self._resumption is not None:
            self._resumption.cancel()
            self._resumption = None
        if seconds is not None:
            self._resumption = self._service.loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._resumption = None
        if self._listener.fileno() < 0:
            return
        if self._deferrals >= _MAX_DEFERRALS:
            self._balance.mark_unresponsive(self._deferred_to & set(self._balance.less_loaded()))
            self._deferrals = 0
        if self._deferred_to and self._balance.is_ahead():
            self._defer()
            return
        self._deferred_to = set()
        self._deferrals = 0
        self.start()
        self._readable()

    def _accept(self) -> bool:
        """Accept one connection; returns True if there may be more."""
        try:
            # As socket.accept(), without its conversion of three numbers to enums and back.
            fd, peer = self._listener._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            # accept(2) also reports errors of the new connection; they are treated as EAGAIN.
            if error.errno in _EXHAUSTED and self._listener.fileno() >= 0:
                logger.warning("cannot accept connections for now: %s", error.strerror)
                self._pause(_PAUSE)
            return False
        sock = AcceptedSocket(*self._kind, fileno=fd)
        if not self._loop_prepares:
            sock.setblocking(False)
        self._service.metrics.opened()
        if self._service.metrics.open >= self._service.limit_connections:
            self._pause(None)
            self._service.waiting_acceptors.append(self._resume)
        self._connect(sock, peer)
        return True

    def _connect(self, sock: socket.socket, peer: object) -> None:
        try:
            if self._is_tcp and not self._loop_prepares:
                # asyncio does so only if the listener has a protocol number, which an inherited one does not.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = self._server or address_of(sock.getsockname())
            protocol = self._factory(sock, Endpoints(peer_address(peer), server, "http"))
            self._advance(self._service.loop.connect_accepted_socket(lambda: protocol, sock), sock)
        except OSError:
            self._abandon(sock)

    def _advance(self, connecting: Coroutine[Any, Any, Any], sock: socket.socket, _: object = None) -> None:
        """Run the loop's coroutine for a new connection up to the next future that it waits for."""
        try:
            connecting.send(None).add_done_callback(partial(self._advance, connecting, sock))
        except StopIteration:
            pass
        except OSError:
            self._abandon(sock)

    def _abandon(self, sock: socket.socket) -> None:
        """Close a connection whose peer has disconnected before anything was read."""
        sock.close()
        self._service.closed()


def _fixed_address(listener: socket.socket) -> Address:
    """Server address shared by all connections of a listener; None where each has its own."""
    address = address_of(listener.getsockname())
    return None if address is None or address[0] in ("0.0.0.0", "::") else address


def peer_address(name: object) -> Address:
    """Client address in ASGI's form: host and port; None for a Unix socket, even one that is bound to a name."""
    return (name[0], name[1]) if isinstance(name, tuple) else None


def address_of(name: object) -> Address:
    """Socket address in ASGI's form: host and port, a Unix socket's path and None, or None without a name."""
    if isinstance(name, tuple):
        return name[0], name[1]
    if isinstance(name, bytes):
        name = name.decode("utf-8", "backslashreplace")
    return (str(name), None) if name else None
