"""Life of a worker process: reset after the fork, event loop, application, server, exit.

The order matters: signal handlers first, because signals were blocked across the fork; then the parent death signal,
the garbage collector, the random generators and the log; and only then the event loop and the application.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from corn import logs
from corn.errors import ApplicationError, CornError, ExitCode
from corn.forking import registered
from corn.ipc.messages import (
    Booting,
    Drain,
    Draining,
    Failed,
    GetRequests,
    Ready,
    RenewCredentials,
    ReopenLogs,
    RequestsReport,
    Retiring,
    SetLogLevel,
)
from corn.server.server import Server
from corn.system.memory import keep_freed_memory
from corn.system.process import BY_WORKERS, DELIVERED, exit_with_parent, identify, ignore_group_signals
from corn.worker.anchored_paths import anchored, current_directory
from corn.worker.audit.signal_handlers import keep_interrupts_from_application
from corn.worker.event_loop import new_event_loop
from corn.worker.exit_flag import ExitFlag
from corn.worker.finish import finish
from corn.worker.forking import exit_handlers
from corn.worker.forking.children import reset_sigchld
from corn.worker.forking.forked_children import ForkedChildren
from corn.worker.importer import failed, load_application, put_first_on_path
from corn.worker.logging_config import apply_log_config
from corn.worker.stack_dump import answer_requests, widen_signal_stack
from corn.worker.startup import WorkerStartup

_MASTER_TIMEOUT = 1.0
_EXIT_HANDLERS_TIMEOUT = 2.0  # seconds


def run(startup: WorkerStartup) -> int:
    """Run a worker; returns the exit code."""
    _reset_after_fork(startup)
    startup.channel.send(Booting(os.getpid()))
    startup.call_hook("post_fork")
    try:
        began = time.perf_counter()
        keep_freed_memory()
        loop = new_event_loop(startup.config.loop)
        start = current_directory()
        application = startup.development.application(lambda: _application(startup))
        keep_interrupts_from_application()
        if current_directory() != start:
            startup = replace(startup, config=anchored(startup.config, start))
        loading = time.perf_counter() - began
        try:
            worker = _Worker(startup, application, loop, loading)
            loop.run_until_complete(worker.serve())
            loop.run_until_complete(finish(worker.drain_deadline))
        finally:
            asyncio.set_event_loop(None)
    except CornError as error:
        startup.channel.send(_failed(error, startup))
        return int(ExitCode.APPLICATION)
    finally:
        startup.call_hook("worker_exit")
    return 0


def _application(startup: WorkerStartup) -> Any:
    """Load the application, adapted to this worker; raises what `load_application` raises."""
    application = startup.application
    if application is None:
        if startup.config.log_config is not None:
            put_first_on_path(startup.config.app_dir)  # the logging configuration may name classes of the application
            apply_log_config(startup.config.log_config)
        application = load_application(startup.config)
    logs.adopt_unhandled(startup.config)
    for function in registered():
        _call_after_fork(function)
    return application


def _failed(error: CornError, startup: WorkerStartup) -> Failed:
    return Failed(str(error), error.detail, int(error.exit_code), startup.development.failure_of(error))


def end(code: int) -> NoReturn:
    """Exit the process: run exit handlers and flush files, without waiting for threads."""
    try:
        exit_handlers.run(_EXIT_HANDLERS_TIMEOUT)
        logs.flush_standard_streams()
        logs.finish()
    finally:
        os._exit(code)


def _reset_after_fork(startup: WorkerStartup) -> None:
    exit_handlers.guard_inherited(startup.loaded_at)
    main_thread: Any = threading.main_thread()
    main_thread._native_id = threading.get_native_id()  # fork(2) has copied the parent's, and Python leaves it
    reset_sigchld()
    set_in_c = startup.monitor.signals.set_in_c
    ignore_group_signals(set(BY_WORKERS) - set_in_c)
    for number in {signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1} - set_in_c:
        signal.signal(number, signal.SIG_DFL)
    startup.monitor.faults.report_to(startup.report)  # SIGABRT writes the stacks of a boot that hangs
    widen_signal_stack()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, DELIVERED)
    if not startup.setup.relay:
        exit_with_parent(startup.setup.master, signal.SIGTERM)
    details = f"g{startup.setup.generation} {startup.config.app}"
    identify(startup.config.process_name, f"worker {startup.order.slot}", details)
    startup.development.enable_collection(startup.monitor.collector.apply)
    startup.monitor.generators.renew()
    logs.configure(logs.Source("worker", startup.order.slot, startup.setup.generation), startup.config)
    startup.slots.cell(startup.order.cell).clear()
    descriptors = [startup.channel.fileno(), startup.report, *startup.setup.mailbox]
    ForkedChildren(descriptors, [*startup.listeners, *startup.redirecting], startup.monitor.faults)
    startup.monitor.signals.restore()


def _call_after_fork(function: Callable[[], object]) -> None:
    """Run a function registered with `corn.after_fork`; raises ApplicationError if it fails."""
    try:
        function()
    except BaseException as error:
        name = getattr(function, "__qualname__", repr(function))
        raise failed(f"after_fork function {name} failed", error) from error


class _Worker:
    """Connection of a server with its master: messages and signals in, readiness and requests out."""

    def __init__(
        self, startup: WorkerStartup, application: Any, loop: asyncio.AbstractEventLoop, loading: float
    ) -> None:
        self._startup = startup
        self._loop = loop
        self._channel = startup.channel
        self._application = application
        self._retiring = False
        self._loading = loading
        self._drain_deadline = math.inf

    def drain_deadline(self) -> float:
        """End of the grace period, by the loop's clock."""
        return self._drain_deadline

    async def serve(self) -> None:
        startup = self._startup
        startup.renew_credentials()
        self._server = Server(
            self._application,
            startup.config,
            startup.listeners,
            slots=startup.slots,
            cell=startup.order.cell,
            tls=startup.tls,
            redirecting=startup.redirecting,
            on_retire=self._retire,
            wrap=startup.development.wrap,
            describe=startup.development.describe,
            mailbox=startup.mailbox,
        )
        answer_requests(self._loop, startup.report, self._server.in_flight)
        began = time.perf_counter()
        await self._server.start()
        starting = time.perf_counter() - began
        if startup.order.gated and startup.config.health_path:
            await self._server.check_health(startup.config.health_path)
        if os.getppid() != self._startup.setup.master and not self._startup.setup.relay:
            raise ApplicationError("the master exited while the application started")
        self._loop.add_signal_handler(signal.SIGTERM, self._on_signal, "SIGTERM")
        self._loop.add_signal_handler(signal.SIGQUIT, self._on_signal, "SIGQUIT")
        ExitFlag().install()
        self._channel.set_blocking(False)
        self._loop.add_reader(self._channel.fileno(), self._on_messages)
        startup.call_hook("post_worker_init")
        self._server.accept()
        docs = startup.development.started(self._application, self._loop, self._flush)
        self._channel.send(Ready(self._loading, starting, docs))
        await self._server.wait_closed()

    def _flush(self) -> None:
        """Send the unsent rest once the socket is writable."""
        self._channel.flush()
        if self._channel.wants_write:
            self._loop.add_writer(self._channel.fileno(), self._flush)
        else:
            self._loop.remove_writer(self._channel.fileno())

    def _on_messages(self) -> None:
        for message in self._channel.receive():
            if isinstance(message, Drain):
                self._drain(message.grace, final=message.final, fast=message.fast)
                self._channel.send(Draining())
            elif isinstance(message, ReopenLogs):
                logs.reopen()
                self._server.reopen_logs()
            elif isinstance(message, SetLogLevel):
                logs.set_level(message.levels)
                self._server.set_log_level(message.levels)
            elif isinstance(message, GetRequests):
                self._channel.send(RequestsReport(self._server.in_flight()))
            elif isinstance(message, RenewCredentials):
                self._startup.renew_credentials()
        if self._channel.closed:
            self._loop.remove_reader(self._channel.fileno())
            self._drain_without_master()

    def _drain(self, grace: float, *, final: bool, fast: bool = False) -> None:
        self._drain_deadline = min(self._drain_deadline, self._loop.time() + grace)
        self._server.drain(grace=grace, final=final, fast=fast)

    def _drain_without_master(self) -> None:
        """Drain after the master has exited; serve the accept queue as well, because no other process will."""
        self._drain(self._startup.config.timeout_graceful_shutdown, final=True)

    def _on_signal(self, name: str) -> None:
        """Handle a signal to this worker: request a replacement from the master, and drain if it does not respond."""
        if self._channel.closed or (not self._startup.setup.relay and os.getppid() != self._startup.setup.master):
            self._drain_without_master()
            return
        grace = 0.0 if name == "SIGQUIT" else self._startup.config.timeout_graceful_shutdown
        self._retire(name)
        timeout = 0.0 if name == "SIGQUIT" else _MASTER_TIMEOUT
        self._loop.call_later(timeout, lambda: self._drain(grace, final=False))

    def _retire(self, reason: str) -> None:
        if not self._retiring:
            self._retiring = True
            self._channel.send(Retiring(reason))
