"""Reaper of child processes, including those that are not known, or not known yet.

The master is a subreaper: every orphan of a worker becomes its child, and would stay a zombie. So it waits for any
child, and keeps the last exits that it could not assign: a worker may exit before the message with its process id has
been read. An exit is kept with its time, because the system uses the id of a reaped process again (the numbers end at
/proc/sys/kernel/pid_max, 32768 on many machines): one from before a worker was ordered is not that worker's.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from corn.logs import logger
from corn.supervisor.policy.state import ProcessExit

_KEPT = 256


class Reaper:
    def __init__(self) -> None:
        self._unplaced: dict[int, tuple[float, ProcessExit]] = {}

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

    def keep(self, pid: int, end: ProcessExit) -> None:
        """Remember an exit that belongs to no process known now."""
        logger.debug("unknown child process %d %s", pid, end)
        self._unplaced.pop(pid, None)  # so that the oldest stays the first
        self._unplaced[pid] = (time.monotonic(), end)
        while len(self._unplaced) > _KEPT:
            del self._unplaced[next(iter(self._unplaced))]

    def has_ended(self, pid: int, since: float) -> bool:
        """True if the exit of a process was kept since a monotonic time, so that its id may be another's by now."""
        return pid in self._unplaced and self._unplaced[pid][0] >= since

    def ended_early(self, pid: int, since: float) -> ProcessExit | None:
        """The exit of a process that was kept since a monotonic time, once."""
        at, end = self._unplaced.pop(pid, (0.0, None))
        return end if at >= since else None


def exit_of(status: int) -> ProcessExit:
    """The exit of a process, from its wait status (waitpid(2))."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return ProcessExit(signal=signal.Signals(number).name)
        except ValueError:
            return ProcessExit(signal=f"signal {number}")
    return ProcessExit(code=os.waitstatus_to_exitcode(status))
