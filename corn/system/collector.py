"""Pause of the garbage collector while a process imports its modules."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Import modules without collections, and exempt them from later ones.

    Modules live as long as the process. Collections during their import free nothing, and later ones, including those
    of the interpreter's exit, would traverse them again.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
