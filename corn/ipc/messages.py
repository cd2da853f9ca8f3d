"""Messages between the master and its processes; channel.py carries them."""

from __future__ import annotations

import signal
import sys
from dataclasses import field, fields
from typing import Any, ClassVar

from corn.frozen import frozen

# Requests a worker's stacks: a signal that is not otherwise used.
STACKS_SIGNAL: int = signal.SIGRTMIN + 3 if sys.platform == "linux" else getattr(signal, "SIGINFO", signal.SIGUSR2)


@frozen
class Message:
    """Base class of all messages; `fds` is the number of descriptors that follow with one."""

    fds: ClassVar[int] = 0


@frozen
class Fork(Message):
    """Master to template: fork one worker. Two descriptors follow: the worker's end of its channel, and its report.

    In `corn dev`, `revision` counts the versions of the code, and `failure` (diagnosis.Failure as JSON) makes the
    worker a responder, which serves that instead of the application.
    """

    worker: int
    slot: int
    cell: int
    gated: bool
    revision: int = 0
    failure: dict[str, Any] | None = None
    fds: ClassVar[int] = 2


@frozen
class Loaded(Message):
    """Template to master: ready to fork. `preload` is the mode that was used, `warnings` are for the log."""

    preload: str
    warnings: list[str]


@frozen
class SteppedDown(Message):
    """Template to master: its modules make a fork unsafe, so it restarts with fewer; `reason` is for the log.

    `mode` is the next mode, with its `modules`; the modules in `blamed` made the last one unsafe. In development only
    the packages in `left_out` are no longer loaded, and `mode` is "".
    """

    reason: str
    left_out: list[str] = field(default_factory=list)
    mode: str = ""
    blamed: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)


@frozen
class Quit(Message):
    """Master to template: exit at once. A template whose master has exited waits for its workers first."""


@frozen
class Failed(Message):
    """Template or worker to master: the application could not be loaded or started.

    `failure` is diagnosis.Failure as JSON, where more is known than the message and the traceback in `detail`.
    """

    error: str
    detail: str
    exit_code: int
    failure: dict[str, Any] | None = None


@frozen
class Forked(Message):
    """Template to master: a worker was forked."""

    worker: int
    pid: int


@frozen
class NotForked(Message):
    """Template to master: fork(2) failed."""

    worker: int
    error: str


@frozen
class Exited(Message):
    """Template to master, where the template is the workers' parent: a worker exited with this wait status."""

    pid: int
    status: int


@frozen
class Booting(Message):
    """Worker to master: the worker runs, and starts to load the application.

    `Forked` has the process id too, but the template may be killed between the fork and that message.
    """

    pid: int


@frozen
class Ready(Message):
    """Worker to master: lifespan start-up is complete and the worker accepts connections.

    `loading` and `starting` are the seconds that the application took to be imported, and for its lifespan start-up.
    `docs` is the path of its documentation, in development, "" where none is known.
    """

    loading: float = 0.0
    starting: float = 0.0
    docs: str = ""


@frozen
class Retiring(Message):
    """Worker to master: the worker requests its replacement, and serves until it receives Drain."""

    reason: str


@frozen
class Drain(Message):
    """Master to worker: finish in-flight requests within `grace` seconds, then exit.

    `final`: no other worker remains, so accept the connections in the queue before closing the listeners. `fast`: for
    development, so idle connections and streams are closed now and only requests without a response have the grace.
    """

    grace: float
    final: bool
    fast: bool = False


@frozen
class Imported(Message):
    """Worker to master, in development: the modules that its application imported, in order.

    `libraries` holds [name, file or ""] of the library modules that were looked for before the application changed the
    environment. `own` holds [name, file, seconds that its own code took] of the project's modules.
    """

    libraries: list[list[str]]
    own: list[list[Any]]


@frozen
class Progress(Message):
    """Worker to master, in development: current step of the start, and [name, seconds] of the slowest so far."""

    doing: str
    imports: bool
    slowest: list[list[Any]]


@frozen
class Debugging(Message):
    """Worker to master, in development: the worker waits in a debugger, so missing heartbeats mean nothing."""


@frozen
class WatchSetup(Message):
    """Master to watcher, first of all: the files to watch (corn/reload/watcher.py).

    `directories` are watched by the rules of `include` and `exclude`; `identities` has the device and the inode of each
    at the time `since`, and an empty list for one that did not exist, so that a replaced one is reported. A change of
    one of `files`, anywhere, means a new environment. `packages` are directories of installed packages. Changes after
    `since`, a time.time(), are reported. `polling` forces polling. `refresh_fd` is an inherited listening socket for
    browsers, -1 for none, and `token` the secret that browsers must send.
    """

    directories: list[str]
    identities: list[list[int]]
    include: list[str]
    exclude: list[str]
    files: list[str]
    packages: list[str]
    since: float
    polling: bool
    process_name: str
    refresh_fd: int = -1
    token: str = ""


