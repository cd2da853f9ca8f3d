"""The master's side of the hooks process: tells it what happens, and replaces it when a hook ends it.

The master never waits for a hook. What is to be told is kept here until the process has answered it, so nothing is lost
with a process: the call that it was busy with is reported and given up, the rest goes to the next one. After a reload
the process is replaced, once it has done what it was told, by one that loads the new file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict

from corn.config import Config
from corn.errors import ConfigError
from corn.hooks import Info
from corn.ipc.channel import Channel
from corn.ipc.messages import Failed, HookCall, HookDone, HooksLoaded, HooksSetup, Message, Quit, ReopenLogs
from corn.logs import logger
from corn.supervisor.children.spawn import HooksHandle, end_of, environment_of, execute_hooks
from corn.supervisor.policy.state import ProcessExit, State
from corn.supervisor.projections.hook_calls import hook_calls

MOST_KEPT = 1000
Watch = Callable[[HooksHandle], None]


class HooksProcess:
    """Calls hooks in a process of their own, in order. Without option hooks it does nothing.

    `watch` tells the loop to listen to the process, `unwatch` to stop.
    """

    def __init__(self, config: Config, *, watch: Watch, unwatch: Watch) -> None:
        self.handle: HooksHandle | None = None
        self._config = config
        self._watch = watch
        self._unwatch = unwatch
        self._untold: deque[HookCall] = deque()
        self._told: deque[HookCall] = deque()
        self._busy_since = 0.0
        self._leaving = False
        self._defined: frozenset[str] | None = None  # None until the process has loaded the file
        self._ever_loaded = False
        self._given_up = config.hooks is None

    def observe(self, before: State, after: State) -> None:
        """Call for what a decision changed."""
        if not self._given_up:
            for hook, info in hook_calls(before, after):
                self.call(hook, info)

    def call(self, hook: str, info: Info) -> None:
        if self._given_up or (self._defined is not None and hook not in self._defined):
            return
        if len(self._untold) + len(self._told) >= MOST_KEPT:
            logger.error("hook %s is not called: %d calls wait already", hook, MOST_KEPT)
            return
        self._untold.append(HookCall(hook, asdict(info)))
        self._go_on()

    def reopen_logs(self) -> None:
        """Have the process open its log file anew."""
        if self.handle is not None:
            self._tell(self.handle, ReopenLogs())

    def renew(self, config: Config) -> None:
        """Load the hooks of a new configuration, once the calls so far are done."""
        self._config = config
        self._given_up = config.hooks is None
        if self.handle is not None and not self._leaving:
            self._leaving = True
            self._tell(self.handle, Quit())

    def hear(self, message: Message) -> None:
        """Take note of what the process says."""
        match message:
            case HooksLoaded():
                self._loaded(frozenset(message.names))
            case HookDone():
                self._done(message)
            case Failed():
                self._give_up(message.error)

    def ended(self, end: ProcessExit) -> None:
        """The process is gone: blame the hook that it was busy with, and go on with the rest in another process."""
        if self.handle is None:
            return
        self._unwatch(self.handle)
        self.handle.channel.close()
        loading, self._defined = self._defined is None and not self._given_up, None
        self.handle, self._leaving = None, False
        if loading:
            self._give_up(f"its process {end} while it loaded {self._config.hooks}")
        elif self._told:
            self._blame(self._told.popleft(), end)
        self._untold.extendleft(reversed(self._told))
        self._told.clear()
        if self._untold:
            self._go_on()

    def finish(self) -> None:
        """Wait until the process has done what it was told, no longer than one hook may take; then end it.

        Called when the loop has ended, and listens to nothing any more.
        """
        self._watch = self._unwatch = _not_listening
        deadline = time.monotonic() + self._config.timeout_hook + 1.0
        while self.handle is not None and time.monotonic() < deadline:
            if not self._untold and not self._leaving:
                self._leaving = True
                self._tell(self.handle, Quit())
            self._wait(self.handle, deadline)
        if self.handle is not None:
            logger.error("%d hook calls were not made: out of time", len(self._told) + len(self._untold))
            self._untold.clear()
            self._told.clear()
            self.ended(_end_of(self.handle.pid))

    def _wait(self, handle: HooksHandle, deadline: float) -> None:
        select.select([handle.channel], [], [], max(0.0, deadline - time.monotonic()))
        handle.channel.flush()
        for message in handle.channel.receive():
            self.hear(message)
        if handle.channel.closed:
            self.ended(_end_of(handle.pid))

    def _go_on(self) -> None:
        if self.handle is None:
            self._start()
        if self.handle is None or self._leaving:
            return
        while self._untold:
            call = self._untold.popleft()
            if not self._told:
                self._busy_since = time.monotonic()
            self._told.append(call)
            self._tell(self.handle, call)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                pid = execute_hooks(theirs, environment_of(self._config))
        except (OSError, ConfigError) as error:
            ours.close()
            self._give_up(f"no process for them: {error}")
            return
        ours.setblocking(False)
        self.handle = HooksHandle(pid, Channel(ours))
        self._tell(self.handle, HooksSetup(self._config.to_json()))

    def _tell(self, handle: HooksHandle, message: Message) -> None:
        handle.channel.send(message)
        self._watch(handle)

    def _loaded(self, names: frozenset[str]) -> None:
        self._defined, self._ever_loaded = names, True
        if not names:  # then the process ends by itself
            self._forget()

    def _done(self, message: HookDone) -> None:
        if self._told:
            self._told.popleft()
        self._busy_since = time.monotonic()
        if message.error:
            logger.error("hook %s failed: %s\n%s", message.hook, message.error, message.detail)

    def _blame(self, call: HookCall, end: ProcessExit) -> None:
        took = time.monotonic() - self._busy_since
        if took >= self._config.timeout_hook:
            logger.error("hook %s was ended: longer than --timeout-hook (%g s)", call.hook, self._config.timeout_hook)
        else:
            logger.error("hook %s ended its process: %s", call.hook, end)

    def _give_up(self, why: str) -> None:
        """Call no hook until the next reload. At the first start the template tells the same, and nothing starts."""
        level = logging.ERROR if self._ever_loaded else logging.DEBUG
        logger.log(level, "no hook is called until the next reload: %s", why)
        self._forget()

    def _forget(self) -> None:
        self._given_up = True
        self._untold.clear()
        self._told.clear()


def _not_listening(handle: HooksHandle) -> None:
    del handle


def _end_of(pid: int) -> ProcessExit:
    """The end of a process that has closed its channel, and is killed if that was not its end."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        return end_of(os.waitpid(pid, 0)[1])
    return ProcessExit()
