"""StatsD reporter: the status as counters and gauges in UDP datagrams, every second.

With tags, lines have the format of DogStatsD, and status classes and reasons are tags. Without tags, they are parts of
the name, which every StatsD server accepts. Counters are sent as increments since the last report. Sending never
blocks: a datagram that cannot be sent at once is dropped.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from corn.config import Config
from corn.config.addresses import TcpAddress, UnixAddress, parse_address
from corn.errors import ConfigError

_INTERVAL = 1.0
_MAX_DATAGRAM = 1400  # bytes of a datagram, so that it is not fragmented
_CLASSES = (1, 2, 3, 4, 5)

Status = dict[str, Any]
Line = tuple[str, str, float, str]  # name, tag as "key:value" or "", value, type


class StatsdReporter:
    """Sender of `status` to the address of option statsd; raises ConfigError if its host cannot be resolved."""

    def __init__(self, config: Config, status: Callable[[], Status]) -> None:
        self._status = status
        self._prefix = config.statsd_prefix
        self._tags = ",".join(config.statsd_tags)
        self._family, self._address = _resolve(config.statsd or "")
        self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._counted: dict[tuple[str, str], float] = {}
        self._next = time.monotonic()

    def next_at(self) -> float | None:
        return self._next

    def tick(self, now: float) -> None:
        """Send a report if it is due."""
        if now >= self._next:
            self._next = now + _INTERVAL
            self._report()

    def finish(self) -> None:
        """Send the counts since the last report."""
        self._report()
        self._socket.close()

    def _report(self) -> None:
        datagram = b""
        for line in self._lines():
            if datagram and len(datagram) + len(line) > _MAX_DATAGRAM:
                self._send(datagram)
                datagram = b""
            datagram += (b"\n" if datagram else b"") + line
        self._send(datagram)

    def _send(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):  # no server listens, or the send buffer is full
            self._socket.sendto(datagram, self._address)

    def _lines(self) -> Iterator[bytes]:
        for name, distinct, value, kind in _measured(self._status()):
            sent = self._increase(name, distinct, value) if kind == "c" else value
            if sent or kind == "g":
                yield self._line(name, distinct, sent, kind).encode()

    def _increase(self, name: str, distinct: str, value: float) -> float:
        before = self._counted.get((name, distinct), 0.0)
        self._counted[name, distinct] = value
        return value - before if value >= before else value

    def _line(self, name: str, distinct: str, value: float, kind: str) -> str:
        key, _, word = distinct.partition(":")
        full = f"{self._prefix}.{name}" if self._prefix else name
        if not self._tags:
            return f"{full}.{word}:{_number(value)}|{kind}" if word else f"{full}:{_number(value)}|{kind}"
        tags = f"{self._tags},{key}:{word}" if word else self._tags
        return f"{full}:{_number(value)}|{kind}|#{tags}"


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _measured(status: Status) -> Iterator[Line]:
    counted = status["counted"]
    for digit in _CLASSES:
        yield "requests", f"class:{digit}xx", counted["statuses"][digit], "c"
    yield "requests", "class:other", sum(counted["statuses"]) - sum(counted["statuses"][1:6]), "c"
    yield "request_seconds", "", counted["busy"], "c"
    yield "response_body_bytes", "", counted["sent"], "c"
    yield "requests_in_flight", "", counted["active"], "g"
    yield "connections", "", counted["connections"], "g"
    yield "workers_target", "", status["target"], "g"
    yield "workers_ready", "", status["ready"], "g"
    yield "generation", "", status["generation"] or 0, "g"
    yield "loop_lag_seconds", "", max((each["counted"]["lag"] for each in status["workers"]), default=0.0), "g"
    yield "worker_busy_ratio", "", max((each["busy"] for each in status["workers"]), default=0.0), "g"
    yield from _by("worker_restarts", "reason", status["restarts"])
    yield from _by("reloads", "result", status["reloads"])


def _by(name: str, key: str, counts: Mapping[str, int]) -> Iterator[Line]:
    for word, number in counts.items():
        yield name, f"{key}:{word.replace(' ', '_')}", number, "c"


def _resolve(text: str) -> tuple[int, Any]:
    address = parse_address(text)
    if isinstance(address, UnixAddress):
        return socket.AF_UNIX, "\0" + address.path[1:] if address.is_abstract else address.path
    assert isinstance(address, TcpAddress)
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise ConfigError(f"--statsd: the host '{address.host}' is not known") from None
    return found[0][0], found[0][4]
