"""Master's handles on workers and templates; the processes themselves run corn.worker."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from corn.config import Config
from corn.supervisor.children.child import ChildProcess


@dataclass(slots=True, eq=False, kw_only=True)
class TemplateProcess(ChildProcess):
    """A template, and the configuration that it was started with."""

    generation: int
    config: Config


@dataclass(slots=True, eq=False, kw_only=True)
class WorkerProcess(ChildProcess):
    """Worker process. Its template forks it, so its process id becomes known later.

    `requested_at` is the monotonic time of the request for the fork. `cell` is its entry on the scoreboard, and
    `report` the file in which it writes its stacks (corn/ipc/stack_report). `pending_signal` is a signal to send once
    the process id is known; `killed` is True if corn sent SIGKILL. `not_forked` is the reason that the template gave
    for a failed fork, which is only certain when the worker's channel is closed.
    """

    id: int
    generation: int
    requested_at: float
    cell: int
    report: int
    pending_signal: int | None = None
    killed: bool = False
    not_forked: str = ""

    def signal(self, number: int) -> None:
        self.killed |= number == signal.SIGKILL
        if self.pid is None:
            self.pending_signal = number
        ChildProcess.signal(self, number)
