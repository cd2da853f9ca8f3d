"""Hostile clients of every kind beside ordinary load, deploys and faults: `make soak HOURS=1`.

A service of two workers runs for half of the time with uvloop, and then with asyncio. Ordinary clients keep a
connection each and measure every request; a second process has the hostile ones, so that their own cost is not
measured. The time has five rounds:

    three of load    no request fails or takes a second, and no worker is replaced. Memory and descriptors of the
                     workers are measured once all is quiet again: what the first round leaves are caches and the
                     allocator's, what the others add is a leak
    deploys          good and bad ones in turn: no request fails
    faults           workers and templates are killed or stopped, HUPs come in bursts: a fault may cost each ordinary
                     client one request

At the end the newest code is served, the master has as many descriptors as before, and it exits without leaving
a process behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.chaos import BAD
from tests.support.corn_process import Served
from tests.support.hostile_clients import KINDS, LONGEST, Conversation

_APP = """
import asyncio

VERSION = {version}

BIG = bytes(5_000_000)


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})
        return
    path, status, body = scope["path"], 200, b"hello"
    if path == "/echo":
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
    elif path == "/version":
        body = str(VERSION).encode()
    elif path == "/refuse":
        status = 403
    elif path == "/big":
        body = BIG
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    if path == "/events":
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    await send({"type": "http.response.body", "body": body})
"""
ARGUMENTS = (
    *("main:app", "--port", "0", "-w", "2", "--lifespan", "off", "--no-access-log", "--control", "off"),
    *("--timeout-graceful-shutdown", "5", "--timeout-worker", "10", "--soak", "1", "--rollback-window", "5"),
)
LOOPS = ("uvloop", "asyncio")
ORDINARY = 8  # clients
ROUNDS_OF_LOAD = 3
_ROUNDS = ROUNDS_OF_LOAD + 2
_GET = b"GET / HTTP/1.1\r\nHost: corn\r\n\r\n"
_PAUSE = 0.02  # seconds between two requests of an ordinary client
_LONGEST_PAUSE = 4.0  # seconds between two deploys or faults


@dataclass
class Ordinary:
    """Ordinary clients, and the results of their requests."""

    took: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def request_until(self, port: int, end: float) -> None:
        """One client: sequential requests, on one connection while the server keeps it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                if reader.at_eof():
                    writer.close()
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(_GET)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
                body = await asyncio.wait_for(reader.readexactly(5), 20)
                if not head.startswith(b"HTTP/1.1 200") or body != b"hello":
                    self.failures.append(repr(head[:40]))
                closes = b"\r\nconnection: close\r\n" in head.lower()
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
                self.failures.append(repr(error))
                closes = True
            self.took.append(time.monotonic() - began)
            await asyncio.sleep(_PAUSE)
            if closes:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    @property
    def late(self) -> int:
        """Number of requests that took more than a second."""
        return sum(each > 1 for each in self.took)

    def __str__(self) -> str:
        ordered = sorted(self.took)
        p99 = ordered[int(len(ordered) * 0.99)] * 1000
        return (
            f"{len(ordered)} requests: {len(self.failures)} failed, {self.late} took over a second; median "
            f"{statistics.median(ordered) * 1000:.1f} ms, p99 {p99:.1f} ms, longest {ordered[-1] * 1000:.0f} ms"
        )


