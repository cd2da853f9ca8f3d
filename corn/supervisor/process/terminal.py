"""Terminal that corn dev was started in: its settings, its keys, and its hang-up.

Keys are read one by one while corn is in the foreground and no debugger waits. Settings are changed only in the
foreground: in the background they belong to the shell. Another process of the foreground, such as a worker in which a
debugger starts, may take the input that poll(2) has reported, so keys are read without blocking, from a descriptor of
corn's own: with O_NONBLOCK on standard input, the shell and the application would read without blocking too.

A terminal that is closed hangs up (POLLHUP). Its user can neither save files nor stop corn any more, so corn stops.
Rejected: relying on SIGHUP, which requests a reload, and which some shells do not send to background jobs.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import sys
import termios
from collections.abc import Callable
from types import FrameType
from typing import Any

_CHECK_INTERVAL = 1.0  # seconds between two checks whether corn is in the foreground
_LOCAL_FLAGS, _SPECIAL = 3, 6  # places in what tcgetattr(3) returns


class Terminal:
    """Standard input, where that is a terminal, and the controlling terminal, where there is one."""

    def __init__(self) -> None:
        is_terminal = sys.stdin is not None and os.isatty(0)
        self._settings: list[Any] | None = _settings() if is_terminal else None
        self._keys = _open_keyboard() if is_terminal else -1
        self._tty = _open_controlling_terminal()
        self._hangup: select.epoll | None = None
        self._selector: selectors.BaseSelector | None = None
        self._receive: Callable[[str], None] | None = None
        self._reads = False
        self._paused = False
        self._next_check = 0.0

    # Hang-up

    def watch(self, selector: selectors.BaseSelector, closed: Callable[[], None]) -> None:
        """Call `closed` when the terminal is closed."""
        self._selector = selector
        if self._tty < 0 or not hasattr(select, "epoll"):
            return
        self._hangup = select.epoll()
        self._hangup.register(self._tty, 0)  # EPOLLHUP is always reported

        def hung_up(mask: int) -> None:
            del mask
            if self._hangup is not None:
                selector.unregister(self._hangup)
                self._hangup.close()
                self._hangup = None
                closed()

        selector.register(self._hangup, selectors.EVENT_READ, hung_up)

    @property
    def is_closed(self) -> bool:
        """True if there was a terminal, and it has hung up."""
        if self._tty < 0:
            return False
        poll = select.poll()
        poll.register(self._tty, 0)
        return any(events & select.POLLHUP for _, events in poll.poll(0))

    # Keys

    def read_keys(self, receive: Callable[[str], None]) -> None:
        """Call `receive` with each key, from the next check on; nothing is read where there is no terminal."""
        if self._settings is not None and self._keys >= 0 and sys.stderr is not None and sys.stderr.isatty():
            self._receive = receive
            signal.signal(signal.SIGTSTP, self._suspend)
            self.check(0.0)

    @property
    def reads_keys(self) -> bool:
        return self._reads

    def pause(self) -> None:
        """Leave the keyboard to a debugger."""
        self._paused = True
        self._stop_reading()

    def resume(self) -> None:
        self._paused = False
        self.restore()
        self._next_check = 0.0

    def next_check(self) -> float | None:
        return None if self._receive is None else self._next_check

    def check(self, now: float) -> None:
        """Read keys while in the foreground; elsewhere the shell has changed the settings of the terminal."""
        if self._receive is None or now < self._next_check:
            return
        self._next_check = now + _CHECK_INTERVAL
        if self._paused or not is_in_foreground():
            self._stop_reading()
        else:
            self._start_reading()

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Put the settings back before corn is stopped (Ctrl-Z): not every shell has its own."""
        del number, frame
        self._stop_reading()
        self.restore()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # stops here, until SIGCONT
        signal.signal(signal.SIGTSTP, self._suspend)
        self._next_check = 0.0

    def _start_reading(self) -> None:
        try:
            settings = termios.tcgetattr(0)
            if settings[_LOCAL_FLAGS] & (termios.ICANON | termios.ECHO):
                settings[_LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
                settings[_SPECIAL][termios.VMIN], settings[_SPECIAL][termios.VTIME] = 1, 0
                termios.tcsetattr(0, termios.TCSANOW, settings)
            if not self._reads and self._selector is not None:
                self._selector.register(0, selectors.EVENT_READ, self._readable)
                self._reads = True
        except (OSError, termios.error):  # the terminal is gone
            self._stop_reading()

    def _stop_reading(self) -> None:
        if self._reads and self._selector is not None:
            self._selector.unregister(0)
        self._reads = False

    def _readable(self, mask: int) -> None:
        del mask
        try:
            data = os.read(self._keys, 64) if is_in_foreground() else b""
        except BlockingIOError:
            return  # another process has read it
        except OSError:
            data = b""
        if not data:
            self._stop_reading()  # until the next check
        for key in data.decode("utf-8", "replace"):
            if self._receive is not None:
                self._receive(key)

    # Settings

    def restore(self) -> None:
        """Restore the settings as they were when corn began, unless another process group has the foreground."""
        if self._settings is not None and is_in_foreground():
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(0, termios.TCSANOW, self._settings)

    def close(self) -> None:
        if self._receive is not None:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            self._receive = None
        self.restore()
        if self._hangup is not None:
            self._hangup.close()
        for fd in (self._keys, self._tty):
            if fd >= 0:
                os.close(fd)


def is_in_foreground() -> bool:
    """True if this process group may read its terminal now; always True for one that is no controlling terminal."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return True


def _settings() -> list[Any] | None:
    try:
        return termios.tcgetattr(0)
    except termios.error:
        return None


def has_controlling_terminal() -> bool:
    """True if there is a controlling terminal that has not hung up (tty(4)); its hang-up stops corn too."""
    fd = _open_controlling_terminal()
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def _open_keyboard() -> int:
    """Descriptor of the terminal at standard input, to be read without blocking; -1 if it cannot be opened."""
    try:
        os.tcgetpgrp(0)
    except OSError:  # not the controlling terminal
        with contextlib.suppress(OSError):
            return _open(os.ttyname(0))
        return -1
    return _open("/dev/tty")  # whose own name may be missing in a container


def _open_controlling_terminal() -> int:
    """Descriptor of the controlling terminal; -1 without one, or if corn is to outlive it (nohup)."""
    return -1 if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else _open("/dev/tty")


def _open(name: str) -> int:
    with contextlib.suppress(OSError):
        return os.open(name, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    return -1
