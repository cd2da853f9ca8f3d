"""Inbox of the master: messages and exits of templates and workers, translated into events of the policy."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from corn.config.error_names import named_as_given
from corn.ipc import messages
from corn.logs import logger
from corn.supervisor.children.child import Children
from corn.supervisor.children.workers import TemplateProcess, WorkerProcess
from corn.supervisor.configuration.reload import Origins
from corn.supervisor.development import Development
from corn.supervisor.executor import Executor
from corn.supervisor.monitoring.exit_cause import ExitCauseFinder
from corn.supervisor.monitoring.sampler import MemorySampler
from corn.supervisor.monitoring.stack_dumps import WorkerQueries
from corn.supervisor.policy import events
from corn.supervisor.policy.state import ProcessExit
from corn.supervisor.process.reaper import Reaper, exit_of

_LATEST_FORK = 60.0  # seconds in which a worker that was given up may have been forked, and have exited
_UNREPORTED = ProcessExit(note="how is unknown: its template, which would have reported it, was lost")


class Inbox:
    """The `Receiver` of an executor; messages and exits are passed to `handle` as events."""

    def __init__(
        self,
        executor: Executor,
        children: Children,
        development: Development,
        memory: MemorySampler,
        handle: Callable[[events.Event], None],
        *,
        origins: Origins,
    ) -> None:
        self._executor = executor
        self._origins = origins
        self._children = children
        self._development = development
        self._exit_cause = ExitCauseFinder(memory)
        self.queries = WorkerQueries(executor.workers, executor.dumps, children.send)
        self._handle = handle
        self._reaper = Reaper()

    def reap(self) -> None:
        """Pass on the exit of each child that has ended."""
        for pid, end in self._reaper.reap():
            self._exited(pid, end)

    def _exited(self, pid: int, end: ProcessExit) -> None:
        self._reaper.note(pid)
        if not self._children.exited(pid, end):
            self._reaper.keep(pid, end)

    def from_template(self, template: TemplateProcess, message: messages.Message) -> None:
        event = self._of_template(template, message, time.monotonic())
        if event is not None:
            self._handle(event)

    def template_exited(self, template: TemplateProcess, end: ProcessExit) -> None:
        self._handle(events.TemplateExited(time.monotonic(), template.generation, end))
        for worker in [each for each in self._executor.workers.values() if each.pid is None or self._executor.relays]:
            self._children.receive(worker)

    def from_worker(self, worker: WorkerProcess, message: messages.Message) -> None:
        at = time.monotonic()
        also = self._development.from_worker(worker.id, message, at)
        for event in (self._of_worker(worker, message, at), also):
            if event is not None:
                self._handle(event)

    def worker_exited(self, worker: WorkerProcess, end: ProcessExit) -> None:
        self._development.worker_exited(worker.id)
        if end.code != 0:
            cell = self._executor.slots.cell(worker.cell)
            end = self._exit_cause.examine(end, cell, worker.pid, killed_by_us=worker.killed)
        self._handle(events.WorkerExited(time.monotonic(), worker.id, end))

    def worker_sent_invalid_line(self, worker: WorkerProcess, line: bytes) -> None:
        del line  # logged already
        self._handle(events.WorkerRetiring(time.monotonic(), worker.id, "invalid data on its channel", at_once=True))

    def worker_read(self, worker: WorkerProcess) -> None:
        """Handle an exit that was reaped before the process id was known, or that nothing but the channel reports."""
        is_orphan = worker.generation not in self._executor.templates
        if worker.pid is not None:
            early = self._reaper.ended_early(worker.pid, worker.requested_at)
            if early is not None:
                self._exited(worker.pid, early)
            elif worker.channel.closed and is_orphan and self._executor.relays:
                self._children.exited(worker.pid, _UNREPORTED)
        elif worker.channel.closed and (worker.not_forked or is_orphan):
            why = worker.not_forked or "its template was lost, and its process has exited"
            self._handle(events.WorkerNotForked(time.monotonic(), worker.id, why))

    def _of_template(self, template: TemplateProcess, message: messages.Message, at: float) -> events.Event | None:
        match message:
            case messages.Loaded():
                for warning in message.warnings:
                    logger.warning("%s", warning)
                return events.TemplateReady(at, template.generation, message.preload)
            case messages.SteppedDown():
                self._development.left_out(message.left_out)
                self._executor.stepped_down(template, message)
                return events.TemplateSteppedDown(at, template.generation, message.reason)
            case messages.Failed():
                error = self._named_as_given(message.error)
                return events.TemplateFailed(at, template.generation, error, message.detail, message.exit_code)
            case messages.NotForked():
                self._not_forked(message)
            case messages.Forked():
                self._forked(message, at)
            case messages.Exited():
                self._exited(message.pid, exit_of(message.status))
        return None

    def _forked(self, message: messages.Forked, at: float) -> None:
        worker = self._executor.workers.get(message.worker)
        if worker is None:
            self._forked_too_late(message.pid, at)
            return
        self._identify(worker, message.pid, at)
        self._children.receive(worker)

    def _forked_too_late(self, pid: int, at: float) -> None:
        """Kill a worker that was given up, unless its process id may be that of another process by now.

        In that case it has exited, or will once it finds its channel closed. Neither is a warning: the reason for which
        it was given up has been logged, and may be an ordinary stop.
        """
        if self._children.has(pid) or self._reaper.has_ended(pid, at - _LATEST_FORK):
            logger.info("worker process %d was forked too late, and exits by itself", pid)
            return
        logger.info("killing worker process %d: it was forked too late", pid)
        if pid > 1:  # with 0, 1 or a negative number, kill(2) would signal others
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def _not_forked(self, message: messages.NotForked) -> None:
        """Wait for the end of the worker's channel: its parent may have been killed after the fork."""
        worker = self._executor.workers.get(message.worker)
        if worker is not None and worker.pid is None:
            worker.not_forked = message.error
            self._children.receive(worker)

    def _identify(self, worker: WorkerProcess, pid: int, at: float) -> None:
        """Record the process id of a worker, which its template and the worker itself both report."""
        if worker.pid is not None:
            return
        if pid <= 1:  # kill(2) would signal a process group, or every process
            raise ValueError(f"{pid} is not the process id of a worker")
        self._children.identify(worker, pid)
        self._handle(events.WorkerForked(at, worker.id, pid))
        if worker.pending_signal is not None and not self._reaper.is_kept(pid, worker.requested_at):
            worker.signal(worker.pending_signal)

    def _of_worker(self, worker: WorkerProcess, message: messages.Message, at: float) -> events.Event | None:
        match message:
            case messages.Booting():
                self._identify(worker, message.pid, at)
                return events.WorkerBooting(at, worker.id)
            case messages.Ready():
                return events.WorkerReady(at, worker.id)
            case messages.Draining():
                return events.WorkerDraining(at, worker.id)
            case messages.Retiring():
                return events.WorkerRetiring(at, worker.id, message.reason)
            case messages.RequestsReport():
                self.queries.requests_reported(worker.id, message.requests)
            case messages.Failed():
                error = self._named_as_given(message.error)
                return events.WorkerFailed(at, worker.id, error, message.detail, message.exit_code, message.failure)
        return None

    def _named_as_given(self, error: str) -> str:
        """Name the option of an error of corn by its source; errors of the application stay as they are."""
        return named_as_given(error, self._origins.of(self._executor.config)) if error.startswith("--") else error
