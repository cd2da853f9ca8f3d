"""Hostile clients of every kind beside honest load: `python -m tests.support.soak --minutes 30 --clients 1000`.

The service has two workers. Honest clients keep a connection each and measure every request; a second process has the
hostile ones, so that what it costs to be hostile is not measured. Reported are the honest requests, those that failed
or took more than a second, and memory and descriptors of the workers before, and after each of three rounds once all
is quiet again: what the first leaves behind are caches and the allocator's, what the others add is a leak.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.corn_process import Served
from tests.support.hostile_clients import KINDS, LONGEST, Conversation

APP = """
import asyncio

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
ARGUMENTS = ("main:app", "--port", "0", "-w", "2", "--lifespan", "off", "--no-access-log", "--control", "off")
HONEST = 8
ROUNDS = 3
_GET = b"GET / HTTP/1.1\r\nHost: corn\r\n\r\n"
_PAUSE = 0.02  # seconds between two requests of an honest client


@dataclass
class Honest:
    """Results of the honest clients."""

    took: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def ask_until(self, port: int, end: float) -> None:
        """One client: sequential requests on one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                writer.write(_GET)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
                body = await asyncio.wait_for(reader.readexactly(5), 20)
                if not head.startswith(b"HTTP/1.1 200") or body != b"hello":
                    self.failures.append(repr(head[:40]))
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError) as error:
                self.failures.append(repr(error))
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            self.took.append(time.monotonic() - began)
            await asyncio.sleep(_PAUSE)
        writer.close()

    def __str__(self) -> str:
        ordered = sorted(self.took)
        late = sum(each > 1 for each in ordered)
        p99 = ordered[int(len(ordered) * 0.99)] * 1000
        return (
            f"{len(ordered)} honest requests: {len(self.failures)} failed, {late} took over a second; median "
            f"{statistics.median(ordered) * 1000:.1f} ms, p99 {p99:.1f} ms, longest {ordered[-1] * 1000:.0f} ms"
        )


async def be_hostile(port: int, clients: int, seconds: float, seed: int) -> Counter[str]:
    """Run `clients` hostile clients of random kinds at a time; returns the count of each kind."""
    chosen, end, done = random.Random(seed), time.monotonic() + seconds, Counter()

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


async def measure(honest: Honest, port: int, seconds: float) -> None:
    await asyncio.gather(*(honest.ask_until(port, time.monotonic() + seconds) for _ in range(HONEST)))


def soak(minutes: float, clients: int, seed: int) -> bool:
    """Run, print the figures, and return whether they are within the limits."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "main.py").write_text(APP)
        with Served(Path(directory), *ARGUMENTS).wait_ready() as served:
            port = int(served.address.rpartition(":")[2])
            pids = {each.pid for each in served.workers()}
            used, honest, kinds = [usage(served)], Honest(), Counter()
            for number in range(ROUNDS):
                figures = [minutes / ROUNDS, clients, seed + number, port]
                named = zip(("--minutes", "--clients", "--seed", "--port"), map(str, figures), strict=True)
                hostile = [sys.executable, "-m", "tests.support.soak", *(each for pair in named for each in pair)]
                with subprocess.Popen(hostile, stdout=subprocess.PIPE, text=True) as process:
                    asyncio.run(measure(honest, port, minutes * 60 / ROUNDS))
                    kinds.update(json.loads(process.communicate()[0]))
                served.wait_until(lambda: usage(served)[1] <= used[0][1] + 8, "all connections gone", 120)
                used.append(usage(served))
            same = {each.pid for each in served.workers()} == pids
        print(f"{honest}\n{sum(kinds.values())} hostile clients: {json.dumps(kinds, indent=2, sort_keys=True)}")
        print("workers: " + ", ".join(f"{memory:.0f} MiB and {fds} descriptors" for memory, fds in used))
        print("the workers are the same" if same else f"WORKERS WERE REPLACED:\n{served.output}")
        return same and not honest.failures and max(honest.took) < 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    parser.add_argument("--port", type=int, help="be hostile to this port only, and print what was done")
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if given.port is not None:
        done = asyncio.run(be_hostile(given.port, given.clients, given.minutes * 60, given.seed))
        print(json.dumps(done))
        return
    sys.exit(0 if soak(given.minutes, given.clients, given.seed) else 1)


if __name__ == "__main__":
    main()
