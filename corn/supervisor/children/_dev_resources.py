"""What `corn dev` keeps for as long as it runs, whatever workers come and go: the terminal, and a port for browsers."""

from __future__ import annotations

import os
import socket
import sys


class BrowserPort:
    """Where browsers listen for reloads: a port of the loopback interface, and a token that they must know.

    It is the master's, so that it is the same for every watcher and every template.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.token = os.urandom(16).hex()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/{self.token}"

    def fileno(self) -> int:
        return self._listener.fileno()

    def close(self) -> None:
        self._listener.close()


class Terminal:
    """The terminal's settings as they were when corn began, put back when a debugger may have left others."""

    def __init__(self) -> None:
        self._settings: list[object] | None = None
        if sys.stdin is not None and os.isatty(0):
            import termios

            self._settings = termios.tcgetattr(0)

    def restore(self) -> None:
        if self._settings is not None:
            import termios

            termios.tcsetattr(0, termios.TCSANOW, self._settings)  # type: ignore[arg-type]
