"""CPU time of other processes on the two cores: those that are neither the server nor wrk.

Other load does not invalidate a run, but it dominates p99. So it is measured and stored with the run, and a disturbed
run is repeated up to `--patience` times.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path

TOLERABLE = 0.1  # CPU-seconds of other processes per second, over both cores


def busy_seconds(stat: str, cores: Iterable[int]) -> float:
    """Busy time of the cores in seconds, from the text of /proc/stat (proc(5))."""
    wanted = {f"cpu{core}" for core in cores}
    lines = [line.split() for line in stat.splitlines()]
    ticks = sum(_busy(fields) for fields in lines if fields and fields[0] in wanted)
    return ticks / os.sysconf("SC_CLK_TCK")


def _busy(fields: list[str]) -> int:
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
    return user + nice + system + irq + softirq + steal


class Watch:
    """CPU time of other processes on the cores since the creation of this object."""

    def __init__(self, cores: Iterable[int]) -> None:
        self._cores = tuple(cores)
        self._busy, self._own = self._now()

    def strangers(self, server: float) -> float:
        """CPU-seconds of other processes; `server` is the server's. Exited children, such as wrk, are known."""
        busy, own = self._now()
        return max(0.0, busy - self._busy - (own - self._own) - server)

    def _now(self) -> tuple[float, float]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        stat = Path("/proc/stat").read_text()
        return busy_seconds(stat, self._cores), children.ru_utime + children.ru_stime
