"""File transfer without a copy through Python: sendfile(2) on the connection's own socket.

uvloop has no `loop.sendfile`, so corn writes to the socket beside its transport, on a duplicate of the descriptor
(event loops do not allow watching a descriptor that a transport owns). This is only correct while the transport has
nothing to write and no one else writes: the response that owns the connection waits for that here.

Over TLS the bytes must pass through OpenSSL, so they are read and written piece by piece.
"""

from __future__ import annotations

import asyncio
import os
from typing import Protocol

from corn.server.asgi.scope import Endpoints
from corn.server.asgi.types import ClientDisconnected

_TURN = 1 << 20  # bytes after which other connections are served
_SHORTER = "the file became shorter while it was sent"
_PIECE = 1 << 17  # bytes read at a time where they must be copied


class FileWriter(Protocol):
    """Interface of the connection for a file transfer."""

    transport: asyncio.Transport
    write_paused: bool
    ends: Endpoints

    def write(self, data: bytes) -> None:
        """Flush the buffer, then write."""

    def flush(self) -> None:
        """Write the buffered pieces."""

    async def drained(self) -> None:
        """Wait until the peer has read enough for more to be written; also returns when it disconnects."""

    def wake_writers(self) -> None:
        """Wake the writers that wait in `drained`."""

    def fileno(self) -> int:
        """Descriptor of the socket."""

    def write_blocked(self) -> None:
        """Called when a write beside the transport has to wait for the peer."""

    def write_progressed(self) -> None:
        """Called when a write beside the transport has made progress."""


async def send_file(connection: FileWriter, fd: int, offset: int, count: int) -> None:
    """Send `count` bytes of the file from `offset` on, after the output written before.

    Raises ClientDisconnected if the peer has disconnected, and RuntimeError if the file has become shorter.
    """
    if connection.ends.tls is not None:
        await _copy(connection, fd, offset, offset + count)
        return
    await _let_transport_write(connection)
    out = os.dup(connection.fileno())
    try:
        end = offset + count
        while offset < end:
            offset += await _send_some(connection, out, fd, offset, min(end - offset, _TURN))
    finally:
        os.close(out)
        connection.write_progressed()


async def _copy(connection: FileWriter, fd: int, offset: int, end: int) -> None:
    while offset < end:
        piece = os.pread(fd, min(end - offset, _PIECE), offset)
        if not piece:
            raise RuntimeError(_SHORTER)
        if connection.transport.is_closing():
            raise ClientDisconnected
        connection.write(piece)
        offset += len(piece)
        await (connection.drained() if connection.write_paused else asyncio.sleep(0))


async def _let_transport_write(connection: FileWriter) -> None:
    connection.flush()
    transport = connection.transport
    transport.set_write_buffer_limits(high=0)
    while transport.get_write_buffer_size() and not transport.is_closing():
        await (connection.drained() if connection.write_paused else asyncio.sleep(0))
    transport.set_write_buffer_limits()


async def _send_some(connection: FileWriter, out: int, fd: int, offset: int, count: int) -> int:
    if connection.transport.is_closing():
        raise ClientDisconnected
    try:
        sent = os.sendfile(out, fd, offset, count)
    except BlockingIOError:
        await _wait_writable(connection, out)
        return 0
    except OSError as error:
        raise ClientDisconnected from error
    if sent == 0:
        raise RuntimeError(_SHORTER)
    connection.write_progressed()
    await asyncio.sleep(0)
    return sent


async def _wait_writable(connection: FileWriter, out: int) -> None:
    """Wait until the peer reads or disconnects."""
    loop = asyncio.get_running_loop()
    loop.add_writer(out, connection.wake_writers)
    connection.write_blocked()
    try:
        await connection.drained()
    finally:
        loop.remove_writer(out)
