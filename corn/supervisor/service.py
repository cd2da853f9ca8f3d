"""Service of a master: its instance is assembled on open sockets, announced, run and finished."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from corn import logs
from corn.config import Config
from corn.hooks import ServiceInfo
from corn.supervisor.boot_context import BootContext, OpenSockets
from corn.supervisor.configuration.reload import settings_of
from corn.supervisor.configuration.worker_count import describe_workers, workers_of
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
    config: Config, reread: Callable[[], Config], sockets: OpenSockets, boot: BootContext, development: Development
) -> int:
    """Serve until a stop is requested; returns the exit code."""
    about = _about(config, sockets, boot)
    signals = Signals()
    signals.catch()
    service_manager = SystemdNotifier(os.environ, is_successor=boot.predecessor.pid is not None)
    service_manager.store(sockets.listeners, boot.passed.outdated)
    loop = Loop(settings_of(config, development=development.active))
    executor = Executor(
        config,
        sockets.listeners,
        loop.children,
        relay=not become_subreaper(),
        vault=_create_vault(boot),
        development=development,
    )
    instance = Instance(
        config,
        loop,
        executor,
        development,
        service_manager,
        about=about,
        control_socket=sockets.control,
        reread=reread,
        admin=sockets.admin,
        origins=boot.origins,
    )
    loop.periodic.append(logs.PeriodicFlush())
    statsd = None if config.statsd is None else StatsdReporter(config, instance.commands.status)
    if statsd is not None:
        loop.periodic.append(statsd)
    if boot.predecessor.pid is None:
        instance.admin.begin()
        instance.control.listen()
    info = ServiceInfo(about.app, about.addresses, workers_of(config), about.pid)
    instance.hooks.call("on_starting", info)

    def announce(preload: str) -> None:
        boot.pidfile.publish()
        for listener in (*sockets.listeners, *sockets.admin):
            listener.borrowed = False
        _log_start(config, preload, sockets, boot)
        instance.admin.begin()
        instance.control.listen()
        instance.hooks.call("when_ready", info)
        boot.predecessor.report_ready()
        boot.launch.ready()
        development.show_banner(about.addresses)

    try:
        return instance.run(signals, announce)
    finally:
        if statsd is not None:
            statsd.finish()
        instance.finish()
        service_manager.close()
        signals.release()


def _about(config: Config, sockets: OpenSockets, boot: BootContext) -> About:
    return About(
        __version__,
        os.getpid(),
        config.app or "",
        _addresses(sockets),
        time.monotonic(),
        pidfile="" if config.pid is None else str(Path(config.pid).absolute()),
        config_file=boot.config_file,
        directory=working_directory(),
        started_in=start_directory(),
    )


def _addresses(sockets: OpenSockets) -> tuple[str, ...]:
    return tuple(listener.address for listener in sockets.listeners if not listener.redirects)


def _log_start(config: Config, preload: str, sockets: OpenSockets, boot: BootContext) -> None:
    """Log the start-up line and the other addresses."""
    how = f"{describe_workers(config)}, {_mode_text(config, preload, boot)}"
    logs.logger.info("%s", logs.announcement(config, _addresses(sockets), how))
    for listener in (*sockets.listeners, *sockets.admin):
        if listener.redirects:
            logs.logger.info("%s redirects to HTTPS", listener.address)
    for listener in sockets.admin:
        logs.logger.info("admin endpoint at %s", listener.address)


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
