"""Event loops of option `loop`."""

from __future__ import annotations

import asyncio
import importlib
from types import ModuleType


def import_event_loop(name: str) -> ModuleType:
    """Import the module of an event loop; templates do so before the application can change the module path."""
    return importlib.import_module(name)


def new_event_loop(name: str) -> asyncio.AbstractEventLoop:
    """Make the event loop that serves, and set it as current during the import of the application."""
    loop: asyncio.AbstractEventLoop = import_event_loop(name).new_event_loop()
    asyncio.set_event_loop(loop)
    return loop
