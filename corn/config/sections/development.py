"""Options of `corn dev`: file watching, browser refresh, error pages."""

from __future__ import annotations

from corn.config.options import DEV, option, section
from corn.config.types import Flag, HostName, ListOf, Text

DEVELOPMENT = "Development"


@section
class DevelopmentOptions:
    reload: bool = option(True, Flag(), "Reload the application when its files change.", DEVELOPMENT, command=DEV)
    reload_dir: tuple[str, ...] = option(
        (),
        ListOf(Text("DIRECTORY")),
        "Watch DIRECTORY and its subdirectories instead of the working directory and --app-dir; may be repeated.",
        DEVELOPMENT,
        command=DEV,
    )
    reload_include: tuple[str, ...] = option(
        (),
        ListOf(Text("PATTERN")),
        "Also watch files that match PATTERN, such as *.json or data/; may be repeated.",
        DEVELOPMENT,
        command=DEV,
    )
    reload_exclude: tuple[str, ...] = option(
        (),
        ListOf(Text("PATTERN")),
        "Ignore files that match PATTERN, overriding everything else; may be repeated.",
        DEVELOPMENT,
        command=DEV,
    )
    reload_polling: bool = option(
        False,
        Flag(),
        "Poll for changes, for file systems that do not report them, such as network and some container "
        "mounts; automatic where the system cannot report changes.",
        DEVELOPMENT,
        command=DEV,
    )
    refresh: bool = option(True, Flag(), "Reload open browser pages after a change.", DEVELOPMENT, command=DEV)
    allow_host: tuple[str, ...] = option(
        (),
        ListOf(HostName()),
        "Also answer requests for host NAME; .NAME means its subdomains, * any host. May be repeated. IP addresses, "
        "localhost, names without a dot and the host of --host are always answered, other hosts with 421.",
        DEVELOPMENT,
        command=DEV,
    )
    open: bool = option(
        False,
        Flag(),
        "Open the application in a browser when it serves.",
        DEVELOPMENT,
        command=DEV,
        reloadable=False,
    )
    keys: bool = option(
        True,
        Flag(),
        "Read keys in a terminal: r reloads, o opens a browser, c clears the screen, q quits.",
        DEVELOPMENT,
        command=DEV,
        reloadable=False,
    )
    keep_last_good: bool = option(
        False,
        Flag(),
        "While the new code is broken, serve the previous code instead of the error.",
        DEVELOPMENT,
        command=DEV,
    )
    tls: bool = option(
        False,
        Flag(),
        "Serve HTTPS with a generated certificate for localhost; needs the extra 'tls'.",
        DEVELOPMENT,
        command=DEV,
        reloadable=False,
    )
    verify_reload: bool = option(
        False,
        Flag(),
        "After each reload, also import the application in a process without preloaded packages, and report "
        "differences.",
        DEVELOPMENT,
        command=DEV,
    )
    profile_reload: bool = option(
        False,
        Flag(),
        "After each reload, list the project modules that took longest to import.",
        DEVELOPMENT,
        command=DEV,
    )
