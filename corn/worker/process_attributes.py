"""Attributes of a process that execve(2) keeps, such as working directory, environment, umask, limits and niceness.

An import may change them. A template that steps down executes itself, and its workers import the application once
more: a relative os.chdir would fail the second time, and os.nice or an addition to PATH would count twice. So a
template records them before the import, and restores them before it starts over.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys

from corn.worker.anchored_paths import current_directory

_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})


class ProcessAttributes:
    """Attributes of this process when the object is made."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        self._directory = current_directory()
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._limits = {each: resource.getrlimit(each) for each in _LIMITS}
        self._niceness = os.getpriority(os.PRIO_PROCESS, 0)
        self._processors = os.sched_getaffinity(0) if sys.platform == "linux" else None
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def restore(self) -> None:
        """Restore all but the environment, which execve(2) takes, and what needs a privilege."""
        with contextlib.suppress(OSError):
            os.chdir(self._directory)
        os.umask(self._umask)
        for each, limits in self._limits.items():
            with contextlib.suppress(OSError, ValueError):  # a hard limit was lowered
                resource.setrlimit(each, limits)
        with contextlib.suppress(OSError):  # a lower niceness
            os.setpriority(os.PRIO_PROCESS, 0, self._niceness)
        if self._processors is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, self._processors)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
