"""Hooks process of the master: runs the hook calls, and is restarted when a hook ends it.

The master never waits for a hook. Calls are queued here until the process has answered them. If the process exits, the
call in progress is logged and dropped, and the others go to the next process. After a reload, the earlier calls are
completed first; then another process loads the new file.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

from corn.config import Config
from corn.errors import ConfigError
from corn.hooks import Info
from corn.ipc.messages import Failed, HookCall, HookDone, HooksLoaded, HooksSetup, Message, Quit, ReopenLogs
from corn.logs import logger
from corn.supervisor.children.child import ChildProcess, Children
from corn.supervisor.children.spawn import environment_of, execute
from corn.supervisor.policy.state import Phase, ProcessExit, State
from corn.supervisor.projections.hook_calls import hook_calls
from corn.system.readiness import readable

MAX_QUEUED = 1000
_LOAD_TIMEOUT = 10.0  # seconds that the master waits at its exit for a process that it has just started


class HooksProcess:
    """Queue of hook calls, and the process that makes them in order; does nothing without option hooks.

    `config_of` returns the configuration of a generation, or None if its template has exited.
    """

    def __init__(self, config: Config, children: Children, config_of: Callable[[int | None], Config | None]) -> None:
        self._child: ChildProcess | None = None
        self._config = config
        self._children = children
        self._config_of = config_of
        self._pending: deque[HookCall] = deque()
        self._sent: deque[HookCall] = deque()
        self._busy_since = 0.0
        self._is_stopping = False
        self._defined: frozenset[str] | None = None  # None until the process has loaded the file
        self._disabled = config.hooks is None
        self._has_started = False
        self._failure: str | None = None  # why hooks are disabled, until that has been logged

    def observe(self, before: State, after: State, at: float) -> None:
        """Queue the hook calls of a decision, and load the file of a generation that becomes the current one."""
        del at
        self._has_started = self._has_started or after.phase in (Phase.RUNNING, Phase.RELOADING)
        self._report_failure()
        if not self._disabled:
            for hook, info in hook_calls(before, after):
                self.call(hook, info)
        if before.current not in (None, after.current) and (config := self._config_of(after.current)) is not None:
            self._renew(config)

    def call(self, hook: str, info: Info) -> None:
        if self._disabled or (self._defined is not None and hook not in self._defined):
            return
        if len(self._pending) + len(self._sent) >= MAX_QUEUED:
            logger.error("hook %s not called: %d calls are queued already", hook, MAX_QUEUED)
            return
        self._pending.append(HookCall(hook, asdict(info)))
        self._send_pending()

    def reopen_logs(self) -> None:
        """Request the process to reopen its log file."""
        if self._child is not None:
            self._children.send(self._child, ReopenLogs())

    def _renew(self, config: Config) -> None:
        """Load the hooks of a new configuration after the queued calls have been made."""
        self._config = config
        self._disabled = config.hooks is None
        self._request_exit()

    def _request_exit(self) -> None:
        if self._child is not None and not self._is_stopping:
            self._is_stopping = True
            self._children.send(self._child, Quit())

    def _receive(self, message: Message) -> None:
        match message:
            case HooksLoaded():
                self._loaded(frozenset(message.names), message.at)
            case HookDone():
                self._done(message)
            case Failed():
                self._disable(f"{message.error}\n{message.detail}".rstrip())

    def _exited(self, end: ProcessExit) -> None:
        """Log the hook that was running as the cause, and pass the other calls to another process."""
        if self._child is None:
            return
        self._children.drop(self._child)
        loading, self._defined = self._defined is None and not self._disabled, None
        self._child, self._is_stopping = None, False
        if loading:
            self._disable(f"the hooks process {end} while loading {self._config.hooks}")
        elif self._sent:
            self._blame(self._sent.popleft(), end)
        self._pending.extendleft(reversed(self._sent))
        self._sent.clear()
        if self._pending:
            self._send_pending()

    def finish(self) -> None:
        """Wait until all calls are made, for at most --timeout-hook, then kill the process.

        For use after the loop has ended. A process that still loads the file has some seconds for that, besides.
        """
        loaded_by = time.monotonic() + min(self._config.timeout_boot, _LOAD_TIMEOUT)
        while self._child is not None and self._defined is None and time.monotonic() < loaded_by:
            self._wait(self._child, loaded_by)
        deadline = time.monotonic() + self._config.timeout_hook + 1.0
        while self._child is not None and time.monotonic() < deadline:
            if not self._pending:
                self._request_exit()
            self._wait(self._child, deadline)
        if self._child is not None:
            logger.error("%d hook calls dropped: not made within --timeout-hook", len(self._sent) + len(self._pending))
            self._pending.clear()
            self._sent.clear()
            self._exited(self._children.kill(self._child))

    def _wait(self, child: ChildProcess, deadline: float) -> None:
        readable(child.channel, timeout=deadline - time.monotonic())
        self._children.receive(child)
        if child.channel.closed:
            self._exited(self._children.kill(child))

    def _send_pending(self) -> None:
        if self._child is None:
            self._start()
        if self._child is None or self._is_stopping:
            return
        while self._pending:
            call = self._pending.popleft()
            if not self._sent:
                self._busy_since = time.monotonic()
            self._sent.append(call)
            self._children.send(self._child, call)

    def _start(self) -> None:
        try:
            environment = environment_of(self._config)
            self._child = self._children.start("the hooks process", partial(_execute, environment))
        except (OSError, ConfigError) as error:
            self._disable(f"the hooks process could not be started: {error}")
            return
        self._child.on_message, self._child.on_exit = self._receive, self._exited
        self._children.send(self._child, HooksSetup(self._config.to_json()))

    def _loaded(self, names: frozenset[str], at: float) -> None:
        self._defined = names
        self._busy_since = at
        if not names:  # then the process exits by itself
            self._forget()

    def _done(self, message: HookDone) -> None:
        if self._sent:
            self._sent.popleft()
        self._busy_since = message.at  # not the time of receipt, which may be later than the timeout of the next hook
        if message.error:
            logger.error("hook %s failed: %s\n%s", message.hook, message.error, message.detail)

    def _blame(self, call: HookCall, end: ProcessExit) -> None:
        took = time.monotonic() - self._busy_since
        if took >= self._config.timeout_hook:
            logger.error("hook %s killed: it exceeded --timeout-hook (%g s)", call.hook, self._config.timeout_hook)
        else:
            logger.error("hook %s ended the hooks process: %s", call.hook, end)

    def _disable(self, why: str) -> None:
        """Disable hooks until the next reload."""
        self._failure = why
        self._report_failure()
        self._forget()

    def _report_failure(self) -> None:
        """Log why hooks are disabled once the service has started: before, the template's error ends the start."""
        if self._has_started and self._failure is not None:
            logger.error("hooks are disabled until the next reload: %s", self._failure)
            self._failure = None

    def _forget(self) -> None:
        self._disabled = True
        self._pending.clear()
        self._sent.clear()


def _execute(environment: Mapping[str, str], channel: socket.socket) -> int:
    return execute("corn.worker.hooks.process", channel.fileno(), [channel.fileno()], environment)
