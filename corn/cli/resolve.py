"""Resolution of the command line and all other sources of options, at the start and on every reload."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corn.cli.options import given
from corn.config.sources import Resolved, resolve, resolve_development
from corn.errors import ConfigError
from corn.system.paths import enter_directory


def resolver(values: dict[str, Any], config_file: str | None, *, development: bool = False) -> Callable[[], Resolved]:
    """Function that resolves `values` with the environment and the configuration file at the time of each call.

    It changes to the directory in which corn was started, by the path in the shell's $PWD, or to that of option chdir
    relative to it, so that a reload follows a symbolic link that a deployment has changed.
    """
    command_line, environ, directory = given(values), dict(os.environ), _start_directory()
    resolve_all = resolve_development if development else resolve

    def read() -> Resolved:
        resolved = resolve_all(command_line, environ, directory, config_file)
        enter_directory(directory, resolved.config.chdir)
        return resolved

    return read


def require_application(resolved: Resolved) -> Resolved:
    """The given configuration, if it names an application; raises ConfigError otherwise."""
    if resolved.config.app is None:
        raise ConfigError("no application given; name one, as in 'corn serve main:app', or set app in corn.toml")
    return resolved


def check_loads(resolved: Resolved) -> None:
    """Import the application in a process of its own; raises ApplicationError if it cannot be loaded."""
    from corn.supervisor.configuration.check import check_application

    check_application(resolved.config)


def _start_directory() -> Path:
    """The working directory, by the path in $PWD if that is the same directory, or the directory was removed.

    Raises ConfigError if there is none.
    """
    shell = Path(os.environ.get("PWD", ""))
    try:
        real = Path.cwd()
    except OSError as error:
        if shell.is_absolute() and os.path.isdir(shell):  # noqa: PTH112 - false also where it cannot be searched
            return shell
        why = f"the working directory cannot be found: {error.strerror}"
        raise ConfigError(f"{why}; change to one that exists") from None
    try:
        return shell if shell.is_absolute() and shell.samefile(real) else real
    except OSError:
        return real
