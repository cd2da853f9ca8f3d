"""Signals that a template or a worker leaves to the master.

Ctrl-C, `pkill -HUP corn` and a service manager's SIGTERM reach the whole process group, and only the master knows what
they mean.
"""

from __future__ import annotations

import signal
from types import FrameType

BY_WORKERS = (signal.SIGHUP, signal.SIGINT, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH)
BY_TEMPLATES = (*BY_WORKERS, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1)


def ignore_signal(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing; unlike SIG_IGN, programs that the application runs do not inherit it."""
    del number, frame
