"""Console of corn dev: the first lines in a terminal, the progress of a slow start, and the keys."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corn.ipc.messages import Booting, Debugging, Failed, Message, Progress, Ready
from corn.logs import logger
from corn.supervisor.process.terminal import Terminal

_KEYS = "r reload, o open, c clear, q quit"
_FIRST_QUERY, _QUERY_INTERVAL = 0.5, 0.5  # seconds
_SLOW, _VERY_SLOW = 1.0, 5.0  # seconds of a start after which its current step, and its slowest steps, are logged
_WILDCARDS = ("0.0.0.0", "[::]")
_LABEL_WIDTH = 9
_THIS_MACHINE, _NO_NETWORK = "this machine only; --host 0.0.0.0 changes that", "this machine has no network address"
_OPEN_BROWSER = """
import os, sys, webbrowser
terminal = os.dup(2)
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # of the browser
if not webbrowser.open_new_tab(sys.argv[1]):
    os.write(terminal, f"no browser could be started; open {sys.argv[1]}\\n".encode())
"""


@dataclass(slots=True)
class _Start:
    """Start of a worker that is under way. `at` is its step as last logged, `seen` as last reported by the worker."""

    began: float
    pid: int
    next_query: float
    at: str = ""
    seen: str = ""
    slow_reported: bool = False


class DevConsole:
    """Terminal output of corn dev besides its log, and keyboard input.

    `actions` maps keys to functions, besides the keys that concern the console alone.
    """

    def __init__(self, app: str, terminal: Terminal, directories: Sequence[str]) -> None:
        self._app = app
        self._terminal = terminal
        self._directories = directories
        self._starts: dict[int, _Start] = {}
        self._address = ""
        self._docs = ""
        self._actions: Mapping[str, Callable[[], None]] = {}

    def use_keys(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = {**actions, "o": self.open, "c": _clear, "\n": lambda: _write("\n"), "\r": lambda: _write("\n")}
        self._terminal.read_keys(self._press)

    def _press(self, key: str) -> None:
        act = self._actions.get(key)
        if act is not None:
            act()

    # The first lines

    def show_banner(self, addresses: Sequence[str]) -> None:
        """Show the application's address, the watched directories and the keys in a terminal."""
        self._address = next((_local(each) for each in addresses if each.startswith("http")), "")
        if not sys.stderr.isatty():
            return
        lines = [("Local", _local(each)) for each in addresses if not _is_on_network_only(each)]
        network = [reached for each in addresses if (reached := _on_network(each))]
        without = _THIS_MACHINE if all(map(_is_local_only, addresses)) else _NO_NETWORK
        lines += [("Network", each) for each in network or [without]]
        if self._docs and self._address:
            lines.append(("Docs", self._address + self._docs))
        if self._directories:
            lines.append(("Watching", ", ".join(map(_short, self._directories))))
        if self._terminal.reads_keys:
            lines.append(("Keys", _KEYS))
        width = _width()
        _write("\n" + "".join(f"{_fit(f'  {label:<{_LABEL_WIDTH}}{text}', width)}\n" for label, text in lines) + "\n")

    def open(self) -> None:
        """Open the application in a browser, without waiting for the browser's process."""
        if not self._address:
            return
        with contextlib.suppress(OSError):
            subprocess.Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-I", "-c", _OPEN_BROWSER, self._address],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    # A slow start

    def from_worker(self, worker: int, message: Message) -> None:
        """Record a worker's report of its start."""
        now = time.monotonic()
        if isinstance(message, Booting):
            self._starts[worker] = _Start(now, message.pid, now + _FIRST_QUERY)
        elif isinstance(message, Ready):
            self._docs = message.docs
        if isinstance(message, Progress):
            self._report(worker, message, now)
        elif isinstance(message, (Ready, Failed, Debugging)):
            self.worker_exited(worker)

    def worker_exited(self, worker: int) -> None:
        self._starts.pop(worker, None)

    def _report(self, worker: int, progress: Progress, now: float) -> None:
        start = self._starts.get(worker)
        if start is None or now - start.began < _SLOW:
            return
        if progress.doing != start.at and (progress.imports or progress.doing == start.seen):
            start.at = progress.doing
            logger.info("%s ...", progress.doing)
        start.seen = progress.doing
        if now - start.began >= _VERY_SLOW and not start.slow_reported:
            start.slow_reported = True
            slowest = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in progress.slowest)
            logger.info("%s has been starting for %.0f s; slowest so far: %s", self._app, now - start.began, slowest)

    # Periodic work

    def next_at(self) -> float | None:
        times = [each.next_query for each in self._starts.values()]
        check = self._terminal.next_check()
        return min([*times, *([] if check is None else [check])], default=None)

    def tick(self, now: float) -> None:
        self._terminal.check(now)
        for each in self._starts.values():
            if each.next_query <= now:
                each.next_query = now + _QUERY_INTERVAL
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGWINCH)  # worker/dev/session.py


def _local(address: str) -> str:
    for wildcard in _WILDCARDS:
        address = address.replace(f"//{wildcard}:", "//127.0.0.1:")
    return address


def _is_on_network_only(address: str) -> bool:
    host = address.partition("//")[2].rpartition(":")[0]
    return address.startswith("http") and not _is_loopback(host) and host not in _WILDCARDS


def _is_local_only(address: str) -> bool:
    return not address.startswith("http") or _is_loopback(address.partition("//")[2].rpartition(":")[0])


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host in ("localhost", "[::1]")


def _on_network(address: str) -> str:
    """Form of an address that other machines can reach, "" if there is none, or no network."""
    scheme, _, rest = address.partition("//")
    host, _, port = rest.rpartition(":")
    if not address.startswith("http") or _is_loopback(host):
        return ""
    if host not in _WILDCARDS:
        return address
    own = _own_address()
    return f"{scheme}//{own}:{port}" if own else ""


def _own_address() -> str:
    """The address from which this machine reaches others; connect(2) of a datagram socket sends nothing."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))  # RFC 5737
        return str(sock.getsockname()[0])
    return ""


def _short(directory: str) -> str:
    home = str(Path.home())
    return "~" + directory.removeprefix(home) if directory.startswith(home + os.sep) else directory


def _fit(line: str, width: int) -> str:
    return line if len(line) <= width else line[: max(0, width - 3)] + "..."


def _width() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80


def _clear() -> None:
    _write("\x1b[H\x1b[2J\x1b[3J")


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()
