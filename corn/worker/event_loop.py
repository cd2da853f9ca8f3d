"""Event loops of option `loop`."""

from __future__ import annotations

import asyncio
import importlib
from types import ModuleType


def import_event_loop(name: str) -> ModuleType:
    """Import the module of an event loop; a template does so before the application can put another on the path."""
    return importlib.import_module(name)


def new_event_loop(name: str) -> asyncio.AbstractEventLoop:
    """Make an event loop, current while the application is imported: the loop at import is the one that serves."""
    loop: asyncio.AbstractEventLoop = import_event_loop(name).new_event_loop()
    asyncio.set_event_loop(loop)
    return loop
