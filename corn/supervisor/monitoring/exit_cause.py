"""Cause of a worker's exit, as far as the system reports it; logged after the signal or the exit code."""

from __future__ import annotations

from corn.ipc.scoreboard import Field, ScoreboardEntry
from corn.supervisor.monitoring.sampler import MemorySampler
from corn.supervisor.policy.state import ProcessExit
from corn.system.cgroups import oom_kills

_MIB = 1 << 20


class ExitCauseFinder:
    """Compares the count of out-of-memory kills in the control group with the count at the last exit."""

    def __init__(self, memory: MemorySampler) -> None:
        self._memory = memory
        self._oom_kills = oom_kills()

    def examine(self, end: ProcessExit, cell: ScoreboardEntry, pid: int | None, *, killed_by_us: bool) -> ProcessExit:
        """The same exit, with its cause as far as it is known."""
        notes = [end.note] if end.note else []
        if end.signal == "SIGKILL" and not killed_by_us:
            notes.append(self._about_kill())
        if pid is not None and (history := self._memory.history(pid)):
            notes.append(f"memory {', '.join(str(size // _MIB) for size in history)} MiB")
        if active := cell.words[Field.ACTIVE]:
            notes.append(f"{active} {'request' if active == 1 else 'requests'} in flight")
        return ProcessExit(end.code, end.signal, "; ".join(notes))

    def _about_kill(self) -> str:
        before, self._oom_kills = self._oom_kills, oom_kills()
        if self._oom_kills > before:
            return f"out of memory: oom_kill {before} -> {self._oom_kills}"
        return "not by corn"
