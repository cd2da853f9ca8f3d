"""Write buffer of a connection: joins pieces into few writes, and applies back-pressure to writers.

A streaming response is written in pieces, and each write takes a system call. So pieces are buffered until the end of
the event loop's iteration, up to a bound, and are written together. A complete response is held together with the
others of the iteration if that does not delay it (see `turn_writer`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from corn.server.context import ServerContext
from corn.server.send_progress import CHECK_INTERVAL, SendProgress
from corn.server.typing import Cycle
from corn.system.sockets import shut_down, unsent_bytes

JOIN_LIMIT = 65536  # pieces up to this size together are joined into one write
DELIVERED_AT_ONCE = 16384  # bytes of a body that the kernel takes, so that its response need not be looked after
_HOLD_LIMIT = 16384  # larger responses are not held: copying them takes longer than a write

_NOTHING: list[bytes] = []  # shared by all connections without output; never changed


class WaiterList:
    """List of coroutines that wait for the same event: a future for each. One that was cancelled is dropped."""

    __slots__ = (
        "_loop",
        "_waiters",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[None]] = []

    def wait(self) -> asyncio.Future[None]:
        """Future that the next `wake` completes."""
        if self._waiters:
            self._waiters = [each for each in self._waiters if not each.done()]
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        return waiter

    def wake(self) -> None:
        """Wake all current waiters."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class BufferedProtocol(asyncio.Protocol):
    """Writing side of a connection; subclasses implement the reading side."""

    __slots__ = (
        "_out",
        "_out_size",
        "_paused_progress",
        "_progress",
        "_undelivered",
        "_writers",
        "deadline",
        "service",
        "transport",
        "write_paused",
    )

    transport: asyncio.Transport

    def __init__(self, service: ServerContext) -> None:
        self.service = service
        self.deadline = service.header_deadline
        self.write_paused = False
        self._out = _NOTHING
        self._out_size = 0  # of `_out`, unless it is empty
        self._progress: SendProgress | None = None
        self._paused_progress: SendProgress | None = None  # the progress when writing was last paused
        self._writers: WaiterList | None = None
        self._undelivered: Cycle | None = None  # finished, and its response is still in the transport's buffer

    def write(self, data: bytes) -> None:
        """Write the buffer and then the data, together if both are short."""
        if self._out:
            self.write_soon(data)
            self.flush()
        elif data:
            self.transport.write(data)

    def write_together(self, data: bytes) -> None:
        """Write the end of a response, or all of it, with others of this iteration, or now if that delays it."""
        service = self.service
        if not service.turn.holds or len(service.running) < 2 or len(data) > _HOLD_LIMIT:
            self.write(data)
        elif self._out:
            self.write_soon(data)
        else:
            self._out, self._out_size = [data], len(data)
            service.turn.add(self)

    def flush_unless_held(self) -> None:
        """Write the buffer after a complete response or message, unless responses are held in this iteration."""
        service = self.service
        if not service.turn.holds or len(service.running) < 2:
            self.flush()

    def write_soon(self, *pieces: bytes) -> None:
        """Buffer pieces of a stream until the end of the event loop's iteration; flush at once if they are many."""
        size = sum(map(len, pieces))
        if self._out:
            self._out += pieces
            self._out_size += size
        else:
            self._out = [*pieces]
            self._out_size = size
            self.service.turn.add(self)
        if self._out_size > JOIN_LIMIT:
            self.flush()

    def flush(self) -> None:
        """Write the buffered pieces, unless the transport is closing."""
        out = self._out
        if out:
            self._out = _NOTHING
            transport = self.transport
            if transport.is_closing():
                return
            if len(out) == 1:
                transport.write(out[0])
            elif self._out_size > JOIN_LIMIT:
                self.write_many(out)
            else:
                transport.write(b"".join(out))

    def write_many(self, pieces: Sequence[bytes]) -> None:
        """Write pieces that together are too long to be joined."""
        self.transport.writelines(pieces)
        # In Python 3.12.0 to 3.12.8, 3.13.0 and 3.13.1, `writelines` of asyncio does not call `pause_writing`
        # (CVE-2024-12254); setting the limits does.
        self.transport.set_write_buffer_limits()

    def pause_writing(self) -> None:
        if not self.write_paused:
            self.write_paused = True
            self._progress = self._paused_progress
            if self._progress is not None:
                self._progress.resume(self._count_unsent(), self.service.clock.now)
        if not self.still_sends():
            self.deadline = self.service.clock.now

    def still_sends(self) -> bool:
        """True if the peer reads its buffered output; if so, the deadline is moved to the next check."""
        service, now = self.service, self.service.clock.now
        if self._progress is None:
            self._progress = SendProgress(service.config, now)
        is_made = self._progress.is_made(self._count_unsent(), now)
        if is_made:
            self.deadline = now + min(CHECK_INTERVAL, service.config.timeout_send)
        return is_made

    def _count_unsent(self) -> int:
        """Bytes buffered for the peer, by the transport and by the kernel.

        The kernel lets the transport write only when a large part of its buffer is free, megabytes at a time. A write
        beside the transport (`sendfile`) may wait although both buffers are empty.
        """
        sock = self.transport.get_extra_info("socket")
        unsent = self.transport.get_write_buffer_size() + (0 if sock is None else unsent_bytes(sock.fileno()))
        return unsent or self.write_paused

    def abort(self) -> None:
        """Close at once; unwritten output is lost."""
        self.transport.abort()

    def close_when_written(self) -> None:
        """Close the transport once the peer has read the buffered output, or stops reading it."""
        self.flush()
        self.deadline = self.service.clock.now + self.service.config.timeout_send
        self._progress = None
        if self.transport.get_write_buffer_size():
            self.still_sends()
        self.transport.close()

    def shut_down(self) -> None:
        """Signal the end of the connection to the peer; to be called before the transport closes the socket."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            shut_down(sock.fileno())

    def read_on(self) -> None:
        """Resume reading in the worker's context, because asyncio calls the reader in the context of this call."""
        transport = self.transport
        if not transport.is_reading() and not transport.is_closing():
            self.service.context.copy().run(transport.resume_reading)

    def resume_writing(self) -> None:
        if self._progress is not None:
            self._progress.pause(self._count_unsent(), self.service.clock.now)
        self.write_paused = False
        self._paused_progress, self._progress = self._progress, None
        if self._undelivered is not None:
            self.transport.set_write_buffer_limits()
            self._settle()
        self.wake_writers()

    async def drained(self) -> None:
        """Wait until the peer has read enough for more to be written; also returns when it has disconnected."""
        if self._writers is None:
            self._writers = WaiterList()
        await self._writers.wait()

    def answered(self, cycle: Cycle, now: float) -> None:
        """Count and log a finished request, once its response has left the buffers, or is lost in them."""
        self.flush()
        if self.transport.is_closing() or not self.transport.get_write_buffer_size():
            self.service.metrics.answered(cycle, now)
        else:
            self._undelivered = cycle
            self.transport.set_write_buffer_limits(high=0)  # writing is resumed when nothing is left

    def discard_output(self) -> None:
        """Account for the response that the connection's end has left in the buffers."""
        if self._undelivered is not None:
            self._undelivered.lost = True
            self._settle()

    def hand_over_output(self, successor: BufferedProtocol) -> None:
        """Leave the response that is still in the buffers to the protocol that takes over the transport."""
        successor._undelivered, self._undelivered = self._undelivered, None

    def _settle(self) -> None:
        cycle, self._undelivered = self._undelivered, None
        if cycle is not None:
            self.service.metrics.answered(cycle, monotonic())

    def wake_writers(self) -> None:
        """Wake the writers that wait in `drained`."""
        if self._writers is not None:
            self._writers.wake()
