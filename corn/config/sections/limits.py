"""Options of limits and timeouts."""

from __future__ import annotations

from corn.config.options import option, section
from corn.config.types import Integer, Nullable, Seconds, Size

LIMITS = "Limits"
TIMES = "Times"


@section
class LimitsOptions:
    limit_max_requests: int | None = option(
        None, Nullable(Integer(1, 10**9)), "Replace a worker after this many requests; unlimited by default.", LIMITS
    )
    limit_max_requests_jitter: int = option(
        0, Integer(0, 10**9), "Add a random number of requests up to this to --limit-max-requests, per worker.", LIMITS
    )
    limit_max_messages: int | None = option(
        None,
        Nullable(Integer(1, 10**12)),
        "Replace a worker after this many WebSocket messages received, plus up to 10 % at random; unlimited "
        "by default.",
        LIMITS,
    )
    limit_header_size: int = option(
        65536, Size(1024), "Maximum size of a request's head: request line and header fields together.", LIMITS
    )
    limit_header_count: int = option(100, Integer(1, 10000), "Maximum number of header fields in a request.", LIMITS)
    limit_body: int | None = option(
        None, Nullable(Size()), "Maximum size of a request body; a larger one gets 413. Unlimited by default.", LIMITS
    )
    min_body_rate: int = option(
        240,
        Size(),
        "Minimum upload rate in bytes per second, averaged over --timeout-body; time in which the application"
        " does not read is not counted. 0 disables.",
        LIMITS,
    )
    min_send_rate: int = option(
        240,
        Size(),
        "Minimum rate, in bytes per second over --timeout-send, at which a client must read buffered output; a"
        " slower one is disconnected. 0 accepts any progress.",
        LIMITS,
    )
    limit_concurrency: int | None = option(
        None,
        Nullable(Integer(1, 10**6)),
        "Maximum concurrent requests per worker; excess requests get 503. Unlimited by default.",
        LIMITS,
    )
    limit_connections: int | None = option(
        None,
        Nullable(Integer(1, 10**6)),
        "Maximum connections per worker; further ones are left to other workers or wait. Unlimited by default.",
        LIMITS,
    )
    http2_max_concurrent_streams: int = option(
        100, Integer(1, 10000), "Maximum concurrent requests per HTTP/2 connection.", LIMITS
    )
    http2_max_frame_size: int = option(
        16384,
        Size(16384, (1 << 24) - 1),
        "Largest HTTP/2 frame that a client may send. Larger frames cost less for uploads; "
        "--http2-initial-stream-window-size bounds them too.",
        LIMITS,
    )
    http2_initial_stream_window_size: int = option(
        256 * 1024,
        Size(16384, (1 << 31) - 1),
        "HTTP/2 receive window per request: how much of a body is buffered before the application reads it.",
        LIMITS,
    )
    http2_initial_connection_window_size: int = option(
        1 << 20,
        Size(65535, (1 << 31) - 1),
        "HTTP/2 receive window of a connection, shared by its requests.",
        LIMITS,
    )
    limit_lifetime: float | None = option(
        None,
        Nullable(Seconds(1)),
        "Replace a worker after this time, plus up to 10 % at random; unlimited by default.",
        LIMITS,
        needs_master=True,
    )
    limit_memory: int | None = option(
        None,
        Nullable(Size(1 << 20)),
        "Replace a worker whose memory (PSS) exceeds this for several samples; unlimited by default.",
        LIMITS,
        needs_master=True,
    )
    limit_memory_hard: int | None = option(
        None,
        Nullable(Size(1 << 20)),
        "Kill a worker at once when its memory (PSS) exceeds this; unlimited by default.",
        LIMITS,
        needs_master=True,
    )
    limit_memory_total: int | None = option(
        None,
        Nullable(Size(1 << 20)),
        "Replace the largest worker when the memory (PSS) of all processes exceeds this; unlimited by default.",
        LIMITS,
        needs_master=True,
    )
    min_worker_lifetime: float = option(
        1.0, Seconds(), "Minimum age of a worker before a limit may replace it.", LIMITS, needs_master=True
    )


@section
class TimesOptions:
    timeout_boot: float = option(
        60.0, Seconds(0.1), "Maximum time for loading the application and its lifespan startup.", TIMES
    )
    timeout_worker: float = option(
        30.0,
        Seconds(),
        "Replace a worker whose event loop is blocked for this long; 0 disables.",
        TIMES,
        needs_master=True,
    )
    timeout_keep_alive: float = option(5.0, Seconds(), "Maximum time to keep an idle connection open.", TIMES)
    timeout_header: float = option(10.0, Seconds(0.1), "Maximum time to receive a request's head.", TIMES)
    timeout_request: float | None = option(
        None,
        Nullable(Seconds(0.1)),
        "Maximum time for the application to answer a request; then it gets 503. Unlimited by default.",
        TIMES,
    )
    timeout_body: float = option(
        30.0,
        Seconds(0.1),
        "Maximum idle time between reads of a request body (see --min-body-rate).",
        TIMES,
    )
    timeout_send: float = option(
        30.0, Seconds(0.1), "Maximum time in which a client accepts none of its response.", TIMES
    )
    drain_delay: float = option(
        0.0,
        Seconds(),
        "On TERM, keep accepting connections for this time before the shutdown begins, so that load balancers"
        " notice. A second TERM, INT or QUIT ends the delay.",
        TIMES,
        needs_master=True,
    )
    timeout_graceful_shutdown: float = option(
        30.0,
        Seconds(),
        "Maximum time for in-flight requests to finish when their worker drains; then they are cancelled.",
        TIMES,
    )
    timeout_streams: float | None = option(
        None,
        Nullable(Seconds()),
        "Maximum time for responses without a Content-Length, such as server-sent events, to continue when their "
        "worker drains; then they are cancelled. --timeout-graceful-shutdown by default.",
        TIMES,
    )
    timeout_lifespan_shutdown: float = option(
        5.0, Seconds(0.1), "Maximum time for the application's lifespan shutdown.", TIMES
    )
    timeout_hook: float = option(
        10.0,
        Seconds(0.1),
        "Maximum time for a function of the hooks file to run; then the hooks process is replaced.",
        TIMES,
        needs_master=True,
    )
