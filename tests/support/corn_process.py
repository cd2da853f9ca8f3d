"""Real corn in real processes, started through the command line.

Nothing here sleeps for a fixed time: output is waited for with a deadline, and so are conditions on the system.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from tests.support.environment import clean_environment
from tests.support.http_client import Client

DEADLINE = 40.0

APP = """
import os
VERSION = {version!r}

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = f"{{VERSION}} {{os.getpid()}}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": body}})
"""


class Served:
    """`corn serve` in a directory; leaving the context kills all its processes."""

    def __init__(self, directory: Path, *arguments: str, program: list[str] | None = None, **environment: str) -> None:
        self.directory = directory
        self._lines: list[str] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [*(program or [sys.executable, "-m", "corn", "serve"]), *arguments],
            cwd=directory,
            env=clean_environment(**{"PYTHONDONTWRITEBYTECODE": "1"} | environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            close_fds=False,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    # Output

    @property
    def output(self) -> str:
        return "\n".join(self._lines)

    def wait_for(self, pattern: str, *, since: int = 0, deadline: float = DEADLINE) -> re.Match[str]:
        """First matching line from number `since` on; fails with the whole output after the deadline."""
        end = time.monotonic() + deadline
        with self._news:
            while True:
                for line in self._lines[since:]:
                    if found := re.search(pattern, line):
                        return found
                gone = self.process.poll() is not None and not self._reader.is_alive()
                assert time.monotonic() < end and not gone, f"no line like {pattern!r} in:\n{self.output}"
                self._news.wait(0.1)

    def mark(self) -> int:
        """Number of lines so far, for `wait_for(since=...)`."""
        return len(self._lines)

    def wait_ready(self) -> Served:
        """Wait for the start-up line, and keep the address."""
        try:
            self.address = self.wait_for(r"serves .+? at (\S+?),? \(")[1]
        except BaseException:
            self.__exit__()
            raise
        return self

    def client(self) -> Client:
        return Client(self.address)

    # Processes

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def workers(self) -> list[psutil.Process]:
        """Running worker processes."""
        return self.named("corn worker")

    def templates(self) -> list[psutil.Process]:
        return self.named("corn template")

    def spares(self) -> list[psutil.Process]:
        """Spare workers of `corn dev`."""
        return self.named("corn spare")

    def named(self, name: str) -> list[psutil.Process]:
        """Processes of the service whose name starts with `name`, without zombies."""
        found = []
        for child in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name().startswith(name) and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
        return found

    def names(self) -> set[str]:
        """Names of all processes of the service but the master; one that has just been started is still "python"."""
        return {self.name(each) for each in psutil.Process(self.pid).children(recursive=True)} - {""}

    def name(self, process: psutil.Process) -> str:
        """Name of a process, or "" for an exited one."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return process.name()
        return ""

    def title(self, process: psutil.Process) -> str:
        """Command line as ps(1) shows it, or "" for an exited process."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return " ".join(process.cmdline())
        return ""

    def zombies(self) -> list[psutil.Process]:
        """Children that the master has not reaped."""
        return [each for each in psutil.Process(self.pid).children() if _is_zombie(each)]

    def wait_until(self, condition, what: str, deadline: float = DEADLINE) -> None:
        end = time.monotonic() + deadline
        waiting, pause = threading.Event(), 0.005
        while not condition():
            assert time.monotonic() < end, f"not within {deadline} s: {what}; output:\n{self.output}"
            waiting.wait(pause)
            pause = min(pause * 1.5, 0.05)  # most conditions look at all processes of the machine

    def wait_exit(self, deadline: float = DEADLINE) -> int:
        code = self.process.wait(deadline)
        self._reader.join(deadline)
        return code

    def leftovers(self) -> list[psutil.Process]:
        """Processes of the session that are left after the master's exit."""
        found = [each for each in psutil.process_iter() if _session_of(each.pid) == self.pid and each.pid != self.pid]
        return [each for each in found if not _is_zombie(each)]

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()  # the master first: it would replace the others
        self._kill_leftovers()
        self.process.wait(DEADLINE)
        self._kill_leftovers()
        self._reader.join(DEADLINE)
        assert not self._reader.is_alive(), "a process that was left holds the output open"
        self.process.stdout.close()

    def _kill_leftovers(self) -> None:
        for each in self.leftovers():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def _is_zombie(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return False


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def write_app(directory: Path, version: str, name: str = "main.py", more: str = "") -> None:
    """Write atomically an application that responds with its version and process id."""
    fresh = directory / f".{name}.new"
    fresh.write_text(APP.format(version=version) + more)
    fresh.rename(directory / name)
