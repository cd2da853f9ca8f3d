"""Benchmark cases: an application, a request, and a probe that measures the server (see `probes.py`).

`headline` is the measure that represents the case in one figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.apps import HELLO, ONE_MIB, PIECE, TEN_KIB

QUIET, LOGGED, DEFAULT = "quiet", "logged", "default"

PER_CPU, RATE, P99, BUSY, STRANGERS = "per_cpu", "rate", "p99_ms", "busy", "strangers"
P50, P999 = "p50_ms", "p999_ms"
PSS, CONNECTION, BUSIEST = "pss_mib", "connection_kib", "busiest"

BODY_1_KIB = b"y" * 1024
FASTAPI = "benchmarks.fastapi_app:app"
PLAIN = "benchmarks.apps:plain"

# Header fields of a browser with a session cookie.
TEN_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": "http://127.0.0.1/",
    "Cookie": "session=0123456789abcdef0123456789abcdef; theme=dark",
    "Cache-Control": "max-age=0",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Upgrade-Insecure-Requests": "1",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the results."""

    name: str
    title: str
    app: str = PLAIN
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    answer: bytes | None = HELLO  # None: not checked
    setup: str = QUIET
    workers: int = 1
    probe: str = "load"
    headline: str = PER_CPU
    pinned: bool = True
    bare: bool = False  # also run with the bare protocol
    secure: bool = False  # over TLS
    varying: bool = False  # sixteen fields of a browser behind a proxy, of which a third differ from request to request
    proxied: bool = False  # through a HAProxy, which keeps its connections to the server

    def address(self, port: int) -> str:
        """URL of the request."""
        return f"{'https' if self.secure else 'http'}://127.0.0.1:{port}{self.path}"

    is_wsgi: bool = False


def _fastapi(name: str, title: str, **more: Any) -> Case:
    answer = b'{"item_id":42,"q":"corn","limit":5}'
    return Case(name=name, title=title, app=FASTAPI, path="/items/42?q=corn&limit=5", answer=answer, **more)


CASES = (
    Case(name="browser", title="browser behind a proxy, varying", varying=True),
    _fastapi("fastapi-browser", "FastAPI, browser, varying", varying=True),
    _fastapi("proxied", "FastAPI through HAProxy, varying", varying=True, proxied=True),
    Case(name="plain", title="plain, repeated", bare=True),
    Case(name="headers", title="plain, ten more headers, repeated", headers=TEN_HEADERS, bare=True),
    Case(
        name="echo",
        title="POST echo, 1 KiB",
        app="benchmarks.apps:echo",
        method="POST",
        body=BODY_1_KIB,
        answer=BODY_1_KIB,
    ),
    Case(name="chunks", title="ten chunks", app="benchmarks.apps:ten_chunks", answer=PIECE * 10),
    Case(name="10k", title="10 KiB", app="benchmarks.apps:ten_kib", answer=TEN_KIB),
    Case(name="1m", title="1 MiB", app="benchmarks.apps:one_mib", answer=ONE_MIB),
    Case(name="sleep", title="10 ms sleep", app="benchmarks.apps:sleep"),
    _fastapi("fastapi", "FastAPI, path and query, repeated"),
    _fastapi("fixed-rate", "FastAPI, half of the slowest server's rate", probe="rate", headline=P99),
    Case(name="close", title="connection per request", headers={"Connection": "close"}),
    Case(name="tls", title="plain, over TLS", secure=True),
    Case(name="tls-10k", title="10 KiB, over TLS", app="benchmarks.apps:ten_kib", answer=TEN_KIB, secure=True),
    Case(name="tls-close", title="TLS connection per request", headers={"Connection": "close"}, secure=True),
    Case(name="http2", title="HTTP/2, 8 connections, 16 streams", secure=True, probe="http2"),
    Case(
        name="http2-10k",
        title="HTTP/2, 10 KiB",
        app="benchmarks.apps:ten_kib",
        answer=TEN_KIB,
        secure=True,
        probe="http2",
    ),
    Case(name="close-4", title="connection per request, 4 workers", headers={"Connection": "close"}, workers=4),
    *(
        Case(name=f"plain-{n}", title=f"plain, repeated, {n} workers", workers=n, headline=RATE, pinned=False)
        for n in (2, 4, 8)
    ),
    Case(name="plain-log", title="plain, access log on", setup=LOGGED),
    _fastapi("fastapi-log", "FastAPI, access log on", setup=LOGGED),
    Case(name="plain-default", title="plain, each server's default", setup=DEFAULT),
    _fastapi("fastapi-default", "FastAPI, each server's default", setup=DEFAULT),
    Case(name="wsgi", title="WSGI, 10 threads", app="benchmarks.wsgi_apps:plain", is_wsgi=True),
    Case(
        name="flask",
        title="Flask, 10 threads",
        app="benchmarks.wsgi_apps:flask",
        path="/items/42?q=corn",
        answer=b'{"item_id":42,"q":"corn"}\n',
        is_wsgi=True,
    ),
    Case(name="websocket", title="WebSocket echo, 64 bytes", app="benchmarks.apps:websocket", probe="websocket"),
    Case(name="idle", title="idle service", probe="idle", headline=PSS),
    Case(name="idle-4", title="idle service, 4 workers", workers=4, probe="idle", headline=PSS),
    _fastapi("idle-fastapi", "idle service, FastAPI", probe="idle", headline=PSS),
    Case(
        name="idle-fastapi-4",
        title="idle service, FastAPI, 4 workers",
        app=FASTAPI,
        path="/items/42?q=corn&limit=5",
        answer=None,
        workers=4,
        probe="idle",
        headline=PSS,
    ),
    Case(name="connections", title="idle keep-alive connection", probe="connections", headline=CONNECTION),
    Case(
        name="balance",
        title="64 connections over 4 workers, most over mean",
        app="benchmarks.apps:whoami",
        answer=None,
        workers=4,
        probe="balance",
        headline=BUSIEST,
        pinned=False,
    ),
)

UNITS = {
    PER_CPU: "requests per CPU-second",
    RATE: "requests per second",
    P50: "p50, ms",
    P99: "p99, ms",
    P999: "p99.9, ms",
    PSS: "PSS, MiB",
    CONNECTION: "KiB",
    BUSIEST: "busiest worker / mean",
}
