"""What the options say of watching, for the watcher and for those who ask what it does."""

from __future__ import annotations

import os
from pathlib import Path

from corn.config import Config
from corn.libraries import package_directories
from corn.messages import WatchSetup
from corn.reload.rules import Rules


def rules_of(config: Config, file: Path | None) -> Rules:
    """The rules for the directories, patterns and files that the options name; `file` is the configuration file."""
    named = config.reload_dir or (".", config.app_dir)
    directories = dict.fromkeys(os.path.realpath(each) for each in named)
    files = [os.path.realpath(each) for each in (*config.env_file, *((file,) if file else ()))]
    return Rules(tuple(directories), config.reload_include, config.reload_exclude, tuple(files))


def watch_setup(config: Config, file: Path | None, since: float) -> WatchSetup:
    """What the watcher is told."""
    rules = rules_of(config, file)
    return WatchSetup(
        directories=list(rules.directories),
        include=list(rules.include),
        exclude=list(rules.exclude),
        files=list(rules.files),
        packages=package_directories(),
        since=since,
        polling=config.reload_polling,
    )
