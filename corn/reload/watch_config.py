"""Watch configuration from the options: the filter of files, and the setup of the watcher."""

from __future__ import annotations

import os

from corn.config import Config
from corn.ipc.messages import WatchSetup
from corn.reload.filters import WatchFilter
from corn.reload.watch_tree import Identity, identity_of
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


def identities_of(rules: WatchFilter) -> dict[str, Identity | None]:
    """Device and inode of each watched directory, None for one that does not exist."""
    return {each: identity_of(each) for each in rules.directories}


def watch_setup(config: Config, file: str, since: float, identities: dict[str, Identity | None]) -> WatchSetup:
    """The setup that the watcher receives; `identities` are those of the directories at the time `since`."""
    rules = rules_of(config, file)
    known = identities_of(rules) | identities
    return WatchSetup(
        directories=list(rules.directories),
        identities=[list(known[each] or ()) for each in rules.directories],
        include=list(rules.include),
        exclude=list(rules.exclude),
        files=list(rules.files),
        packages=package_directories(),
        since=since,
        polling=config.reload_polling,
        process_name=config.process_name,
    )
