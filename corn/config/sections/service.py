"""Options of the application, its addresses, its processes and reloads."""

from __future__ import annotations

from typing import Literal

from corn.config.options import SERVE, option, section
from corn.config.types import (
    Address,
    ApplicationName,
    Choice,
    Flag,
    Integer,
    ListOf,
    MatchedText,
    Mode,
    Nullable,
    NumberOrRange,
    Seconds,
    Text,
    url_path,
)

APPLICATION = "Application"
ADDRESSES = "Addresses"
PROCESSES = "Processes"
RELOADS = "Reloads"

MAX_WORKERS = 512
PROCESS_NAME = "corn"

_PROCESS_NAME = MatchedText(
    "NAME",
    r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,31}",
    "a name of at most 32 letters, digits, and _ . @ + -, as in shop-api",
)


@section
class ApplicationOptions:
    app: str | None = option(
        None,
        Nullable(ApplicationName()),
        "Application to serve, as MODULE:ATTRIBUTE, e.g. main:app.",
        APPLICATION,
        argument=True,
    )
    factory: bool = option(False, Flag(), "Treat APP as a factory: call it and serve the result.", APPLICATION)
    app_dir: str = option(
        ".", Text("DIRECTORY"), "Directory to import the application from; comes first in sys.path.", APPLICATION
    )
    env_file: tuple[str, ...] = option(
        (),
        ListOf(Text("FILE")),
        "Read environment variables of the application from FILE, again on each reload; may be repeated. A variable "
        "that is set already keeps its value, and ${NAME} is expanded.",
        APPLICATION,
        needs_master=True,
    )


@section
class AddressesOptions:
    host: str = option("127.0.0.1", Text("HOST"), "Address or host name to listen on.", ADDRESSES, reloadable=False)
    port: int = option(
        8000,
        Integer(0, 65535),
        "Port to listen on; 0 picks a free one.",
        ADDRESSES,
        reloadable=False,
        variables=("PORT",),
    )
    bind: tuple[str, ...] = option(
        (),
        ListOf(Address()),
        "Listen on ADDRESS instead of --host and --port: host:port, [::1]:port, unix:path, unix:@name without a "
        "file, fd://N for an inherited descriptor, or fd://NAME for a socket passed by systemd; may be repeated.",
        ADDRESSES,
        short="b",
        reloadable=False,
    )
    uds: str | None = option(
        None, Nullable(Text("PATH")), "Listen on a Unix socket instead of a port.", ADDRESSES, reloadable=False
    )
    uds_mode: int = option(
        0o666, Mode(), "File mode of Unix sockets, whatever --umask says.", ADDRESSES, reloadable=False
    )
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
        "Maximum number of connections that wait in the kernel to be accepted.",
        ADDRESSES,
        reloadable=False,
    )


@section
class ProcessesOptions:
    workers: int | str = option(
        1,
        NumberOrRange(1, MAX_WORKERS),
        "Number of worker processes; auto takes one per CPU that the process may use by affinity and cgroup "
        "quota, and at most one per 256 MiB of memory. A range such as 2..8 begins with its first number, and adds and "
        "removes workers by load.",
        PROCESSES,
        short="w",
        variables=("WEB_CONCURRENCY",),
        needs_master=True,
    )
    preload: Literal["auto", "app", "deps", "none"] = option(
        "auto",
        Choice(("auto", "app", "deps", "none")),
        "Code to load in the template before workers are forked from it: the application (app), only the packages "
        "it uses (deps), or nothing (none). auto takes the first of these that is safe to fork.",
        PROCESSES,
        needs_master=True,
    )
    user: str | None = option(
        None,
        Nullable(Text("NAME")),
        "Run as this user (name or number) after the addresses and the pidfile are open; needs root.",
        PROCESSES,
        reloadable=False,
        command=SERVE,
        needs_master=True,
    )
    group: str | None = option(
        None,
        Nullable(Text("NAME")),
        "Run as this group (name or number) instead of the user's primary group; needs root.",
        PROCESSES,
        reloadable=False,
        command=SERVE,
        needs_master=True,
    )
    umask: int | None = option(
        None,
        Nullable(Mode()),
        "File mode creation mask for corn and the application, in octal; Unix sockets follow --uds-mode instead.",
        PROCESSES,
        reloadable=False,
        needs_master=True,
    )
    chdir: str = option(
        ".",
        Text("DIRECTORY"),
        "Change to DIRECTORY: relative paths in other options start there. The configuration file is looked up before.",
        PROCESSES,
        needs_master=True,
    )
    pid: str | None = option(
        None,
        Nullable(Text("FILE")),
        "Write the master's process id to FILE while corn serves; startup fails if the file belongs to a "
        "running instance.",
        PROCESSES,
        reloadable=False,
        needs_master=True,
    )
    control: str = option(
        "auto",
        Text("PATH|off"),
        "Unix socket for commands such as 'corn status', or a directory to create it in; auto uses a "
        "directory owned by the user, off disables it.",
        PROCESSES,
        reloadable=False,
        needs_master=True,
    )
    process_name: str = option(
        PROCESS_NAME,
        _PROCESS_NAME,
        "Name of the processes in ps and top, as in 'NAME: worker 2 g5 main:app' (Linux).",
        PROCESSES,
        reloadable=False,
        needs_master=True,
    )
    daemon: bool = option(
        False,
        Flag(),
        "Run in the background. The command returns once the service is ready, or prints why it failed to "
        "start. Output that is redirected to a file stays there; other output is dropped.",
        PROCESSES,
        reloadable=False,
        command=SERVE,
        needs_master=True,
    )
    hooks: str | None = option(
        None,
        Nullable(Text("FILE")),
        "Call the functions of a Python file on events such as a worker's start or exit; "
        "'python -m pydoc corn.hooks' lists them.",
        PROCESSES,
        needs_master=True,
    )


@section
class ReloadsOptions:
    health_path: str | None = option(
        None,
        Nullable(url_path()),
        "On a reload, request this path from the new code first; a status of 500 or above refuses the reload.",
        RELOADS,
        command=SERVE,
        needs_master=True,
    )
    soak: float = option(
        2.0,
        Seconds(),
        "On a reload, time for which the first new worker serves beside the old ones before they are replaced; "
        "0 disables.",
        RELOADS,
        command=SERVE,
        needs_master=True,
    )
    rollback_window: float = option(
        300.0,
        Seconds(),
        "Time to keep the previous code in memory after a reload, for 'corn rollback' and automatic rollback.",
        RELOADS,
        command=SERVE,
        needs_master=True,
    )
