"""Accepting connections from a listener that other workers accept from too.

One connection is accepted per wake-up. asyncio's own listener takes as many as there are, so that one worker swallows
a burst while the others idle; leaving it to the kernel (EPOLLEXCLUSIVE, SO_REUSEPORT) either favours whoever was
woken last or spreads blindly to the stuck. Here the workers compare how many connections they hold, through the shared
table of counters. A worker that is more than one ahead of the least loaded leaves a new connection to the others for a
millisecond, at most once per wake-up, and then accepts whatever is still there. One whose heartbeat is stale does not
count: it may be stuck, and would hold the others up.

Where nothing is gained by that, several are accepted per wake-up: for a worker alone, and for connections that are
closed again at once. Of those the numbers differ from one moment to the next, and a worker that is busy with one does
not look at the listener anyway.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Callable

from corn.ipc.scoreboard import Field, Scoreboard
from corn.logs import logger
from corn.server.asgi.scope import Address, Endpoints
from corn.server.context import ServerContext

_DEFERRAL = 0.001  # seconds for which a connection is left to the others
_BATCH = 8  # connections accepted in one turn of the loop, where that is fair
_PAUSE = 1.0  # seconds without accepting once the process or the system is out of descriptors or memory
_STALE_MS = 1500  # since a heartbeat
_SHORT_LIVED = 20  # connections closed within a tick, and more than there are, for them to be called short
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Factory = Callable[[socket.socket, Endpoints], asyncio.BaseProtocol]


class AcceptBalance:
    """The counters of all workers that accept, this one among them, looked up anew with each tick."""

    __slots__ = ("_alive", "_closings", "_slots", "_words", "shares_out")

    def __init__(self, slots: Scoreboard, own: memoryview) -> None:
        self._slots = slots
        self._words = own
        self._alive: list[memoryview] = []
        self._closings = 0
        self.shares_out = True

    def tick(self, closings: int) -> None:
        """Find the workers that accept now and are alive; `closings` counts the connections closed so far."""
        oldest = int(time.monotonic() * 1000) - _STALE_MS
        self._alive = [each.words for each in self._slots.accepting() if each.words[Field.HEARTBEAT_MS] >= oldest]
        are_short = closings - self._closings > max(_SHORT_LIVED, self._words[Field.CONNECTIONS])
        self._closings = closings
        self.shares_out = len(self._alive) > 1 and not are_short

    def is_ahead(self) -> bool:
        """Whether this worker holds more than one connection more than the least loaded of the others."""
        if len(self._alive) < 2:
            return False
        enough = self._words[Field.CONNECTIONS] - 1
        return any(words[Field.CONNECTIONS] < enough and words[Field.ACCEPTING] for words in self._alive)


class Acceptor:
    """Takes connections from one listener and gives each a protocol."""

    def __init__(self, service: ServerContext, fleet: AcceptBalance, listener: socket.socket, factory: Factory) -> None:
        self._service = service
        self._fleet = fleet
        self._listener = listener
        self._factory = factory
        self._resumption: asyncio.TimerHandle | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._kind = (int(listener.family), int(listener.type), listener.proto)
        self._is_tcp = listener.family != socket.AF_UNIX
        # uvloop makes a socket non-blocking and sets TCP_NODELAY for itself.
        self._loop_prepares = type(service.loop).__module__.startswith("uvloop")
        self._server = _fixed_address(listener)

    def start(self) -> None:
        """Begin to accept."""
        self._listener.setblocking(False)
        self._service.loop.add_reader(self._listener.fileno(), self._readable)

    def stop(self, *, final: bool) -> None:
        """Stop, and close this process' listener; `final`: nobody else takes what waits in its queue."""
        if self._listener.fileno() < 0:
            return
        self._pause(None)
        while final and self._accept():
            pass
        self._listener.close()

    def _readable(self) -> None:
        if not self._fleet.shares_out:
            for _ in range(_BATCH):
                if not self._accept() or self._service.metrics.open >= self._service.limit_connections:
                    return
        elif self._fleet.is_ahead():
            self._pause(_DEFERRAL)
        else:
            self._accept()

    def _pause(self, seconds: float | None) -> None:
        """Do not look at the listener for so long; None is for ever."""
        self._service.loop.remove_reader(self._listener.fileno())
        if self._resumption is not None:
            self._resumption.cancel()
            self._resumption = None
        if seconds is not None:
            self._resumption = self._service.loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._resumption = None
        if self._listener.fileno() >= 0:
            self.start()
            self._accept()

    def _accept(self) -> bool:
        """Accept one connection; whether there may be more."""
        try:
            # What socket.accept() is made of: it would also turn three numbers into enums, and back.
            fd, peer = self._listener._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            # accept(2): errors of the new connection are reported here too, and are to be taken as EAGAIN.
            if error.errno in _EXHAUSTED and self._listener.fileno() >= 0:
                logger.warning("cannot accept connections for now: %s", error.strerror)
                self._pause(_PAUSE)
            return False
        sock = socket.socket(*self._kind, fileno=fd)
        if not self._loop_prepares:
            sock.setblocking(False)
        self._service.metrics.opened()
        if self._service.metrics.open >= self._service.limit_connections:
            self._pause(None)
            self._service.when_room.append(self._resume)
        connecting = self._service.loop.create_task(self._connect(sock, peer))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        return True

    async def _connect(self, sock: socket.socket, peer: object) -> None:
        try:
            if self._is_tcp and not self._loop_prepares:
                # asyncio does so only where the listener names its protocol, which an inherited one does not.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = self._server or address_of(sock.getsockname())
            protocol = self._factory(sock, Endpoints(peer_address(peer), server, "http"))
            await self._service.loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError:
            # The peer was gone before anything was read. Nobody is left to be told.
            sock.close()
            self._service.closed()


def _fixed_address(listener: socket.socket) -> Address:
    """The server's address of all connections of a listener; None where each has its own."""
    address = address_of(listener.getsockname())
    return None if address is None or address[0] in ("0.0.0.0", "::") else address


def peer_address(name: object) -> Address:
    """A client's address as ASGI has it: host and port; None for a Unix socket, even one that is bound to a name."""
    return (name[0], name[1]) if isinstance(name, tuple) else None


def address_of(name: object) -> Address:
    """A socket's address as ASGI has it: host and port, a Unix socket's path and None, or None without a name."""
    if isinstance(name, tuple):
        return name[0], name[1]
    if isinstance(name, bytes):
        name = name.decode("utf-8", "backslashreplace")
    return (str(name), None) if name else None
