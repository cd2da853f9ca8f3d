"""Forks of a template: the double fork of a worker, and the spare worker of `corn dev`.

Workers are forked twice: a middle process forks the worker and exits at once. The kernel then makes the nearest
subreaper, the master (PR_SET_CHILD_SUBREAPER in prctl(2)), the parent of the worker, so the master sees its exit. The
worker waits for that first, however long the middle process takes: on a loaded machine it may take seconds.

A spare worker is forked before it is needed, which saves a reload the time of two forks: copying the page tables of a
process with pandas takes ten milliseconds. A template of `corn dev` forks it when it has been idle for a moment. The
spare blocks all signals, has no end of the template's channel, and waits for the order with its worker number. At end
of file, when the template exits or has exited, the spare exits. A spare that was killed is detected when it is needed,
and another worker is forked. The template reports a spare to the master, with `Forked`, when it becomes a worker.

Hooks on fork (os.register_at_fork, or a debugger's replacement of os.fork) may block a child: that of `debugpy
--listen` waits for a client in each new process. And threads that run before the application is imported, such as that
of an agent in sitecustomize, would be missing in each worker, unless a hook starts them again. A trial fork detects
both. Then workers are spawned as fresh interpreters, through a shell that exits at once as the middle process does. A
process that hangs is killed with all its children.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import BuiltinFunctionType
from typing import NoReturn

from corn.ipc.channel import Channel
from corn.ipc.messages import Fork
from corn.ipc.template_setup import Setup
from corn.system.memfd import anonymous_file
from corn.system.process import identify
from corn.system.readiness import readable

IDLE_BEFORE_SPARE = 0.3  # seconds without an order after which a template forks a spare worker

# Shorter than the master's timeout for a fork, so that the failure is reported to it.
_FORK_TIMEOUT = 4.0
_TRIAL_TIMEOUT = 3.0
_SHELL = "/bin/sh"
_SPAWN = '"$@" $$ & echo $! >/dev/fd/{answer}'
_START = """
import sys
sys.path[:] = {path!r}
from corn.worker.forking.fork import wait_for_adoption
from corn.worker.template import main
wait_for_adoption(int(sys.argv[2]))
main(int(sys.argv[1]))
"""


def fork() -> int:
    """os.fork() without the warning of Python 3.12 about threads, which the audit has checked already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def fork_is_replaced() -> bool:
    """True if os.fork has been replaced, as by a debugger or gevent."""
    return not isinstance(os.fork, BuiltinFunctionType)


def fork_hangs() -> bool:
    """True if hooks on fork keep a worker from running, by a trial, except for a debugger that has no client."""
    debugger = sys.modules.get("pydevd")
    if debugger is not None and not isinstance(os.fork, BuiltinFunctionType):
        return not debugger._is_attached()
    try:
        return _trial(lambda: 1) is None
    except OSError as error:
        return not error.errno  # an errno means that fork(2) failed, which the fork of a worker reports


def lost_threads() -> str:
    """Names of the threads that run now if a worker would lack them, by a trial; else ""."""
    count = native_threads()
    if count == 1:
        return ""
    try:
        kept = _trial(native_threads)
    except OSError:
        return ""
    if kept is None or kept >= count:  # a fork that hangs is found by `fork_hangs`
        return ""
    names = [each.name for each in threading.enumerate() if each is not threading.main_thread()]
    return ", ".join(names) or f"{count - kept} native"


def native_threads() -> int:
    """The number of threads of this process; 1 where /proc does not show it."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 1


def _trial(value: Callable[[], int]) -> int | None:
    """The value in a process forked as a worker is, None if it hangs; raises OSError if it cannot be forked."""
    reader, writer = os.pipe()

    def run() -> NoReturn:
        os.write(writer, b"%d" % value())
        os._exit(0)

    try:
        pid = fork_twice(run)
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        answer = pipe.read(20) if readable(pipe, timeout=_TRIAL_TIMEOUT) else b""
    if not answer:
        _kill_with_children(pid)
        return None
    _wait_for_exit(pid)
    return int(answer)


def _wait_for_exit(pid: int) -> None:
    """Wait until a process of a trial has exited: as long as it runs, it looks like a second template."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):  # it has exited and has been reaped
            pidfd = os.pidfd_open(pid)
            readable(pidfd, timeout=_TRIAL_TIMEOUT)
            os.close(pidfd)


