"""Idle connections that outlive their worker: in `corn dev` the next worker takes them over.

A connection that waits for a request is nothing but a socket. A worker that must be gone in an instant, because the
code has changed, would have to close it, and the request that the client is just sending would fail. So it lets go of
the socket without closing the connection: the kernel keeps what the client sends, and the worker that comes next
answers it with the new code.

The mailbox is a socketpair(2) that the master makes and every worker inherits: sockets lie in it as SCM_RIGHTS
(unix(7)), without anybody's care, until a worker that accepts connections takes them out. When the master closes it,
they are closed.

Rejected: to send them through the master, which would have to hold them while no worker is there. Rejected: to answer
for a while longer in the old worker: the answer would be the old code's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from corn.server.acceptor import address_of, peer_address
from corn.server.asgi.scope import Endpoints
from corn.server.context import ServerContext

Factory = Callable[[socket.socket, Endpoints], asyncio.BaseProtocol]


@runtime_checkable
class Movable(Protocol):
    """A connection that may be nothing but its socket."""

    def idle_socket(self) -> socket.socket | None:
        """The socket, if whoever has it has all there is of the connection."""

    def leave_to_another(self) -> None:
        """Close this process's descriptor, and send nothing."""


class ConnectionHandoff:
    """One worker's access to the mailbox; `put` and `take` are the descriptors of its two ends."""

    def __init__(self, put: int, take: int) -> None:
        self._put = socket.socket(fileno=put)
        self._take = socket.socket(fileno=take)
        self._put.setblocking(False)
        self._take.setblocking(False)
        self._connecting: set[asyncio.Task[None]] = set()

    def leave_all(self, service: ServerContext) -> None:
        """Put in all that is idle; what does not fit stays with this worker."""
        for connection in list(service.connections):
            if not isinstance(connection, Movable) or (sock := connection.idle_socket()) is None:
                continue
            try:
                socket.send_fds(self._put, [b"c"], [sock.fileno()])
            except OSError:
                return
            connection.leave_to_another()

    def open(self, service: ServerContext, factory: Factory) -> None:
        """Take over what is in it, and what comes, each with a protocol that the factory makes."""
        service.loop.add_reader(self._take.fileno(), self._look, service, factory)

    def close(self, service: ServerContext) -> None:
        """Take nothing any more."""
        service.loop.remove_reader(self._take.fileno())

    def _look(self, service: ServerContext, factory: Factory) -> None:
        try:
            # One byte came with each: reading one takes one socket.
            _, fds, _, _ = socket.recv_fds(self._take, 1, 1)
        except OSError:  # another worker was faster
            return
        for fd in fds:
            task = service.loop.create_task(_take_over(service, socket.socket(fileno=fd), factory))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)


async def _take_over(service: ServerContext, sock: socket.socket, factory: Factory) -> None:
    service.metrics.opened()
    try:
        sock.setblocking(False)
        ends = Endpoints(peer_address(sock.getpeername()), address_of(sock.getsockname()), "http")
        protocol = factory(sock, ends)
        await service.loop.connect_accepted_socket(lambda: protocol, sock)
    except OSError:
        with contextlib.suppress(OSError):
            sock.close()
        service.closed()
