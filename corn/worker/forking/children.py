"""Children of a template: the workers that it forked, and their exits where it is their parent.

When the master has exited, its workers detect that and drain. A blocked worker does not, so the template waits for all
its workers until their grace period is over, and then kills the remaining ones. It has a pidfd (pidfd_open(2)) for
each, so that it never kills another process with a reused id. On systems without pidfds the template is the parent of
the workers, and their ids are not reused before they have been reaped.

If the template is the parent, SIGCHLD makes a pipe readable, so that one poll(2) waits for a child or a message.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from corn.config import Config
from corn.system.process import ignore_signal
from corn.system.readiness import readable

_POLL_INTERVAL = 0.5


class ForkedWorkers:
    """The workers that a template forked and that may still run."""

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
        """Remove a worker that has exited."""
        if pid in self._pidfds:
            self._drop(pid)

    def forget(self) -> None:
        """Remove all workers, in a child that has just been forked."""
        for pid in list(self._pidfds):
            self._drop(pid)

    def wait(self) -> None:
        """Wait until all have exited, at most for as long as the master waits for this process."""
        while self._pidfds:
            self._wait(_POLL_INTERVAL)
            self._drop_ended()

    def wait_or_kill(self, config: Config) -> None:
        """Wait until all have exited; kill those that are left after their grace period."""
        grace = config.timeout_graceful_shutdown + config.timeout_lifespan_shutdown + 2.0
        deadline = time.monotonic() + grace
        while self._pidfds and time.monotonic() < deadline:
            self._wait(_POLL_INTERVAL)
            self._drop_ended()
        for pid, pidfd in self._pidfds.items():
            with contextlib.suppress(OSError):
                _kill(pid, pidfd)

    def _wait(self, seconds: float) -> None:
        readable(*(pidfd for pidfd in self._pidfds.values() if pidfd >= 0), timeout=seconds)

    def _drop_ended(self) -> None:
        for pid, pidfd in list(self._pidfds.items()):
            if _has_ended(pid, pidfd):
                self._drop(pid)

    def _drop(self, pid: int) -> None:
        pidfd = self._pidfds.pop(pid)
        if pidfd >= 0:
            os.close(pidfd)


class ChildExits:
    """SIGCHLD as a descriptor: waits for the exit of a child or for a message, whichever is first."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        signal.signal(signal.SIGCHLD, ignore_signal)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def wait(self, fd: int) -> list[tuple[int, int]]:
        """Wait until a child exits or `fd` is readable; returns the ids and wait statuses of all that have exited."""
        if self._reader in readable(fd, self._reader):
            os.read(self._reader, 4096)
        exits = []
        while (ended := _reap()) is not None:
            exits.append(ended)
        return exits

    def is_readable(self, fd: int) -> bool:
        return bool(readable(fd, timeout=0))


def reset_sigchld() -> None:
    """Undo the signal setup of `ChildExits` in a forked child."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _has_ended(pid: int, pidfd: int) -> bool:
    if pidfd >= 0:
        return bool(readable(pidfd, timeout=0))
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


def _reap() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None
