"""Every option of corn, each declared once.

`Config` is frozen and holds plain values only: it travels to templates and workers as JSON, and a reload yields a
second one that is compared with the first. It opens, reads and checks nothing outside itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from corn.config.http_kinds import HeaderField, LineFormat, Network
from corn.config.kinds import (
    Address,
    ApplicationName,
    Choice,
    Integer,
    IntegerOrAuto,
    Many,
    Maybe,
    MaybeEmpty,
    Mode,
    Seconds,
    Size,
    Switch,
    Text,
    UrlPath,
)
from corn.config.options import Option, declared, option

APPLICATION = "Application"
ADDRESSES = "Addresses"
PROCESSES = "Processes"
RELOADS = "Reloads"
WORKER = "Worker"
HTTP = "HTTP"
LIMITS = "Limits"
TIMES = "Times"
LOGS = "Logs"

MAX_WORKERS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What corn was asked to do. Every field is an option; docs/reference/settings.md lists them."""

    app: str | None = option(
        None,
        Maybe(ApplicationName()),
        "The application: a module and the name in it, as in main:app.",
        APPLICATION,
        argument=True,
    )
    factory: bool = option(
        False, Switch(), "Call what the application string names; its result is the application.", APPLICATION
    )
    app_dir: str = option(".", Text("DIRECTORY"), "Where the application's modules are looked for first.", APPLICATION)
    env_file: tuple[str, ...] = option(
        (),
        Many(Text("FILE")),
        "Read the application's environment variables from FILE, anew on each reload; may be repeated.",
        APPLICATION,
    )

    host: str = option("127.0.0.1", Text("HOST"), "Address or host name to listen on.", ADDRESSES, reloadable=False)
    port: int = option(8000, Integer(0, 65535), "Port to listen on; 0 picks a free one.", ADDRESSES, reloadable=False)
    bind: tuple[str, ...] = option(
        (),
        Many(Address()),
        "Listen on ADDRESS instead: host:port, [::1]:port, unix:path or fd://N; may be repeated.",
        ADDRESSES,
        short="b",
        reloadable=False,
    )
    uds: str | None = option(
        None, Maybe(Text("PATH")), "Listen on a Unix socket instead of a port.", ADDRESSES, reloadable=False
    )
    uds_mode: int = option(0o666, Mode(), "Permissions of Unix sockets.", ADDRESSES, reloadable=False)
    fd: int | None = option(
        None,
        Maybe(Integer(0, 65535)),
        "Listen on an inherited file descriptor instead of a port.",
        ADDRESSES,
        reloadable=False,
    )
    backlog: int = option(
        2048,
        Integer(1, 65535),
        "Connections the kernel holds for corn before it refuses more.",
        ADDRESSES,
        reloadable=False,
    )

    workers: int | str = option(
        1,
        IntegerOrAuto(1, MAX_WORKERS),
        "Worker processes; auto takes one for each CPU that the process may use by affinity and cgroup quota, and no "
        "more than one for each 256 MiB of memory.",
        PROCESSES,
        short="w",
        variables=("WEB_CONCURRENCY",),
    )
    preload: str = option(
        "auto",
        Choice(("auto", "app", "deps", "none")),
        "What the template loads before workers are forked from it: the application, only the packages it uses, or "
        "nothing. auto takes the most that is safe to fork.",
        PROCESSES,
    )

    health_path: str | None = option(
        None,
        Maybe(UrlPath()),
        "On a reload, ask the new code for this path first; an answer of 500 or above refuses it.",
        RELOADS,
    )
    soak: float = option(
        2.0,
        Seconds(),
        "On a reload, how long the first new worker serves beside the old ones before more follow.",
        RELOADS,
    )
    rollback_window: float = option(
        300.0, Seconds(), "After a reload, how long the previous code is kept in memory to return to.", RELOADS
    )
    user: str | None = option(
        None,
        Maybe(Text("NAME")),
        "Run as this user, by name or number, once the addresses and the pidfile are open; needs root.",
        PROCESSES,
        reloadable=False,
    )
    group: str | None = option(
        None,
        Maybe(Text("NAME")),
        "Run as this group, by name or number, instead of the user's own; needs root.",
        PROCESSES,
        reloadable=False,
    )
    umask: int | None = option(
        None,
        Maybe(Mode()),
        "Permissions that files made by corn and the application do not get.",
        PROCESSES,
        reloadable=False,
    )
    chdir: str = option(
        ".",
        Text("DIRECTORY"),
        "Work in DIRECTORY: relative paths in other options begin there. The configuration file is looked for before.",
        PROCESSES,
    )
    pid: str | None = option(
        None,
        Maybe(Text("FILE")),
        "Write the master's process id to FILE while corn serves; refused if another living master's is there.",
        PROCESSES,
        reloadable=False,
    )
    daemon: bool = option(
        False,
        Switch(),
        "Go to the background; the command ends when the service is ready, or tells why it is not. Output that was "
        "redirected to a file goes on there, other output is dropped.",
        PROCESSES,
        reloadable=False,
    )

    hooks: str | None = option(
        None,
        Maybe(Text("FILE")),
        "Call the functions of a Python file when something happens to the service; see docs/reference/hooks.md.",
        PROCESSES,
    )

    loop: str = option("uvloop", Choice(("uvloop", "asyncio")), "Event loop.", WORKER)
    lifespan: str = option(
        "auto", Choice(("auto", "on", "off")), "Run the application's lifespan; auto does when it has one.", WORKER
    )
    interface: str = option(
        "auto",
        Choice(("auto", "asgi3", "asgi2")),
        "How the application is called; auto looks at what it can be called with.",
        WORKER,
    )
    root_path: str = option("", MaybeEmpty("PATH"), "Path under which a proxy serves the application.", WORKER)

    proxy_headers: bool = option(
        True, Switch(), "Take the client's address and scheme from a trusted proxy's headers.", HTTP
    )
    proxy_fields: tuple[str, ...] = option(
        ("for", "proto"),
        Many(Choice(("for", "proto", "host", "port", "prefix", "forwarded"))),
        "Which X-Forwarded-* fields are taken, or forwarded for RFC 7239 instead; the proxy must set or remove each.",
        HTTP,
    )
    forwarded_allow_ips: tuple[str, ...] = option(
        ("127.0.0.1/32", "::1/128"),
        Many(Network()),
        "Proxies whose headers are trusted: addresses, networks, or *. Peers on a Unix socket are.",
        HTTP,
        variables=("FORWARDED_ALLOW_IPS",),
    )
    proxy_protocol: bool = option(
        False, Switch(), "Expect the PROXY protocol, version 1 or 2, at the start of connections from proxies.", HTTP
    )
    proxy_protocol_allow_ips: tuple[str, ...] = option(
        ("127.0.0.1/32", "::1/128"),
        Many(Network()),
        "Proxies that speak the PROXY protocol; nobody else may. Peers on a Unix socket do.",
        HTTP,
    )
    header: tuple[str, ...] = option(
        (), Many(HeaderField()), "Send this header with every response; may be repeated.", HTTP
    )
    server_header: bool = option(True, Switch(), "Send a Server header.", HTTP)
    date_header: bool = option(True, Switch(), "Send a Date header.", HTTP)

    limit_max_requests: int | None = option(
        None, Maybe(Integer(1, 10**9)), "Replace a worker after this many requests.", LIMITS
    )
    limit_max_requests_jitter: int = option(
        0, Integer(0, 10**9), "Add up to this many requests to the limit, chosen by chance for each worker.", LIMITS
    )

    limit_header_size: int = option(
        65536, Size(1024), "Largest head of a request: request line and header fields together.", LIMITS
    )
    limit_header_count: int = option(100, Integer(1, 10000), "Most header fields in a request.", LIMITS)
    limit_body: int | None = option(
        None, Maybe(Size()), "Largest body of a request; a larger one is answered with 413.", LIMITS
    )
    limit_concurrency: int | None = option(
        None,
        Maybe(Integer(1, 10**6)),
        "Most requests a worker answers at a time; one more is answered with 503.",
        LIMITS,
    )
    limit_connections: int | None = option(
        None,
        Maybe(Integer(1, 10**6)),
        "Most connections of a worker; more are left to the other workers, or wait.",
        LIMITS,
    )

    limit_lifetime: float | None = option(
        None, Maybe(Seconds(1)), "Replace a worker after this time, and up to a tenth more by chance.", LIMITS
    )
    limit_memory: int | None = option(
        None,
        Maybe(Size(1 << 20)),
        "Replace a worker that holds more memory than this (PSS) for several samples.",
        LIMITS,
    )
    limit_memory_hard: int | None = option(
        None, Maybe(Size(1 << 20)), "Stop a worker at once that holds more memory than this (PSS).", LIMITS
    )
    limit_memory_total: int | None = option(
        None, Maybe(Size(1 << 20)), "Replace the largest worker when all processes hold more than this (PSS).", LIMITS
    )
    min_worker_lifetime: float = option(1.0, Seconds(), "No worker is replaced for a limit before this time.", LIMITS)

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
        Maybe(Seconds(0.1)),
        "Longest time for the application to answer a request; then it is cancelled, and 503 answered.",
        TIMES,
    )
    timeout_body: float = option(30.0, Seconds(0.1), "Longest silence within a request's body.", TIMES)
    timeout_send: float = option(
        30.0, Seconds(0.1), "Longest time in which a client takes nothing of its response.", TIMES
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

    log_level: str = option(
        "info", Choice(("debug", "info", "warning", "error")), "Least severity that is logged.", LOGS
    )
    access_log: bool = option(True, Switch(), "Log each request.", LOGS)
    access_log_file: str | None = option(
        None, Maybe(Text("FILE")), "Append the access log to FILE; it goes to standard output otherwise.", LOGS
    )
    access_log_format: str | None = option(
        None, Maybe(LineFormat()), "What a line of the access log holds, in gunicorn's atoms.", LOGS
    )
    log_format: str = option("text", Choice(("text", "json")), "How lines are written.", LOGS)
    color: str = option(
        "auto", Choice(("auto", "always", "never")), "Colour in the log; auto colours a terminal.", LOGS
    )

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON can carry them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Config:
        """What `to_json` gave, with lists become tuples again."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**plain)


OPTIONS: tuple[Option, ...] = declared(Config)
