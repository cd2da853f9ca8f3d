"""The master's one loop: wait for a signal, a message, an end or a deadline; make each an event; decide; act.

Nothing in it waits for anything else. Messages and ends are handled before deadlines, so that a master that was itself
stopped, or whose machine slept, first hears what happened meanwhile and blames nobody for its own absence.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable

from corn import logs
from corn.config import Config
from corn.errors import ConfigError, ExitCode
from corn.ipc import messages
from corn.logs import logger
from corn.net.listeners import Listener
from corn.supervisor.children.admin import AdminProcess
from corn.supervisor.children.certificates import CertificateRenewal
from corn.supervisor.children.hooks import HooksProcess
from corn.supervisor.children.spawn import AdminHandle, HooksHandle, TemplateHandle, WatcherHandle, WorkerHandle, end_of
from corn.supervisor.config_reload import reread_config, settings_of
from corn.supervisor.control.commands import Commands
from corn.supervisor.control.server import ControlServer
from corn.supervisor.control.socket_file import ControlSocket
from corn.supervisor.dev_session import DevReloader
from corn.supervisor.executor import Executor, Handle
from corn.supervisor.monitoring.exit_cause import ExitCauseFinder
from corn.supervisor.monitoring.sampler import MemorySampler, Sampler
from corn.supervisor.monitoring.stack_dumps import WorkerQueries
from corn.supervisor.policy import events
from corn.supervisor.policy.actions import (
    Action,
    Announce,
    AnnounceReload,
    Exit,
    ShowFailure,
    SpawnTemplate,
    SpawnWorker,
    StartSuccessor,
    StopSuccessor,
)
from corn.supervisor.policy.deadlines import next_wake
from corn.supervisor.policy.decide import decide
from corn.supervisor.policy.state import ProcessExit, State
from corn.supervisor.process.reaper import Reaper
from corn.supervisor.process.signals import Signals
from corn.supervisor.projections.history import History, continued
from corn.supervisor.projections.status import About
from corn.supervisor.systemd import SystemdNotifier
from corn.supervisor.upgrade import UpgradeMonitor


class Loop:
    """Runs the policy against the world until it says to exit.

    `reread` reads the configuration again for a reload; `announce` is called once, when the first start is complete.
    `about` and `rendezvous` are for those who ask on the control socket, `admin` is where monitoring asks, and
    `service_manager` is told without being asked.
    """

    def __init__(
        self,
        config: Config,
        signals: Signals,
        *,
        about: About,
        rendezvous: ControlSocket | None,
        service_manager: SystemdNotifier,
        reread: Callable[[], Config],
        announce: Callable[[str], None],
        admin: list[Listener],
        reloading: DevReloader | None = None,
    ) -> None:
        settings = settings_of(config, development=reloading is not None)
        self.state = State(settings=settings, target=settings.workers)
        self.about = about
        self.history = History()
        self._selector = selectors.DefaultSelector()
        self._signals = signals
        self._reread = reread
        self._announce = announce
        self._reaper = Reaper()
        self._vitals = MemorySampler()
        self._autopsy = ExitCauseFinder()
        self.hooks = HooksProcess(config, watch=self.watch, unwatch=self.unwatch)
        self.reloading = reloading
        self._exit_code: int | None = None
        self._queue: deque[events.Event] = deque()
        commands = Commands(self)
        self.control = ControlServer(rendezvous, self._selector, commands.answer)
        self.admin = AdminProcess(config, admin, commands.status, watch=self.watch, unwatch=self.unwatch)
        self._service_manager = service_manager
        self._succession = UpgradeMonitor(self._selector, self.control, service_manager, self.handle)

    def run(self, executor: Executor) -> int:
        """Serve until the policy says to exit; returns the exit code."""
        self.executor = executor
        self._rounds = Sampler(executor, self._vitals)
        self.inquiries = WorkerQueries(executor.workers, executor.dumps, executor.tell)
        self._renewal = CertificateRenewal(executor.config, executor.vault, executor.tell_workers)
        self._timed = (self.control, self.admin, executor.dumps, self.inquiries)
        self._selector.register(self._signals, selectors.EVENT_READ, None)
        if self.reloading is not None:
            self.reloading.start(self.watch)
        self.handle(events.Started(time.monotonic()))
        while self._exit_code is None:
            for key, mask in self._selector.select(self._patience()):
                if key.data is None:
                    self._hear_signals()
                elif callable(key.data):
                    key.data(mask)
                else:
                    self._hear(key.data)
            for each in self._timed:
                each.tick(time.monotonic())
            for event in list(self._rounds.due(self.state, time.monotonic())):
                self.handle(event)
            self._renewal.look(time.monotonic())
            self.handle(events.Tick(time.monotonic()))
            self._service_manager.tick(self.state, time.monotonic())
        self.control.leave(keep_file=False)  # the clients stay connected: the end of this process is what they wait for
        self._selector.close()
        self._renewal.close()
        return self._exit_code

    def watch(self, handle: Handle) -> None:
        """Listen to a handle's channel, and while it has something unsent, for when it can be sent."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if handle.channel.wants_write else 0)
        if handle.channel.fileno() in self._selector.get_map():
            self._selector.modify(handle.channel, wanted, handle)
        else:
            self._selector.register(handle.channel, wanted, handle)

    def unwatch(self, handle: Handle) -> None:
        if handle.channel.fileno() in self._selector.get_map():
            self._selector.unregister(handle.channel)

    def _patience(self) -> float | None:
        now = time.monotonic()
        policy = (next_wake(self.state, now), self._rounds.next_at(self.state), self._renewal.next_at)
        times = (*policy, self._service_manager.next_at(now), *(each.next_at() for each in self._timed))
        wake = min((each for each in times if each is not None), default=None)
        return None if wake is None else max(0.0, wake - now)

    def handle(self, event: events.Event) -> None:
        """Let the policy answer an event, and carry its answer out; what that causes is answered next."""
        self._queue.append(event)
        if len(self._queue) > 1:
            return
        while self._queue:
            before, event = self.state, self._queue[0]
            self.state, actions = decide(before, event)
            self.history = continued(self.history, before, self.state, event.at)
            self._tell_hooks(before)
            self.control.observe(before, self.state)
            self.admin.observe(self.state)
            self._service_manager.observe(before, self.state, event.at)
            for action in actions:
                self._act(action)
            self.executor.release(self.state)
            self._queue.popleft()

    def _tell_hooks(self, before: State) -> None:
        self.hooks.observe(before, self.state)
        current = self.executor.templates.get(self.state.current or 0)
        if current is not None and before.current not in (None, current.generation):
            self.hooks.renew(current.config)

    def _act(self, action: object) -> None:
        if isinstance(action, Exit):
            self._exit_code = action.code
        elif isinstance(action, Announce):
            self._announce(action.preload)
        elif isinstance(action, (AnnounceReload, ShowFailure)):
            self._tell_of_reload(action)
        elif isinstance(action, StartSuccessor):
            self._succession.start([*self.executor.listeners, *self.admin.listeners], self.executor.vault)
        elif isinstance(action, StopSuccessor):
            self._succession.stop()
        else:
            self._perform(action)  # type: ignore[arg-type]

    def _tell_of_reload(self, action: AnnounceReload | ShowFailure) -> None:
        assert self.reloading is not None
        if isinstance(action, AnnounceReload):
            self.reloading.announce(action)
        else:
            self.reloading.show(action)

    def _perform(self, action: Action) -> None:
        """Carry out an action; that a process could not be started is an event like that it ended."""
        try:
            self.executor.perform(action)
        except (OSError, ConfigError) as error:
            at, reason = time.monotonic(), str(error)
            if isinstance(action, SpawnTemplate):
                self.handle(events.TemplateFailed(at, action.generation, reason, "", int(ExitCode.INTERNAL)))
                self.handle(events.TemplateExited(at, action.generation, ProcessExit(code=int(ExitCode.INTERNAL))))
            elif isinstance(action, SpawnWorker):
                self.handle(events.WorkerNotForked(at, action.worker, reason))
            else:
                raise

    def _hear_signals(self) -> None:
        for number in self._signals.arrived():
            at = time.monotonic()
            if number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGHUP:
                with contextlib.suppress(ConfigError):
                    self.ask_for_reload(at)
            elif number == signal.SIGUSR1:
                logs.reopen()
                self.executor.tell_all(messages.ReopenLogs())
                self.hooks.reopen_logs()
                self.admin.reopen_logs()
            elif number == signal.SIGUSR2:
                self.handle(events.UpgradeRequested(at))
            elif number in (signal.SIGTTIN, signal.SIGTTOU):
                self.handle(events.ScaleRequested(at, 1 if number == signal.SIGTTIN else -1))
            else:
                self.handle(events.StopRequested(at, number.name))

    def ask_for_reload(self, at: float) -> None:
        """Read the configuration again and have the policy reload; raises ConfigError, once logged, where it is bad."""
        config = self._reread_config()
        self.handle(events.ReloadRequested(at, settings_of(config, development=self.reloading is not None)))

    def _reread_config(self) -> Config:
        try:
            config = reread_config(self.executor.config, self._reread)
        except ConfigError as error:
            logger.error("reload refused, nothing was changed: %s", error)
            self._service_manager.reload_refused(self.state, time.monotonic(), str(error))
            raise
        self.executor.config = config
        logs.set_level(config.log_level)
        return config

    def _hear(self, handle: Handle) -> None:
        handle.channel.flush()
        for message in handle.channel.receive():
            event = self._understand(handle, message)
            if event is not None:
                self.handle(event)
        if handle.channel.fileno() < 0:
            return  # released meanwhile
        if handle.channel.closed:
            self.unwatch(handle)
        else:
            self.watch(handle)
        if isinstance(handle, WorkerHandle):
            self._conclude_early(handle)

    def _conclude_early(self, worker: WorkerHandle) -> None:
        """Handle an end that was reaped before the process id was known, or that no process id will ever tell."""
        if worker.pid is not None:
            early = self._reaper.ended_early(worker.pid)
            if early is not None:
                self._ended(worker.pid, early)
        elif worker.channel.closed and self._template_of(worker) is None:
            lost = "its template was lost, and no process of it is left"
            self.handle(events.WorkerNotForked(time.monotonic(), worker.id, lost))

    def _template_of(self, worker: WorkerHandle) -> TemplateHandle | None:
        known = self.state.workers.get(worker.id)
        return None if known is None else self.executor.templates.get(known.generation)

    def _understand(self, handle: Handle, message: messages.Message) -> events.Event | None:
        if isinstance(handle, HooksHandle):
            self.hooks.hear(message)
            return None
        if isinstance(handle, AdminHandle):
            self.admin.hear(message)
            return None
        if isinstance(handle, WatcherHandle):
            assert self.reloading is not None
            return self.reloading.hear(message, time.monotonic(), self._reread_config)
        if isinstance(handle, TemplateHandle):
            return self._from_template(handle, message, time.monotonic())
        return self._from_worker(handle, message, time.monotonic())

    def _from_template(self, handle: TemplateHandle, message: messages.Message, at: float) -> events.Event | None:
        match message:
            case messages.Loaded():
                for warning in message.warnings:
                    logger.warning("%s", warning)
                return events.TemplateReady(at, handle.generation, message.preload)
            case messages.SteppedDown():
                if self.reloading is not None:
                    self.reloading.left_out |= {*message.left_out}
                return events.TemplateSteppedDown(at, handle.generation, message.reason)
            case messages.Failed():
                return events.TemplateFailed(at, handle.generation, message.error, message.detail, message.exit_code)
            case messages.NotForked():
                return events.WorkerNotForked(at, message.worker, message.error)
            case messages.Forked():
                return self._forked(message, at)
            case messages.Exited():
                self._ended(message.pid, end_of(message.status))
        return None

    def _forked(self, message: messages.Forked, at: float) -> events.Event | None:
        worker = self.executor.workers.get(message.worker)
        if worker is None:
            # Its channel was closed when it was given up, so it exits by itself.
            logger.warning("a worker (pid %d) was forked too late; it exits", message.pid)
            return None
        self._identify(worker, message.pid, at)
        self._hear(worker)
        return None

    def _identify(self, worker: WorkerHandle, pid: int, at: float) -> None:
        """Record the process id of a worker: its template reports it, and the worker too, whichever is read first."""
        if worker.pid is not None:
            return
        worker.pid = pid
        self.handle(events.WorkerForked(at, worker.id, pid))
        if worker.doomed is not None and not self._reaper.has_ended(pid):
            worker.signal(worker.doomed)

    def _from_worker(self, handle: WorkerHandle, message: messages.Message, at: float) -> events.Event | None:
        match message:
            case messages.Booting():
                self._identify(handle, message.pid, at)
                return events.WorkerBooting(at, handle.id)
            case messages.Ready():
                if self.reloading is not None:
                    self.reloading.ready(message)
                return events.WorkerReady(at, handle.id)
            case messages.Draining():
                return events.WorkerDraining(at, handle.id)
            case messages.Retiring():
                return events.WorkerRetiring(at, handle.id, message.reason)
            case messages.RequestsTold():
                self.inquiries.told(handle.id, message.requests)
            case messages.Failed():
                return events.WorkerFailed(
                    at, handle.id, message.error, message.detail, message.exit_code, message.failure
                )
        return None if self.reloading is None else self._from_developing_worker(self.reloading, handle, message, at)

    def _from_developing_worker(
        self, reloading: DevReloader, handle: WorkerHandle, message: messages.Message, at: float
    ) -> events.Event | None:
        if isinstance(message, messages.Debugging):
            reloading.debugging(handle.id)
            return events.WorkerDebugging(at, handle.id)
        return reloading.imported(message, at) if isinstance(message, messages.Imported) else None

    def _examine(self, worker: WorkerHandle, end: ProcessExit) -> ProcessExit:
        if end.code == 0:
            return end
        cell, history = self.executor.slots.cell(worker.cell), self._vitals.history(worker.pid or 0)
        return self._autopsy.examine(end, cell, history, killed_by_us=worker.killed)

    def _reap(self) -> None:
        for pid, end in self._reaper.reap():
            self._ended(pid, end)

    def _ended(self, pid: int, end: ProcessExit) -> None:
        """Hear the last words of a process first, then take note of its end."""
        if self._renewal.ended(pid):
            return
        if self.hooks.handle is not None and self.hooks.handle.pid == pid:
            self._hear(self.hooks.handle)
            self.hooks.ended(end)
            return
        if self.admin.handle is not None and self.admin.handle.pid == pid:
            self.admin.ended(end)
            return
        if self.reloading is not None and self.reloading.handle is not None and self.reloading.handle.pid == pid:
            self.unwatch(self.reloading.handle)
            self.reloading.ended(end)
            return
        for worker in list(self.executor.workers.values()):
            if worker.pid == pid:
                self._hear(worker)
                if self.reloading is not None:
                    self.reloading.worker_ended(worker.id)
                self.handle(events.WorkerExited(time.monotonic(), worker.id, self._examine(worker, end)))
                return
        for template in list(self.executor.templates.values()):
            if template.pid == pid:
                self._hear(template)
                self.handle(events.TemplateExited(time.monotonic(), template.generation, end))
                for worker in [each for each in self.executor.workers.values() if each.pid is None]:
                    self._hear(worker)
                return
        self._reaper.keep(pid, end)
