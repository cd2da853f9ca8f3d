"""Probes: measurements of a running server. Each returns its figures, and errors that invalidate them."""

from __future__ import annotations

import collections
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import h2load, websocket_load, wrk
from benchmarks.cases import BUSIEST, BUSY, CONNECTION, LOGGED, P50, P99, P999, PER_CPU, PSS, RATE, STRANGERS, Case
from benchmarks.contention import Watch
from benchmarks.response_check import announces_close, raw_request
from benchmarks.service import Service

CONNECTIONS = 64
_IDLE_CONNECTIONS = 2000
_WARM_UP = 1  # seconds, the least that wrk knows

Figures = dict[str, float]
Faults = tuple[str, ...]


@dataclass(frozen=True)
class Client:
    """Client: its core, the duration of its load, and the cores on which nothing else should run meanwhile."""

    core: int
    seconds: int
    cores: tuple[int, ...]
    rate: int = 2000  # requests per second, in cases at a fixed rate


def look(service: Service, case: Case, client: Client) -> tuple[Figures, Faults]:
    """Figures of one run, by measure."""
    return _PROBES[case.probe](service, case, client)


def _load(service: Service, case: Case, client: Client) -> tuple[Figures, Faults]:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        text = wrk.VARYING if case.varying else wrk.script(case.method, case.body) if case.body else ""
        script.write(text)
        script.flush()
        name = script.name if text else ""
        _wrk(service, case, client.core, _WARM_UP, name)
        lines, watch, before = service.log_lines(), Watch(client.cores), service.cpu_seconds()
        load = _wrk(service, case, client.core, client.seconds, name)
        spent = service.cpu_seconds() - before
        strangers = watch.strangers(spent)
    faults = _faults(service, case, load)
    if case.setup == LOGGED and service.log_lines() - lines < load.requests:
        faults.append("lines are missing in the access log")
    figures = {PER_CPU: load.requests / spent, RATE: load.requests / load.seconds, P99: load.p99 * 1000}
    return figures | {BUSY: spent / load.seconds, STRANGERS: strangers / load.seconds}, tuple(faults)


def _faults(service: Service, case: Case, load: wrk.Load) -> list[str]:
    """Errors that wrk has counted, except one kind.

    If a server closes the connection as requested, but without announcing it in the response, wrk counts a read error
    for each complete response.
    """
    errors = dict(load.errors)
    if "close" in case.headers.values() and not announces_close(case, service.port):
        errors["read"] = max(0, errors.get("read", 0) - load.requests - CONNECTIONS)
    return [f"{count} {kind} errors" for kind, count in errors.items() if count]


def _wrk(service: Service, case: Case, core: int, seconds: int, script: str) -> wrk.Load:
    url = case.address(service.front or service.port)
    line = wrk.command(url, connections=CONNECTIONS, seconds=seconds, headers=case.headers, script=script)
    done = subprocess.run(
        ["taskset", "--cpu-list", str(core), *line], capture_output=True, text=True, timeout=seconds + 30, check=False
    )
    return wrk.parse(done.stdout + done.stderr)


def _websocket(service: Service, _case: Case, client: Client) -> tuple[Figures, Faults]:
    """Load of WebSocket messages."""
    _messages(service, client.core, _WARM_UP)
    watch, before = Watch(client.cores), service.cpu_seconds()
    load = _messages(service, client.core, client.seconds)
    spent = service.cpu_seconds() - before
    strangers = watch.strangers(spent)
    faults = tuple(f"{count} {kind} errors" for kind, count in load.errors.items())
    figures = {PER_CPU: load.messages / spent, RATE: load.messages / load.seconds, P99: load.p99 * 1000}
    return figures | {BUSY: spent / load.seconds, STRANGERS: strangers / load.seconds}, faults


def _messages(service: Service, core: int, seconds: int) -> websocket_load.Outcome:
    line = [sys.executable, "-m", "benchmarks.websocket_load", str(service.port), str(CONNECTIONS), str(seconds)]
    done = subprocess.run(
        ["taskset", "--cpu-list", str(core), *line], capture_output=True, text=True, timeout=seconds + 30, check=True
    )
    return websocket_load.Outcome(**json.loads(done.stdout))


def _http2(service: Service, case: Case, client: Client) -> tuple[Figures, Faults]:
    """Load of HTTP/2 requests: many streams on few connections."""
    _h2load(service, case, client.core, _WARM_UP)
    watch, before = Watch(client.cores), service.cpu_seconds()
    load = _h2load(service, case, client.core, client.seconds)
    spent = service.cpu_seconds() - before
    strangers = watch.strangers(spent)
    faults = tuple(f"{count} {kind} errors" for kind, count in load.errors.items())
    figures = {PER_CPU: load.requests / spent, RATE: load.requests / load.seconds, P99: load.p99 * 1000}
    return figures | {BUSY: spent / load.seconds, STRANGERS: strangers / load.seconds}, faults


