"""Anchored paths of options, for an application that changes the working directory while it is imported.

They stay relative to the working directory at the time when the configuration was read.
"""

from __future__ import annotations

import os
from dataclasses import replace

from corn.config import Config
from corn.logs.syslog import is_syslog


def current_directory() -> str:
    """The working directory, "" where it has been removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - a path of it would be relative again
    except OSError:
        return ""


def anchored(config: Config, directory: str) -> Config:
    """The configuration with paths that are used after the import made absolute, relative to `directory`."""

    def absolute(path: str | None) -> str | None:
        is_file = path is not None and path != "-" and not is_syslog(path)
        return os.path.join(directory, path) if path is not None and is_file else path  # noqa: PTH118

    static = []
    for each in config.static:
        prefix, _, path = each.partition("=")
        static.append(f"{prefix}={absolute(path)}")
    return replace(
        config,
        app_dir=absolute(config.app_dir) or directory,
        hooks=absolute(config.hooks),
        access_log_file=absolute(config.access_log_file),
        log_file=absolute(config.log_file),
        static=tuple(static),
    )
