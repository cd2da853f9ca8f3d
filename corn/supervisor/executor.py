"""Executor of the policy's actions: the one place where the master starts, stops and kills templates and workers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from corn import logs
from corn.config import Config
from corn.ipc.channel import Channel
from corn.ipc.messages import Drain, Fork, Message, Quit, ReopenLogs, SteppedDown
from corn.ipc.scoreboard import CELLS, Scoreboard
from corn.ipc.stack_report import new_report
from corn.ipc.template_setup import Setup
from corn.logs import logger
from corn.net.listeners import Listener
from corn.supervisor.children.child import Children, start_channel
from corn.supervisor.children.spawn import environment_of, execute_template
from corn.supervisor.children.workers import TemplateProcess, WorkerProcess
from corn.supervisor.development import Development
from corn.supervisor.monitoring.counters import WorkerCounters
from corn.supervisor.monitoring.stack_dumps import StackDumps
from corn.supervisor.policy import actions
from corn.supervisor.policy.state import ProcessExit, State
from corn.supervisor.preload_memory import PreloadMemory, PreloadMode, cache_directory
from corn.system.process import descendants
from corn.tls.vault import Vault


class Receiver(Protocol):
    """Receiver of the messages of templates and workers, and of their exits."""

    def from_template(self, template: TemplateProcess, message: Message) -> None: ...
    def template_exited(self, template: TemplateProcess, end: ProcessExit) -> None: ...
    def from_worker(self, worker: WorkerProcess, message: Message) -> None: ...
    def worker_exited(self, worker: WorkerProcess, end: ProcessExit) -> None: ...
    def worker_sent_invalid_line(self, worker: WorkerProcess, line: bytes) -> None: ...
    def worker_read(self, worker: WorkerProcess) -> None: ...


class Executor:
    """Owner of the listeners, the scoreboard, and every template and worker that the policy knows.

    `config` is the configuration of the next template; `vault` holds the certificates if HTTPS is served.
    `relays`: the templates are the workers' parents, and report their exits.
    `receiver` is set before the first action is carried out.
    """

    receiver: Receiver

    def __init__(
        self,
        config: Config,
        listeners: list[Listener],
        children: Children,
        *,
        relay: bool,
        development: Development,
        vault: Vault | None = None,
    ) -> None:
        self.config = config
        self.log_level_override: str | None = None  # by 'corn log-level', until the next reload
        self.vault = vault
        self.listeners = listeners
        self.templates: dict[int, TemplateProcess] = {}
        self.workers: dict[int, WorkerProcess] = {}
        self.slots = Scoreboard.create()
        self.readings = WorkerCounters(self.slots)
        self.dumps = StackDumps()
        self._children = children
        self.relays = relay
        self._development = development
        self._preload_memory = PreloadMemory(cache_directory())
        self._free_cells = list(range(CELLS - 1, -1, -1))
        self.by_kind: Mapping[type[actions.Action], Callable[..., None]] = {
            actions.SpawnTemplate: self._spawn_template,
            actions.StopTemplate: self._stop_template,
            actions.KillTemplate: self._kill_template,
            actions.SpawnWorker: self._spawn_worker,
            actions.DrainWorker: self._drain_worker,
            actions.AbortWorker: self._abort_worker,
            actions.DumpWorker: self._dump_worker,
            actions.KillWorker: self._kill_worker,
            actions.CloseListeners: self.close_listeners,
            actions.LogLine: _log_line,
        }

    def config_of(self, generation: int | None) -> Config | None:
        """The configuration of a generation, None if its template has exited."""
        template = self.templates.get(generation or 0)
        return None if template is None else template.config

    def observe(self, before: State, after: State, at: float) -> None:
        """Drop the processes that the policy has forgotten."""
        del before, at
        for number, worker in list(self.workers.items()):
            if number not in after.workers:
                del self.workers[number]
                self._children.drop(worker)
                if text := self.dumps.forget(worker):
                    logger.error("last stacks of worker process %s:\n%s", worker.pid, text.rstrip())
                os.close(worker.report)
                self.readings.add_exited(self.slots.cell(worker.cell))  # its connections are no longer counted
                self._free_cells.append(worker.cell)
        for generation, template in list(self.templates.items()):
            if generation not in after.templates:
                del self.templates[generation]
                self._children.drop(template)

    def close(self) -> None:
        self.close_listeners()
        self.slots.close()
        if self.vault is not None:
            self.vault.close()

    def close_listeners(self, action: actions.CloseListeners | None = None) -> None:
        for listener in self.listeners:
            listener.close(keep_file=action is not None and action.handed_over)
        self.listeners.clear()

    def reopen_logs(self) -> str:
        """Reopen the master's log file, and request workers and templates to; returns what `logs.reopen` returns."""
        self.send_to_all(ReopenLogs())
        return logs.reopen()

    def send_to_all(self, message: Message) -> None:
        """Send a message to workers and templates."""
        for each in (*self.workers.values(), *self.templates.values()):
            self._children.send(each, message)

    def send_to_workers(self, message: Message) -> None:
        for worker in self.workers.values():
            self._children.send(worker, message)

    def _spawn_template(self, action: actions.SpawnTemplate) -> None:
        environment = environment_of(self.config)
        preload = self._preload_mode()

        def execute(theirs: socket.socket) -> int:
            setup = Setup(
                generation=action.generation,
                config=self.config.to_json(),
                preload=preload.mode,
                modules=preload.modules,
                strict=self.config.preload != "auto",
                channel=theirs.fileno(),
                listeners=[each.sock.fileno() for each in self.listeners if not each.redirects],
                slots=self.slots.fd,
                master=os.getpid(),
                relay=self.relays,
                redirecting=[each.sock.fileno() for each in self.listeners if each.redirects],
                vault=None if self.vault is None else self.vault.fd,
            )
            return execute_template(self._development.adapt(setup, warm=action.warm), environment)

        pid, channel = start_channel(execute)
        template = TemplateProcess(
            f"the template of generation {action.generation}",
            channel,
            pid,
            generation=action.generation,
            config=self.config,
        )
        template.on_message = partial(self.receiver.from_template, template)
        template.on_exit = partial(self.receiver.template_exited, template)
        self.templates[action.generation] = template
        self._children.add(template)

    def stepped_down(self, template: TemplateProcess, message: SteppedDown) -> None:
        """Remember the mode that a template steps down to."""
        self._preload_memory.note(template.config, message)

    def _preload_mode(self) -> PreloadMode:
        """Initial mode: the configured one, else the one that worked before, else the highest that is safe."""
        if self.config.preload != "auto":
            return PreloadMode(self.config.preload)
        if not self._development.active and (found := self._preload_memory.recall(self.config)) is not None:
            to_blame = ", ".join(found.blamed) or "the application"
            hint = f"{to_blame} was not safe to fork before; --preload app tries again"
            logger.info("using --preload %s: %s", found.mode, hint)
            return found
        return PreloadMode("app" if sys.platform == "linux" else "none")  # fork without exec is not safe on macOS

    def _stop_template(self, action: actions.StopTemplate) -> None:
        if (template := self.templates.get(action.generation)) is not None:
            self._children.send(template, Quit())

    def _kill_template(self, action: actions.KillTemplate) -> None:
        if (template := self.templates.get(action.generation)) is not None:
            for pid in descendants(template.pid or 0):
                if all(worker.pid != pid for worker in self.workers.values()):  # hangs in a fork that was given up
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            template.signal(signal.SIGKILL)

    def _spawn_worker(self, action: actions.SpawnWorker) -> None:
        template = self.templates.get(action.generation)
        if template is None:
            return
        request = Fork(action.worker, action.slot, self._free_cells[-1], action.gated, action.revision)
        if action.broken is not None:
            request = replace(request, failure=self._development.failure_of(action.revision, action.broken).to_json())
        with contextlib.ExitStack() as undo:
            report = new_report()
            undo.callback(os.close, report)
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            with theirs:
                self._children.send(template, request, (theirs.fileno(), report))
            undo.pop_all()
        ours.setblocking(False)
        worker = WorkerProcess(
            f"worker {action.slot}",
            Channel(ours, passes_fds=False),
            id=action.worker,
            generation=action.generation,
            requested_at=time.monotonic(),
            cell=self._free_cells.pop(),
            report=report,
        )
        worker.on_message = partial(self.receiver.from_worker, worker)
        worker.on_exit = partial(self.receiver.worker_exited, worker)
        worker.on_invalid_line = partial(self.receiver.worker_sent_invalid_line, worker)
        worker.on_read = partial(self.receiver.worker_read, worker)
        self.slots.take(worker.cell)
        self.workers[action.worker] = worker
        self._children.add(worker)

    def _drain_worker(self, action: actions.DrainWorker) -> None:
        if (worker := self.workers.get(action.worker)) is not None:
            self._children.send(worker, Drain(action.grace, action.final, action.fast))

    def _abort_worker(self, action: actions.AbortWorker) -> None:
        if (worker := self.workers.get(action.worker)) is not None:
            worker.signal(signal.SIGABRT)

    def _dump_worker(self, action: actions.DumpWorker) -> None:
        if (worker := self.workers.get(action.worker)) is not None:
            self.dumps.take(worker, partial(_log_stacks, worker))

    def _kill_worker(self, action: actions.KillWorker) -> None:
        if (worker := self.workers.get(action.worker)) is not None:
            worker.signal(signal.SIGKILL)


def _log_stacks(worker: WorkerProcess, text: str) -> None:
    logger.warning("stacks of worker process %s:\n%s", worker.pid, text)


def _log_line(action: actions.LogLine) -> None:
    detail = "\n" + action.detail if action.detail else ""
    logger.log(_LEVELS[action.level], "%s%s", action.text, detail)


_LEVELS = {
    actions.Level.DEBUG: 10,
    actions.Level.INFO: 20,
    actions.Level.WARNING: 30,
    actions.Level.ERROR: 40,
}
