"""Switch of the garbage collector, as the application sees it while a template imports it.

The template has the collector off during the import: a collection before the fork would leave holes in pages that
workers share. Code that is imported meanwhile may switch it off for good, or ask whether it is on in order to restore
that afterwards. Each worker begins with the collector as the application has left it.
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
