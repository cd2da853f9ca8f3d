"""Handoff of idle connections from a worker to its successor in `corn dev`.

A connection that waits for a request has no state but its socket. If a worker that exits because of a code change
closed it, a request that the client is sending at that moment would fail. So the worker hands the socket over: the
kernel buffers what the client sends, and the next worker answers it with the new code.

The mailbox is a socketpair(2) that the master makes and every worker inherits. The kernel holds the sockets in it as
SCM_RIGHTS (unix(7)) until a worker that accepts connections takes them out. When the master closes the mailbox, they
are closed.

Rejected: sending them through the master, which would have to hold them while there is no worker. Rejected: serving
them in the old worker for a while, because the response would be that of the old code.
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
    """Connection that can be moved to another worker while it is idle."""

    def idle_socket(self) -> socket.socket | None:
        """Socket of the connection if it has no other state, else None."""

    def detach_socket(self) -> None:
        """Close this process's descriptor only, without ending the connection."""


class ConnectionHandoff:
    """Mailbox as one worker uses it; `put` and `take` are the descriptors of its two ends."""

    def __init__(self, put: int, take: int) -> None:
        self._put = socket.socket(fileno=put)
        self._take = socket.socket(fileno=take)
        self._put.setblocking(False)
        self._take.setblocking(False)
        self._connecting: set[asyncio.Task[None]] = set()

    def hand_over_all(self, service: ServerContext) -> None:
        """Hand over all idle connections; those that do not fit into the mailbox stay with this worker."""
        for connection in list(service.connections):
            if not isinstance(connection, Movable) or (sock := connection.idle_socket()) is None:
                continue
            try:
                socket.send_fds(self._put, [b"c"], [sock.fileno()])
            except OSError:
                return
            connection.detach_socket()

    def open(self, service: ServerContext, factory: Factory) -> None:
        """Take over the connections in the mailbox, now and later, each with a protocol that the factory makes."""
        service.loop.add_reader(self._take.fileno(), self._receive, service, factory)

    def close(self, service: ServerContext) -> None:
        """Stop taking connections over."""
        service.loop.remove_reader(self._take.fileno())

    def _receive(self, service: ServerContext, factory: Factory) -> None:
        try:
            # Each socket was sent with one byte, so reading one byte takes one socket.
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
