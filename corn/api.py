"""corn from Python: as a program of its own (`run`), or inside a loop that is already turning (`serve`).

Options are those of the command line, by their names in the reference: `workers=4`, `limit_max_requests=1000`. They
take the place of the command line: environment and configuration file fill in what is not given.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from corn import logs
from corn.config import OPTIONS, Config
from corn.config.options import DEV
from corn.config.sources import Resolved, resolve
from corn.errors import ConfigError, CornError
from corn.ipc.scoreboard import Scoreboard
from corn.net.listeners import Listener, open_listeners
from corn.system.paths import enter_directory

_OF_A_MASTER = {"user", "group", "umask", "chdir", "pid", "daemon", "hooks", "control", "admin"}


def run(app: Any, **options: Any) -> None:
    """Serve an application until told to stop, as `corn serve` does.

    `app` is best a MODULE:ATTRIBUTE string: then a master supervises `workers` processes, and SIGHUP reloads. An
    application object can only be served by this process itself. Exits (SystemExit) with one of errors.ExitCode unless
    all went well. Put the call under `if __name__ == "__main__":`, because workers import the module too.
    """
    try:
        code = _run_master(app, options) if isinstance(app, str) else _run_alone(app, options)
    except CornError as error:
        print(f"corn: {error}" + (f"\n{error.detail}" if error.detail else ""), file=sys.stderr)
        code = int(error.exit_code)
    if code:
        raise SystemExit(code)


async def serve(app: Any, *, ready: Callable[[list[str]], None] | None = None, **options: Any) -> None:
    """Serve an application in the running event loop, in this process alone.

    Returns after SIGTERM or SIGINT (where this is the main thread), or when limit_max_requests is reached; when it is
    cancelled it drains and then lets the cancellation pass. `ready` is called with the addresses once connections are
    accepted. Raises ConfigError, BindError, or ApplicationError where the application does not start.
    """
    from corn.server.server import Server
    from corn.server.tls.renewal import auto_renewal, open_tls
    from corn.worker.importer import load_application

    config = _resolve(app, options).config
    _refuse_what_needs_a_master(config)
    _log_by_itself(config)
    application = load_application(config) if isinstance(app, str) else app
    tls = open_tls(config)
    listeners = open_listeners(config)
    slots = Scoreboard.create()
    try:
        server = Server(
            application,
            config,
            [listener.sock for listener in listeners if not listener.redirects],
            slots=slots,
            cell=0,
            tls=tls,
            redirecting=[listener.sock for listener in listeners if listener.redirects],
            on_retire=lambda _: drain(),
        )

        def drain(grace: float = config.timeout_graceful_shutdown) -> None:
            server.drain(grace=grace, final=True)

        await server.start()
        with _stop_signals(drain), auto_renewal(tls, config):
            server.accept()
            _tell(config, listeners, ready)
            await _until_closed(server.wait_closed(), drain)
    finally:
        for listener in listeners:
            listener.close()
        slots.close()


def _run_master(app: str, options: dict[str, Any]) -> int:
    if "corn.worker.template" in sys.modules:
        raise ConfigError("corn.run was called while corn imports the application; guard it by __name__ == '__main__'")
    from corn.supervisor.master import run_master

    directory = Path.cwd()

    def read() -> Resolved:
        resolved = _resolve(app, options, directory)
        enter_directory(directory, resolved.config.chdir)
        return resolved

    return run_master(read(), read)


def _run_alone(app: Any, options: dict[str, Any]) -> int:
    from corn.worker.event_loop import new_event_loop

    config = _resolve(app, options).config
    if isinstance(config.workers, int) and config.workers > 1:
        raise ConfigError("several workers need the application by name, as in corn.run('main:app', workers=4)")
    loop = new_event_loop(config.loop)
    try:
        loop.run_until_complete(serve(app, **options))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return 0


def _resolve(app: Any, options: dict[str, Any], directory: Path | None = None) -> Resolved:
    _refuse_what_is_for_dev(options)
    given = dict(options)
    if isinstance(app, str):
        given["app"] = app
    return resolve(given, os.environ, directory or Path.cwd(), None)


def _refuse_what_is_for_dev(options: Mapping[str, Any]) -> None:
    for option in OPTIONS:
        if option.command == DEV and option.name in options:
            raise ConfigError(f"{option.name} is an option of 'corn dev', which is run from the command line")


def _refuse_what_needs_a_master(config: Config) -> None:
    """Raise ConfigError for an option that would do nothing, or harm, in a process that is somebody else's."""
    for option in OPTIONS:
        if option.name in _OF_A_MASTER and getattr(config, option.name) != option.default:
            raise ConfigError(
                f"{option.name} needs a service of its own, as by corn.run('main:app'); leave it out here"
            )


def _log_by_itself(config: Config) -> None:
    """Set up corn's log, unless the program has done so."""
    if not logs.logger.handlers:
        logs.configure(logs.Source("corn"), config)


def _tell(config: Config, listeners: list[Listener], ready: Callable[[list[str]], None] | None) -> None:
    addresses = [listener.address for listener in listeners if not listener.redirects]
    logs.logger.info("%s", logs.announcement(config, addresses, "in this process"))
    if ready is not None:
        ready(addresses)


@contextlib.contextmanager
def _stop_signals(drain: Callable[..., None]) -> Iterator[None]:
    """Drain on the first SIGTERM or SIGINT, and at once on the second; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    graces: list[tuple[float, ...]] = [(0.0,), ()]

    def stop() -> None:
        drain(*(graces.pop() if len(graces) > 1 else graces[0]))

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def _until_closed(closed: Any, drain: Callable[..., None]) -> None:
    """Wait for the end; a cancellation drains, and passes on when that is done, or at once when it is repeated."""
    waiting = asyncio.ensure_future(closed)
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        drain()
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            drain(0.0)
            await waiting
        raise
