"""Fault barrier: an exception of a collaborator ends what it was doing, and never the service.

The master's loop calls every collaborator through it. What failed is logged with its traceback, once in a while where
it fails again and again, and the loop goes on: the policy's deadlines answer for whatever was not done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from corn.logs import logger

_LOGGED_EVERY = 10.0  # seconds between two log lines about the same fault

T = TypeVar("T")


class FaultBarrier:
    """Calls functions, and logs what they raise; `faults` counts that."""

    def __init__(self) -> None:
        self.faults = 0
        self._quiet_until: dict[tuple[str, type[Exception]], float] = {}

    def call(self, what: str, function: Callable[[], T]) -> T | None:
        """The result of a function, None where it raised; `what` names in the log what is given up then."""
        try:
            return function()
        except Exception as error:
            self._report(what, error)
            return None

    def _report(self, what: str, error: Exception) -> None:
        self.faults += 1
        now, kind = time.monotonic(), (what, type(error))
        if now >= self._quiet_until.get(kind, 0.0):
            self._quiet_until[kind] = now + _LOGGED_EVERY
            logger.error("a fault of corn's own, which the service survives: %s failed", what, exc_info=error)
