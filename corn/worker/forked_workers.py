"""What a template does when its master is gone: it sees its workers out.

Workers notice by themselves and drain. One that is stuck does not, and nobody would ever end it; so the template, which
has nothing else to do, waits for all it forked until their grace period is over and then kills what is left. It holds a
pidfd (pidfd_open(2)) for each, so a process id that has been given to somebody else is never killed; where there are no
pidfds the template is the workers' parent, and an id is not given away before it has reaped.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

from corn.config import Config

_POLL = 0.5


class ForkedWorkers:
    """The workers that a template forked, as far as they may still run."""

    def __init__(self) -> None:
        self._pidfds: dict[int, int] = {}

    def add(self, pid: int) -> None:
        self._drop_ended()
        pidfd = -1
        if hasattr(os, "pidfd_open"):
            try:
                pidfd = os.pidfd_open(pid)
            except OSError:
                return
        self._pidfds[pid] = pidfd

    def __bool__(self) -> bool:
        return bool(self._pidfds)

    def discard(self, pid: int) -> None:
        """Let go of one that has ended."""
        if pid in self._pidfds:
            self._drop(pid)

    def forget(self) -> None:
        """Let go of all of them, in a child that has just been forked."""
        for pid in list(self._pidfds):
            self._drop(pid)

    def see_out(self, config: Config) -> None:
        """Wait until all have ended; kill those that go on after their grace period."""
        grace = config.timeout_graceful_shutdown + config.timeout_lifespan_shutdown + 2.0
        deadline = time.monotonic() + grace
        while self._pidfds and time.monotonic() < deadline:
            self._wait(_POLL)
            self._drop_ended()
        for pid, pidfd in self._pidfds.items():
            with contextlib.suppress(OSError):
                _kill(pid, pidfd)

    def _wait(self, seconds: float) -> None:
        watched = [pidfd for pidfd in self._pidfds.values() if pidfd >= 0]
        select.select(watched, [], [], seconds)

    def _drop_ended(self) -> None:
        for pid, pidfd in list(self._pidfds.items()):
            if _has_ended(pid, pidfd):
                self._drop(pid)

    def _drop(self, pid: int) -> None:
        pidfd = self._pidfds.pop(pid)
        if pidfd >= 0:
            os.close(pidfd)


def _has_ended(pid: int, pidfd: int) -> bool:
    if pidfd >= 0:
        return bool(select.select([pidfd], [], [], 0)[0])
    try:
        os.kill(pid, 0)
    except OSError:
        return True
    return False


def _kill(pid: int, pidfd: int) -> None:
    if pidfd >= 0:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)
