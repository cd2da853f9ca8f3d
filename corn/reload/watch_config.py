"""Watch configuration from the options: the filter of files, and the setup of the watcher."""

from __future__ import annotations

import os

from corn.config import Config
from corn.ipc.messages import WatchSetup
from corn.reload.filters import WatchFilter
from corn.system.paths import package_directories, working_directory


def rules_of(config: Config, file: str) -> WatchFilter:
    """The rules that the options set; `file` is the configuration file, "" if there is none.

    Relative paths are joined with the directory's name, because it may have been removed.
    """
    named = config.reload_dir or (".", config.app_dir)
    here = working_directory()
    directories = dict.fromkeys(os.path.realpath(os.path.join(here, each)) for each in named)
    files = [os.path.realpath(os.path.join(here, each)) for each in (*config.env_file, *((file,) if file else ()))]
    return WatchFilter(tuple(directories), config.reload_include, config.reload_exclude, tuple(files))


def watch_setup(config: Config, file: str, since: float) -> WatchSetup:
    """The setup that the watcher receives."""
    rules = rules_of(config, file)
    return WatchSetup(
        directories=list(rules.directories),
        include=list(rules.include),
        exclude=list(rules.exclude),
        files=list(rules.files),
        packages=package_directories(),
        since=since,
        polling=config.reload_polling,
        process_name=config.process_name,
    )