def _h2load(service: Service, case: Case, core: int, seconds: int) -> wrk.Load:
    with tempfile.NamedTemporaryFile("r") as log:
        line = h2load.command(case.address(service.port), seconds=seconds, log=log.name)
        done = subprocess.run(
            ["taskset", "--cpu-list", str(core), *line],
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
        )
        return h2load.parse(done.stdout + done.stderr, log, seconds=seconds)


def _rate(service: Service, case: Case, client: Client) -> tuple[Figures, Faults]:
    """Latency at a fixed rate, without queueing."""
    _rated(service, case, client, _WARM_UP)
    watch, before = Watch(client.cores), service.cpu_seconds()
    load, lines = _rated(service, case, client, client.seconds)
    spent = service.cpu_seconds() - before
    faults = tuple(f"{count} {kind} errors" for kind, count in load.errors.items())
    figures = {RATE: load.requests / load.seconds, P50: h2load.percentile(lines, 0.5)}
    figures |= {P99: h2load.percentile(lines, 0.99), P999: h2load.percentile(lines, 0.999)}
    return figures | {STRANGERS: watch.strangers(spent) / load.seconds}, faults


def _rated(service: Service, case: Case, client: Client, seconds: int) -> tuple[wrk.Load, list[str]]:
    with tempfile.NamedTemporaryFile("r") as log:
        line = h2load.command_at_rate(case.address(service.port), rate=client.rate, seconds=seconds, log=log.name)
        pinned = ["taskset", "--cpu-list", str(client.core), *line]
        done = subprocess.run(pinned, capture_output=True, text=True, timeout=seconds + 30, check=False)
        lines = log.readlines()
        return h2load.parse(done.stdout + done.stderr, lines, seconds=seconds, protocol="http/1.1"), lines


def _idle(service: Service, case: Case, _client: Client) -> tuple[Figures, Faults]:
    for peer in _connect(service, case, CONNECTIONS):
        peer.close()
    time.sleep(1)
    return {PSS: service.pss() / (1 << 20)}, ()


def _connections(service: Service, case: Case, _client: Client) -> tuple[Figures, Faults]:
    """Memory of an idle connection after one request, without the memory of the kernel."""
    for peer in _connect(service, case, CONNECTIONS):
        peer.close()
    time.sleep(0.5)
    before = service.pss()
    peers = _connect(service, case, _IDLE_CONNECTIONS)
    time.sleep(0.5)
    added = service.pss() - before
    closed = sum(_is_closed(peer) for peer in peers)
    for peer in peers:
        peer.close()
    faults = (f"{closed} idle connections were closed",) if closed else ()
    return {CONNECTION: added / 1024 / len(peers)}, faults


def _balance(service: Service, case: Case, _client: Client) -> tuple[Figures, Faults]:
    """Balance of 64 connections that are opened at once: the share of the busiest worker divided by the mean."""
    peers = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(CONNECTIONS)]
    holders = collections.Counter(_ask(peer, case).rpartition(b"\r\n\r\n")[2] for peer in peers)
    for peer in peers:
        peer.close()
    return {BUSIEST: max(holders.values()) * case.workers / CONNECTIONS}, ()


def _connect(service: Service, case: Case, count: int) -> list[socket.socket]:
    """Idle connections that have each received one response."""
    peers = []
    for _ in range(count):
        peer = socket.create_connection(("127.0.0.1", service.port), timeout=10)
        _ask(peer, case)
        peers.append(peer)
    return peers


def _ask(peer: socket.socket, case: Case) -> bytes:
    peer.settimeout(10)
    peer.sendall(raw_request(case))
    answer = b""
    while not _is_whole(answer):
        data = peer.recv(65536)
        if not data:
            raise ConnectionError("closed before the response was complete")
        answer += data
    return answer


def _is_whole(answer: bytes) -> bool:
    """True if a response with a Content-Length is complete."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


def _is_closed(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        return peer.recv(1) == b""
    except BlockingIOError:
        return False


_PROBES: dict[str, Callable[[Service, Case, Client], tuple[Figures, Faults]]] = {
    "load": _load,
    "websocket": _websocket,
    "http2": _http2,
    "rate": _rate,
    "idle": _idle,
    "connections": _connections,
    "balance": _balance,
}
