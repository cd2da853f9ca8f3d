"""Amounts and times that nothing may exceed."""

from __future__ import annotations

from dataclasses import dataclass

from corn.config.options import option
from corn.config.types import Integer, Nullable, Seconds, Size

LIMITS = "Limits"
TIMES = "Times"


@dataclass(frozen=True, kw_only=True)
class LimitsOptions:
    limit_max_requests: int | None = option(
        None, Nullable(Integer(1, 10**9)), "Replace a worker after this many requests.", LIMITS
    )
    limit_max_requests_jitter: int = option(
        0, Integer(0, 10**9), "Add up to this many requests to the limit, chosen by chance for each worker.", LIMITS
    )
    limit_max_messages: int | None = option(
        None,
        Nullable(Integer(1, 10**12)),
        "Replace a worker after it received this many WebSocket messages, and up to a tenth more by chance.",
        LIMITS,
    )
    limit_header_size: int = option(
        65536, Size(1024), "Largest head of a request: request line and header fields together.", LIMITS
    )
    limit_header_count: int = option(100, Integer(1, 10000), "Most header fields in a request.", LIMITS)
    limit_body: int | None = option(
        None, Nullable(Size()), "Largest body of a request; a larger one is answered with 413.", LIMITS
    )
    min_body_rate: int = option(
        240,
        Size(),
        "Least bytes a second of a request's body, on the average of --timeout-body; time in which the application "
        "does not read does not count. 0 for any.",
        LIMITS,
    )
    limit_concurrency: int | None = option(
        None,
        Nullable(Integer(1, 10**6)),
        "Most requests a worker answers at a time; one more is answered with 503.",
        LIMITS,
    )
    limit_connections: int | None = option(
        None,
        Nullable(Integer(1, 10**6)),
        "Most connections of a worker; more are left to the other workers, or wait.",
        LIMITS,
    )
    http2_max_concurrent_streams: int = option(
        100, Integer(1, 10000), "Most requests that a connection of HTTP/2 may have in progress.", LIMITS
    )
    http2_initial_stream_window_size: int = option(
        256 * 1024,
        Size(16384, (1 << 31) - 1),
        "Most of a request's body over HTTP/2 that is taken before the application reads it.",
        LIMITS,
    )
    http2_initial_connection_window_size: int = option(
        1 << 20,
        Size(65535, (1 << 31) - 1),
        "The same for all requests of a connection together.",
        LIMITS,
    )
    limit_lifetime: float | None = option(
        None, Nullable(Seconds(1)), "Replace a worker after this time, and up to a tenth more by chance.", LIMITS
    )
    limit_memory: int | None = option(
        None,
        Nullable(Size(1 << 20)),
        "Replace a worker that holds more memory than this (PSS) for several samples.",
        LIMITS,
    )
    limit_memory_hard: int | None = option(
        None, Nullable(Size(1 << 20)), "Stop a worker at once that holds more memory than this (PSS).", LIMITS
    )
    limit_memory_total: int | None = option(
        None,
        Nullable(Size(1 << 20)),
        "Replace the largest worker when all processes hold more than this (PSS).",
        LIMITS,
    )
    min_worker_lifetime: float = option(1.0, Seconds(), "No worker is replaced for a limit before this time.", LIMITS)


@dataclass(frozen=True, kw_only=True)
class TimesOptions:
    timeout_boot: float = option(
        60.0, Seconds(0.1), "Longest time for loading the application and for its lifespan start-up.", TIMES
    )
    timeout_worker: float = option(
        30.0, Seconds(), "Longest time in which a worker's event loop does not turn; 0 for any.", TIMES
    )
    timeout_keep_alive: float = option(5.0, Seconds(), "How long an idle connection is kept.", TIMES)
    timeout_header: float = option(10.0, Seconds(0.1), "Longest time for a request's head to arrive.", TIMES)
    timeout_request: float | None = option(
        None,
        Nullable(Seconds(0.1)),
        "Longest time for the application to answer a request; then it is cancelled, and 503 answered.",
        TIMES,
    )
    timeout_body: float = option(
        30.0,
        Seconds(0.1),
        "Longest silence within a request's body, and how far it may fall behind --min-body-rate.",
        TIMES,
    )
    timeout_send: float = option(
        30.0, Seconds(0.1), "Longest time in which a client takes nothing of its response.", TIMES
    )
    drain_delay: float = option(
        0.0,
        Seconds(),
        "On TERM, go on accepting connections for this time before the stop begins, so that load balancers can learn "
        "of it. A second TERM, INT or QUIT ends the wait.",
        TIMES,
    )
    timeout_graceful_shutdown: float = option(
        30.0, Seconds(), "How long requests in flight may go on when their worker is asked to leave.", TIMES
    )
    timeout_lifespan_shutdown: float = option(
        5.0, Seconds(0.1), "Longest time for the application's lifespan shutdown.", TIMES
    )
    timeout_hook: float = option(
        10.0, Seconds(0.1), "Longest time for a function of the hooks file; then its process is replaced.", TIMES
    )
