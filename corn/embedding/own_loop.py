"""Event loop of an embedded server that does not run in the program's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from corn.embedding.options import refuse_running_loop
from corn.worker.event_loop import new_event_loop


def run_in_own_loop(main: Callable[[], Coroutine[Any, Any, None]], kind: str, what: str, remedy: str) -> None:
    """Run a coroutine function in a new event loop of option `loop`, and close the loop as asyncio.run does."""
    refuse_running_loop(what, remedy)
    loop = new_event_loop(kind)
    try:
        loop.run_until_complete(main())
    finally:
        try:
            _cancel_tasks(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _cancel_tasks(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks))
