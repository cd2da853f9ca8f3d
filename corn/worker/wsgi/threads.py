"""The threads in which WSGI applications are called.

They start when there is work and nobody idle, so never in a template, and never more than are needed. They are daemons:
one that does not come back holds up nobody's end. (concurrent.futures makes a future, a condition and a work item for
each call, and joins its threads at the end of the process.)
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

Call = Callable[[], None]


class Threads:
    """At most `most` threads, which share one queue of calls. `run` is for one thread only, that of the event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._calls: SimpleQueue[Call] = SimpleQueue()
        self._idle: deque[None] = deque()  # one entry for each thread that found no call; its ends are atomic
        self._started = 0

    def run(self, call: Call) -> None:
        """Have a thread make the call, which must not raise, in its turn.

        Raises RuntimeError if there is no thread and the system gives none; else fewer threads have to do.
        """
        try:
            self._idle.pop()
        except IndexError:
            if self._started < self.most:
                self._start()
        self._calls.put(call)

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
            try:
                call = self._calls.get_nowait()
            except Empty:
                self._idle.append(None)
                call = self._calls.get()
            call()
            del call  # so that what it holds is not kept until the next
