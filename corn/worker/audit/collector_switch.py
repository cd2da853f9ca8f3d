"""Switch of the garbage collector, as the application sees it while a template imports it.

The template disables the collector during the import, because a collection before the fork would free memory in pages
that workers share. Imported code may disable it permanently, or read its state to restore it later. Each worker begins
with the state that the application has set.
"""

from __future__ import annotations

import gc
from typing import Any


class CollectorSwitch:
    """State of the collector that the application has chosen from `begin` to `end`; on, unless it has."""

    def __init__(self) -> None:
        self._is_on = True

    def begin(self) -> None:
        module: Any = gc
        self._saved = gc.enable, gc.disable, gc.isenabled
        module.enable, module.disable, module.isenabled = self._enable, self._disable, lambda: self._is_on

    def end(self) -> None:
        module: Any = gc
        module.enable, module.disable, module.isenabled = self._saved

    def apply(self) -> None:
        """In a worker: switch the collector on, unless the application has switched it off."""
        if self._is_on:
            gc.enable()

    def _enable(self) -> None:
        self._is_on = True

    def _disable(self) -> None:
        self._is_on = False
