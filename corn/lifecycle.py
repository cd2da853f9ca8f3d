"""`corn.draining`, `corn.on_drain`, `corn.wait_for_drain`: how an application learns that its worker drains.

A response without an end, such as server-sent events, would keep a worker for the whole grace period of a stop or a
reload. An application that learns of the drain ends it by itself, with whatever its protocol has for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from corn.logs import logger

Function = TypeVar("Function", bound=Callable[[], object])

_functions: list[Callable[[], object]] = []
_waiting: set[asyncio.Future[None]] = set()
_draining = False


def draining() -> bool:
    """Whether this worker takes no new connections, and finishes the requests it has. Callable from any thread."""
    return _draining


def on_drain(function: Function) -> Function:
    """Have `function`, which takes no argument, called in the event loop when the drain begins; usable as a decorator.

    It is called at once where the drain has begun. What it raises is logged. Raises TypeError for a coroutine function:
    what needs to wait does so in a task of the application's, with `wait_for_drain`.
    """
    if asyncio.iscoroutinefunction(function):
        raise TypeError(f"on_drain takes a plain function; await corn.wait_for_drain() in {function.__name__} instead")
    _functions.append(function)
    if _draining:
        _call(function)
    return function


async def wait_for_drain() -> None:
    """Return when the worker drains."""
    if not _draining:
        future = asyncio.get_running_loop().create_future()
        _waiting.add(future)
        try:
            await future
        finally:
            _waiting.discard(future)


def begin_serving() -> None:
    """A server starts in this process."""
    global _draining
    _draining = False


def begin_draining() -> None:
    """Tell the application, once; called in the event loop."""
    global _draining
    if _draining:
        return
    _draining = True
    for function in _functions:
        _call(function)
    for future in list(_waiting):
        if not future.done():
            future.get_loop().call_soon_threadsafe(_release, future)


def _call(function: Callable[[], object]) -> None:
    try:
        function()
    except Exception:
        logger.exception("a function of corn.on_drain failed")


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
