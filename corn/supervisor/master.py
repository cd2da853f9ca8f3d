"""The master process, from open sockets to its exit code."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from corn import logs
from corn.announcement import announcement
from corn.config import Config
from corn.config.sources import Resolved
from corn.errors import CornError
from corn.prctl import become_subreaper, name_process
from corn.sockets import open_listeners
from corn.supervisor.capacity import describe_workers
from corn.supervisor.descriptors import raise_descriptor_limit
from corn.supervisor.executor import Executor
from corn.supervisor.loop import Loop
from corn.supervisor.signals import Signals
from corn.supervisor.upgrade import Predecessor


def run_master(resolved: Resolved, reread: Callable[[], Resolved]) -> int:
    """Serve what the configuration says until told to stop; returns the exit code (errors.ExitCode).

    `reread` resolves the configuration again, for a reload. Raises BindError where an address cannot be had.
    """
    return supervise(resolved.config, lambda: reread().config)


def supervise(config: Config, reread: Callable[[], Config]) -> int:
    """As `run_master`, for a configuration that no source but the caller has."""
    if threading.current_thread() is not threading.main_thread():
        raise CornError("corn must be run in the main thread, because it answers signals; use corn.serve elsewhere")
    name_process("corn master")
    logs.configure("master", level=config.log_level, color=config.color)
    raise_descriptor_limit()
    predecessor = Predecessor(os.environ)
    listeners = open_listeners(config, predecessor.sockets)
    addresses = [listener.address for listener in listeners]

    def announce(preload: str) -> None:
        how = f"{describe_workers(config)}, preload {preload}"
        logs.logger.info("%s", announcement(config, addresses, how))
        for listener in listeners:
            listener.borrowed = False
        predecessor.tell_that_we_serve()

    signals = Signals()
    signals.catch()
    loop = Loop(config, signals, reread=reread, announce=announce)
    relay = not become_subreaper()
    executor = Executor(config, listeners, relay=relay, watch=loop.watch, unwatch=loop.unwatch)
    try:
        return loop.run(executor)
    finally:
        executor.close()
        signals.release()
