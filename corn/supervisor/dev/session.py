"""Development session of the master: receives changes from the watcher, and reports reloads to users and browsers.

It makes no decision about workers; the messages it receives become events for the policy (policy/development.py).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from corn.config import Config
from corn.diagnosis import text as terminal
from corn.diagnosis.failure import EXIT, STARTUP, Failure
from corn.errors import ConfigError
from corn.ipc.messages import Changed, Debugging, Imported, Message, Ready, Reloaded, ReloadFailed, Watching, WatchSetup
from corn.ipc.template_setup import Setup
from corn.logs import logger, wants_color
from corn.reload.filters import ASSET, COLD, WatchFilter
from corn.reload.preload_plan import packages_to_load, shadowed
from corn.reload.watch_config import identities_of, rules_of, watch_setup
from corn.supervisor.children.child import Children
from corn.supervisor.children.watcher import BrowserPort, WatcherProcess
from corn.supervisor.configuration.reload import settings_of
from corn.supervisor.dev.console import DevConsole
from corn.supervisor.policy import events
from corn.supervisor.policy.actions import AnnounceReload, ShowFailure
from corn.supervisor.policy.state import RevisionFailure
from corn.supervisor.process.terminal import Terminal
from corn.system.paths import working_directory

_MAX_NAMED = 3
_SLOWEST = 10


class DevSession:
    """The `Development` of `corn dev`. `file` is the configuration file, "" if there is none.

    `packages` are the modules that a warm template loads.
    """

    active = True

    def __init__(self, config: Config, file: str) -> None:
        self.packages: list[str] = []
        self._left_out: frozenset[str] = frozenset()
        self._config = config
        self._file = file
        self._watcher: WatcherProcess | None = None
        self._terminal = Terminal()
        watched = self._rules.directories if config.reload else ()
        self._console = DevConsole(config.app or "", self._terminal, watched)
        self._debuggers: set[int] = set()
        self._keep_time()
        self._paths: list[str] = []
        self._ready = Ready()
        self._outcome: Message = Reloaded(1, [])
        self._imported: dict[str, str] = {}
        self._browsers = BrowserPort() if config.reload and config.refresh else None
        self._mailbox = socket.socketpair()

    @property
    def _rules(self) -> WatchFilter:
        return rules_of(self._config, self._file)

    def start(
        self,
        selector: selectors.BaseSelector,
        children: Children,
        handle: Callable[[events.Event], None],
        reread: Callable[[], Config],
    ) -> None:
        """Start the watcher, unless reloading is disabled."""
        self._terminal.watch(selector, partial(self._terminal_closed, handle))
        if self._config.keys:
            self._console.use_keys(
                {"r": partial(self._reload, handle, reread), "q": partial(self._stop, handle, "requested by key")}
            )
        if self._config.reload:
            receive = partial(self._receive, handle, reread)
            self._watcher = WatcherProcess(self._watch_setup, self._browsers, children, receive, lambda: self._outcome)
            self._watcher.start()

    def _reload(self, handle: Callable[[events.Event], None], reread: Callable[[], Config]) -> None:
        with contextlib.suppress(ConfigError):  # logged already
            self._config = reread()
            self._paths = []
            handle(events.ReloadRequested(time.monotonic(), settings_of(self._config, development=True)))

    def _stop(self, handle: Callable[[events.Event], None], cause: str) -> None:
        handle(events.StopRequested(time.monotonic(), "SIGTERM", cause=cause))

    def _terminal_closed(self, handle: Callable[[events.Event], None]) -> None:
        self._stop(handle, "its terminal was closed")

    def show_banner(self, addresses: Sequence[str]) -> None:
        self._console.show_banner(addresses)
        if self._config.open:
            self._console.open()

    def next_at(self) -> float | None:
        return self._console.next_at()

    def tick(self, now: float) -> None:
        self._console.tick(now)

    def closed_terminal(self, handle: Callable[[events.Event], None]) -> bool:
        if self._terminal.is_closed:
            self._terminal_closed(handle)
        return self._terminal.is_closed

    def _keep_time(self) -> None:
        """Keep the time before a load, and its directories: a watcher that starts reports later changes."""
        self._since, self._identities = time.time(), identities_of(self._rules)

    def _watch_setup(self) -> WatchSetup:
        return watch_setup(self._config, self._file, self._since, self._identities)

    def adapt(self, setup: Setup, *, warm: bool) -> Setup:
        """Setup of a template, with the additions for development."""
        modules = self.packages if warm else []
        return replace(
            setup,
            preload="deps" if warm else "none",
            strict=False,
            modules=modules,
            development=True,
            refresh=self._browsers.url if self._browsers is not None else "",
            mailbox=[end.fileno() for end in self._mailbox],
        )

    def finish(self) -> None:
        """Kill the watcher, and close the resources that the workers share."""
        if self._watcher is not None:
            self._watcher.kill()
        if self._browsers is not None:
            self._browsers.close()
        self._terminal.close()
        for end in self._mailbox:
            end.close()

    # Messages received

    def _receive(self, handle: Callable[[events.Event], None], reread: Callable[[], Config], message: Message) -> None:
        match message:
            case Watching():
                logger.debug("%s", message.how)
                if message.warning:
                    logger.warning("%s", message.warning)
            case Changed() if message.effect == ASSET:
                logger.debug("browsers are refreshed: %s", named(message.paths))
                self._send(Reloaded(0, message.paths, assets=True))
            case Changed():
                handle(self._changed(message, time.monotonic(), reread))

    def _changed(self, message: Changed, at: float, reread: Callable[[], Config]) -> events.Event:
        self._keep_time()
        self._paths = message.paths
        cold = message.effect == COLD
        if cold:
            with contextlib.suppress(ConfigError):  # logged already
                self._config = reread()
        cold |= bool(shadowed(self._named_by(message.paths), self.packages))
        if cold:
            self.packages = []
            self._imported.clear()
        return events.CodeChanged(at, settings_of(self._config, development=True), cold=cold, age=message.age)

    def _named_by(self, paths: list[str]) -> set[str]:
        """Base names of the modules and packages that were changed directly below a watched directory."""
        rules = self._rules
        below = ((path, rules.root_of(path)) for path in paths)
        return {Path(path).relative_to(root).parts[0] for path, root in below if root is not None}

    def left_out(self, packages: Iterable[str]) -> None:
        self._left_out |= {*packages}

    def from_worker(self, worker: int, message: Message, at: float) -> events.Event | None:
        self._console.from_worker(worker, message)
        match message:
            case Ready():
                self._ready = message  # its times appear in the next announcement
            case Debugging():
                self._debuggers.add(worker)
                self._terminal.pause()
                return events.WorkerDebugging(at, worker)
            case Imported():
                return self._imports(message, at)
        return None

    def worker_exited(self, worker: int) -> None:
        """Take the terminal back if a debugger waited in the worker, which may not have restored it."""
        if worker in self._debuggers:
            self._debuggers.discard(worker)
            if not self._debuggers:
                self._terminal.resume()

    def _imports(self, message: Imported, at: float) -> events.Event | None:
        """Record the imports of a worker; if the warm template loads fewer, the next one loads these."""
        if self._config.profile_reload:
            logger.info("%s", _profile(message))
        if self._config.preload == "none":
            return None
        new = {name: file for name, file in message.libraries if name not in self._imported}
        if not new:
            return None
        self._imported.update(new)
        rules = self._rules
        packages = packages_to_load(self._imported.items(), lambda file: rules.classify(file).counts, self._left_out)
        if packages == self.packages:
            return None
        self.packages = packages
        return events.PackagesKnown(at)

    # Reports

    def announce(self, action: AnnounceReload) -> None:
        """Log the line about a reload."""
        ready = self._ready
        took = f"{action.seconds * 1000:.0f} ms (app {ready.loading * 1000:.0f}, lifespan {ready.starting * 1000:.0f})"
        logger.info("reloaded in %s: %s", took, named(self._paths) or "requested")
        self._outcome = Reloaded(action.revision, self._paths)
        self._send(self._outcome)

    def show(self, action: ShowFailure) -> None:
        """Log the failure, and show it in browsers."""
        failure = self.failure_of(action.revision, action.broken)
        text = terminal.text(failure, color=wants_color(self._config.color), directory=working_directory())
        logger.error("the application failed to start; waiting for a change\n%s", text)
        self._outcome = ReloadFailed(action.revision, self._paths, failure.to_json())
        self._send(self._outcome)

    def failure_of(self, revision: int, broken: RevisionFailure) -> Failure:
        """Failure report for display."""
        if broken.failure is not None:
            known = Failure.from_json(dict(broken.failure))
        else:
            ended = broken.error.startswith(("exited", "killed"))
            summary = f"the application's process ended: {broken.error}" if ended else broken.error
            known = Failure(EXIT if ended else STARTUP, summary, detail=broken.detail)
        return replace(known, generation=revision, changed=tuple(self._paths))

    def _send(self, message: Message) -> None:
        if self._watcher is not None:
            self._watcher.send(message)


def named(paths: list[str]) -> str:
    """Text that names a few paths and counts the others."""
    shown = [_relative(path) for path in paths[:_MAX_NAMED]]
    others = len(paths) - len(shown)
    return ", ".join(shown) + (f" and {others} others" if others else "")


def _relative(path: str) -> str:
    relative = os.path.relpath(path, working_directory())
    return path if relative.startswith("..") else relative


def _profile(message: Imported) -> str:
    slowest = sorted(message.own, key=lambda each: -each[2])[:_SLOWEST]
    lines = [f"{seconds * 1000:8.1f} ms  {name}" for name, _, seconds in slowest]
    return "slowest project modules, excluding their imports\n" + "\n".join(lines)
