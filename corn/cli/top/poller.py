"""Poller of one instance's status, in a thread, which also sends requests to it.

The instance is identified by its control socket, whose name stays the same after an upgrade or a restart. When the
instance exits, the poller retries until it is back. It never switches to another instance, which a key could affect.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from queue import SimpleQueue

from corn.cli.control.client import Answer, ControlClient, shown
from corn.cli.control.diagnostics import WORKERS_TIMEOUT, format_own_stacks
from corn.cli.top.keys import Request
from corn.cli.top.model import Sample
from corn.errors import CornError, NoAnswer
from corn.system.memory import proportional_sizes

_MEMORY_INTERVAL = 5.0  # seconds, because the kernel walks all pages of a process to compute its PSS


class Lost(str):
    """Reason why the instance does not reply."""

    __slots__ = ()


class Reply(str):
    """Reply of the instance to a request, in one line."""

    __slots__ = ()


class Page(str):
    """Reply of many lines."""

    __slots__ = ()


Update = Sample | Lost | Reply | Page


class Poller:
    """Poller thread; puts what it receives into `updates`, beginning at once. Times in seconds."""

    def __init__(self, instance: ControlClient, interval: float) -> None:
        self.updates: SimpleQueue[Update] = SimpleQueue()
        self._path: Path = instance.path
        self._instance: ControlClient | None = instance
        self._interval = interval
        self._sizes: dict[int, int] = {}
        self._sizes_until = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def send(self, request: Request) -> None:
        """Send a request to the instance; its reply becomes an update."""
        threading.Thread(target=self._send, args=(request,), daemon=True).start()

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            self.updates.put(self._poll())
            time.sleep(max(0.05, began + self._interval - time.monotonic()))

    def _poll(self) -> Update:
        try:
            if self._instance is None:
                self._instance = _connected(self._path)
            return self._sample(self._instance.send_request("status"))
        except CornError as error:
            if self._instance is not None:
                self._instance.close()
            self._instance = None
            return Lost(shown(str(error)))

    def _sample(self, answer: Answer) -> Sample:
        if not answer.get("ok"):
            raise NoAnswer(str(answer.get("error")))
        at, status = time.monotonic(), answer["status"]
        workers = [each["pid"] for each in status["workers"] if each["pid"]]
        if at >= self._sizes_until or not self._sizes.keys() >= set(workers):
            templates = [each["pid"] for each in status["templates"] if each["pid"]]
            self._sizes = proportional_sizes([status["pid"], *templates, *workers])
            self._sizes_until = at + _MEMORY_INTERVAL
        return Sample(at, status, _processor_times(workers), self._sizes)

    def _send(self, request: Request) -> None:
        try:
            instance = _connected(self._path)
            with contextlib.closing(instance):
                timeout = None if request.fields.get("wait") else WORKERS_TIMEOUT
                answer = instance.send_request(request.do, timeout=timeout, **request.fields)
        except CornError as error:
            self.updates.put(Reply(shown(str(error))))
            return
        if answer.get("ok") and request.do == "stacks":
            self.updates.put(Page(shown(format_own_stacks(answer))))
        else:
            self.updates.put(Reply(shown(str(answer.get("text") if answer.get("ok") else answer.get("error")))))


def _connected(path: Path) -> ControlClient:
    try:
        return ControlClient(path)
    except OSError:
        raise NoAnswer("not running") from None


def _processor_times(pids: list[int]) -> dict[int, float]:
    """User and system time by process id, in seconds; a process that has exited is left out."""
    import psutil

    times = {}
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            spent = psutil.Process(pid).cpu_times()
            times[pid] = spent.user + spent.system
    return times
