"""Reaper of all child processes, known and unknown.

The master is a subreaper: orphaned descendants of workers become its children and must be reaped. The last exits of
unknown processes are kept, because a worker may exit before the message with its process id has been read. They are
kept with their times, because process ids are reused (they end at /proc/sys/kernel/pid_max, 32768 on many machines): an
exit from before the fork of a worker was requested belongs to another process.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from math import inf
from typing import TypeVar

from corn.logs import logger
from corn.supervisor.policy.state import ProcessExit

_MAX_KEPT = 256

T = TypeVar("T")


class Reaper:
    """Reaps with waitpid(2), and keeps the last exits."""

    def __init__(self) -> None:
        self._unclaimed: dict[int, tuple[float, ProcessExit]] = {}
        self._last: dict[int, float] = {}  # when the process of each id ended, known or not

    def reap(self) -> Iterator[tuple[int, ProcessExit]]:
        """The process id and the exit of each child that has exited; never waits (waitpid(2), WNOHANG)."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            yield pid, exit_of(status)

    def note(self, pid: int) -> None:
        """Record when a process ended, because its id may be used again."""
        _put(self._last, pid, time.monotonic())

    def has_ended(self, pid: int, since: float) -> bool:
        """True if a process has ended since a monotonic time, so that its id may have been reused."""
        return self._last.get(pid, -inf) >= since

    def keep(self, pid: int, end: ProcessExit) -> None:
        """Keep the exit of a process that is not known yet."""
        logger.debug("unknown child process %d %s", pid, end)
        _put(self._unclaimed, pid, (time.monotonic(), end))

    def is_kept(self, pid: int, since: float) -> bool:
        """True if the exit of a process was kept since a monotonic time."""
        return pid in self._unclaimed and self._unclaimed[pid][0] >= since

    def ended_early(self, pid: int, since: float) -> ProcessExit | None:
        """Exit of a process that was kept since a monotonic time; it is then dropped."""
        at, end = self._unclaimed.pop(pid, (0.0, None))
        return end if at >= since else None


def _put(kept: dict[int, T], pid: int, value: T) -> None:
    """Put a value last, and drop the oldest of too many."""
    kept.pop(pid, None)
    kept[pid] = value
    while len(kept) > _MAX_KEPT:
        del kept[next(iter(kept))]


def exit_of(status: int) -> ProcessExit:
    """The exit of a process, from its wait status (waitpid(2))."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return ProcessExit(signal=signal.Signals(number).name)
        except ValueError:
            return ProcessExit(signal=f"signal {number}")
    return ProcessExit(code=os.waitstatus_to_exitcode(status))
