"""The master's handles on its processes. A handle is what the master holds; the process itself runs corn.worker."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corn.config import Config
from corn.config.env_file import read_env_file
from corn.config.schema import SECRETS
from corn.ipc.channel import Channel
from corn.ipc.template_setup import Setup
from corn.supervisor.policy.state import ProcessExit
from corn.supervisor.systemd import VARIABLES

# The package is found where this one was, and the working directory is not searched: it may hold a click.py.
_START = """
import sys
if sys.path[:1] == [""]: del sys.path[0]
if {root!r} not in sys.path: sys.path.append({root!r})
from {module} import main
main(int(sys.argv[1]))
"""
_ROOT = str(Path(__file__).resolve().parent.parent.parent.parent)


@dataclass(slots=True)
class TemplateHandle:
    generation: int
    config: Config
    pid: int
    channel: Channel


@dataclass(slots=True)
class WorkerHandle:
    """`doomed` is a signal that waits for the process id to be known; `killed` says that corn sent SIGKILL.

    `report` is the file in which the worker writes its stacks (corn/ipc/stack_report.py).
    """

    id: int
    cell: int
    channel: Channel
    report: int
    pid: int | None = None
    doomed: int | None = None
    killed: bool = False

    def signal(self, number: int) -> None:
        self.killed |= number == signal.SIGKILL
        if self.pid is None:
            self.doomed = number
            return
        # Not reaped yet, so the id is still this process's; or reaped by the template that is its parent.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


@dataclass(slots=True)
class HooksHandle:
    """The process in which the master's hooks run."""

    pid: int
    channel: Channel


@dataclass(slots=True)
class AdminHandle:
    """The process that tells monitoring how the service is."""

    pid: int
    channel: Channel


@dataclass(slots=True)
class WatcherHandle:
    """The process that watches files for `corn dev`."""

    pid: int
    channel: Channel


def execute_template(setup: Setup, environment: Mapping[str, str]) -> int:
    """Start a fresh interpreter that becomes a template; returns its process id. Raises OSError if that cannot be."""
    setup_fd = setup.write()
    try:
        return _execute("corn.worker.template", setup_fd, [setup_fd, *setup.inherited], environment)
    finally:
        os.close(setup_fd)


def execute_hooks(sock: socket.socket, environment: Mapping[str, str]) -> int:
    """Start a fresh interpreter that becomes the hooks process; returns its id. Raises OSError if that cannot be."""
    return _execute("corn.worker.hooks.process", sock.fileno(), [sock.fileno()], environment)


def execute_watcher(sock: socket.socket, inherited: Sequence[int]) -> int:
    """Start a fresh interpreter that becomes the watcher; returns its id. Raises OSError if that cannot be."""
    return _execute("corn.reload.watcher", sock.fileno(), inherited, os.environ)


def execute_admin(sock: socket.socket, inherited: Sequence[int]) -> int:
    """Start a fresh interpreter that becomes the admin process; returns its id. Raises OSError if that cannot be."""
    return _execute("corn.admin.process", sock.fileno(), inherited, os.environ)


def execute_examiner(sock: socket.socket) -> int:
    """Start a fresh interpreter that examines certificates; returns its id. Raises OSError if that cannot be."""
    return _execute("corn.server.tls.certificate_check", sock.fileno(), [sock.fileno()], os.environ)


def _execute(module: str, argument: int, inherited: Sequence[int], environment: Mapping[str, str]) -> int:
    start = _START.format(root=_ROOT, module=module)
    arguments = [sys.executable, *_interpreter_flags(), "-c", start, str(argument)]
    for fd in inherited:
        os.set_inheritable(fd, True)
    try:
        return os.posix_spawn(
            sys.executable,
            arguments,
            {name: value for name, value in environment.items() if name not in VARIABLES},
            setsigmask=[],
            setsigdef=signal.valid_signals() - _UNSETTABLE,
        )
    finally:
        for fd in inherited:
            os.set_inheritable(fd, False)


def environment_of(config: Config) -> dict[str, str]:
    """The application's environment: this process's, and over it the env files as they are now, the later first.

    Without corn's own secrets, which every program that the application starts would inherit. Raises ConfigError where
    a file cannot be read or understood.
    """
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    for name in config.env_file:
        environment.update(read_env_file(Path(name)))
    return environment


def end_of(status: int) -> ProcessExit:
    """What a wait status (waitpid(2)) says."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return ProcessExit(signal=signal.Signals(number).name)
        except ValueError:
            return ProcessExit(signal=f"signal {number}")
    return ProcessExit(code=os.waitstatus_to_exitcode(status))


_UNSETTABLE = {signal.SIGKILL, signal.SIGSTOP}


def _interpreter_flags() -> list[str]:
    """The options this interpreter was started with, such as -O and -X dev, so that the application sees the same."""
    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined,no-any-return]
