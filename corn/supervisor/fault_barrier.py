"""Fault barrier: an exception in a collaborator ends only the call in progress, never the service.

The master's loop calls every collaborator through it. A failure is logged with its traceback, at a limited rate if it
repeats, and the loop continues: the policy's deadlines cover the steps that were not done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from corn.logs import logger

_LOG_INTERVAL = 10.0  # seconds between two log lines about the same fault

T = TypeVar("T")


class FaultBarrier:
    """Calls functions, and logs their exceptions; `faults` counts them."""

    def __init__(self) -> None:
        self.faults = 0
        self._quiet_until: dict[tuple[str, type[Exception]], float] = {}

    def call(self, what: str, function: Callable[[], T]) -> T | None:
        """Return the result of a function, None if it raised; `what` names the call in the log."""
        try:
            return function()
        except Exception as error:
            self._report(what, error)
            return None

    def _report(self, what: str, error: Exception) -> None:
        self.faults += 1
        now, kind = time.monotonic(), (what, type(error))
        if now >= self._quiet_until.get(kind, 0.0):
            self._quiet_until[kind] = now + _LOG_INTERVAL
            logger.error("internal error, the service continues: %s failed", what, exc_info=error)
