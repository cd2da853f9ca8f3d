"""Service of a master: its instance is assembled on open sockets, announced, run and finished."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from corn import logs
from corn.config import Config
from corn.hooks import ServiceInfo
from corn.net.listeners import Listener
from corn.supervisor.boot_context import BootContext
from corn.supervisor.configuration.reload import settings_of
from corn.supervisor.configuration.worker_count import describe_workers, workers_of
from corn.supervisor.control.socket_file import ControlSocket
from corn.supervisor.development import Development
from corn.supervisor.executor import Executor
from corn.supervisor.instance import Instance
from corn.supervisor.loop import Loop
from corn.supervisor.monitoring.statsd import StatsdReporter
from corn.supervisor.process.signals import Signals
from corn.supervisor.process.systemd import SystemdNotifier
from corn.supervisor.projections.status import About
from corn.system.paths import start_directory, working_directory
from corn.system.process import become_subreaper
from corn.tls.vault import Vault
from corn.version import __version__


def run_service(
    config: Config,
    reread: Callable[[], Config],
    listeners: list[Listener],
    control_socket: ControlSocket | None,
    boot: BootContext,
    *,
    development: Development,
    admin: list[Listener],
) -> int:
    """Serve until a stop is requested; returns the exit code."""
    addresses = tuple(listener.address for listener in listeners if not listener.redirects)
    about = About(
        __version__,
        os.getpid(),
        config.app or "",
        addresses,
        time.monotonic(),
        pidfile="" if config.pid is None else str(Path(config.pid).absolute()),
        config_file=boot.config_file,
        directory=working_directory(),
        started_in=start_directory(),
    )
    info = ServiceInfo(config.app or "", addresses, workers_of(config), os.getpid())
    signals = Signals()
    signals.catch()
    service_manager = SystemdNotifier(os.environ, is_successor=boot.predecessor.pid is not None)
    service_manager.store(listeners, boot.passed.outdated)
    loop = Loop(settings_of(config, development=development.active))
    relay = not become_subreaper()
    executor = Executor(
        config, listeners, loop.children, relay=relay, vault=_create_vault(boot), development=development
    )
    instance = Instance(
        config,
        loop,
        executor,
        development,
        service_manager,
        about=about,
        control_socket=control_socket,
        reread=reread,
        admin=admin,
        origins=boot.origins,
    )

    def announce(preload: str) -> None:
        boot.pidfile.publish()
        how = f"{describe_workers(config)}, {_mode_text(config, preload, boot)}"
        logs.logger.info("%s", logs.announcement(config, addresses, how))
        for listener in (*listeners, *admin):
            listener.borrowed = False
            if listener.redirects:
                logs.logger.info("%s redirects to HTTPS", listener.address)
        for listener in admin:
            logs.logger.info("admin endpoint at %s", listener.address)
        instance.admin.begin()
        instance.control.listen()
        instance.hooks.call("when_ready", info)
        boot.predecessor.report_ready()
        boot.launch.ready()
        development.show_banner(addresses)

    loop.periodic.append(logs.PeriodicFlush())
    statsd = None if config.statsd is None else StatsdReporter(config, instance.commands.status)
    if statsd is not None:
        loop.periodic.append(statsd)
    if boot.predecessor.pid is None:
        instance.admin.begin()
        instance.control.listen()
    instance.hooks.call("on_starting", info)
    try:
        return instance.run(signals, announce)
    finally:
        if statsd is not None:
            statsd.finish()
        instance.finish()
        service_manager.close()
        signals.release()


def _mode_text(config: Config, preload: str, boot: BootContext) -> str:
    if not boot.development:
        return f"preload {preload}"
    return "reloads when files change" if config.reload else "does not reload"


def _create_vault(boot: BootContext) -> Vault | None:
    if boot.credentials is None:
        return None
    credentials, warning = boot.credentials
    if warning:
        logs.logger.warning("%s; clients will refuse it until it is renewed", warning)
    return Vault.create(credentials)
