"""Keyword arguments of `corn.serve`, `corn.Server` and `corn.run`, for type checkers.

Made by `python -m corn.config.reference` from corn/config/sections/. Do not edit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

StrPath = str | os.PathLike[str]


class EmbeddedOptions(TypedDict, total=False):
    """Options of an application that is served from the calling process."""

    factory: bool
    app_dir: StrPath
    host: str
    port: int
    bind: str | Sequence[str]
    uds: StrPath | None
    uds_mode: int | str
    fd: int | None
    backlog: int
    loop: Literal["uvloop", "asyncio"]
    lifespan: Literal["auto", "on", "off"]
    interface: Literal["auto", "asgi3", "asgi2", "wsgi"]
    wsgi_threads: int
    wsgi_header_map: Literal["drop", "refuse", "keep"]
    wsgi_buffer_body: int | str
    root_path: str
    root_path_stripped: Literal["auto", "yes", "no"]
    pathsend: bool
    ssl_certfile: StrPath | Sequence[StrPath]
    ssl_keyfile: StrPath | Sequence[StrPath]
    ssl_keyfile_password: str | None
    ssl_ca_certs: StrPath | None
    ssl_crl: StrPath | None
    ssl_cert_reqs: Literal["none", "optional", "required"] | int
    ssl_ciphers: str | None
    ssl_min_version: Literal["1.2", "1.3"]
    timeout_handshake: float
    redirect_bind: str | Sequence[str]
    static: str | Sequence[str]
    static_max_age: float
    static_immutable: str | Sequence[str]
    http: Literal["auto", "1", "2"]
    h2c_upgrade: bool
    proxy_headers: bool
    proxy_fields: Literal["for", "proto", "host", "port", "prefix", "forwarded"] | Sequence[Literal["for", "proto", "host", "port", "prefix", "forwarded"]]
    forwarded_allow_ips: str | Sequence[str]
    proxy_protocol: bool
    proxy_protocol_allow_ips: str | Sequence[str]
    header: str | Sequence[str]
    server_header: bool
    date_header: bool
    ws: Literal["auto", "none"]
    ws_max_size: int | str
    ws_max_queue: int
    ws_ping_interval: float
    ws_ping_timeout: float
    ws_per_message_deflate: bool
    limit_max_requests: int | None
    limit_max_requests_jitter: int
    limit_max_messages: int | None
    limit_header_size: int | str
    limit_header_count: int
    limit_body: int | str | None
    min_body_rate: int | str
    min_send_rate: int | str
    limit_concurrency: int | None
    limit_connections: int | None
    http2_max_concurrent_streams: int
    http2_max_frame_size: int | str
    http2_initial_stream_window_size: int | str
    http2_initial_connection_window_size: int | str
    timeout_boot: float
    timeout_keep_alive: float
    timeout_header: float
    timeout_request: float | None
    timeout_body: float
    timeout_send: float
    timeout_graceful_shutdown: float
    timeout_streams: float | None
    timeout_lifespan_shutdown: float
    log_level: str
    log_file: StrPath | None
    log_config: StrPath | Mapping[str, Any] | None
    request_id: bool
    access_log: bool
    access_log_file: StrPath | None
    access_log_format: str | None
    log_format: Literal["text", "json"]
    color: Literal["auto", "always", "never"]


class ServiceOptions(EmbeddedOptions, total=False):
    """Options of a service with a master and worker processes, which takes the application by name."""

    env_file: StrPath | Sequence[StrPath]
    workers: int | str
    preload: Literal["auto", "app", "deps", "none"]
    user: str | None
    group: str | None
    umask: int | str | None
    chdir: StrPath
    pid: StrPath | None
    control: StrPath
    process_name: str
    daemon: bool
    hooks: StrPath | None
    health_path: str | None
    soak: float
    rollback_window: float
    limit_lifetime: float | None
    limit_memory: int | str | None
    limit_memory_hard: int | str | None
    limit_memory_total: int | str | None
    min_worker_lifetime: float
    timeout_worker: float
    drain_delay: float
    timeout_hook: float
    admin: int | str | None
    admin_allow_host: str | Sequence[str]
    admin_ready_workers: int
    statsd: str | None
    statsd_prefix: str
    statsd_tags: str | Sequence[str]
