"""Watcher child process: started with the session, and restarted a few times if it exits."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from corn.ipc.messages import Message, WatchSetup
from corn.logs import logger
from corn.supervisor.children.child import ChildProcess, Children
from corn.supervisor.children.spawn import execute
from corn.supervisor.policy.state import ProcessExit

_MAX_STARTS = 5


class BrowserPort:
    """Live reload port: a listener on the loopback interface, and the token that browsers must know.

    The master owns it, so that it is the same for every watcher and every template.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.token = os.urandom(16).hex()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/{self.token}"

    def fileno(self) -> int:
        return self._listener.fileno()

    def close(self) -> None:
        self._listener.close()


class WatcherProcess:
    """Supervisor of the watcher. `setup` returns its configuration at each start, `receive` handles its messages.

    `outcome` returns the result of the last reload, which each new watcher receives.
    """

    def __init__(
        self,
        setup: Callable[[], WatchSetup],
        browsers: BrowserPort | None,
        children: Children,
        receive: Callable[[Message], None],
        outcome: Callable[[], Message],
    ) -> None:
        self._child: ChildProcess | None = None
        self._setup = setup
        self._browsers = browsers
        self._children = children
        self._receive = receive
        self._outcome = outcome
        self._started = 0

    def start(self) -> None:
        self._started += 1
        setup, inherited = self._setup(), []
        if self._browsers is not None:
            setup = replace(setup, refresh_fd=self._browsers.fileno(), token=self._browsers.token)
            inherited.append(self._browsers.fileno())
        try:
            self._child = self._children.start("the watcher", partial(_execute, inherited))
        except OSError as error:
            logger.error("the watcher could not be started: %s; file changes are not detected", error.strerror)
            return
        self._child.on_message, self._child.on_exit = self._receive, self._exited
        self.send(setup)
        self.send(self._outcome())

    def send(self, message: Message) -> None:
        if self._child is not None:
            self._children.send(self._child, message)

    def kill(self) -> None:
        """Kill the watcher and reap it."""
        if self._child is not None:
            self._children.kill(self._child)
            self._child = None

    def _exited(self, end: ProcessExit) -> None:
        """Restart the watcher, which then reports the changes made in between."""
        if self._child is not None:
            self._children.drop(self._child)
            self._child = None
        if self._started >= _MAX_STARTS:
            logger.error("the watcher %s again; file changes are no longer detected", end)
        else:
            logger.warning("the watcher %s; restarting it", end)
            self.start()


def _execute(inherited: list[int], channel: socket.socket) -> int:
    return execute("corn.reload.watcher", channel.fileno(), [channel.fileno(), *inherited], os.environ)
