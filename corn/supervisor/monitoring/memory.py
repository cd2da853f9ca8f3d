"""What psutil says of the workers: the memory each of them adds to the machine.

RSS counts every page that workers share once for each of them, so a limit on it would kill workers for memory that
their template owns. PSS (proportional set size, /proc/PID/smaps_rollup) shares it out, but the kernel walks the page
tables to count it. RSS is never less than PSS, and is one short read: so RSS is sampled, and PSS is only asked for
where RSS is beyond a limit. Where the system has no PSS, USS (unique set size) stands in for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from corn.supervisor.policy.state import Settings

if TYPE_CHECKING:
    import psutil

_REMEMBERED = 5


class MemorySampler:
    """Samples processes by id; forgets those that are not asked about any more."""

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._history: dict[int, deque[int]] = {}

    def sample(self, workers: Mapping[int, int], others: list[int], settings: Settings) -> tuple[dict[int, int], int]:
        """Bytes for each worker (given as number: process id), and for all of them and the others together.

        A figure that no limit depends on may be an RSS, which is too high.
        """
        self._forget_all_but({*workers.values(), *others})
        sizes = {number: self._rss(pid) for number, pid in workers.items()}
        rest = {pid: self._rss(pid) for pid in others}
        total = sum(sizes.values()) + sum(rest.values())
        limits = [limit for limit in (settings.limit_memory, settings.limit_memory_hard) if limit is not None]
        too_much = settings.limit_memory_total is not None and total > settings.limit_memory_total
        for number, pid in workers.items():
            if too_much or (limits and sizes[number] > min(limits)):
                sizes[number] = self._pss(pid)
            self._history.setdefault(pid, deque(maxlen=_REMEMBERED)).append(sizes[number])
        if too_much:
            total = sum(sizes.values()) + sum(self._pss(pid) for pid in others)
        return sizes, total

    def history(self, pid: int) -> list[int]:
        """The last samples of a process, in bytes, oldest first."""
        return list(self._history.get(pid, ()))

    def _rss(self, pid: int) -> int:
        import psutil  # a master without a memory limit does without it

        try:
            process = self._processes.get(pid)
            if process is None:
                process = self._processes[pid] = psutil.Process(pid)
            return int(process.memory_info().rss)
        except psutil.Error:
            return 0

    def _pss(self, pid: int) -> int:
        import psutil

        try:
            full = self._processes[pid].memory_full_info()
        except (psutil.Error, KeyError):
            return 0
        return int(getattr(full, "pss", full.uss))

    def _forget_all_but(self, pids: set[int]) -> None:
        for gone in self._processes.keys() - pids:
            del self._processes[gone]
            self._history.pop(gone, None)
