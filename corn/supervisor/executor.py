"""Carries out what the policy decided: the only place where the master starts, tells and kills processes."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace

from corn.config import Config
from corn.ipc.channel import Channel
from corn.ipc.messages import Drain, Fork, Message, Quit
from corn.ipc.scoreboard import CELLS, Scoreboard
from corn.ipc.stack_report import new_report
from corn.ipc.template_setup import Setup
from corn.logs import logger
from corn.net.listeners import Listener
from corn.supervisor.children.spawn import (
    AdminHandle,
    HooksHandle,
    TemplateHandle,
    WatcherHandle,
    WorkerHandle,
    environment_of,
    execute_template,
)
from corn.supervisor.dev_session import DevReloader
from corn.supervisor.monitoring.counters import WorkerCounters
from corn.supervisor.monitoring.stack_dumps import StackDumps
from corn.supervisor.policy import actions
from corn.supervisor.policy.state import State
from corn.tls.vault import Vault

Handle = TemplateHandle | WorkerHandle | HooksHandle | WatcherHandle | AdminHandle
Watch = Callable[[Handle], None]


class Executor:
    """Holds the listeners, the shared slots and a handle for every template and worker that the policy knows.

    `watch` and `unwatch` tell the loop to listen to a handle's channel, or to stop. `config` is what the next template
    is started with; `vault` holds the certificates where HTTPS is served.
    """

    def __init__(
        self,
        config: Config,
        listeners: list[Listener],
        *,
        relay: bool,
        watch: Watch,
        unwatch: Watch,
        reloading: DevReloader | None = None,
        vault: Vault | None = None,
    ) -> None:
        self.config = config
        self.vault = vault
        self.templates: dict[int, TemplateHandle] = {}
        self.workers: dict[int, WorkerHandle] = {}
        self.slots = Scoreboard.create()
        self.readings = WorkerCounters(self.slots)
        self.dumps = StackDumps()
        self.listeners = listeners
        self._relay = relay
        self._reloading = reloading
        self._watch = watch
        self._unwatch = unwatch
        self._free_cells = list(range(CELLS - 1, -1, -1))
        self._by_kind: Mapping[type[actions.Action], Callable[..., None]] = {
            actions.SpawnTemplate: self._spawn_template,
            actions.StopTemplate: self._stop_template,
            actions.KillTemplate: self._kill_template,
            actions.SpawnWorker: self._spawn_worker,
            actions.DrainWorker: self._drain_worker,
            actions.AbortWorker: self._abort_worker,
            actions.DumpWorker: self._dump_worker,
            actions.KillWorker: self._kill_worker,
            actions.CloseListeners: self.close_listeners,
            actions.Say: self._say,
        }

    def perform(self, action: actions.Action) -> None:
        """Carry out one action; what is aimed at a process that is gone does nothing.

        Raises OSError or ConfigError where a process cannot be started.
        """
        self._by_kind[type(action)](action)

    def release(self, state: State) -> None:
        """Let go of the handles whose processes the policy has forgotten."""
        for number, worker in list(self.workers.items()):
            if number not in state.workers:
                del self.workers[number]
                if text := self.dumps.forget(worker):
                    logger.error("last stacks of worker process %s:\n%s", worker.pid, text.rstrip())
                os.close(worker.report)
                self.readings.leave(self.slots.cell(worker.cell))  # nobody shall wait for connections it took along
                self._free_cells.append(worker.cell)
                self._drop(worker)
        for generation, template in list(self.templates.items()):
            if generation not in state.templates:
                del self.templates[generation]
                self._drop(template)

    def close(self) -> None:
        self.close_listeners()
        self.slots.close()
        if self.vault is not None:
            self.vault.close()

    def close_listeners(self, action: actions.CloseListeners | None = None) -> None:
        for listener in self.listeners:
            listener.close(keep_file=action is not None and action.handed_over)
        self.listeners.clear()

    def tell_all(self, message: Message) -> None:
        """Tell workers and templates."""
        handles: list[Handle] = [*self.workers.values(), *self.templates.values()]
        for handle in handles:
            self.tell(handle, message)

    def tell_workers(self, message: Message) -> None:
        for handle in self.workers.values():
            self.tell(handle, message)

    def _spawn_template(self, action: actions.SpawnTemplate) -> None:
        environment = environment_of(self.config)
        ours, theirs = socket.socketpair()
        setup = Setup(
            generation=action.generation,
            config=self.config.to_json(),
            preload=_first_mode(self.config.preload),
            strict=self.config.preload != "auto",
            channel=theirs.fileno(),
            listeners=[each.sock.fileno() for each in self.listeners if not each.redirects],
            slots=self.slots.fd,
            master=os.getpid(),
            relay=self._relay,
            redirecting=[each.sock.fileno() for each in self.listeners if each.redirects],
            vault=None if self.vault is None else self.vault.fd,
        )
        if self._reloading is not None:
            setup = self._reloading.adapt(setup, warm=action.warm)
        try:
            with theirs:
                pid = execute_template(setup, environment)
        except OSError:
            ours.close()
            raise
        ours.setblocking(False)
        handle = TemplateHandle(action.generation, self.config, pid, Channel(ours))
        self.templates[action.generation] = handle
        self._watch(handle)

    def _stop_template(self, action: actions.StopTemplate) -> None:
        handle = self.templates.get(action.generation)
        if handle is not None:
            self.tell(handle, Quit())

    def _kill_template(self, action: actions.KillTemplate) -> None:
        handle = self.templates.get(action.generation)
        if handle is not None:
            os.kill(handle.pid, signal.SIGKILL)

    def _spawn_worker(self, action: actions.SpawnWorker) -> None:
        template = self.templates.get(action.generation)
        if template is None:
            return
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        handle = WorkerHandle(action.worker, self._free_cells.pop(), Channel(ours), new_report())
        self.slots.take(handle.cell)
        self.workers[action.worker] = handle
        order = Fork(action.worker, action.slot, handle.cell, action.gated, action.revision)
        if self._reloading is not None and action.broken is not None:
            order = replace(order, failure=self._reloading.failure_of(action.revision, action.broken).to_json())
        with theirs:
            self.tell(template, order, (theirs.fileno(), handle.report))
        self._watch(handle)

    def _drain_worker(self, action: actions.DrainWorker) -> None:
        handle = self.workers.get(action.worker)
        if handle is not None:
            self.tell(handle, Drain(action.grace, action.final, action.brisk))

    def _abort_worker(self, action: actions.AbortWorker) -> None:
        handle = self.workers.get(action.worker)
        if handle is not None:
            handle.signal(signal.SIGABRT)

    def _dump_worker(self, action: actions.DumpWorker) -> None:
        handle = self.workers.get(action.worker)
        if handle is not None:
            self.dumps.take(handle, lambda text: logger.warning("stacks of worker process %s:\n%s", handle.pid, text))

    def _kill_worker(self, action: actions.KillWorker) -> None:
        handle = self.workers.get(action.worker)
        if handle is not None:
            handle.signal(signal.SIGKILL)

    def _say(self, action: actions.Say) -> None:
        detail = "\n" + action.detail if action.detail else ""
        logger.log(_LEVELS[action.level], "%s%s", action.text, detail)

    def tell(self, handle: Handle, message: Message, fds: tuple[int, ...] = ()) -> None:
        handle.channel.send(message, fds)
        if handle.channel.wants_write:
            self._watch(handle)

    def _drop(self, handle: Handle) -> None:
        self._unwatch(handle)
        handle.channel.close()


def _first_mode(preload: str) -> str:
    """What `auto` starts with: everything where a fork without exec is safe, nothing on macOS."""
    if preload != "auto":
        return preload
    return "app" if sys.platform == "linux" else "none"


_LEVELS = {
    actions.Level.DEBUG: 10,
    actions.Level.INFO: 20,
    actions.Level.WARNING: 30,
    actions.Level.ERROR: 40,
}
