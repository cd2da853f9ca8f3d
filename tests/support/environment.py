"""Signal dispositions, umask, limits and environment that the processes of a test inherit, wherever the suite runs.

A script's `&`, nohup, cron, a login shell and a CI runner each hand down something else.
"""

from __future__ import annotations

import os
import resource
import signal
from types import FrameType

_DROPPED = ("CORN_", "LISTEN_", "NOTIFY_", "WATCHDOG_", "PYTHON", "LC_", "OTEL_", "SENTRY_", "DJANGO_")
_DROPPED_NAMES = {
    *("WEB_CONCURRENCY", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "PWD", "OLDPWD"),
    *("LANGUAGE", "TZ", "PORT", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
}
_KEPT = {"PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED"}
_IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}  # which subprocess restores
_OPEN_FILES = 4096
_LONGEST_TMPDIR = 8  # pytest adds 80 bytes, and the path of a Unix socket has at most 103 (unix(7))


def settle_environment() -> None:
    """Set up this process, and so its children, as the tests expect."""
    for name in list(os.environ):
        if name in _DROPPED_NAMES or (name.startswith(_DROPPED) and name not in _KEPT):
            del os.environ[name]
    os.environ["LANG"] = "C.UTF-8"
    if len(os.environ.get("TMPDIR", "")) > _LONGEST_TMPDIR:
        os.environ["TMPDIR"] = "/tmp"
    os.umask(0o022)
    _settle_signals()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if 0 <= hard < _OPEN_FILES else _OPEN_FILES, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _settle_signals() -> None:
    """Start children with no signal ignored or blocked, independent of the parent of the suite.

    A handler that does nothing ignores the signal here as before, and execve(2) gives it its default action.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *_IGNORED_BY_PYTHON}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignored)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _ignored(number: int, frame: FrameType | None) -> None:
    """Do nothing."""


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without corn's variables, updated by `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CORN_")}
    return kept | {"XDG_CACHE_HOME": f"/tmp/corn-tests-{os.geteuid()}"} | more
