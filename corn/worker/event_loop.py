"""Event loops of option `loop`."""

from __future__ import annotations

import asyncio
import importlib
from types import ModuleType

from corn.errors import ConfigError


def import_event_loop(name: str) -> ModuleType:
    """Import the module of an event loop; templates do so before the application can change the module path.

    Raises ConfigError if that fails: wheels of uvloop are bound to one version of Python.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"--loop {name} cannot be imported: {error}; install it, or use --loop asyncio") from error


def new_event_loop(name: str) -> asyncio.AbstractEventLoop:
    """Make the event loop that serves, and set it as current during the import of the application."""
    loop: asyncio.AbstractEventLoop = import_event_loop(name).new_event_loop()
    asyncio.set_event_loop(loop)
    return loop
