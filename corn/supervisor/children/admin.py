"""Admin process of the master: its start, the replies to its requests, and its replacement when it exits.

The admin process sends one request at a time and the master replies from memory, so an admin process that hangs or has
many clients does not slow the master down. It measures the memory of processes itself.

In an upgrade, the successor starts its admin process when it serves, and the predecessor stops its own at that moment:
clients always receive the status of the master that serves, and never see the service as starting.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from corn.config import Config
from corn.ipc.messages import AdminSetup, Drain, GetStatus, Message, ReopenLogs, StatusReport
from corn.logs import logger
from corn.net.listeners import Listener
from corn.supervisor.children.child import ChildProcess, Children
from corn.supervisor.children.spawn import execute
from corn.supervisor.policy.state import Phase, ProcessExit, State

_FIRST_BACKOFF = 0.2
_MAX_BACKOFF = 30.0
_HEALTHY_AFTER = 60.0  # seconds of uptime after which the restart delay is reset
_EXIT_TIMEOUT = 1.0
_HANDED_OVER_GRACE = 2.0


class AdminProcess:
    """Supervisor of one admin process on `listeners`; does nothing without listeners. `status` returns the status."""

    def __init__(
        self, config: Config, listeners: list[Listener], children: Children, status: Callable[[], dict[str, Any]]
    ) -> None:
        self.listeners = listeners
        self._child: ChildProcess | None = None
        self._config = config
        self._children = children
        self._status = status
        self._start_at: float | None = None
        self._started = 0.0
        self._backoff = 0.0
        self._is_stopping = False

    def begin(self) -> None:
        """Schedule the start of the process for the next loop iteration, unless it is running or scheduled."""
        if self._child is None and self._start_at is None and self.listeners:
            self._start_at = time.monotonic()

    def next_at(self) -> float | None:
        return self._start_at

    def tick(self, now: float) -> None:
        """Start the process if that is due."""
        if self._start_at is not None and self._start_at <= now:
            self._start_at = None
            self._start(now)

    def observe(self, before: State, after: State, at: float) -> None:
        """Stop the process once a successor serves on the address; do not restart it during a stop."""
        del before, at
        self._is_stopping = after.phase in (Phase.STOPPING, Phase.STOPPED)
        if after.handed_over and self.listeners:
            self._start_at = None
            for listener in self.listeners:
                listener.close(keep_file=True)
            self.listeners.clear()
            self._send(Drain(_HANDED_OVER_GRACE, final=False))

    def reopen_logs(self) -> None:
        """Request the process to reopen its log file."""
        self._send(ReopenLogs())

    def finish(self) -> None:
        """Stop the process, by SIGKILL if it does not exit in time; for use after the loop has ended."""
        if self._child is not None:
            self._children.stop(self._child, _EXIT_TIMEOUT)
            self._child = None

    def _start(self, now: float) -> None:
        fds = [listener.sock.fileno() for listener in self.listeners]
        try:
            self._child = self._children.start("the admin process", partial(_execute, fds))
        except OSError as error:
            self._exited(ProcessExit(note=f"could not be started: {error.strerror}"))
            return
        self._started = now
        self._child.on_message, self._child.on_exit = self._receive, self._exited
        self._send(AdminSetup(self._config.to_json(), fds))

    def _receive(self, message: Message) -> None:
        if isinstance(message, GetStatus):
            self._send(StatusReport(self._status()))

    def _exited(self, end: ProcessExit) -> None:
        """Restart the process, with a longer delay each time."""
        if self._child is not None:
            self._children.drop(self._child)
            self._child = None
        if not self.listeners or self._is_stopping:
            return
        now = time.monotonic()
        lived = now - self._started
        self._backoff = _FIRST_BACKOFF if lived > _HEALTHY_AFTER else min(2 * self._backoff, _MAX_BACKOFF)
        self._backoff = self._backoff or _FIRST_BACKOFF
        self._start_at = now + self._backoff
        logger.warning("the admin process %s; restarting it in %.1f s (workers are unaffected)", end, self._backoff)

    def _send(self, message: Message) -> None:
        if self._child is not None:
            self._children.send(self._child, message)


def _execute(listeners: list[int], channel: socket.socket) -> int:
    return execute("corn.admin.process", channel.fileno(), [channel.fileno(), *listeners], os.environ)
