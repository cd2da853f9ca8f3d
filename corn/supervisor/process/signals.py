"""Signals to the master, as something a selector can wait for.

The handlers do nothing: the interpreter writes each signal's number to the wake-up descriptor in C
(signal.set_wakeup_fd), and the loop reads the numbers when it turns. So no code of ours runs in a handler, and nothing
is lost between two system calls.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

HANDLED = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
# Its default action would end a master that has no use for it.
IGNORED = (signal.SIGPIPE,)


class Signals:
    """Catches the master's signals from `catch` on; `release` puts back what was installed before."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._before: dict[int, object] = {}

    def fileno(self) -> int:
        return self._reader

    def catch(self) -> None:
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (*HANDLED, *IGNORED):
            self._before[number] = signal.signal(number, _noted)

    def release(self) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        os.close(self._reader)
        os.close(self._writer)

    def arrived(self) -> Iterator[signal.Signals]:
        """The signals that have arrived since the last call, in their order; repeated ones may be merged."""
        try:
            numbers = os.read(self._reader, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in HANDLED:
                yield signal.Signals(number)


def _noted(number: int, frame: FrameType | None) -> None:
    del number, frame
