"""Why a worker died, as far as the system tells: what follows its signal or exit code in the log."""

from __future__ import annotations

import contextlib
from pathlib import Path

from corn.slots import Cell, Field
from corn.supervisor.state import End

_MIB = 1 << 20


class Autopsy:
    """Compares the count of out-of-memory kills in the control group with what it was at the last death."""

    def __init__(self) -> None:
        self._events = _memory_events()
        self._oom_kills = self._count()

    def examine(self, end: End, cell: Cell, history: list[int], *, killed_by_us: bool) -> End:
        """The same end, with what can be said about its cause."""
        notes = []
        if end.signal == "SIGKILL" and not killed_by_us:
            notes.append(self._about_kill())
        if history:
            notes.append(f"memory {', '.join(str(size // _MIB) for size in history)} MiB")
        if active := cell.words[Field.ACTIVE]:
            notes.append(f"{active} {'request' if active == 1 else 'requests'} in flight")
        return End(end.code, end.signal, "; ".join(notes))

    def _about_kill(self) -> str:
        before, self._oom_kills = self._oom_kills, self._count()
        if self._oom_kills > before:
            return f"out of memory: oom_kill {before} -> {self._oom_kills}"
        return "not by corn"

    def _count(self) -> int:
        try:
            lines = self._events.read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _memory_events() -> Path:
    """Where the kernel counts this group's oom_kill (cgroups(7)): a missing file where it does not.

    A container may see its group as the root of what is mounted, so that is looked at too.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers == "":
                mount, name = Path("/sys/fs/cgroup"), "memory.events"
            elif controllers == "memory":
                mount, name = Path("/sys/fs/cgroup/memory"), "memory.oom_control"
            else:
                continue
            for directory in (mount / group.lstrip("/"), mount):
                if (directory / name).exists():
                    return directory / name
    return Path("/nonexistent")
