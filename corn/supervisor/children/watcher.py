"""Watcher child process: started with the session, and again, a few times, when it exits."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace

from corn.ipc.channel import Channel
from corn.ipc.messages import Message, WatchSetup
from corn.logs import logger
from corn.supervisor.children.spawn import WatcherHandle, execute_watcher
from corn.supervisor.policy.state import ProcessExit

_MOST_WATCHERS = 5


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
    """Handle on the watcher, or None in `handle` where none runs.

    `setup` gives what is to be watched at each start, and `watch` registers the channel with the loop.
    """

    def __init__(
        self,
        setup: Callable[[], WatchSetup],
        browsers: BrowserPort | None,
        watch: Callable[[WatcherHandle], None],
    ) -> None:
        self.handle: WatcherHandle | None = None
        self._setup = setup
        self._browsers = browsers
        self._watch = watch
        self._started = 0

    def start(self) -> None:
        self._started += 1
        ours, theirs = socket.socketpair()
        setup = self._setup()
        inherited = [theirs.fileno()]
        if self._browsers is not None:
            setup = replace(setup, refresh_fd=self._browsers.fileno(), token=self._browsers.token)
            inherited.append(self._browsers.fileno())
        with theirs:
            pid = execute_watcher(theirs, inherited)
        ours.setblocking(False)
        self.handle = WatcherHandle(pid, Channel(ours))
        self.send(setup)

    def exited(self, end: ProcessExit) -> bool:
        """Start another watcher, which reports what changed in between; returns whether there is one."""
        if self.handle is None:
            return False
        self.handle.channel.close()
        self.handle = None
        if self._started >= _MOST_WATCHERS:
            logger.error("the watcher %s again; changes are not noticed any more", end)
            return False
        logger.warning("the watcher %s; another is started", end)
        self.start()
        return True

    def send(self, message: Message) -> None:
        if self.handle is not None:
            self.handle.channel.send(message)
            self._watch(self.handle)

    def kill(self) -> None:
        """Kill the watcher and reap it."""
        if self.handle is not None:
            os.kill(self.handle.pid, signal.SIGKILL)
            os.waitpid(self.handle.pid, 0)
            self.handle.channel.close()
            self.handle = None
