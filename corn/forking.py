"""`@corn.after_fork`: functions that run in each worker, to create what a fork does not copy.

Threads, connections and event loops that are created during the import of the application belong to the template. A
function registered here runs in each worker, after the fork and before the application's lifespan, in the order of
registration; also with `--preload none`, so that an application does not depend on how it is loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[[], object])

_registered: list[Callable[[], object]] = []


def after_fork(function: Function) -> Function:
    """Register a function without arguments to be called in each worker; usable as a decorator.

    An exception keeps the worker from serving, as a failed lifespan start-up does. Raises TypeError for a coroutine
    function: code that needs the event loop belongs in the lifespan.
    """
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"after_fork takes a plain function; start {function.__name__} in the application's lifespan")
    if function not in _registered:
        _registered.append(function)
    return function


def registered() -> tuple[Callable[[], object], ...]:
    """Registered functions, in their order."""
    return tuple(_registered)
