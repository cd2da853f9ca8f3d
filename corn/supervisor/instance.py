"""Running instance of corn: the parts of a master, connected to its loop."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from corn.config import Config
from corn.net.listeners import Listener
from corn.supervisor.children.admin import AdminProcess
from corn.supervisor.children.certificates import CertificateRenewal
from corn.supervisor.children.hooks import HooksProcess
from corn.supervisor.configuration.reload import ConfigReloader, Origins
from corn.supervisor.control.commands import Commands
from corn.supervisor.control.server import ControlServer
from corn.supervisor.control.socket_file import ControlSocket
from corn.supervisor.development import Development
from corn.supervisor.executor import Executor
from corn.supervisor.inbox import Inbox
from corn.supervisor.loop import Loop
from corn.supervisor.monitoring.sampler import MemorySampler, Sampler
from corn.supervisor.policy import actions
from corn.supervisor.process.signals import Signals
from corn.supervisor.process.systemd import SystemdNotifier
from corn.supervisor.projections.status import About
from corn.supervisor.signal_receiver import SignalReceiver
from corn.supervisor.upgrade import UpgradeMonitor


class Instance:
    """All parts of a running master.

    `reread` reads the configuration again for a reload, and `origins` has the sources of its values. `about` and
    `control_socket` are for clients of the control socket, `admin` are the listeners for monitoring.
    """

    def __init__(
        self,
        config: Config,
        loop: Loop,
        executor: Executor,
        development: Development,
        service_manager: SystemdNotifier,
        *,
        about: About,
        control_socket: ControlSocket | None,
        reread: Callable[[], Config],
        admin: list[Listener],
        origins: Origins,
    ) -> None:
        self._loop = loop
        self._executor = executor
        self._development = development
        self._service_manager = service_manager
        memory = MemorySampler()
        inbox = executor.receiver = Inbox(executor, loop.children, development, memory, loop.handle, origins=origins)
        self._reloader = ConfigReloader(
            executor,
            reread,
            development=development.active,
            refused=self._reload_refused,
            handle=loop.handle,
            origins=origins,
        )
        self.commands = Commands(loop, executor, inbox.queries, self._reloader, about, reopen_logs=self._reopen_logs)
        self.control = ControlServer(control_socket, loop.selector, self.commands.answer)
        self.admin = AdminProcess(config, admin, loop.children, self.commands.status)
        self.hooks = HooksProcess(config, loop.children, executor.config_of)
        self._renewal = CertificateRenewal(config, executor.vault, loop.children, executor.send_to_workers)
        self._upgrade = UpgradeMonitor(loop.selector, self.control, service_manager, loop.handle)
        self._inbox = inbox
        sampler = Sampler(executor, memory, lambda: loop.state, loop.handle)
        loop.periodic += [
            self.control,
            self.admin,
            executor.dumps,
            inbox.queries,
            sampler,
            self._renewal,
            service_manager,
            development,
        ]
        loop.observers += [self.hooks, self.control, self.admin, service_manager, executor]
        loop.performers.update(executor.by_kind)
        loop.performers.update(
            {
                actions.AnnounceReload: development.announce,
                actions.ShowFailure: development.show,
                actions.StartSuccessor: self._start_successor,
                actions.StopSuccessor: self._stop_successor,
            }
        )

    def run(self, signals: Signals, announce: Callable[[str], None]) -> int:
        """Serve until the policy decides to exit; returns the exit code.

        `announce` is called once, when the first start is complete, with the preload mode.
        """
        loop = self._loop
        receiver = SignalReceiver(
            signals,
            loop.handle,
            loop.barrier,
            reap=self._inbox.reap,
            reload=self._hang_up,
            reopen_logs=self._reopen_logs,
        )
        loop.children.before_each = receiver.receive_requests
        loop.periodic.insert(0, receiver)
        loop.selector.register(signals, selectors.EVENT_READ, lambda _: receiver.receive())
        loop.performers[actions.Announce] = lambda action: announce(action.preload)
        self._development.start(loop.selector, loop.children, loop.handle, self._reloader.read)
        try:
            return loop.run()
        finally:
            self.control.stop_listening(keep_file=False)  # the clients stay connected to wait for the exit
            loop.selector.close()
            self._renewal.finish()

    def finish(self) -> None:
        """Stop the children other than workers; for use after the loop has ended."""
        self._executor.close()
        self._development.finish()
        self.hooks.finish()
        self.admin.finish()

    def _reopen_logs(self) -> str:
        """Reopen the log files of all processes; returns why the master's own was not, or ""."""
        self.hooks.reopen_logs()
        self.admin.reopen_logs()
        return self._executor.reopen_logs()

    def _hang_up(self, at: float) -> None:
        if not self._development.closed_terminal(self._loop.handle):
            self._reloader.request(at)

    def _reload_refused(self, why: str) -> None:
        self._loop.configuration_refused(why)
        self._service_manager.reload_refused(why)

    def _start_successor(self, action: actions.StartSuccessor) -> None:
        del action
        self._upgrade.start([*self._executor.listeners, *self.admin.listeners], self._executor.vault)

    def _stop_successor(self, action: actions.StopSuccessor) -> None:
        del action
        self._upgrade.stop()
