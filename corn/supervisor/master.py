"""Master process, from its start to its exit code.

The order of the start-up steps is: checks without side effects; daemonization, if configured, after which the process
does not fork itself again; the resources that need root (addresses, pidfile); the change to the configured user; the
templates. A master that takes over from another (upgrade.py) skips the steps that its predecessor has done.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

from corn import logs
from corn.config import Config
from corn.config.error_names import options_named_as_given
from corn.config.sections.service import PROCESS_NAME
from corn.config.sources import Resolved
from corn.errors import CornError, ExitCode
from corn.net.listeners import HandedOver, Listener, open_admin, open_listeners
from corn.net.socket_activation import passed_sockets
from corn.supervisor.boot_context import BootContext, OpenSockets
from corn.supervisor.children.certificates import first_credentials
from corn.supervisor.configuration.reload import Origins
from corn.supervisor.control.socket_file import ControlSocket, plan_control_socket
from corn.supervisor.development import Development, NoDevelopment
from corn.supervisor.process.daemon import Launch, daemonize
from corn.supervisor.process.pidfile import Pidfile
from corn.supervisor.process.privileges import (
    check_privileges,
    chown_sockets,
    drop_privileges,
    identity_of,
)
from corn.supervisor.service import run_service
from corn.supervisor.upgrade import Predecessor
from corn.system.process import identify, name_process, occupy_standard_streams, raise_descriptor_limit


def run_master(resolved: Resolved, reread: Callable[[], Resolved]) -> int:
    """Serve the configured application until a stop is requested; returns the exit code (errors.ExitCode).

    `reread` resolves the configuration again, for a reload. Raises BindError if an address cannot be bound, and
    ConfigError if the process cannot run as configured. With option daemon it returns in the daemon alone.
    """
    return supervise(resolved, reread)


def run_development(resolved: Resolved, reread: Callable[[], Resolved]) -> int:
    """As `run_master`, and reload the application when its files change."""
    return supervise(resolved, reread, development=True)


def supervise(resolved: Resolved, reread: Callable[[], Resolved], *, development: bool = False) -> int:
    """As `run_master`; `development`: it is a master of `corn dev`."""
    with options_named_as_given(resolved.origins):
        return _run(resolved, reread, development)


def _run(resolved: Resolved, reread: Callable[[], Resolved], development: bool) -> int:
    origins = Origins()
    config = origins.note(resolved)
    config_file = "" if resolved.file is None else str(resolved.file.absolute())
    if threading.current_thread() is not threading.main_thread():
        raise CornError("corn.run needs the main thread, because it handles signals; use corn.serve in other threads")
    occupy_standard_streams()
    predecessor = Predecessor(os.environ)
    identity, pidfile = identity_of(config), Pidfile(config, predecessor=predecessor.pid)
    if identity is not None:
        check_privileges(identity, config)
    logs.check_receivers(config)
    credentials = first_credentials(config, predecessor.credentials)
    passed = passed_sockets(os.environ, config)
    launch = daemonize() if config.daemon and predecessor.pid is None else Launch()
    code = int(ExitCode.INTERNAL)
    try:
        boot = BootContext(
            predecessor, identity, pidfile, launch, config_file, credentials, passed, origins, development=development
        )
        code = _serve(config, lambda: origins.note(reread()), boot)
    except CornError as error:
        code = int(error.exit_code)
        raise
    finally:
        pidfile.remove()
        launch.ended(code)
        logs.finish()
    return code


def _serve(config: Config, reread: Callable[[], Config], boot: BootContext) -> int:
    if config.process_name == PROCESS_NAME:
        name_process(f"{PROCESS_NAME} master")  # its command line stays: people look for it
    else:
        identify(config.process_name, "master", config.app or "")
    logs.configure(logs.Source("master"), config)
    boot.launch.begin_log(logs.Source("master"), config)
    if config.umask is not None:
        os.umask(config.umask)
    raise_descriptor_limit()
    handed_over = [*boot.predecessor.sockets, *boot.passed.sockets]
    with _listening(config, handed_over) as listeners, _closed_on_exit(open_admin(config, handed_over)) as admin:
        user = os.geteuid() if boot.identity is None else boot.identity.uid
        open_control_socket = plan_control_socket(
            config.control, listeners[0].address, user, boot.predecessor.control_socket
        )
        if boot.identity is not None:
            chown_sockets([*listeners, *admin], boot.identity)
            boot.pidfile.reserve(boot.identity)
            drop_privileges(boot.identity, config)
        if config.log_file is not None:
            logs.open_file(config.log_file)
            if trouble := logs.receiver_error():
                print(f"corn: --log-file: {trouble}; lines are dropped until that changes", file=sys.stderr)
        with _controlled(open_control_socket()) as control_socket:
            sockets = OpenSockets(listeners, admin, control_socket)
            return run_service(config, reread, sockets, boot, _development(config, boot))


def _development(config: Config, boot: BootContext) -> Development:
    if not boot.development:
        return NoDevelopment()
    from corn.supervisor.dev.session import DevSession  # `corn serve` does without it

    return DevSession(config, boot.config_file)


@contextlib.contextmanager
def _controlled(control_socket: ControlSocket | None) -> Iterator[ControlSocket | None]:
    """The control socket, which is removed at the end unless a successor has it."""
    try:
        yield control_socket
    finally:
        if control_socket is not None:
            control_socket.close()


@contextlib.contextmanager
def _listening(config: Config, handed_over: HandedOver) -> Iterator[list[Listener]]:
    """The open listeners; those still open at the end are closed then."""
    with _closed_on_exit(open_listeners(config, handed_over)) as listeners:
        yield listeners


@contextlib.contextmanager
def _closed_on_exit(listeners: list[Listener]) -> Iterator[list[Listener]]:
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()