@frozen
class Watching(Message):
    """Watcher to master: all files have been recorded, and each change is reported from now on.

    `how` is for the log, and so is `warning`, if the user should see it.
    """

    how: str
    warning: str = ""


@frozen
class Changed(Message):
    """Watcher to master: these files have changed contents, were added, or were removed.

    `effect` is "reload", "cold" (a new environment: templates are replaced too) or "asset" (only browsers reload).
    `age` is how many seconds ago the last of them was saved.
    """

    paths: list[str]
    effect: str
    age: float


@frozen
class Reloaded(Message):
    """Master to watcher: generation N of the code serves. `assets` says that no code changed, so CSS can be swapped."""

    generation: int
    paths: list[str]
    assets: bool = False


@frozen
class ReloadFailed(Message):
    """Master to watcher: generation N of the code cannot be served; `failure` is diagnosis.Failure as JSON."""

    generation: int
    paths: list[str]
    failure: dict[str, Any]


@frozen
class Draining(Message):
    """Worker to master: the worker accepts no more connections."""


@frozen
class ReopenLogs(Message):
    """Master to template and worker: reopen the log files, because they were renamed."""


@frozen
class SetLogLevel(Message):
    """Master to template and worker: use these log levels (option log_level), also for workers forked later."""

    levels: str


@frozen
class GetRequests(Message):
    """Master to worker: request for the in-flight requests."""


@frozen
class RequestsReport(Message):
    """Worker to master: the in-flight requests (see `Server.in_flight`)."""

    requests: list[dict[str, Any]]


@frozen
class RenewCredentials(Message):
    """Master to worker: the vault has new credentials, to be used for new connections."""


@frozen
class Examine(Message):
    """Master to examiner, first of all: credentials as JSON, and the configuration that they are for."""

    config: dict[str, Any]
    credentials: str


@frozen
class Examined(Message):
    """Examiner to master: result in `text`. `usable`: the credentials work; `timely`: and clients accept them now."""

    usable: bool
    timely: bool
    text: str


@frozen
class HooksSetup(Message):
    """Master to hooks process, first of all: the configuration, which names the file."""

    config: dict[str, Any]


@frozen
class HooksLoaded(Message):
    """Hooks process to master: the file is loaded, and defines these hooks of those that run in the hooks process.

    `at` is the monotonic time, from which the first call may run.
    """

    names: list[str]
    at: float


@frozen
class HookCall(Message):
    """Master to hooks process: call a hook; `info` holds the fields of its info object (corn/hooks.py)."""

    hook: str
    info: dict[str, Any]


@frozen
class HookDone(Message):
    """Hooks process to master: a hook returned, or raised `error`.

    `at` is the monotonic time, from which the next call may run.
    """

    hook: str
    error: str
    detail: str
    at: float


@frozen
class AdminSetup(Message):
    """Master to admin process, first of all: the configuration, and the descriptors of its listeners."""

    config: dict[str, Any]
    listeners: list[int]


@frozen
class GetStatus(Message):
    """Admin process to master: request for the status of the service."""


@frozen
class StatusReport(Message):
    """Master to admin process: the fields of corn.supervisor.projections.status.Status."""

    status: dict[str, Any]


_KINDS: tuple[type[Message], ...] = (
    Fork,
    Quit,
    Loaded,
    SteppedDown,
    Failed,
    Forked,
    NotForked,
    Exited,
    Booting,
    Ready,
    Retiring,
    Drain,
    Imported,
    Debugging,
    Progress,
    WatchSetup,
    Watching,
    Changed,
    Reloaded,
    ReloadFailed,
    Draining,
    ReopenLogs,
    SetLogLevel,
    GetRequests,
    RequestsReport,
    RenewCredentials,
    Examine,
    Examined,
    HooksSetup,
    HooksLoaded,
    HookCall,
    HookDone,
    AdminSetup,
    GetStatus,
    StatusReport,
)
_BY_NAME = {kind.__name__: kind for kind in _KINDS}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "str": str,
    "bool": bool,
    "float": (int, float),
    "list": list,
    "dict": dict,
    "None": type(None),
}
_FIELDS = {
    kind: {
        each.name: tuple(_TYPES[part.strip().partition("[")[0]] for part in str(each.type).split("|"))
        for each in fields(kind)
    }
    for kind in _KINDS
}


def build(name: object, values: object) -> Message:
    """Build a message from a received class name and fields; raises ValueError for an invalid one."""
    kind = _BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(values, dict):
        raise ValueError("not a message")
    expected = _FIELDS[kind]
    for each, value in values.items():
        if each not in expected or not any(isinstance(value, known) for known in expected[each]):
            raise ValueError(f"not a field of {kind.__name__}")
    return kind(**values)
