"""What is served, where, and from which processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from corn.config.options import SERVE, option
from corn.config.types import (
    Address,
    ApplicationName,
    Choice,
    Flag,
    Integer,
    IntegerOrAuto,
    ListOf,
    Mode,
    Nullable,
    Seconds,
    Text,
    UrlPath,
)

APPLICATION = "Application"
ADDRESSES = "Addresses"
PROCESSES = "Processes"
RELOADS = "Reloads"

MAX_WORKERS = 512


@dataclass(frozen=True, kw_only=True)
class ApplicationOptions:
    app: str | None = option(
        None,
        Nullable(ApplicationName()),
        "The application: a module and the name in it, as in main:app.",
        APPLICATION,
        argument=True,
    )
    factory: bool = option(
        False, Flag(), "Call what the application string names; its result is the application.", APPLICATION
    )
    app_dir: str = option(".", Text("DIRECTORY"), "Where the application's modules are looked for first.", APPLICATION)
    env_file: tuple[str, ...] = option(
        (),
        ListOf(Text("FILE")),
        "Read the application's environment variables from FILE, anew on each reload; may be repeated.",
        APPLICATION,
    )


@dataclass(frozen=True, kw_only=True)
class AddressesOptions:
    host: str = option("127.0.0.1", Text("HOST"), "Address or host name to listen on.", ADDRESSES, reloadable=False)
    port: int = option(8000, Integer(0, 65535), "Port to listen on; 0 picks a free one.", ADDRESSES, reloadable=False)
    bind: tuple[str, ...] = option(
        (),
        ListOf(Address()),
        "Listen on ADDRESS instead: host:port, [::1]:port, unix:path, fd://N for an inherited descriptor, or "
        "fd://NAME for a socket that systemd passes; may be repeated.",
        ADDRESSES,
        short="b",
        reloadable=False,
    )
    uds: str | None = option(
        None, Nullable(Text("PATH")), "Listen on a Unix socket instead of a port.", ADDRESSES, reloadable=False
    )
    uds_mode: int = option(0o666, Mode(), "Permissions of Unix sockets.", ADDRESSES, reloadable=False)
    fd: int | None = option(
        None,
        Nullable(Integer(0, 65535)),
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


@dataclass(frozen=True, kw_only=True)
class ProcessesOptions:
    workers: int | str = option(
        1,
        IntegerOrAuto(1, MAX_WORKERS),
        "Worker processes; auto takes one for each CPU that the process may use by affinity and cgroup quota, and no "
        "more than one for each 256 MiB of memory.",
        PROCESSES,
        short="w",
        variables=("WEB_CONCURRENCY",),
    )
    preload: Literal["auto", "app", "deps", "none"] = option(
        "auto",
        Choice(("auto", "app", "deps", "none")),
        "What the template loads before workers are forked from it: the application, only the packages it uses, or "
        "nothing. auto takes the most that is safe to fork.",
        PROCESSES,
    )
    user: str | None = option(
        None,
        Nullable(Text("NAME")),
        "Run as this user, by name or number, once the addresses and the pidfile are open; needs root.",
        PROCESSES,
        reloadable=False,
        command=SERVE,
    )
    group: str | None = option(
        None,
        Nullable(Text("NAME")),
        "Run as this group, by name or number, instead of the user's own; needs root.",
        PROCESSES,
        reloadable=False,
        command=SERVE,
    )
    umask: int | None = option(
        None,
        Nullable(Mode()),
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
        Nullable(Text("FILE")),
        "Write the master's process id to FILE while corn serves; refused if another living master's is there.",
        PROCESSES,
        reloadable=False,
    )
    control: str = option(
        "auto",
        Text("PATH|off"),
        "Where commands such as 'corn status' reach the master: a Unix socket, or a directory to make one in. auto "
        "takes a directory of the user's own; off makes none.",
        PROCESSES,
        reloadable=False,
    )
    daemon: bool = option(
        False,
        Flag(),
        "Go to the background; the command ends when the service is ready, or tells why it is not. Output that was "
        "redirected to a file goes on there, other output is dropped.",
        PROCESSES,
        reloadable=False,
        command=SERVE,
    )
    hooks: str | None = option(
        None,
        Nullable(Text("FILE")),
        "Call the functions of a Python file when something happens to the service; see docs/reference/hooks.md.",
        PROCESSES,
    )


@dataclass(frozen=True, kw_only=True)
class ReloadsOptions:
    health_path: str | None = option(
        None,
        Nullable(UrlPath()),
        "On a reload, ask the new code for this path first; an answer of 500 or above refuses it.",
        RELOADS,
        command=SERVE,
    )
    soak: float = option(
        2.0,
        Seconds(),
        "On a reload, how long the first new worker serves beside the old ones before more follow.",
        RELOADS,
        command=SERVE,
    )
    rollback_window: float = option(
        300.0,
        Seconds(),
        "After a reload, how long the previous code is kept in memory to return to.",
        RELOADS,
        command=SERVE,
    )
