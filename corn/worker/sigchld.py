"""The ends of a template's own children, where the template is their parent: SIGCHLD as something to select on."""

from __future__ import annotations

import os
import select
import signal

from corn.system.process import ignore_signal


class ChildExits:
    """Notices the ends of children while it waits for something else."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        signal.signal(signal.SIGCHLD, ignore_signal)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def wait(self, fd: int) -> list[tuple[int, int]]:
        """Wait until a child ends or `fd` can be read; returns the ids and wait statuses of all that have ended."""
        if self._reader in select.select([fd, self._reader], [], [])[0]:
            os.read(self._reader, 4096)
        ended = []
        while (one := _reap()) is not None:
            ended.append(one)
        return ended

    def is_readable(self, fd: int) -> bool:
        return bool(select.select([fd], [], [], 0)[0])


def reset_sigchld() -> None:
    """Undo in a forked child what `Ends` did to signals."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _reap() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None
