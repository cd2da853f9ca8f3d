"""Server under fault injection: its project directory, its process, and its state as clients see it."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
WORKERS = 2
START = 30.0  # seconds for a server to start

SERVERS = {
    "corn": "corn serve main:app --port {port} --workers 2 --no-access-log --soak 0 --control control.sock",
    "uvicorn": "uvicorn main:app --port {port} --workers 2 --no-access-log",
    "gunicorn": "gunicorn main:app -k asgi -b 127.0.0.1:{port} -w 2",
    "gunicorn, uvicorn's worker": "gunicorn main:app -k uvicorn_worker.UvicornWorker -b 127.0.0.1:{port} -w 2",
    "hypercorn": "hypercorn main:app -b 127.0.0.1:{port} -w 2",
    "granian": "granian --interface asgi main:app --port {port} --workers 2 --respawn-failed-workers",
}
# Options of each server against a fault; servers without such an option are omitted.
STUCK = {
    "corn": "--timeout-worker 3",
    "uvicorn": "--timeout-worker-healthcheck 3",
    "gunicorn": "--timeout 3",
    "gunicorn, uvicorn's worker": "--timeout 3",
}
MEMORY = {"corn": "--limit-memory 150MiB", "granian": "--workers-max-rss 150"}

APPLICATION = """
import asyncio, os, time

VERSION = "{version}"
kept = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        {lifespan}
        while True:
            message = await receive()
            await send({{"type": message["type"] + ".complete"}})
            if message["type"] == "lifespan.shutdown":
                return
    path, body = scope["path"], VERSION.encode()
    if path == "/slow":
        await asyncio.sleep(1.5)
    elif path == "/stuck":
        time.sleep(3600)
    elif path == "/leak":
        kept.append(os.urandom(40_000_000))
    elif path == "/large":
        body = bytes(12_000_000)
    elif path == "/pid":
        body = str(os.getpid()).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": body}})
"""


class UnansweredError(Exception):
    """A request that was refused, cut, timed out, or answered with another status than 200."""


@dataclass
class Load:
    """Requests in a closed loop from a thread; counts the answers and the failures."""

    answered: int = 0
    failed: int = 0
    versions: list[str] = field(default_factory=list)


class Subject:
    """One server, started in a directory of its own."""

    def __init__(self, name: str, options: str = "", prefix: tuple[str, ...] = (), log: str = "log") -> None:
        self.name = name
        self.options = options
        self.prefix = prefix
        self._directory = tempfile.TemporaryDirectory(prefix="corn-faults-")
        self.directory = Path(self._directory.name)
        self.log = Path(log) if log.startswith("/") else self.directory / log
        self.port = _free_port()
        self.deploy("v1")

    def __enter__(self) -> Subject:  # noqa: PYI034 - Self is not in typing before 3.11
        words = f"{SERVERS[self.name]} {self.options}".format(port=self.port).split()
        environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "PYTHONPATH": str(self.directory),
            "PYTHONDONTWRITEBYTECODE": "1",  # versions of equal size within a second would be one to the cache
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.prefix, str(BIN / words[0]), *words[1:]],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.master = psutil.Process(self.process.pid)
        wait(self.answers, START, "the server starts")
        wait(lambda: len(self.workers()) == WORKERS, START, "its workers start")
        return self

    def __exit__(self, *args: object) -> None:
        for each in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()
        self._directory.cleanup()

    def deploy(self, version: str, before: str = "", lifespan: str = "pass") -> None:
        """Write the application's next version; `before` is code that runs when it is imported."""
        text = before + "\n" + APPLICATION.format(version=version, lifespan=lifespan)
        (self.directory / "main.py").write_text(text)

    def family(self) -> list[psutil.Process]:
        """All processes of the server: those of its session, which it cannot leave by dying."""
        found = []
        for each in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if os.getsid(each.pid) == self.process.pid and each.status() != psutil.STATUS_ZOMBIE:
                    found.append(each)
        return found

    def workers(self) -> list[psutil.Process]:
        """The processes that serve: by their names for corn, the master's children for the others."""
        found = []
        for each in self.master.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if each.status() == psutil.STATUS_ZOMBIE:
                    continue
                is_worker = each.name().startswith("corn worker") if self.name == "corn" else not _is_tracker(each)
                if is_worker:
                    found.append(each)
        return found

    def request(self, path: str = "/", timeout: float = 5.0) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnansweredError(repr(error)) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise UnansweredError(f"status {answer.status}")
        return body.decode("latin-1")

    def answers(self, timeout: float = 2.0) -> bool:
        try:
            self.request(timeout=timeout)
        except UnansweredError:
            return False
        return True

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def send_hangup(self) -> None:
        self.signal(signal.SIGHUP)

    @contextlib.contextmanager
    def under_load(self) -> Iterator[Load]:
        """Two clients that ask all the time, each request over a new connection."""
        load, stop = Load(), threading.Event()

        def client() -> None:
            while not stop.is_set():
                try:
                    load.versions.append(self.request())
                    load.answered += 1
                except UnansweredError:
                    load.failed += 1
                stop.wait(0.002)

        threads = [threading.Thread(target=client) for _ in range(2)]
        for each in threads:
            each.start()
        try:
            yield load
        finally:
            stop.set()
            for each in threads:
                each.join()


def wait(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """The seconds until `condition` holds; TimeoutError with `what` if it does not in time."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"timed out after {seconds:g} s, waiting until {what}")
        time.sleep(0.02)
    return time.monotonic() - began


def _is_tracker(process: psutil.Process) -> bool:
    return "resource_tracker" in " ".join(process.cmdline())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
