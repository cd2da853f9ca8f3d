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
    """A worker; its template forks it, so its process id is learned later.

    `ordered` is the monotonic time at which the fork was ordered. `cell` is its entry on the scoreboard, and `report`
    the file in which it writes its stacks (corn/ipc/stack_report).
    `doomed` is a signal that waits for the process id; `killed` says that corn sent SIGKILL. `not_forked` is why its
    template reported no process, which is not certain as long as some process holds the other end of the channel.
    """

    id: int
    generation: int
    ordered: float
    cell: int
    report: int
    doomed: int | None = None
    killed: bool = False
    not_forked: str = ""

    def signal(self, number: int) -> None:
        self.killed |= number == signal.SIGKILL
        if self.pid is None:
            self.doomed = number
        ChildProcess.signal(self, number)
