"""Signals to the master, delivered through a descriptor that a selector can wait for.

The handlers do nothing: the interpreter writes each signal's number to the wake-up descriptor in C
(signal.set_wakeup_fd), and the loop reads the numbers in its next iteration. So no code of ours runs in a handler, and
no signal is lost between two system calls.

SIGTTIN and SIGTTOU have two senders: an operator, who adds or removes a worker, and the terminal, if a background job
uses it. They are blocked, so that the terminal does not send them (corn/system/process.py), and a thread waits for
those from the operator.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from corn.system.process import JOB_CONTROL

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
# The default action would end the master.
IGNORED = (signal.SIGPIPE,)


class Signals:
    """Catches the master's signals from `catch` on; `release` puts back what was installed before."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._before: dict[int, object] = {}
        self._released = False

    def fileno(self) -> int:
        return self._reader

    def catch(self) -> None:
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (*HANDLED, *IGNORED):
            self._before[number] = signal.signal(number, _do_nothing)
        self._mask_before = signal.pthread_sigmask(signal.SIG_BLOCK, JOB_CONTROL)
        self._thread = threading.Thread(target=self._wait, name="job control", daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        while not self._released:
            number = signal.sigwait(JOB_CONTROL)
            if not self._released:
                os.write(self._writer, bytes([number]))

    def release(self) -> None:
        self._released = True
        if self._thread.ident is not None:
            signal.pthread_kill(self._thread.ident, signal.SIGTTOU)
        self._thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask_before)
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


def _do_nothing(number: int, frame: FrameType | None) -> None:
    del number, frame
