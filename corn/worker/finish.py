"""Finish of a worker: ends the application's tasks, executors and threads within the grace period of the drain.

The order is that of asyncio.run and of the interpreter: running tasks are cancelled, so that their `finally` blocks
run; asynchronous generators are closed; jobs of executors and non-daemon threads run to their end. The event loop runs
meanwhile, because threads may wait for it. What still runs at the deadline ends with the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from corn.logs import logger

_MIN_GRACE = 0.5  # seconds, even if the requests have used up the grace period
_POLL_INTERVAL = 0.05


async def finish(deadline: Callable[[], float]) -> None:
    """End tasks, generators, executors and threads. `deadline` returns a time of the loop, which may become earlier."""
    loop = asyncio.get_running_loop()
    earliest = loop.time() + _MIN_GRACE

    async def in_time(work: Awaitable[Any]) -> bool:
        """True if the work was done in time; otherwise it continues to run."""
        future = asyncio.ensure_future(work)
        while not future.done() and loop.time() < max(deadline(), earliest):
            await asyncio.wait([future], timeout=_POLL_INTERVAL)
        return future.done()

    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await in_time(asyncio.gather(*tasks, return_exceptions=True))
    await in_time(loop.shutdown_asyncgens())
    if _running() and not await in_time(_join(loop)):
        names = ", ".join(each.name for each in _running())
        logger.warning("threads still running at the end of the grace period are cut off: %s", names)


def _running() -> list[threading.Thread]:
    """The threads that Python would wait for."""
    return [
        each
        for each in threading.enumerate()
        if not each.daemon and each is not threading.main_thread() and each is not threading.current_thread()
    ]


def _join(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """Wait for all threads in a separate thread, as the interpreter does in its main thread at exit."""
    done: asyncio.Future[None] = loop.create_future()

    def join() -> None:
        # Executors register here: idle threads exit, and the others when their queues are empty.
        for call in reversed(getattr(threading, "_threading_atexits", [])):
            call()
        while threads := _running():
            threads[0].join()
        loop.call_soon_threadsafe(done.set_result, None)

    threading.Thread(target=join, name="corn finish", daemon=True).start()
    return done
