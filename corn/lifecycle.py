"""Drain notification of an application: `corn.draining`, `corn.on_drain`, `corn.wait_for_drain`.

An endless response, such as server-sent events, would keep a worker for the whole grace period of a stop or a reload.
With the notification, the application can end such responses itself.
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
    """True if this worker accepts no new connections, and finishes in-flight requests. Callable from any thread."""
    return _draining


def on_drain(function: Function) -> Function:
    """Register a function without arguments that the event loop calls when the drain begins; usable as a decorator.

    It is called at once if the drain has begun. Its exceptions are logged. Raises TypeError for a coroutine function:
    coroutines use `wait_for_drain` in a task of the application.
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
    """Reset the state, when a server starts in this process."""
    global _draining
    _draining = False


def begin_draining() -> None:
    """Notify the application, once; called in the event loop."""
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
