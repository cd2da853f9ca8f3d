"""The template: a fresh interpreter that loads one generation of the code and then only forks workers.

    read the setup -> load (preload.py) -> audit (audit/) -> freeze the heap -> report to the master -> fork on request

Invariants: it has one thread and no event loop when it forks; it never serves; what it loaded is never loaded again, so
every worker of a generation runs the same code, whatever is on disk. When the audit fails, the process executes itself
anew with a lower mode: an import cannot be undone.

On Linux a worker is forked twice, so that the master, a subreaper, becomes its parent and sees its end without a relay.
Elsewhere the template stays the parent and reports ends. Signals are blocked from before the fork until the child has
its own handlers; the template itself answers no signal, because Ctrl-C and a service manager's SIGTERM reach the whole
group, and the master decides what they mean.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
from dataclasses import asdict, replace
from typing import Any, NoReturn

from corn import logs
from corn.errors import ApplicationError, CornError
from corn.hooks import WorkerInfo
from corn.ipc.channel import Channel
from corn.ipc.messages import (
    Exited,
    Failed,
    Fork,
    Forked,
    Loaded,
    NotForked,
    Quit,
    ReopenLogs,
    SetLogLevel,
    SteppedDown,
)
from corn.ipc.scoreboard import Scoreboard
from corn.ipc.template_setup import Setup
from corn.server.http2 import http2_connection
from corn.server.tls.context import TLSContexts
from corn.system.process import BY_TEMPLATES, DELIVERED, die_with_parent, leave_to_master, name_process, show_title
from corn.tls.vault import Vault
from corn.worker import preload
from corn.worker import process as worker_process
from corn.worker.anchored_paths import anchored, working_directory
from corn.worker.audit.fork_safety import Hazard, hazards, traces
from corn.worker.audit.import_monitor import ImportMonitor
from corn.worker.event_loop import import_event_loop
from corn.worker.forking import exit_handlers
from corn.worker.forking.children import ChildExits, ForkedWorkers
from corn.worker.forking.fork import SETTLED, SpareWorker, fork, fork_hangs, fork_is_replaced, fork_twice, spawn
from corn.worker.hooks.loader import HookFile, load_hooks
from corn.worker.importer import put_first_on_path
from corn.worker.in_development import import_for_development
from corn.worker.logging_config import apply_log_config
from corn.worker.preload import is_library_module
from corn.worker.startup import WorkerStartup, in_development

_MOST_BEFORE_FORK = 2.0  # seconds for a hook: less than the master waits for a fork
_EXIT_HANDLERS_TIMEOUT = 1.5  # seconds: less than the master waits for a template to exit


def main(setup_fd: int) -> NoReturn:
    """Run a template; never returns."""
    setup = Setup.read(setup_fd)
    if setup.order is not None:
        _be_spawned(setup)
    leave_to_master(BY_TEMPLATES)
    name_process("corn template")
    show_title(f"corn: template g{setup.generation} {setup.config['app']}")
    die_with_parent(signal.SIGKILL)
    config = setup.parsed_config()
    logs.configure(logs.Source("template", generation=setup.generation), config)
    channel = Channel(socket.socket(fileno=setup.channel))
    template = Template(setup, channel)
    try:
        template.load()
    except CornError as error:
        channel.send(Failed(str(error), error.detail, int(error.exit_code)))
        _end(int(error.exit_code))
    die_with_parent(0)
    template.serve()
    _end(0)


def _be_spawned(setup: Setup) -> NoReturn:
    """Be a worker in a fresh interpreter, as a template without forks starts it."""
    channel_fd, report, *rest = setup.received
    for fd in rest:
        os.close(fd)
    config = setup.parsed_config()
    logs.configure(logs.Source("worker", generation=setup.generation), config)
    template = Template(replace(setup, received=[]), Channel(socket.socket(fileno=os.dup(channel_fd))))
    template.be_worker(Fork(**(setup.order or {})), (channel_fd, report))


def _end(code: int) -> NoReturn:
    exit_handlers.run(_EXIT_HANDLERS_TIMEOUT)
    logs.flush_standard_streams()
    os._exit(code)


def _hook_on_fork() -> str:
    return "a debugger's hook on fork" if "pydevd" in sys.modules else "a hook on fork (os.register_at_fork)"


class Template:
    """A template process: the loaded application, and the workers that were forked."""

    def __init__(self, setup: Setup, channel: Channel) -> None:
        self._setup = setup
        self._config = setup.parsed_config()
        self._channel = channel
        self._workers = ForkedWorkers()
        self._application: Any = None
        self._spare: SpareWorker | None = None
        self._hooks = HookFile({})
        self._monitor = ImportMonitor()
        self._recorder = preload.Recorder()
        self._exit_handlers = exit_handlers.count()
        self._loaded_at = 0
        self._forks_ahead = self._may_fork_ahead = False
        self._listeners = [socket.socket(fileno=fd) for fd in setup.listeners]
        self._redirecting = [socket.socket(fileno=fd) for fd in setup.redirecting]
        self._vault = None if setup.vault is None else Vault(setup.vault)
        self._tls: TLSContexts | None = None
        for fd in setup.inherited:
            os.set_inheritable(fd, False)

    def load(self) -> None:
        """Load as the mode says and make the heap ready to be shared; does not return when it has to step down."""
        if self._setup.forks and fork_is_replaced() and fork_hangs():
            self._setup = replace(self._setup, preload="none", forks=False)
        self._load_own()
        gc.disable()  # a collection before the fork would leave holes that later allocations unshare
        monitor = self._monitor
        if self._setup.preload != "none":
            monitor.begin()
        if self._config.log_config is not None and self._setup.preload == "app":
            put_first_on_path(self._config.app_dir)
            apply_log_config(self._config.log_config)
        start = working_directory()
        if self._setup.development and self._setup.modules:
            self._load_packages()
        else:
            self._application = self._load_application()
        if working_directory() != start:
            self._config = anchored(self._config, start)
        self._hooks = load_hooks(self._config)
        monitor.end()
        found = hazards(monitor) if self._setup.preload != "none" else []
        notes = [str(hazard) for hazard in found]
        if any(hazard.fatal for hazard in found) or (found and not self._setup.strict):
            self._step_down(found)
        if self._setup.forks and fork_hangs():
            self._start_over(replace(self._setup, preload="none", forks=False))
        may_fork = self._setup.forks and not self._setup.relay and "pre_fork" not in self._hooks.names
        self._forks_ahead = self._setup.development and may_fork
        self._may_fork_ahead = self._forks_ahead
        gc.collect()
        exit_handlers.flush_files()
        gc.freeze()
        self._loaded_at = exit_handlers.file_clock()
        notes = [f"{note}; forked all the same, as asked" for note in notes]
        if not self._setup.forks:
            notes.append(f"{_hook_on_fork()} keeps forked processes from running: each worker is a fresh interpreter")
        self._channel.send(Loaded(self._setup.preload, notes))

    def be_worker(self, order: Fork, fds: tuple[int, int]) -> NoReturn:
        """Be a worker without a fork; never returns."""
        try:
            self._load_own()
            self._hooks = load_hooks(self._config)
            self._loaded_at = exit_handlers.file_clock()
        except CornError as error:
            self._channel.send(Failed(str(error), error.detail, int(error.exit_code)))
            _end(int(error.exit_code))
        self._become_worker(order, fds)

    def _load_own(self) -> None:
        """Load what is corn's, before the application can put something else on the path."""
        import_event_loop(self._config.loop)
        if self._setup.development:
            import_for_development()
        http2_connection(self._config)
        if self._vault is not None:
            self._tls = TLSContexts(self._config, self._vault.load())

    def _load_application(self) -> Any:
        if self._setup.preload == "app":
            sys.meta_path.insert(0, self._recorder)
        try:
            return preload.load(self._setup.preload, self._config, self._setup.modules)
        except ApplicationError as error:
            # From Python 3.14 on, asyncio.get_event_loop() makes no loop; a worker has one when it imports.
            if self._setup.preload == "app" and isinstance(error.__cause__, RuntimeError) and "loop" in str(error):
                self._step_down([Hazard(f"asks for an event loop ({error})", self._config.app or "")])
            raise
        finally:
            if self._recorder in sys.meta_path:
                sys.meta_path.remove(self._recorder)

    def _load_packages(self) -> None:
        """Load package by package, in development, so that only those are left out that must not be forked."""
        before = traces()
        for name in preload.load_each(self._setup.modules):
            if traces() == before:
                continue
            found = hazards(self._monitor)
            if found:
                self._leave_out({name, *(each.module for each in found)}, "; ".join(map(str, found)))
            before = traces()

    def _leave_out(self, culprits: set[str], why: str) -> NoReturn:
        packages = sorted({each.partition(".")[0] for each in culprits if each})
        self._channel.send(
            SteppedDown(f"{', '.join(packages)}: imported anew for each change, because {why}", packages)
        )
        kept = [name for name in self._setup.modules if name.partition(".")[0] not in packages]
        self._start_over(replace(self._setup, modules=kept, preload="deps" if kept else "none"))

    def serve(self) -> None:
        """Fork on request until the master sends Quit, or is gone."""
        ends = ChildExits() if self._setup.relay else None
        leaving = False
        while not leaving or (ends is not None and self._workers):
            if ends is not None and not self._relay_exits(ends):
                continue
            if self._may_fork_ahead and not select.select([self._channel], [], [], SETTLED)[0]:
                self._fork_ahead()
            for message in self._channel.receive():
                if isinstance(message, Fork):
                    self._fork(message, (self._channel.take_fd(), self._channel.take_fd()))
                elif isinstance(message, ReopenLogs):
                    logs.reopen()
                elif isinstance(message, SetLogLevel):
                    logs.set_level(message.levels)
                    self._config = replace(self._config, log_level=message.levels)
                elif isinstance(message, Quit) and not leaving:
                    leaving = True
                    self._close_listeners()
            if self._channel.closed:
                self._close_listeners()
                self._workers.wait_or_kill(self._config)
                return
        if exit_handlers.count() > self._exit_handlers:
            self._workers.wait()

    def _close_listeners(self) -> None:
        """Leave the listeners to the workers: the last one that closes them refuses further connections."""
        self._drop_spare()
        self._may_fork_ahead = False
        for sock in (*self._listeners, *self._redirecting):
            sock.close()

    def _step_down(self, found: list[Hazard]) -> NoReturn:
        mode = self._setup.preload
        lower = "none" if any(is_library_module(each.importing) for each in found) else preload.LOWER[mode]
        why = "; ".join(map(str, found))
        blamed = sorted({each.module for each in found if each.module})
        modules = self._recorder.library_modules() if mode == "app" else self._setup.modules
        reason = f"not safe to fork with --preload {mode}: {why}; using {lower}"
        self._channel.send(SteppedDown(reason, mode=lower, blamed=blamed, modules=list(modules)))
        self._start_over(replace(self._setup, preload=lower, modules=modules))

    def _start_over(self, setup: Setup) -> NoReturn:
        preload.discard()
        for fd in self._setup.inherited:
            os.set_inheritable(fd, True)
        logs.flush_standard_streams()
        os.execv(sys.executable, [*sys.orig_argv[:-1], str(setup.write())])  # noqa: S606 - itself, by its own arguments

    def _fork(self, order: Fork, fds: tuple[int, int]) -> None:
        if "pre_fork" in self._hooks.names:
            limit = min(self._config.timeout_hook, _MOST_BEFORE_FORK)
            self._hooks.run("pre_fork", WorkerInfo(order.slot, self._setup.generation), limit)
        logs.flush_standard_streams()
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = self._worker_of(order, fds)
        except OSError as error:
            self._channel.send(NotForked(order.worker, error.strerror or str(error)))
        else:
            self._workers.add(pid)
            self._channel.send(Forked(order.worker, pid))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, DELIVERED)
            for fd in fds:
                os.close(fd)

    def _worker_of(self, order: Fork, fds: tuple[int, int]) -> int:
        """The process id of the worker, which is the spare, or forked or spawned now."""
        if not self._setup.forks:
            return spawn(replace(self._setup, channel=fds[0], order=asdict(order), received=[*fds]), sys.path)
        if self._setup.relay:
            return fork() or self._become_worker(order, fds)
        spare, is_there = self._spare, self._spare is not None and self._spare.become(order, fds)
        self._drop_spare()
        if spare is not None and is_there:
            return spare.pid
        return fork_twice(lambda: self._become_worker(order, fds))

    def _fork_ahead(self) -> None:
        """Fork a spare, unless that is not possible now."""
        self._may_fork_ahead = False
        spare = self._spare = SpareWorker()
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            spare.forked(fork_twice(lambda: self._become_spare(spare)))
        except OSError:
            self._drop_spare()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, DELIVERED)

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare.close()
            self._spare = None
        self._may_fork_ahead = self._forks_ahead

    def _become_spare(self, spare: SpareWorker) -> NoReturn:
        try:
            self._channel.close()
            self._workers.forget()
            self._spare = None
            order, fds = spare.wait()
        except BaseException:
            os._exit(1)
        self._become_worker(order, fds)

    def _become_worker(self, order: Fork, fds: tuple[int, int]) -> NoReturn:
        """Run the worker in a forked child, which keeps nothing of the template's. Never returns."""
        code = 1
        try:
            self._channel.close()
            self._workers.forget()
            self._drop_spare()
            channel = Channel(socket.socket(fileno=fds[0]))
            slots = Scoreboard(self._setup.slots)
            startup = WorkerStartup(
                setup=self._setup,
                config=self._config,
                order=order,
                channel=channel,
                report=fds[1],
                listeners=self._listeners,
                redirecting=self._redirecting,
                slots=slots,
                application=self._application,
                hooks=self._hooks,
                generators=self._monitor.generators,
                loaded_at=self._loaded_at,
                vault=self._vault,
                tls=self._tls,
            )
            code = worker_process.run(in_development(startup) if self._setup.development else startup)
        except BaseException:
            logs.logger.exception("a fault of corn ended the worker")
        worker_process.end(code)

    def _relay_exits(self, ends: ChildExits) -> bool:
        """Relay the exits of workers to the master, where the template is their parent, until a message arrives."""
        for pid, status in ends.wait(self._channel.fileno()):
            self._workers.discard(pid)
            self._channel.send(Exited(pid, status))
        return ends.is_readable(self._channel.fileno())
