"""Python API: `corn.run` as a program, `corn.serve` in a running event loop.

Options are those of the command line, by their names in the reference: `workers=4`, `limit_max_requests=1000`. The only
other source is a configuration file that `config_file` names; the environment is ignored.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from corn.config.sources import Resolved
from corn.errors import ConfigError, CornError
from corn.system.paths import enter_directory

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from corn.config.keywords import EmbeddedOptions, ServiceOptions, StrPath
    from corn.server.tls.context import ContextHook

    if sys.version_info >= (3, 11):
        from typing import Unpack
    else:
        from typing_extensions import Unpack


@overload
def run(app: str, *, config_file: StrPath | None = None, **options: Unpack[ServiceOptions]) -> None: ...


@overload
def run(
    app: Callable[..., Any],
    *,
    config_file: StrPath | None = None,
    ssl_context: ssl.SSLContext | ContextHook | None = None,
    **options: Unpack[EmbeddedOptions],
) -> None: ...


def run(app: Any, *, config_file: Any = None, **options: Any) -> None:
    """Serve an application until SIGTERM or SIGINT, as `corn serve` does.

    `app` should be a MODULE:ATTRIBUTE string: then a master supervises `workers` processes, and SIGHUP reloads. An
    application object can only be served in this process. Raises SystemExit with an errors.ExitCode unless the service
    has ended without an error. Put the call under `if __name__ == "__main__":`, because workers import the module too.
    Raises RuntimeError in a running event loop; use `await corn.serve(app)` there.
    """
    from corn.embedding.options import refuse_running_loop

    refuse_running_loop("corn.run", "await corn.serve(app)")
    try:
        code = _run_master(app, options, config_file) if isinstance(app, str) else _run_alone(app, options, config_file)
    except CornError as error:
        print(f"corn: {error}" + (f"\n{error.detail}" if error.detail else ""), file=sys.stderr)
        code = int(error.exit_code)
    if code:
        raise SystemExit(code)


async def serve(
    app: str | Callable[..., Any],
    *,
    ready: Callable[[list[str]], None] | None = None,
    signals: bool = True,
    ssl_context: ssl.SSLContext | ContextHook | None = None,
    config_file: StrPath | None = None,
    **options: Unpack[EmbeddedOptions],
) -> None:
    """Serve an application in the running event loop, in this process alone.

    Returns after SIGTERM or SIGINT (in the main thread, unless `signals` is False), or when limit_max_requests is
    reached; a cancellation drains and is then passed on. `ready` is called with the addresses once connections are
    accepted. Raises ConfigError, BindError, or ApplicationError if the application does not start.
    """
    from corn.embedding.server import Server

    server = Server(app, signals=signals, ssl_context=ssl_context, config_file=config_file, **options)
    await server.start()
    if ready is not None:
        ready(server.addresses)
    await server.wait_closed()


def _run_master(app: str, options: dict[str, Any], config_file: StrPath | None) -> int:
    if "corn.worker.template" in sys.modules:
        raise ConfigError("corn.run was called while corn imports the application; guard it by __name__ == '__main__'")
    if options.pop("ssl_context", None) is not None:
        raise ConfigError("ssl_context is an object of this process, not of workers; use ssl_certfile, and hooks")
    from dataclasses import replace

    from corn.embedding.options import resolve_options
    from corn.supervisor.master import run_master
    from corn.system.monkey_patches import monkey_patcher

    if patcher := monkey_patcher():
        raise ConfigError(f"{patcher}; corn runs on asyncio, so remove the monkey patching")
    directory, beside = Path.cwd(), _program_directory(app)

    def read() -> Resolved:
        resolved = resolve_options(app, options, config_file, directory)
        if resolved.config.app_dir == ".":
            resolved = replace(resolved, config=replace(resolved.config, app_dir=beside))
        enter_directory(directory, resolved.config.chdir)
        return resolved

    return run_master(read(), read)


def _program_directory(app: str) -> str:
    """Directory of the running program, if it contains the application: Python searches it first."""
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    directory = Path(program).resolve().parent if program else Path()
    top = app.partition(":")[0].partition(".")[0]
    is_searched = bool(sys.path) and Path(sys.path[0]).resolve() == directory
    is_there = (directory / f"{top}.py").is_file() or (directory / top).is_dir()
    return str(directory) if program and is_searched and is_there else "."


def _run_alone(app: Any, options: dict[str, Any], config_file: StrPath | None) -> int:
    workers = options.get("workers", 1)
    if workers not in (1, "1"):
        raise ConfigError("several workers need the application by name, as in corn.run('main:app', workers=4)")
    from corn.embedding.server import Server

    Server(app, signals=True, config_file=config_file, **options).run()
    return 0
