"""The writing side of a connection: pieces joined into few writes, and writers held up by a slow reader.

A response that is a stream is written in pieces, and each write costs a system call on asyncio, or a good part of one
on uvloop. So pieces wait for the end of the loop's turn, up to a bound, and are written together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from corn.server.context import ServerContext

JOIN_LIMIT = 65536  # pieces up to this size together are joined into one write

_NOTHING: list[bytes] = []  # stands for no output in every connection; never changed


class BufferedProtocol(asyncio.Protocol):
    """What a connection writes; reading is up to the class that derives from it."""

    __slots__ = ("_out", "_out_size", "_writers", "deadline", "service", "transport", "write_paused")

    transport: asyncio.Transport

    def __init__(self, service: ServerContext) -> None:
        self.service = service
        self.deadline = service.header_deadline
        self.write_paused = False
        self._out = _NOTHING
        self._out_size = 0
        self._writers: list[asyncio.Future[None]] | None = None

    def write(self, data: bytes) -> None:
        """Write now, after what was to be written soon."""
        self.flush()
        if data:
            self.transport.write(data)

    def write_soon(self, *pieces: bytes) -> None:
        """Write pieces of a stream together with the others of this turn of the loop, or at once if they are many."""
        if not self._out:
            self._out = []
            self.service.loop.call_soon(self.flush)
        self._out += pieces
        self._out_size += sum(map(len, pieces))
        if self._out_size > JOIN_LIMIT:
            self.flush()

    def flush(self) -> None:
        """Write what was to be written soon."""
        if self._out:
            out, size = self._out, self._out_size
            self._out, self._out_size = _NOTHING, 0
            if size > JOIN_LIMIT:
                self.write_many(out)
            else:
                self.transport.write(b"".join(out))

    def write_many(self, pieces: Sequence[bytes]) -> None:
        """Write pieces now that together are too long to be joined."""
        self.transport.writelines(pieces)
        # asyncio's own `writelines` forgets to hold up the writer in Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1
        # (CVE-2024-12254); setting the limits makes it look.
        self.transport.set_write_buffer_limits()

    def pause_writing(self) -> None:
        self.write_paused = True
        self.deadline = self.service.clock.now + self.service.config.timeout_send

    def resume_writing(self) -> None:
        self.write_paused = False
        self.wake_writers()

    async def drained(self) -> None:
        """Wait until the peer has read enough for more to be written; returns too when it is gone."""
        waiter = self.service.loop.create_future()
        if self._writers is None:
            self._writers = []
        self._writers.append(waiter)
        await waiter

    def wake_writers(self) -> None:
        """Let whoever waits in `drained` go on."""
        writers, self._writers = self._writers, None
        for waiter in writers or ():
            if not waiter.done():
                waiter.set_result(None)
