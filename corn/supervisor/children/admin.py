"""The master's side of the admin process: it starts it, answers its questions, and replaces it when it ends.

The process asks, and the master answers from what it has in memory; one question is open at a time, so a process that
hangs, or is asked by many, costs the master nothing. What else it needs, the memory of processes, it finds out itself.

A master that takes over from another begins when it serves, and the other leaves then: whoever asks during an upgrade
hears from the one that serves, and never that the service starts.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from corn.config import Config
from corn.ipc.channel import Channel
from corn.ipc.messages import AdminSetup, Drain, Message, Quit, ReopenLogs, StatusTold, TellStatus
from corn.logs import logger
from corn.net.listeners import Listener
from corn.supervisor.children.spawn import AdminHandle, execute_admin
from corn.supervisor.policy.state import ProcessExit, State

_FIRST_BACKOFF = 0.2
_LONGEST_BACKOFF = 30.0
_GOOD_AFTER = 60.0  # seconds; a process that lived so long is replaced as soon as the first
_MAY_LEAVE = 1.0
_HANDED_OVER_GRACE = 2.0
Watch = Callable[[AdminHandle], None]


class AdminProcess:
    """Keeps one admin process running on `listeners`; without any it does nothing. `tell` yields the status."""

    def __init__(
        self,
        config: Config,
        listeners: list[Listener],
        tell: Callable[[], dict[str, Any]],
        *,
        watch: Watch,
        unwatch: Watch,
    ) -> None:
        self.handle: AdminHandle | None = None
        self.listeners = listeners
        self._config = config
        self._tell_status = tell
        self._watch = watch
        self._unwatch = unwatch
        self._start_at: float | None = None
        self._started = 0.0
        self._backoff = 0.0

    def begin(self) -> None:
        """Start the process with the next turn of the loop, unless that is under way."""
        if self.handle is None and self._start_at is None and self.listeners:
            self._start_at = time.monotonic()

    def next_at(self) -> float | None:
        return self._start_at

    def tick(self, now: float) -> None:
        """Start the process if that is due."""
        if self._start_at is not None and self._start_at <= now:
            self._start_at = None
            self._start(now)

    def observe(self, state: State) -> None:
        """Leave the address to the successor, once that serves."""
        if state.handed_over and self.listeners:
            self._start_at = None
            for listener in self.listeners:
                listener.close(keep_file=True)
            self.listeners.clear()
            if self.handle is not None:
                self._tell(self.handle, Drain(_HANDED_OVER_GRACE, final=False))

    def hear(self, message: Message) -> None:
        """Answer what the process asks."""
        if isinstance(message, TellStatus) and self.handle is not None:
            self._tell(self.handle, StatusTold(self._tell_status()))

    def reopen_logs(self) -> None:
        """Have the process open its log file anew."""
        if self.handle is not None:
            self._tell(self.handle, ReopenLogs())

    def ended(self, end: ProcessExit) -> None:
        """The process is gone: start another, later each time."""
        self._drop()
        if not self.listeners:
            return
        now = time.monotonic()
        lived = now - self._started
        self._backoff = _FIRST_BACKOFF if lived > _GOOD_AFTER else min(2 * self._backoff, _LONGEST_BACKOFF)
        self._backoff = self._backoff or _FIRST_BACKOFF
        self._start_at = now + self._backoff
        logger.warning("the admin process %s; another starts in %.1f s. The workers serve on", end, self._backoff)

    def finish(self) -> None:
        """Have the process leave, and end it if it does not; for when the loop has ended."""
        if self.handle is None:
            return
        pid, channel = self.handle.pid, self.handle.channel
        channel.send(Quit())
        deadline = time.monotonic() + _MAY_LEAVE
        while not channel.closed and (left := deadline - time.monotonic()) > 0:
            select.select([channel], [], [], left)
            channel.receive()
        channel.close()
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.handle = None

    def _start(self, now: float) -> None:
        ours, theirs = socket.socketpair()
        fds = [listener.sock.fileno() for listener in self.listeners]
        try:
            with theirs:
                pid = execute_admin(theirs, [theirs.fileno(), *fds])
        except OSError as error:
            ours.close()
            self.ended(ProcessExit(note=f"could not be started: {error.strerror}"))
            return
        ours.setblocking(False)
        self._started = now
        self.handle = AdminHandle(pid, Channel(ours))
        self._tell(self.handle, AdminSetup(self._config.to_json(), fds))

    def _tell(self, handle: AdminHandle, message: Message) -> None:
        handle.channel.send(message)
        self._watch(handle)

    def _drop(self) -> None:
        if self.handle is not None:
            self._unwatch(self.handle)
            self.handle.channel.close()
            self.handle = None
