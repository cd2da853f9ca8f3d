"""CPU time of one request inside a worker, and of its parts, without sockets.

    .venv-bench/bin/python -m benchmarks.request_cost

A connection receives request heads, and its transport discards the responses, so the figures exclude system calls and
the client. Each is the minimum of many rounds, which other load on the machine hardly affects. *browser* has the
sixteen fields of the benchmark of that name, of which four differ in each request; *plain* repeats one field.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import uvloop

from corn.config import Config
from corn.ipc.scoreboard import Scoreboard
from corn.server.asgi.scope import Endpoints, http_scope
from corn.server.context import ServerContext
from corn.server.http1.connection import HTTP1Connection
from corn.server.http1.parser import PreviousHead, parse_head
from corn.server.http1.response import HTTP1Cycle

from .apps import HELLO, HELLO_START, plain
from .wrk import SAME_FIELDS

CONNECTIONS = 64
BODY = {"type": "http.response.body", "body": HELLO}
ENDS = Endpoints(("127.0.0.1", 5000), ("127.0.0.1", 80), "http")


def browser_head(number: int) -> bytes:
    fields = {
        **SAME_FIELDS,
        "X-Forwarded-For": f"203.0.{number % 250}.{number * 7 % 250}",
        "X-Request-ID": f"{number * 40503 % 2147483647:08x}-{number}",
        "Referer": f"https://shop.example.com/items/{number}",
        "Cookie": f"session={number * 48271 % 2147483647:032x}; theme=dark; seen={number}",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET /items/{number % 1000}?q=corn&limit=5 HTTP/1.1\r\n{lines}\r\n".encode()


HEADS = {
    "plain": [b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"] * CONNECTIONS,
    "browser": [browser_head(number) for number in range(CONNECTIONS)],
}


class NoTransport:
    """Transport of a peer that always reads; it discards the output."""

    def write(self, _data: bytes) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        pass


class Measurement:
    """Parts of requests on one server context."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.round = 0
        words = Scoreboard.create().cell(0).words
        self.service = ServerContext(plain, Config(app="benchmarks.apps:plain"), words, lambda _: None)
        self.service.application_started(None)
        self.socket = socket.socket()  # of all connections; it is neither connected nor used

    def connection(self) -> HTTP1Connection:
        self.service.metrics.opened()
        connection = HTTP1Connection(self.service, self.socket, ENDS)
        connection.connection_made(NoTransport())  # type: ignore[arg-type]
        return connection

    async def least(self, step: Callable[[int], Any], *, runs_tasks: bool = False) -> float:
        """Microseconds of a step for each connection, including the iterations of the event loop that it causes."""
        least = float("inf")
        for _ in range(self.rounds):
            self.round += 1
            began = time.process_time()
            for number in range(CONNECTIONS):
                step(number)
            if runs_tasks:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            least = min(least, time.process_time() - began)
        return least / CONNECTIONS * 1e6

    async def of(self, heads: list[bytes]) -> dict[str, float]:
        """Microseconds of a whole request, and of its parts."""
        service, previous, ends = self.service, PreviousHead(), [head.find(b"\r\n\r\n") for head in heads]
        connections = [self.connection() for _ in heads]
        closing = [head[:-2] + b"Connection: close\r\n\r\n" for head in heads]
        opened: deque[HTTP1Connection] = deque()
        for _ in range(20):  # until the names of the heads are compiled
            parsed = [parse_head(head[:end], 100) for head, end in zip(heads, ends, strict=True)]
        scopes = [http_scope(head, ENDS, service.template) for head in parsed]
        cycles = [HTTP1Cycle(service, connections[0], parsed[0], scopes[0]) for _ in heads]

        async def nothing() -> None:
            pass

        def request(number: int) -> None:
            connections[number].data_received(heads[number - self.round % CONNECTIONS])  # another in each round

        def connect(number: int) -> None:
            if len(opened) == CONNECTIONS:
                opened.popleft().connection_lost(None)
            connection = self.connection()
            opened.append(connection)
            connection.data_received(closing[number - self.round % CONNECTIONS])

        def forwarded(number: int) -> None:
            if parsed[number].forwarded:
                service.apply_forwarded_fields(parsed[number], scopes[number], ENDS.client)

        def respond(number: int) -> None:
            cycle = connections[0].cycle = cycles[number]
            cycle._stage, cycle.committed = cycle.START, False
            cycle._take_start(HELLO_START)
            cycle._take_body(BODY)

        least = self.least
        return {
            "whole request": await least(request, runs_tasks=True),
            "whole request, and a connection for it": await least(connect, runs_tasks=True),
            "head": await least(lambda n: previous.parse_next(heads[n], ends[n], 100)),
            "forwarding fields": await least(forwarded),
            "scope": await least(lambda n: http_scope(parsed[n], ENDS, service.template)),
            "cycle": await least(lambda n: HTTP1Cycle(service, connections[0], parsed[n], scopes[n])),
            "task": await least(lambda _: service.create_task(nothing()), runs_tasks=True),
            "response, counted": await least(respond),
        }


async def measure(rounds: int) -> None:
    measurement = Measurement(rounds)
    figures = {name: await measurement.of(heads) for name, heads in HEADS.items()}
    print(f"Microseconds, Python {platform.python_version()}, {platform.machine()}\n")
    print(f"| part | {' | '.join(figures)} |\n|---{'|---' * len(figures)}|")
    for part in figures["plain"]:
        print(f"| {part} | " + " | ".join(f"{figure[part]:.1f}" for figure in figures.values()) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = parser.parse_args().rounds
    gc.freeze()
    uvloop.run(measure(rounds))


if __name__ == "__main__":
    main()
