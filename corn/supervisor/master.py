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
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from corn import logs
from corn.config import Config
from corn.config.sources import Resolved
from corn.errors import CornError, ExitCode
from corn.hooks import ServiceInfo
from corn.net.listeners import HandedOver, Listener, open_admin, open_listeners
from corn.net.socket_activation import Passed, passed_sockets
from corn.supervisor.children.certificates import first_credentials
from corn.supervisor.control.socket_file import ControlSocket, plan_control_socket
from corn.supervisor.dev_session import DevReloader
from corn.supervisor.executor import Executor
from corn.supervisor.loop import Loop
from corn.supervisor.process.daemon import Launch, daemonize
from corn.supervisor.process.pidfile import Pidfile
from corn.supervisor.process.privileges import (
    ProcessUser,
    check_privileges,
    chown_sockets,
    drop_privileges,
    identity_of,
)
from corn.supervisor.process.signals import Signals
from corn.supervisor.projections.status import About
from corn.supervisor.systemd import SystemdNotifier
from corn.supervisor.upgrade import Predecessor
from corn.supervisor.worker_count import describe_workers, workers_of
from corn.system.process import become_subreaper, name_process, occupy_standard_streams, raise_descriptor_limit
from corn.tls.credentials import Credentials
from corn.tls.vault import Vault
from corn.version import __version__


def run_master(resolved: Resolved, reread: Callable[[], Resolved]) -> int:
    """Serve what the configuration says until told to stop; returns the exit code (errors.ExitCode).

    `reread` resolves the configuration again, for a reload. Raises BindError where an address cannot be had,
    ConfigError where the process cannot be what it is asked to be. With option daemon it returns in the daemon alone.
    """
    file = "" if resolved.file is None else str(resolved.file.absolute())
    return supervise(resolved.config, lambda: reread().config, file)


def run_development(resolved: Resolved, reread: Callable[[], Resolved]) -> int:
    """As `run_master`, and reload the application when its files change."""
    file = "" if resolved.file is None else str(resolved.file.absolute())
    return supervise(resolved.config, lambda: reread().config, file, development=True)


def supervise(config: Config, reread: Callable[[], Config], config_file: str = "", *, development: bool = False) -> int:
    """As `run_master`, for a configuration that no source but the caller has."""
    if threading.current_thread() is not threading.main_thread():
        raise CornError("corn must be run in the main thread, because it answers signals; use corn.serve elsewhere")
    occupy_standard_streams()
    predecessor = Predecessor(os.environ)
    identity, pidfile = identity_of(config), Pidfile(config, predecessor=predecessor.pid)
    if identity is not None:
        check_privileges(identity, config)
    credentials = first_credentials(config, predecessor.credentials)
    passed = passed_sockets(os.environ, config)
    launch = daemonize() if config.daemon and predecessor.pid is None else Launch()
    code = int(ExitCode.INTERNAL)
    try:
        standing = BootContext(predecessor, identity, pidfile, launch, config_file, credentials, passed, development)
        code = _serve(config, reread, standing)
    except CornError as error:
        code = int(error.exit_code)
        raise
    finally:
        pidfile.remove()
        launch.ended(code)
    return code


@dataclass(frozen=True, slots=True)
class BootContext:
    """What is settled before a master begins: after whom, as whom, who is to know, what it proves itself
    with, and what it was `passed`.

    `development`: it is a master of `corn dev`.
    """

    predecessor: Predecessor
    identity: ProcessUser | None
    pidfile: Pidfile
    launch: Launch
    config_file: str
    credentials: tuple[Credentials, str] | None
    passed: Passed
    development: bool = False


