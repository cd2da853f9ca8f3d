"""faulthandler, which writes the stacks of a process that a fatal signal ends, shared by corn and the application.

corn enables it in each worker, for a report that the master logs. The application may enable it for a file of its own,
and faulthandler has only one. Then the application's file is kept, also by workers that were forked from a template
in which the import enabled it. Otherwise the application sees faulthandler as it would without corn: disabled, unless
the interpreter was started with it.
"""

from __future__ import annotations

import faulthandler
from typing import Any


class FaultHandler:
    """State of faulthandler as the application sees it, from `watch` on."""

    def __init__(self) -> None:
        self._on_at_start = self._is_on = faulthandler.is_enabled()
        self._is_applications = False
        self._report: int | None = None

    def watch(self) -> None:
        """Note the calls of the application, until the process exits."""
        module: Any = faulthandler
        if module.enable != self._enable:
            self._real_enable, self._real_disable = module.enable, module.disable
            module.enable, module.disable, module.is_enabled = self._enable, self._disable, lambda: self._is_on

    def report_to(self, fd: int) -> None:
        """In a worker: write to `fd`, unless the application has chosen a file."""
        self.watch()
        self._report = fd
        if not self._is_applications:
            self._real_enable(fd)

    def withdraw(self) -> None:
        """In a child of a worker: leave what the application has without corn."""
        self._report = None
        if not self._is_applications:
            self._real_enable() if self._on_at_start else self._real_disable()

    def _enable(self, *args: Any, **kwargs: Any) -> None:
        self._real_enable(*args, **kwargs)
        self._is_on = self._is_applications = True

    def _disable(self) -> bool:
        was_on, self._is_on, self._is_applications = self._is_on, False, False
        self._real_disable()
        if self._report is not None:
            self._real_enable(self._report)
        return was_on
