"""Keyword arguments of an embedded server: each is honoured, or refused by name."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corn.config import OPTIONS, Config
from corn.config.options import DEV
from corn.config.sources import CALL, DEFAULT, Resolved, resolve_call
from corn.errors import ConfigError

StrPath = str | os.PathLike[str]


def resolve_options(
    app: Any, options: Mapping[str, Any], config_file: StrPath | None, directory: Path | None = None
) -> Resolved:
    """Resolve the arguments of a call that serves `app`; raises ConfigError.

    No other source is read unless `config_file` names a file, so that neither the environment nor a corn.toml in the
    directory changes the behaviour of a program.
    """
    for option in OPTIONS:
        if option.command == DEV and option.name in options:
            raise ConfigError(f"{option.name} is an option of 'corn dev', which is run from the command line")
    given = {**options, "app": app} if isinstance(app, str) else dict(options)
    return resolve_call(given, directory or Path.cwd(), None if config_file is None else os.fspath(config_file))


def resolve_embedded(app: Any, options: Mapping[str, Any], config_file: StrPath | None) -> Resolved:
    """Resolve as `resolve_options` does, and refuse options that need a master."""
    table = options.get("log_config")
    if isinstance(table, Mapping):  # applied in this process, so it may contain objects that JSON cannot represent
        options = {**options, "log_config": json.dumps(dict(table), default=repr)}
    resolved = resolve_options(app, options, config_file)
    for option in OPTIONS:
        if option.needs_master and getattr(resolved.config, option.name) != option.default:
            origin = resolved.origins[option.name]
            place = "" if origin == CALL else f"{origin}: "
            raise ConfigError(
                f"{place}{option.name} needs a service of its own, as by corn.run('main:app'); leave it out here"
            )
    if not isinstance(app, str) and resolved.origins["app_dir"] != DEFAULT:
        raise ConfigError("app_dir is for an application given by name, as in 'main:app'; leave it out here")
    return resolved


def application_of(app: Any, config: Config) -> Any:
    """Return the application: imported if it was given by name, called if it is a factory."""
    from corn.server.asgi.interface import check_interface
    from corn.worker.importer import failed, load_application

    if isinstance(app, str):
        return load_application(config)
    if config.factory and callable(app):
        try:
            app = app()
        except Exception as error:
            raise failed("the factory failed", error) from error
    if not callable(app):
        kind = type(app).__name__
        raise ConfigError(f"an application is a callable, or a name such as 'main:app', not of type {kind}")
    check_interface(app, config)
    return app


def refuse_running_loop(what: str, remedy: str) -> None:
    """Raise RuntimeError in a thread whose event loop runs, such as a notebook's."""
    asyncio = sys.modules.get("asyncio")  # not imported here, because this process may become a master
    if asyncio is not None and asyncio._get_running_loop() is not None:
        raise RuntimeError(f"{what} cannot be called from a running event loop; use `{remedy}`")
