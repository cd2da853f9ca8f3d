"""What only `corn dev` does: when to reload, and what to show."""

from __future__ import annotations

from dataclasses import dataclass

from corn.config.options import DEV, option
from corn.config.types import Flag, ListOf, Text

DEVELOPMENT = "Development"


@dataclass(frozen=True, kw_only=True)
class DevelopmentOptions:
    reload: bool = option(True, Flag(), "Reload the application when its files change.", DEVELOPMENT, command=DEV)
    reload_dir: tuple[str, ...] = option(
        (),
        ListOf(Text("DIRECTORY")),
        "Watch DIRECTORY and what is below it, instead of the working directory and --app-dir; may be repeated.",
        DEVELOPMENT,
        command=DEV,
    )
    reload_include: tuple[str, ...] = option(
        (),
        ListOf(Text("PATTERN")),
        "Files like PATTERN count too, such as *.json or data/; may be repeated.",
        DEVELOPMENT,
        command=DEV,
    )
    reload_exclude: tuple[str, ...] = option(
        (),
        ListOf(Text("PATTERN")),
        "Files like PATTERN do not count, whatever else says so; may be repeated.",
        DEVELOPMENT,
        command=DEV,
    )
    reload_polling: bool = option(
        False,
        Flag(),
        "Look at files again and again, for file systems that report no changes, such as network and some container "
        "mounts; corn does so by itself where the system cannot report them.",
        DEVELOPMENT,
        command=DEV,
    )
    refresh: bool = option(
        True, Flag(), "Have browsers load a page again when what it shows has changed.", DEVELOPMENT, command=DEV
    )
    keep_last_good: bool = option(
        False,
        Flag(),
        "While new code cannot be served, serve the old instead of the error.",
        DEVELOPMENT,
        command=DEV,
    )
    tls: bool = option(
        False,
        Flag(),
        "Serve HTTPS with a certificate for localhost, made for this user; needs the extra 'tls'.",
        DEVELOPMENT,
        command=DEV,
        reloadable=False,
    )
    verify_reload: bool = option(
        False,
        Flag(),
        "After each reload, import the application in a process without preloaded packages too, and say what differs.",
        DEVELOPMENT,
        command=DEV,
    )
    profile_reload: bool = option(
        False,
        Flag(),
        "After each reload, list the modules of the project that took the longest to import.",
        DEVELOPMENT,
        command=DEV,
    )
