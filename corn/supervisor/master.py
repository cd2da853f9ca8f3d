"""The master process, from its first breath to its exit code.

The order is that of what may fail and who must see it. What can be found wrong without doing anything is refused first.
Then the process goes to the background, if asked, so that nothing else is ever forked. Then it takes what only root may
take, addresses and the pidfile, and only then it becomes the user it is to be; templates are started after that. A
master that takes over from another (upgrade.py) finds all of that done, and does not do it again.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from corn import logs
from corn.announcement import announcement
from corn.config import Config
from corn.config.sources import Resolved
from corn.errors import CornError, ExitCode
from corn.hooks import ServiceInfo
from corn.prctl import become_subreaper, name_process
from corn.sockets import Listener, open_listeners
from corn.supervisor.capacity import describe_workers, workers_of
from corn.supervisor.daemon import Launch, daemonize
from corn.supervisor.descriptors import raise_descriptor_limit
from corn.supervisor.executor import Executor
from corn.supervisor.identity import Identity, become, hand_over, identity_of, try_on
from corn.supervisor.loop import Loop
from corn.supervisor.pidfile import Pidfile
from corn.supervisor.reloading import Development, Terminal
from corn.supervisor.signals import Signals
from corn.supervisor.upgrade import Predecessor


def run_master(resolved: Resolved, reread: Callable[[], Resolved]) -> int:
    """Serve what the configuration says until told to stop; returns the exit code (errors.ExitCode).

    `reread` resolves the configuration again, for a reload. Raises BindError where an address cannot be had,
    ConfigError where the process cannot be what it is asked to be. With option daemon it returns in the daemon alone.
    """
    return supervise(resolved.config, lambda: reread().config)


def run_development(resolved: Resolved, reread: Callable[[], Resolved]) -> int:
    """As `run_master`, and reload the application when its files change."""
    terminal = Terminal()
    try:
        return supervise(resolved.config, lambda: reread().config, Development(resolved.file))
    finally:
        terminal.restore()


def supervise(config: Config, reread: Callable[[], Config], development: Development | None = None) -> int:
    """As `run_master`, for a configuration that no source but the caller has."""
    if threading.current_thread() is not threading.main_thread():
        raise CornError("corn must be run in the main thread, because it answers signals; use corn.serve elsewhere")
    predecessor = Predecessor(os.environ)
    identity, pidfile = identity_of(config), Pidfile(config, predecessor=predecessor.pid)
    if identity is not None:
        try_on(identity, config)
    launch = daemonize() if config.daemon and predecessor.pid is None else Launch()
    code = int(ExitCode.INTERNAL)
    try:
        code = _serve(config, reread, Standing(predecessor, identity, pidfile, launch, development))
    except CornError as error:
        code = int(error.exit_code)
        raise
    finally:
        pidfile.remove()
        launch.ended(code)
    return code


@dataclass(frozen=True, slots=True)
class Standing:
    """What is settled before a master begins: after whom, as whom, who is to know, and whether it is `corn dev`."""

    predecessor: Predecessor
    identity: Identity | None
    pidfile: Pidfile
    launch: Launch
    development: Development | None = None


def _serve(config: Config, reread: Callable[[], Config], standing: Standing) -> int:
    name_process("corn master")
    logs.configure("master", level=config.log_level, color=config.color)
    standing.launch.begin_log("master", config)
    if config.umask is not None:
        os.umask(config.umask)
    raise_descriptor_limit()
    with _listening(config, standing.predecessor) as listeners:
        if standing.identity is not None:
            hand_over(listeners, standing.identity)
            standing.pidfile.reserve(standing.identity)
            become(standing.identity, config)
        return _supervise(config, reread, listeners, standing)


def _supervise(config: Config, reread: Callable[[], Config], listeners: list[Listener], standing: Standing) -> int:
    addresses = tuple(listener.address for listener in listeners)
    info = ServiceInfo(config.app or "", addresses, workers_of(config), os.getpid())

    def announce(preload: str) -> None:
        standing.pidfile.publish()
        how = f"{describe_workers(config)}, {_manner(config, standing.development, preload)}"
        logs.logger.info("%s", announcement(config, addresses, how))
        for listener in listeners:
            listener.borrowed = False
        loop.hooks.call("when_ready", info)
        standing.predecessor.tell_that_we_serve()
        standing.launch.ready()

    signals = Signals()
    signals.catch()
    loop = Loop(config, signals, reread=reread, announce=announce, development=standing.development)
    relay = not become_subreaper()
    executor = Executor(
        config, listeners, relay=relay, watch=loop.watch, unwatch=loop.unwatch, reloading=loop.reloading
    )
    loop.hooks.call("on_starting", info)
    try:
        return loop.run(executor)
    finally:
        executor.close()
        if loop.reloading is not None:
            loop.reloading.finish()
        loop.hooks.finish()
        signals.release()


def _manner(config: Config, development: Development | None, preload: str) -> str:
    if development is None:
        return f"preload {preload}"
    return "reloads when files change" if config.reload else "does not reload"


@contextlib.contextmanager
def _listening(config: Config, predecessor: Predecessor) -> Iterator[list[Listener]]:
    """The open listeners; those that nobody has closed by the end are closed then."""
    listeners = open_listeners(config, predecessor.sockets)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()
