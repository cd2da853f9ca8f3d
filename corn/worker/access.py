"""The access log: a line for each request, formatted without the logging module, written once per loop iteration.

All lines of one iteration carry the time at which the first of them was made. A descriptor that takes no more costs
lines, never requests (see `corn.logs.LineWriter`).
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from corn.logs import LineWriter, wants_color

if TYPE_CHECKING:
    from corn.worker.cycle import Cycle

_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_STATUS_COLORS = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}
CLIENT_CLOSED = 499  # what nginx logs for a client that left before a response began


class AccessLog:
    """Collects lines, and writes them when the loop comes round."""

    __slots__ = ("_color", "_lines", "_loop", "_pid", "_second", "_second_text", "_stamp", "_writer")

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, color: str) -> None:
        self._loop = loop
        self._writer = LineWriter(fd)
        self._color = wants_color(color, fd)
        self._lines: list[str] = []
        self._pid = os.getpid()
        self._second = -1
        self._second_text = ""
        self._stamp = ""

    def log(self, cycle: Cycle) -> None:
        """Add the line of a request that is done."""
        lines = self._lines
        if not lines:
            self._stamp = self._now()
            self._loop.call_soon(self.flush)
        head = cycle.head
        client = cycle.connection.ends.client
        peer = f"{client[0]}:{client[1]}" if client else "-"
        status = cycle.status or CLIENT_CLOSED
        target = head.target.decode("ascii").replace('"', "%22")
        took = (time.monotonic() - cycle.started_at) * 1000
        shown = f"{_STATUS_COLORS.get(status // 100, '')}{status}{_RESET}" if self._color else str(status)
        request = f"{head.method} {target} HTTP/1.{head.minor}"
        lines.append(f'{self._stamp}{peer} "{request}" {shown} {cycle.sent} {took:.1f}ms\n')

    def flush(self) -> None:
        """Write what was collected."""
        lines, self._lines = self._lines, []
        self._writer.write("".join(lines).encode())

    def _now(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        stamp = f"{self._second_text}.{int((now - second) * 1000):03d}"
        if self._color:
            return f"{_DIM}{stamp}{_RESET} \x1b[32mINFO{_RESET}    {_DIM}[{self._pid}]{_RESET} "
        return f"{stamp} INFO    [{self._pid}] "
