"""Thread pool for the calls of a WSGI application."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

Call = Callable[[], None]


class Threads:
    """Pool of at most `limit` daemon threads that share one queue of calls; `run` is for the event loop's thread only.

    A thread is started when a call arrives and none is free, so never in a template, and never more than needed. The
    number of free threads is exact: there is one thread for each queued or running call, up to `limit`.

    Rejected: concurrent.futures. Its count of idle threads is wrong if a call arrives while a thread becomes idle; it
    also makes a future, a condition and a work item for each call, and joins its threads at exit. Rejected: a lock for
    each idle thread. Each call would wake a thread, while the queue wakes one for all calls of an iteration: 0.5
    switches for each of 64 concurrent requests instead of 0.1.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self._inside = 0  # queued and running calls, and the ended ones that are still in `_over`
        self._over: deque[None] = deque()  # one entry for each call that has ended; append and pop are atomic
        self._started = 0

    def run(self, call: Call) -> bool:
        """Queue a call, which must not raise, for a thread; returns True if one is free to make it now.

        Raises RuntimeError if there is no thread and none can be started; otherwise corn continues with fewer threads.
        """
        while self._over:
            self._over.pop()
            self._inside -= 1
        if self._started <= self._inside and self._started < self.limit:
            self._start()
        self._inside += 1
        self._calls.put(call)
        return self._inside <= self._started

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, name=f"wsgi-{self._started}", daemon=True).start()
        except RuntimeError:
            if not self._started:
                raise
        else:
            self._started += 1

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            call()
            del call  # so that its objects are not kept until the next call
            self._over.append(None)
