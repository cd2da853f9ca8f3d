"""Load generator for WebSockets, which wrk does not support.

    python -m benchmarks.websocket_load PORT CONNECTIONS SECONDS

Each connection sends a text of 64 bytes, waits for its echo, and sends it again. The frame is masked in advance and the
response compared as bytes, so the client uses little CPU. It prints one JSON object: the number of echoes, the duration
in seconds, the 99th percentile of the latency, and the errors.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass

import uvloop

TEXT = b"0123456789abcdef" * 4
ANSWER = bytes((0x81, len(TEXT))) + TEXT
_MASK = os.urandom(4)
FRAME = bytes((0x81, 0x80 | len(TEXT))) + _MASK + bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(TEXT))
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


@dataclass(frozen=True)
class Outcome:
    """Results of one run; times in seconds, errors counted by kind."""

    messages: int
    seconds: float
    p99: float
    errors: dict[str, int]


class Load:
    """Totals of all connections."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.errors: dict[str, int] = {}
        self.running = True

    def error(self, kind: str) -> None:
        self.errors[kind] = self.errors.get(kind, 0) + 1


class Peer(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.data = b""
        self.open = False
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        data = self.data + data
        if not self.open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.data = head
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self._give_up("handshake")
                return
            self.open = True
            self._send()
        elif data == ANSWER:
            now = time.perf_counter()
            self.load.waits.append(now - self.sent_at)
            self.data = b""
            self.sent_at = now
            self.transport.write(FRAME)
            return
        elif not ANSWER.startswith(data):
            self._give_up("answer")
            return
        self.data = data

    def _send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(FRAME)

    def _give_up(self, kind: str) -> None:
        self.load.error(kind)
        self.transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        if self.load.running:
            self.load.error("closed")


async def run(port: int, connections: int, seconds: float) -> Outcome:
    load, loop = Load(), asyncio.get_running_loop()
    peers = [await loop.create_connection(lambda: Peer(load), "127.0.0.1", port) for _ in range(connections)]
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    load.running = False
    for transport, _ in peers:
        transport.abort()
    waits = sorted(load.waits)
    p99 = waits[len(waits) * 99 // 100] if waits else 0.0
    return Outcome(len(waits), took, p99, load.errors)


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))))
