"""The threads in which WSGI applications are called.

They start when there is work and nobody free, so never in a template, and never more than are needed. They are daemons:
one that does not come back holds up nobody's end. How many are free is told exactly: there is one for each call that is
queued or running, as far as there may be. (concurrent.futures counts the idle ones, and misses one when a call comes
while a thread goes to sleep; it also makes a future, a condition and a work item for each call, and joins its threads
at the end of the process.)
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

Call = Callable[[], None]


class Threads:
    """At most `most` threads, which share one queue of calls. `run` is for one thread only, that of the event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self._inside = 0  # calls queued or running, but for those in `_over`
        self._over: deque[None] = deque()  # one entry for each call that has ended; its ends are atomic
        self._started = 0

    def run(self, call: Call) -> bool:
        """Have a thread make the call, which must not raise, in its turn; whether one is free to make it now.

        Raises RuntimeError if there is no thread and the system gives none; else fewer threads have to do.
        """
        while self._over:
            self._over.pop()
            self._inside -= 1
        if self._started <= self._inside and self._started < self.most:
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
            del call  # so that what it holds is not kept until the next
            self._over.append(None)
