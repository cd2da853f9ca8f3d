"""`@corn.after_fork`: functions that run in each worker, because a fork does not carry their work over.

Threads, connections and event loops that were made while the application was imported belong to the template, and are
not a worker's. A function registered here runs in each worker, after the fork and before the application's lifespan, in
the order of registration; also with `--preload none`, so that an application need not know how it is loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[[], object])

_registered: list[Callable[[], object]] = []


def after_fork(function: Function) -> Function:
    """Have `function`, which takes no argument, called in each worker; to be used as a decorator.

    Its exceptions keep the worker from serving, as a failed lifespan start-up does. Raises TypeError for a coroutine
    function: code that needs the event loop belongs to the lifespan.
    """
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"after_fork takes a plain function; start {function.__name__} in the application's lifespan")
    if function not in _registered:
        _registered.append(function)
    return function


def registered() -> tuple[Callable[[], object], ...]:
    """Registered functions, in their order."""
    return tuple(_registered)
