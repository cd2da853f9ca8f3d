"""Terminal of `corn top`: reads single keys, and restores the terminal's settings, however the program ends.

termios(3) non-canonical mode without echo. Signal keys stay enabled, so that Ctrl-C and Ctrl-Z work. On Ctrl-Z the
settings are restored first, and set again when the program continues.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group
from rich.screen import Screen
from rich.text import Text

from corn.errors import ConfigError

_NAMES = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "pageup",
    "\x1b[6~": "pagedown",
    "\x1b": "escape",
    "\x03": "q",
}
_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)


def keys_in(data: bytes) -> list[str]:
    """Pressed keys: characters, or names such as `up`."""
    found = _KEY.findall(data.decode(errors="replace"))
    return [_NAMES.get(each, each) for each in found]


class Terminal:
    """Terminal of which this program can take the whole screen. Raises ConfigError if there is none."""

    def __init__(self) -> None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
            raise ConfigError("corn top needs a terminal with cursor control; use 'corn status' instead")
        self.console = Console(highlight=False, markup=False, emoji=False)
        self.has_blocks = self.console.encoding.startswith("utf")
        self.is_ended = False
        self._is_stopped = False
        self._keyboard = sys.stdin.fileno()

    def __enter__(self) -> None:
        self._before = termios.tcgetattr(self._keyboard)
        self._enter_screen()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)
        signal.signal(signal.SIGTSTP, self._stop)

    def __exit__(self, *reason: object) -> None:
        with contextlib.suppress(OSError, termios.error):  # the terminal has hung up, and there is nothing to restore
            self._leave_screen()

    def run(self, session: Callable[[], None]) -> bool:
        """Call `session` while this program has the whole screen; returns False if the terminal has hung up."""
        try:
            with self:
                session()
        except (OSError, termios.error):
            self._discard_output()
            return False
        return True

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines now."""
        return self.console.size

    def show(self, lines: list[Text]) -> None:
        """Replace the content of the screen."""
        self.console.print(Screen(Group(*lines)), end="")

    def keys(self, timeout: float) -> list[str]:
        """The keys that were pressed, waiting at most `timeout` seconds for the first."""
        if self._is_stopped:
            self._pause()
        if not select.select([self._keyboard], [], [], timeout)[0]:
            return []
        data = os.read(self._keyboard, 1024)
        self.is_ended = self.is_ended or not data
        return keys_in(data)

    def _enter_screen(self) -> None:
        tty.setcbreak(self._keyboard)
        self.console.set_alt_screen(True)
        self.console.show_cursor(False)

    def _leave_screen(self) -> None:
        termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._before)
        self.console.show_cursor(True)
        self.console.set_alt_screen(False)

    def _discard_output(self) -> None:
        """Discard what is still buffered: the exit of the interpreter would write it, and report the failure."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)

    def _pause(self) -> None:
        self._is_stopped = False
        self._leave_screen()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._enter_screen()

    def _end(self, *_: Any) -> None:
        self.is_ended = True

    def _stop(self, *_: Any) -> None:
        self._is_stopped = True
