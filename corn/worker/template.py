"""Template process: a fresh interpreter that loads one generation of the code and then only forks workers.

    read the setup -> load, audit, freeze the heap (generation.py) -> report to the master -> fork on request

Invariants: it has one thread and no event loop when it forks; it never serves; it loads the code only once, so that all
workers of a generation run the same code, even if the files on disk have changed.

On Linux a worker is forked twice, so that the master, a subreaper, becomes its parent and sees its exit. On other
systems the template stays the parent and reports exits. Signals are blocked before the fork until the child has its own
handlers. The template handles no signals, because Ctrl-C and a service manager's SIGTERM reach the whole process group,
and only the master handles them.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import asdict, replace
from typing import NoReturn

from corn import logs
from corn.errors import CornError
from corn.hooks import WorkerInfo
from corn.ipc.channel import Channel, channel_of
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
)
from corn.ipc.scoreboard import Scoreboard
from corn.ipc.template_setup import Setup
from corn.system.process import BY_TEMPLATES, DELIVERED, identify, ignore_group_signals, outlive_parent
from corn.system.readiness import readable
from corn.worker import process as worker_process
from corn.worker.forking import exit_handlers
from corn.worker.forking.children import ChildExits, ForkedWorkers
from corn.worker.forking.fork import IDLE_BEFORE_SPARE, SpareWorker, fork, fork_twice, spawn
from corn.worker.generation import Generation
from corn.worker.startup import WorkerStartup, in_development

_PRE_FORK_TIMEOUT = 2.0  # seconds for a hook: less than the master waits for a fork
_EXIT_HANDLERS_TIMEOUT = 1.5  # seconds: less than the master waits for a template to exit


def main(setup_fd: int) -> NoReturn:
    """Run a template; never returns."""
    setup = Setup.read(setup_fd)
    sys.argv[:] = setup.argv
    if setup.order is not None:
        _run_spawned_worker(setup)
    ignore_group_signals(BY_TEMPLATES)
    config = setup.parsed_config()
    identify(config.process_name, "template", f"g{setup.generation} {config.app}")
    logs.configure(logs.Source("template", generation=setup.generation), config)
    channel = Channel(socket.socket(fileno=setup.channel))
    template = Template(setup, channel)
    try:
        template.load()
    except CornError as error:
        channel.send(Failed(str(error), error.detail, int(error.exit_code)))
        _end(int(error.exit_code))
    outlive_parent()
    template.serve()
    _end(0)


def _run_spawned_worker(setup: Setup) -> NoReturn:
    """Run a worker in a fresh interpreter, for a template that does not fork."""
    channel_fd, report, *rest = setup.received
    for fd in rest:
        os.close(fd)
    config = setup.parsed_config()
    logs.configure(logs.Source("worker", generation=setup.generation), config)
    template = Template(replace(setup, received=[]), Channel(socket.socket(fileno=os.dup(channel_fd))))
    template.run_worker(Fork(**(setup.order or {})), (channel_fd, report))


def _end(code: int) -> NoReturn:
    exit_handlers.run(_EXIT_HANDLERS_TIMEOUT)
    logs.flush_standard_streams()
    logs.finish()
    os._exit(code)


class Template:
    """Template process: the loaded application, and the workers forked from it."""

    def __init__(self, setup: Setup, channel: Channel) -> None:
        self._generation = Generation(setup, channel)
        self._channel = channel
        self._workers = ForkedWorkers()
        self._spare: SpareWorker | None = None
        self._exit_handlers = exit_handlers.count()
        self._forks_ahead = self._may_fork_ahead = False
        self._listeners = [socket.socket(fileno=fd) for fd in setup.listeners]
        self._redirecting = [socket.socket(fileno=fd) for fd in setup.redirecting]
        for fd in setup.inherited:
            os.set_inheritable(fd, False)

    def load(self) -> None:
        """Load the generation and report it to the master."""
        notes = self._generation.load()
        may_fork = self._setup.forks and not self._setup.relay and "pre_fork" not in self._generation.hooks.names
        self._forks_ahead = self._setup.development and may_fork
        self._may_fork_ahead = self._forks_ahead
        self._channel.send(Loaded(self._setup.preload, notes))

    def run_worker(self, order: Fork, fds: tuple[int, int]) -> NoReturn:
        """Run a worker in this process, without a fork; never returns."""
        try:
            self._generation.load_without_application()
        except CornError as error:
            self._channel.send(Failed(str(error), error.detail, int(error.exit_code)))
            _end(int(error.exit_code))
        self._become_worker(order, fds)

    @property
    def _setup(self) -> Setup:
        return self._generation.setup

    def serve(self) -> None:
        """Fork on request until the master sends Quit, or has exited."""
        exits = ChildExits() if self._setup.relay else None
        quitting = False
        while not quitting or (exits is not None and self._workers):
            if exits is not None and not self._relay_exits(exits):
                continue
            if self._may_fork_ahead and not readable(self._channel, timeout=IDLE_BEFORE_SPARE):
                self._fork_ahead()
            for message in self._channel.receive():
                if isinstance(message, Fork):
                    self._fork(message, (self._channel.take_fd(), self._channel.take_fd()))
                elif isinstance(message, ReopenLogs):
                    logs.reopen()
                elif isinstance(message, SetLogLevel):
                    logs.set_level(message.levels)
                    self._generation.set_log_level(message.levels)
                elif isinstance(message, Quit) and not quitting:
                    quitting = True
                    self._close_listeners()
            if self._channel.closed:
                self._close_listeners()
                self._workers.wait_or_kill(self._generation.config)
                return
        if exit_handlers.count() > self._exit_handlers:
            self._workers.wait()

    def _close_listeners(self) -> None:
        """Close the template's listeners, so that connections are refused when the last worker closes its own."""
        self._drop_spare()
        self._may_fork_ahead = False
        for sock in (*self._listeners, *self._redirecting):
            sock.close()

    def _fork(self, order: Fork, fds: tuple[int, int]) -> None:
        if "pre_fork" in self._generation.hooks.names:
            limit = min(self._generation.config.timeout_hook, _PRE_FORK_TIMEOUT)
            self._generation.hooks.run("pre_fork", WorkerInfo(order.slot, self._setup.generation), limit)
        logs.flush_standard_streams()
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = self._start_worker(order, fds)
        except OSError as error:
            self._channel.send(NotForked(order.worker, error.strerror or str(error)))
        else:
            self._workers.add(pid)
            self._channel.send(Forked(order.worker, pid))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, DELIVERED)
            for fd in fds:
                os.close(fd)

    def _start_worker(self, order: Fork, fds: tuple[int, int]) -> int:
        """Make a worker of the spare, or fork or spawn one; returns its process id."""
        if not self._setup.forks:
            return spawn(replace(self._setup, channel=fds[0], order=asdict(order), received=[*fds]), sys.path)
        if self._setup.relay:
            return fork() or self._become_worker(order, fds)
        spare, is_usable = self._spare, self._spare is not None and self._spare.become(order, fds)
        self._drop_spare()
        if spare is not None and is_usable:
            return spare.pid
        return fork_twice(lambda: self._become_worker(order, fds))

    def _fork_ahead(self) -> None:
        """Fork a spare worker, if that is possible now."""
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
            order, fds = spare.wait(self._generation.config.process_name)
        except BaseException:
            os._exit(1)
        self._become_worker(order, fds)

    def _become_worker(self, order: Fork, fds: tuple[int, int]) -> NoReturn:
        """Run the worker in a forked child, without the resources of the template. Never returns."""
        code = 1
        try:
            self._channel.close()
            self._workers.forget()
            self._drop_spare()
            channel = channel_of(fds[0])
            slots = Scoreboard(self._setup.slots)
            startup = WorkerStartup(
                setup=self._setup,
                config=self._generation.config,
                order=order,
                channel=channel,
                report=fds[1],
                listeners=self._listeners,
                redirecting=self._redirecting,
                slots=slots,
                application=self._generation.application,
                hooks=self._generation.hooks,
                monitor=self._generation.monitor,
                loaded_at=self._generation.loaded_at,
                vault=self._generation.vault,
                tls=self._generation.tls,
            )
            code = worker_process.run(in_development(startup) if self._setup.development else startup)
        except BaseException:
            logs.logger.exception("internal error in the worker")
        worker_process.end(code)

    def _relay_exits(self, exits: ChildExits) -> bool:
        """Relay the exits of workers to the master, where the template is their parent, until a message arrives."""
        for pid, status in exits.wait(self._channel.fileno()):
            self._workers.discard(pid)
            self._channel.send(Exited(pid, status))
        return exits.is_readable(self._channel.fileno())
