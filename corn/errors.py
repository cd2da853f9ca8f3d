"""Exceptions, named by the origin of the fault, each with its exit code.

CornError                 exit code 1   an error in corn itself
 +- ConfigError           exit code 2   an option, a variable or a file is invalid or cannot be applied
 |   +- HooksError                      a hooks file cannot be used
 +- ApplicationError      exit code 3   the application could not be loaded or started
 +- BindError             exit code 4   an address could not be opened for listening
 +- NoInstance            exit code 6   there is no running instance for a command
 +- NoAnswer              exit code 7   an instance does not respond, or refuses this user

The message of each is one or two lines, and says what to do. Only the policy uses exit code 5 (gave up).
"""

from __future__ import annotations

import errno
from enum import IntEnum

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class ExitCode(IntEnum):
    """Exit status of the master, or of a command."""

    CLEAN = 0
    INTERNAL = 1
    USAGE = 2
    APPLICATION = 3
    BIND = 4
    GAVE_UP = 5
    NO_INSTANCE = 6
    NO_ANSWER = 7


class CornError(Exception):
    """Error that corn reports in one or two lines, without a traceback of its own.

    `detail` is the traceback of the user's own frames, or "" where the message is enough.
    """

    exit_code = ExitCode.INTERNAL

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def explain(error: OSError) -> str:
    """Message of a failed system call, with the name of the file."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{cause_of(error)}"


def cause_of(error: OSError) -> str:
    """Cause of a failed system call, with a hint where the process has reached its limit of descriptors."""
    hint = "; raise the limit with ulimit -n, or LimitNOFILE= in a unit" if error.errno in _OUT_OF_DESCRIPTORS else ""
    return f"{error.strerror or error}{hint}"


def exit_code_of(error: Exception) -> ExitCode:
    """Exit code of a start that failed with an exception."""
    if isinstance(error, CornError):
        return error.exit_code
    return ExitCode.USAGE if isinstance(error, OSError) else ExitCode.INTERNAL


class ConfigError(CornError):
    """Raised if an option, a variable or a configuration file is invalid or cannot be applied."""

    exit_code = ExitCode.USAGE


class HooksError(ConfigError):
    """Raised if a hooks file cannot be used."""


class BindError(CornError):
    """Raised if an address cannot be opened: bind(2), listen(2) or the check before them failed."""

    exit_code = ExitCode.BIND


class NoInstance(CornError):  # noqa: N818 - describes the state
    """Raised if a command finds no running instance, or none that matches its options."""

    exit_code = ExitCode.NO_INSTANCE


class NoAnswer(CornError):  # noqa: N818 - describes the state
    """Raised if an instance does not respond to a command, or refuses this user."""

    exit_code = ExitCode.NO_ANSWER


class ApplicationError(CornError):
    """Raised if the application could not be loaded or started."""

    exit_code = ExitCode.APPLICATION
