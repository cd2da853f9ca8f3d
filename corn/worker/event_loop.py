"""Event loops of option `loop`."""

from __future__ import annotations

import asyncio
from types import ModuleType

from corn.packages import import_package


def import_event_loop(name: str) -> ModuleType:
    """Import the module of an event loop; templates do so before the application can change the module path.

    Raises ConfigError if that fails.
    """
    return import_package(name, f"--loop {name}", instead="--loop asyncio")


def new_event_loop(name: str) -> asyncio.AbstractEventLoop:
    """Make the event loop that serves, and set it as current during the import of the application."""
    loop: asyncio.AbstractEventLoop = import_event_loop(name).new_event_loop()
    asyncio.set_event_loop(loop)
    return loop