class Operator:
    """Deploys of a running service, and faults in it."""

    def __init__(self, directory: Path, served: Served, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._directory = directory
        self._served = served
        self._random = random.Random(seed)
        self._version = 0
        self._pause = threading.Event()
        self._faults: dict[str, Callable[[], None]] = {
            "a worker is killed": lambda: self._random.choice(served.workers()).kill(),
            "all workers are killed": self._kill_all,
            "a worker is stopped": lambda: self._random.choice(served.workers()).suspend(),
            "the template is killed": lambda: self._random.choice(served.templates()).kill(),
            "thirty HUPs": self._send_hups,
        }

    def deploy_until(self, end: float) -> None:
        """Good and bad deploys in turn; the last one is good."""
        while time.monotonic() < end:
            self.deploy(self._random.choice(BAD))
            self.done["bad deploys"] += 1
            self._pause.wait(self._random.uniform(0, _LONGEST_PAUSE))
            self.deploy_next()
            self._pause.wait(self._random.uniform(0, _LONGEST_PAUSE))

    def deploy_next(self) -> None:
        """Deploy the next version, and wait until it is served."""
        self._version += 1
        self.deploy(source(self._version))
        self.done["good deploys"] += 1
        self._served.wait_until(self._is_deployed, f"version {self._version} from both workers", 120)

    def deploy(self, code: str) -> None:
        """Deploy code, and wait for the outcome of the reload."""
        since = self._served.mark()
        fresh = self._directory / "main.new"
        fresh.write_text(code)
        fresh.rename(self._directory / "main.py")
        self._served.signal(signal.SIGHUP)
        self._served.wait_for("reloaded: generation|reload failed", since=since, deadline=120)

    def inject_until(self, end: float) -> None:
        """Random faults."""
        while time.monotonic() < end:
            name = self._random.choice(list(self._faults))
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                self._faults[name]()
                self.done[name] += 1
            self._pause.wait(self._random.uniform(0, _LONGEST_PAUSE))

    def _kill_all(self) -> None:
        for each in self._served.workers():
            each.kill()

    def _send_hups(self) -> None:
        for _ in range(30):
            self._served.signal(signal.SIGHUP)

    def _is_deployed(self) -> bool:
        with contextlib.suppress(OSError):
            return {self._served.client().get("/version") for _ in range(20)} == {str(self._version)}
        return False


def source(version: int) -> str:
    """The application, in one of its versions."""
    return _APP.replace("{version}", str(version))


async def be_hostile(port: int, clients: int, seconds: float, seed: int) -> Counter[str]:
    """Run `clients` hostile clients of random kinds at a time; returns the count of each kind."""
    chosen, end, done = random.Random(seed), time.monotonic() + seconds, Counter[str]()

    async def one_after_the_other() -> None:
        while time.monotonic() < end:
            kind = chosen.choice(KINDS)
            done[kind.__name__] += 1
            with contextlib.suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                talk = Conversation(*await asyncio.open_connection("127.0.0.1", port))
                try:
                    await asyncio.wait_for(kind(talk), min(LONGEST, max(end - time.monotonic(), 0.1)))
                finally:
                    talk.writer.transport.abort()
            await asyncio.sleep(chosen.uniform(0, 1))

    await asyncio.gather(*(one_after_the_other() for _ in range(clients)))
    return done


def usage(served: Served) -> tuple[float, int]:
    """Memory (USS, MiB) and descriptors of all workers."""
    workers = served.workers()
    return sum(each.memory_full_info().uss for each in workers) / (1 << 20), sum(each.num_fds() for each in workers)


class Soak:
    """A service with one event loop, its clients, and what has to hold."""

    def __init__(self, directory: Path, served: Served, hours: float, clients: int, seed: int) -> None:
        self._served = served
        self._port = int(served.address.rpartition(":")[2])
        self._seconds, self._clients, self._seed = hours * 3600 / _ROUNDS, clients, seed
        self._operator = Operator(directory, served, seed)
        self._hostile: Counter[str] = Counter()

    def run(self) -> bool:
        """Run all rounds, print the figures, and return whether they are within the limits."""
        served, operator = self._served, self._operator
        master = psutil.Process(served.pid)
        pids, used, fds = {each.pid for each in served.workers()}, [usage(served)], master.num_fds()
        load, deploys, faults = Ordinary(), Ordinary(), Ordinary()
        for _ in range(ROUNDS_OF_LOAD):
            self._round(load)
            served.wait_until(lambda: usage(served)[1] <= used[0][1] + 8, "all connections gone", 120)
            used.append(usage(served))
        same = {each.pid for each in served.workers()} == pids
        print(f"load: {load}")
        print("workers: " + ", ".join(f"{memory:.0f} MiB and {count} descriptors" for memory, count in used))
        print("the workers are the same" if same else f"WORKERS WERE REPLACED:\n{served.output}", flush=True)
        self._round(deploys, operator.deploy_until)
        print(f"deploys: {json.dumps(operator.done)}; {deploys}", flush=True)
        operator.done.clear()
        self._round(faults, operator.inject_until)
        allowed = ORDINARY * operator.done.total()
        print(f"faults: {json.dumps(operator.done)}; {faults}")
        for each in served.workers():
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()
        operator.deploy_next()
        served.wait_until(lambda: master.num_fds() <= fds, f"at most {fds} descriptors of the master", 120)
        served.signal(signal.SIGTERM)
        code, left = served.wait_exit(), len(served.leftovers())
        print(f"the newest code is served; the master's exit code: {code}; processes left: {left}")
        print(f"{self._hostile.total()} hostile clients: {json.dumps(self._hostile, sort_keys=True)}", flush=True)
        for each in (*load.failures, *deploys.failures):
            print(f"FAILED: {each}")
        is_quiet = same and not load.failures and not load.late
        return is_quiet and not deploys.failures and len(faults.failures) <= allowed and code == left == 0

    def _round(self, clients: Ordinary, disturb: Callable[[float], None] | None = None) -> None:
        self._seed += 1
        figures = [self._seconds / 3600, self._clients, self._seed, self._port]
        named = zip(("--hours", "--clients", "--seed", "--port"), map(str, figures), strict=True)
        hostile = [sys.executable, "-m", "tests.support.soak", *(each for pair in named for each in pair)]
        with subprocess.Popen(hostile, stdout=subprocess.PIPE, text=True) as process:
            asyncio.run(self._measure(clients, time.monotonic() + self._seconds, disturb))
            self._hostile.update(json.loads(process.communicate()[0]))

    async def _measure(self, clients: Ordinary, end: float, disturb: Callable[[float], None] | None) -> None:
        disturbing = [asyncio.to_thread(disturb, end)] if disturb else []
        await asyncio.gather(*(clients.request_until(self._port, end) for _ in range(ORDINARY)), *disturbing)


def soak(loop: str, hours: float, clients: int, seed: int) -> bool:
    """Run a service with this event loop; returns whether all that has to hold did."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "main.py").write_text(source(0))
        with Served(directory, *ARGUMENTS, "--loop", loop).wait_ready() as served:
            return Soak(directory, served, hours, clients, seed).run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=0.05, help="for all loops [%(default)s]")
    parser.add_argument("--clients", type=int, default=200, help="hostile ones at a time [%(default)s]")
    parser.add_argument("--loops", default=",".join(LOOPS), metavar="A,B", help="event loops [%(default)s]")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    # For the process of the hostile clients: the port of the service.
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if given.port is not None:
        print(json.dumps(asyncio.run(be_hostile(given.port, given.clients, given.hours * 3600, given.seed))))
        return
    loops, held = given.loops.split(","), True
    for loop in loops:
        print(f"--loop {loop}, {given.hours / len(loops):g} hours, seed {given.seed}", flush=True)
        held &= soak(loop, given.hours / len(loops), given.clients, given.seed)
    print("all limits hold" if held else "A LIMIT WAS EXCEEDED")
    sys.exit(not held)


if __name__ == "__main__":
    main()