def spawn(setup: Setup, path: list[str]) -> int:
    """Start the worker of `setup.order` as a fresh interpreter with this module path; returns its id."""
    answer = anonymous_file("corn-spawn")
    setup_fd = replace(setup, received=[*setup.received, answer]).write()
    inherited = [answer, setup_fd, *setup.inherited]
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    program = [sys.executable, *flags, "-c", _START.format(path=path), str(setup_fd)]
    try:
        for fd in inherited:
            os.set_inheritable(fd, True)
        shell = os.posix_spawn(_SHELL, [_SHELL, "-c", _SPAWN.format(answer=answer), "sh", *program], os.environ)
        os.waitpid(shell, 0)
        number = os.pread(answer, 20, 0)
    finally:
        for fd in setup.inherited:
            os.set_inheritable(fd, False)
        os.close(answer)
        os.close(setup_fd)
    if not number.strip().isdigit():
        raise OSError(f"{_SHELL} did not start a worker")
    return int(number)


def _kill_with_children(pid: int) -> None:
    """Send SIGKILL to a process that hangs, and to all that it has forked."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.Error):
                each.kill()


def fork_twice(run: Callable[[], NoReturn]) -> int:
    """Fork a middle process that forks a worker and exits; `run` runs in the worker. Returns the worker's id."""
    reader, writer = os.pipe()
    try:
        middle = fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if middle == 0:
        _run_middle_process(run, reader, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        if not readable(pipe, timeout=_FORK_TIMEOUT):
            _kill_with_children(middle)  # a handler of os.register_at_fork hangs in it
        answer = pipe.read()
    os.waitpid(middle, 0)
    number = int(answer or b"0")
    if number <= 0:
        raise OSError(-number, os.strerror(-number) if number else "the process that forks it was killed")
    return number


def _run_middle_process(run: Callable[[], NoReturn], reader: int, writer: int) -> NoReturn:
    """Fork the worker, report its id and exit in any case: a return would make this process a second template."""
    try:
        os.close(reader)
        middle = os.getpid()
        try:
            pid = fork()
        except OSError as error:
            pid = -(error.errno or 1)
        if pid == 0:
            os.close(writer)
            wait_for_adoption(middle)
            run()
        os.write(writer, str(pid).encode())  # EPIPE where the template was killed
    finally:
        os._exit(0)


def wait_for_adoption(middle: int) -> None:
    """Wait until the middle process, the parent so far, has exited."""
    pause = 0.0002
    while os.getppid() == middle:
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


class SpareWorker:
    """Template's handle on a spare worker: both ends of its channel until the fork, then the template's end."""

    def __init__(self) -> None:
        ours, self._theirs = socket.socketpair()
        for each in (ours, self._theirs):
            each.setblocking(True)  # not so if the application has called socket.setdefaulttimeout
        self._channel = Channel(ours)
        self.pid = 0

    def forked(self, pid: int) -> None:
        self.pid = pid
        self._theirs.close()

    def become(self, order: Fork, fds: tuple[int, ...]) -> bool:
        """Make the spare the worker of `order`; False if it has exited."""
        if readable(self._channel, timeout=0):
            return False
        self._channel.send(order, fds)
        return True

    def wait(self, process_name: str) -> tuple[Fork, tuple[int, int]]:
        """In the spare: wait for the order; the process exits here if there is none."""
        self._channel.close()
        identify(process_name, "spare", "worker")
        channel = Channel(self._theirs)
        while not channel.closed:
            for message in channel.receive():
                if isinstance(message, Fork):
                    fds = channel.take_fd(), channel.take_fd()
                    channel.close()
                    return message, fds
        os._exit(0)

    def close(self) -> None:
        """Close the channel: the spare exits, unless it has become a worker."""
        self._channel.close()
        self._theirs.close()
