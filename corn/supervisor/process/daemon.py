"""Daemonization: the service runs in the background, and the command waits to report the result of the start.

    the command   forks, and waits until the service is ready or has failed; then it exits with the service's exit code
     +- a middle process    begins a session of its own, forks, and ends
         +- the daemon      becomes the master

The daemon leads no session, so it can never acquire a controlling terminal (setsid(2)). It reports through a pipe: its
process id at once, and its exit code when that is settled, 0 for ready. Its output until then goes to the terminal too,
through a copy of standard error that no other process of the service inherits, and that is closed before the command
exits.

Standard input, output and error lead to /dev/null from the start, except for an output that was redirected to a regular
file, as in `corn serve --daemon >> corn.log 2>&1`: that is the log. A pipe is not kept, because its reader would wait
for its end as long as the service runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
from typing import NoReturn

from corn import logs
from corn.config import Config

_INTERRUPTED = 130


class Launch:
    """Start of a service in the foreground, whose result needs no report."""

    def begin_log(self, source: logs.Source, config: Config) -> None:
        """Called once corn's log is set up."""

    def ready(self) -> None:
        """Called when the service is ready."""

    def ended(self, code: int) -> None:
        """Called when the service has ended, with its exit code."""


class DaemonLaunch(Launch):
    """The start of a service in the background. `writer` is the pipe to the command, `terminal` its standard error."""

    def __init__(self, writer: int, terminal: int | None) -> None:
        self._writer: int | None = writer
        self._terminal = terminal
        self._handler: logs.LineHandler | None = None

    def begin_log(self, source: logs.Source, config: Config) -> None:
        if self._terminal is not None:
            writer = logs.LineWriter(self._terminal)
            self._handler = logs.LineHandler(writer)
            self._handler.setFormatter(logs.formatter(source, config, writer))
            logs.logger.addHandler(self._handler)

    def ready(self) -> None:
        self._close_terminal()
        self._report(0)

    def ended(self, code: int) -> None:
        """Report to the command if it still waits; from now on, its terminal shows standard error.

        A service that was stopped before it was ready did not start, whatever its exit code.
        """
        if self._writer is None:
            return
        if self._terminal is not None:
            os.dup2(self._terminal, 2)
        self._close_terminal()
        self._report(code or 1)

    def _close_terminal(self) -> None:
        if self._handler is not None:
            self._handler.writer.flush()
            logs.logger.removeHandler(self._handler)
            self._handler = None
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def _report(self, code: int) -> None:
        """Write the result and close the pipe: the command exits at its end, or when this process has exited."""
        if self._writer is not None:
            with contextlib.suppress(OSError):  # the command was killed
                os.write(self._writer, str(code).encode())
            if code == 0:
                os.close(self._writer)
            self._writer = None


def daemonize() -> Launch:
    """Return in the daemon; the calling process waits for it and exits here, without exit handlers."""
    logs.flush_standard_streams()
    reader, writer = os.pipe()
    if os.fork() > 0:
        os.close(writer)
        _wait_for(reader)
    os.close(reader)
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    os.write(writer, f"{os.getpid()}\n".encode())
    return DaemonLaunch(writer, _detach_streams())


def _detach_streams() -> int | None:
    """Replace the standard streams by /dev/null; returns a copy of standard error if that was replaced."""
    terminal = None if _is_file(2) else _copy(2)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        if fd == 0 or not _is_file(fd):
            os.dup2(null, fd)
    if null > 2:
        os.close(null)
    return terminal


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


def _copy(fd: int) -> int | None:
    try:
        return os.dup(fd)
    except OSError:
        return None


def _wait_for(reader: int) -> NoReturn:
    pid = b""
    code = _INTERRUPTED
    try:
        with os.fdopen(reader, "rb") as pipe:
            pid = pipe.readline()
            answer = pipe.read()
        code = int(answer or b"1")
        if not answer:
            print("corn: error: the daemon exited before it was ready, without reporting a reason", file=sys.stderr)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(pid), signal.SIGINT)
    logs.flush_standard_streams()
    os._exit(code)