def _serve(config: Config, reread: Callable[[], Config], standing: BootContext) -> int:
    name_process("corn master")
    logs.configure(logs.Source("master"), config)
    standing.launch.begin_log(logs.Source("master"), config)
    if config.umask is not None:
        os.umask(config.umask)
    raise_descriptor_limit()
    handed_over = [*standing.predecessor.sockets, *standing.passed.sockets]
    with _listening(config, handed_over) as listeners, _closed_at_the_end(open_admin(config, handed_over)) as admin:
        user = os.geteuid() if standing.identity is None else standing.identity.uid
        meet = plan_control_socket(config.control, listeners[0].address, user, standing.predecessor.rendezvous)
        if standing.identity is not None:
            chown_sockets([*listeners, *admin], standing.identity)
            standing.pidfile.reserve(standing.identity)
            drop_privileges(standing.identity, config)
        if config.log_file is not None:
            logs.open_file(config.log_file)
        with _controlled(meet()) as rendezvous:
            return _supervise(config, reread, listeners, rendezvous, standing, admin=admin)


def _supervise(
    config: Config,
    reread: Callable[[], Config],
    listeners: list[Listener],
    rendezvous: ControlSocket | None,
    standing: BootContext,
    *,
    admin: list[Listener],
) -> int:
    addresses = tuple(listener.address for listener in listeners if not listener.redirects)
    about = About(
        __version__,
        os.getpid(),
        config.app or "",
        addresses,
        time.monotonic(),
        pidfile="" if config.pid is None else str(Path(config.pid).absolute()),
        config_file=standing.config_file,
        directory=str(Path.cwd()),
    )
    info = ServiceInfo(config.app or "", addresses, workers_of(config), os.getpid())

    def announce(preload: str) -> None:
        standing.pidfile.publish()
        how = f"{describe_workers(config)}, {_manner(config, preload, development=standing.development)}"
        logs.logger.info("%s", logs.announcement(config, addresses, how))
        for listener in (*listeners, *admin):
            listener.borrowed = False
            if listener.redirects:
                logs.logger.info("%s redirects to HTTPS", listener.address)
        for listener in admin:
            logs.logger.info("%s tells how the service is", listener.address)
        loop.admin.begin()
        loop.control.listen()
        loop.hooks.call("when_ready", info)
        standing.predecessor.tell_that_we_serve()
        standing.launch.ready()

    signals = Signals()
    signals.catch()
    reloading = DevReloader(config, standing.config_file) if standing.development else None
    service_manager = SystemdNotifier(os.environ, succeeds=standing.predecessor.pid is not None)
    service_manager.store(listeners, standing.passed.outdated)
    loop = Loop(
        config,
        signals,
        about=about,
        rendezvous=rendezvous,
        service_manager=service_manager,
        reread=reread,
        announce=announce,
        admin=admin,
        reloading=reloading,
    )
    if standing.predecessor.pid is None:
        loop.admin.begin()
        loop.control.listen()
    relay = not become_subreaper()
    vault = _lay_up(standing.credentials)
    executor = Executor(
        config, listeners, relay=relay, watch=loop.watch, unwatch=loop.unwatch, vault=vault, reloading=reloading
    )
    loop.hooks.call("on_starting", info)
    try:
        return loop.run(executor)
    finally:
        executor.close()
        if reloading is not None:
            reloading.finish()
        loop.hooks.finish()
        loop.admin.finish()
        service_manager.close()
        signals.release()


def _manner(config: Config, preload: str, *, development: bool) -> str:
    if not development:
        return f"preload {preload}"
    return "reloads when files change" if config.reload else "does not reload"


def _lay_up(found: tuple[Credentials, str] | None) -> Vault | None:
    if found is None:
        return None
    credentials, warning = found
    if warning:
        logs.logger.warning("%s; clients will refuse it until it is renewed", warning)
    return Vault.create(credentials)


@contextlib.contextmanager
def _controlled(rendezvous: ControlSocket | None) -> Iterator[ControlSocket | None]:
    """The control socket, which is gone by the end unless a successor has it."""
    try:
        yield rendezvous
    finally:
        if rendezvous is not None:
            rendezvous.close()


@contextlib.contextmanager
def _listening(config: Config, handed_over: HandedOver) -> Iterator[list[Listener]]:
    """The open listeners; those that nobody has closed by the end are closed then."""
    with _closed_at_the_end(open_listeners(config, handed_over)) as listeners:
        yield listeners


@contextlib.contextmanager
def _closed_at_the_end(listeners: list[Listener]) -> Iterator[list[Listener]]:
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()
