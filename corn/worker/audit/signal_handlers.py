"""Signal handlers that the application sets while a template imports it, and their place in each worker.

A template ignores the signals of the process group, which the master handles, and a forked worker begins with handlers
of corn. So the handlers of the application would be lost: a `kill -USR1` that makes the application dump its state
would end the worker. Therefore the template records them when it has loaded the application, and sets its own again;
each worker then sets those of the application.

Handlers that C code sets, such as faulthandler.register, are invisible to Python; they are detected by sigaction(2),
and not changed.

SIGINT, SIGTERM and SIGQUIT stop a worker and are always handled by corn, as by other servers.

Interval timers (setitimer(2)), as a profiler sets them, do not survive fork(2). They are stopped in the template, which
their signals would end, and each worker starts them.
"""

from __future__ import annotations

import functools
import signal
import sys
from typing import Any

from corn.system.process import ignore_signal

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)

Handler = Any  # what signal.getsignal returns

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_ACTION_SIZE = 256  # bytes of a struct sigaction


class SignalHandlers:
    """Signal handlers, blocked signals and interval timers of the application, set between `begin` and `end`."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[Handler, bytes]] = {}
        self._unblocked: set[int] = set()
        self._blocked: set[int] = set()
        self._handlers: dict[int, Handler] = {}
        self._timers: dict[int, tuple[float, float]] = {}
        self.set_in_c: set[int] = set()

    def begin(self) -> None:
        self._before = _dispositions()
        self._unblocked = {int(each) for each in signal.valid_signals()} - signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def end(self) -> None:
        """Record what the application has set, and undo it in this process."""
        self._timers = {each: signal.setitimer(each, 0) for each in _TIMERS}
        for number, (handler, action) in _dispositions().items():
            handler_before, action_before = self._before[number]
            if handler is not handler_before and handler is not None:
                self._handlers[number] = handler
                signal.signal(number, handler_before)
            elif action != action_before:
                self.set_in_c.add(number)
        self._blocked = self._unblocked & signal.pthread_sigmask(signal.SIG_UNBLOCK, ())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._blocked)

    def restore(self) -> None:
        """In a worker: set the application's handlers and timers, and block the signals that it has blocked."""
        for number, handler in self._handlers.items():
            if number not in STOPPING:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_BLOCK, self._blocked)
        for timer, (delay, interval) in self._timers.items():
            if delay:
                signal.setitimer(timer, delay, interval)


def keep_interrupts_from_application() -> None:
    """Ignore SIGINT, which the master handles, if an import in this worker has set another handler."""
    if signal.getsignal(signal.SIGINT) is not ignore_signal:
        signal.signal(signal.SIGINT, ignore_signal)


def _dispositions() -> dict[int, tuple[Handler, bytes]]:
    """The handler of each signal, as Python and as the system know it."""
    found = {}
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        handler = signal.getsignal(number)
        if handler is not None:
            found[int(number)] = handler, _action(number)
    return found


def _action(number: int) -> bytes:
    """Address of the handler of a signal, the first member of its struct sigaction; b"" elsewhere than on Linux.

    The C library leaves other bytes of the structure undefined.
    """
    if sys.platform != "linux":
        return b""
    import ctypes

    action = ctypes.create_string_buffer(_ACTION_SIZE)
    _c_library().sigaction(number, None, action)
    return action.raw[: ctypes.sizeof(ctypes.c_void_p)]


@functools.cache
def _c_library() -> Any:
    """The C library, which is opened once for all signals: each opening costs more than the call."""
    import ctypes

    return ctypes.CDLL(None)
