"""Simulated kernel: a clock, a table of processes, signals to the master, and a selector that advances the clock.

The modules of corn.supervisor see it in the place of `time`, `os` and `selectors`, in the calls that a master makes:
monotonic(3), kill(2), waitpid(2), posix_spawn(3), select(2). All else is real: the messages go over real socket pairs.
One thread, one generator of random numbers: a seed determines the whole schedule.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import os
import random
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_MOST_WAKES = 2000  # returns of select() without any time between them
_OLD = 3.0  # seconds from the reaping of a process to another one with its id
_TICK = 20e-6  # seconds that an iteration of the loop takes


class Violation(AssertionError):
    """Invariant that the master violated in a schedule."""


@dataclass(eq=False)
class Process:
    """A simulated process. `on_signal` is called for a signal that is not SIGKILL and returns nothing."""

    pid: int
    kind: str
    on_signal: Callable[[int], None]
    on_end: Callable[[], None]
    parent: Process | None = None
    status: int | None = None  # wait status, once it has exited
    stopped: bool = False

    @property
    def runs(self) -> bool:
        return self.status is None


@dataclass
class Kernel:
    """`spawned` is called for each posix_spawn, and returns the process that it starts."""

    random: random.Random
    now: float = 1000.0
    spawned: Callable[[int], Process] = field(init=False)
    processes: dict[int, Process] = field(default_factory=dict)
    signals: list[int] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    spawn_fails: float = 0.0  # probability that posix_spawn(3) fails
    slept: int = 0
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _steps: int = 0
    _next_pid: int = 1 << 24  # no process of this machine has such a number
    _reaped: list[tuple[float, int]] = field(default_factory=list)  # ids that may be used again, and since when

    # Time

    def after(self, seconds: float, step: Callable[[], None]) -> None:
        """Run a step once so much time has passed."""
        self._steps += 1
        heapq.heappush(self._agenda, (self.now + seconds, self._steps, step))

    def advance(self, until: float) -> bool:
        """Run the next step that is due by then, or let that time come; True if a step was run."""
        if not self._agenda or self._agenda[0][0] > until:
            self.now = max(self.now, until)
            return False
        at, _, step = heapq.heappop(self._agenda)
        self.now = max(self.now, at)
        step()
        return True

    @property
    def is_idle(self) -> bool:
        """True if no event is pending."""
        return not self._agenda

    def note(self, text: str) -> None:
        self.trace.append(f"{self.now - 1000:9.4f}  {text}")

    def violate(self, text: str) -> None:
        self.note(f"VIOLATION: {text}")
        self.violations.append(text)

    # Processes

    def start(
        self,
        kind: str,
        on_signal: Callable[[int], None],
        on_end: Callable[[], None],
        parent: Process | None = None,
    ) -> Process:
        """A new process. An id is used again now and then, though not soon: the system counts up before it does."""
        free = [each for each in self._reaped if each[0] <= self.now - _OLD]
        if free and self.random.random() < 0.5:
            chosen = self.random.choice(free)
            self._reaped.remove(chosen)
            pid = chosen[1]
        else:
            self._next_pid += 1
            pid = self._next_pid
        process = self.processes[pid] = Process(pid, kind, on_signal, on_end, parent)
        self.note(f"{kind} starts with pid {pid}")
        return process

    def end(self, process: Process, status: int) -> None:
        """End a process: its descriptors are closed, and its parent is sent SIGCHLD."""
        if process.runs:
            process.status = status
            self.note(f"{process.kind} (pid {process.pid}) ends with status {status}")
            process.on_end()
            if process.parent is None:
                self.signal_master(signal.SIGCHLD)

    def signal_master(self, number: int) -> None:
        self.signals.append(number)

    def kill(self, pid: int, number: int) -> None:
        """kill(2), as the master calls it."""
        process = self.processes.get(pid)
        if process is None:
            raise ProcessLookupError(errno.ESRCH, "No such process")
        if process.kind == "stranger":
            self.violate(f"the master sent {signal.Signals(number).name} to a stranger, pid {pid}")
        self.deliver(process, number)

    def deliver(self, process: Process, number: int) -> None:
        """Send a signal to a process, from anywhere."""
        if not process.runs:
            return
        self.note(f"{process.kind} (pid {process.pid}) is sent {_name(number)}")
        if number == signal.SIGKILL:
            self.after(self.random.choice((0.0, 0.0, 0.001, 0.3)), lambda: self.end(process, number))
        elif number == signal.SIGSTOP:
            process.stopped = True
        elif number == signal.SIGCONT:
            process.stopped = False
        elif process.stopped:
            self.after(0.5, lambda: self.deliver(process, number))
        else:
            process.on_signal(number)

    def waitpid(self, pid: int, options: int) -> tuple[int, int]:
        """waitpid(2) for any child, without waiting."""
        assert pid == -1
        assert options & os.WNOHANG
        children = [each for each in self.processes.values() if each.parent is None and each.kind != "stranger"]
        if not children:
            raise ChildProcessError(errno.ECHILD, "No child processes")
        ended = [each for each in children if not each.runs]
        if not ended:
            return 0, 0
        process = self.random.choice(ended)
        assert process.status is not None
        del self.processes[process.pid]
        self._reaped.append((self.now, process.pid))
        self.note(f"{process.kind} (pid {process.pid}) is reaped")
        return process.pid, process.status

    def spawn(self, arguments: list[str]) -> int:
        """posix_spawn(3) of a fresh interpreter, whose last argument is the descriptor of its setup."""
        if self.random.random() < self.spawn_fails:
            self.note("posix_spawn fails")
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return self.spawned(int(arguments[-1])).pid

    def descendants(self, pid: int) -> list[int]:
        return [each.pid for each in self.processes.values() if each.parent is not None and each.parent.pid == pid]

    # What the modules of the master see

    @contextlib.contextmanager
    def installed(self, selector: Callable[[], selectors.BaseSelector]) -> Iterator[None]:
        """Replace the operating system for the modules of corn.supervisor."""
        replaced: list[tuple[Any, str, Any]] = []
        stands_for = {"time": _Time(self), "os": _Os(self), "descendants": self.descendants, "oom_kills": lambda: 0}
        for name, module in list(sys.modules.items()):
            if name.startswith("corn.supervisor.") and module is not None:
                for attribute, stand_in in stands_for.items():
                    if attribute in vars(module):
                        replaced.append((module, attribute, vars(module)[attribute]))
                        setattr(module, attribute, stand_in)
        loop = sys.modules["corn.supervisor.loop"]
        replaced.append((loop, "selectors", vars(loop)["selectors"]))
        loop.selectors = _Selectors(selector)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            for module, attribute, original in replaced:
                setattr(module, attribute, original)


class SimulatedSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Selector that waits on the simulated clock; the readiness of the sockets is real.

    `before_wait` is called each time that the master is about to wait.
    """

    def __init__(self, kernel: Kernel, before_wait: Callable[[], None], deliver: Callable[[list[int]], None]) -> None:
        super().__init__()
        self._kernel = kernel
        self._before_wait = before_wait
        self._deliver = deliver
        self._wakes = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        kernel = self._kernel
        self._before_wait()
        kernel.now += _TICK
        start = kernel.now
        until = kernel.now + (timeout if timeout is not None else 1e6)
        while True:
            if kernel.signals:
                self._deliver(kernel.signals)
                kernel.signals = []
            ready = super().select(0)
            if ready:
                break
            if timeout is None and kernel.is_idle:
                raise Violation("the master waits for ever, and nothing will happen")
            if not kernel.advance(until):
                break
        self._wakes = 0 if kernel.now > start else self._wakes + 1
        if self._wakes > _MOST_WAKES:
            raise Violation("the master spins: select() returns again and again while no time passes")
        kernel.random.shuffle(ready)
        return ready[: kernel.random.choice((1, len(ready), len(ready)))]


class _Time:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def monotonic(self) -> float:
        return self._kernel.now

    def sleep(self, seconds: float) -> None:
        """The master sleeps after a fault of its own only, and there must be none."""
        self._kernel.slept += 1
        self._kernel.now += seconds


class _Os:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.kill = kernel.kill
        self.waitpid = kernel.waitpid

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def posix_spawn(self, path: str, arguments: list[str], environment: dict[str, str], **options: Any) -> int:
        del path, environment, options
        return self._kernel.spawn(arguments)


class _Selectors:
    def __init__(self, selector: Callable[[], selectors.BaseSelector]) -> None:
        self.DefaultSelector = selector

    def __getattr__(self, name: str) -> Any:
        return getattr(selectors, name)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
