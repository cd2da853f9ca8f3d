"""How much of the two cores went to strangers: to whatever is neither the server nor wrk.

A run that shares its cores is not wrong, but its p99 says more about the neighbours than about the server. So it is
measured, written down with the run, and the run is tried again while there is patience (`--patience`).
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path

TOLERABLE = 0.1  # CPU-seconds of strangers per second, over both cores


def busy_seconds(stat: str, cores: Iterable[int]) -> float:
    """The time for which the cores did not idle, out of the text of /proc/stat (proc(5))."""
    wanted = {f"cpu{core}" for core in cores}
    lines = [line.split() for line in stat.splitlines()]
    ticks = sum(_busy(fields) for fields in lines if fields and fields[0] in wanted)
    return ticks / os.sysconf("SC_CLK_TCK")


def _busy(fields: list[str]) -> int:
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
    return user + nice + system + irq + softirq + steal


class Watch:
    """From its making on: what strangers spent on the cores."""

    def __init__(self, cores: Iterable[int]) -> None:
        self._cores = tuple(cores)
        self._busy, self._own = self._now()

    def strangers(self, server: float) -> float:
        """Their CPU-seconds, given the server's; those of ended children, as wrk is one, are known."""
        busy, own = self._now()
        return max(0.0, busy - self._busy - (own - self._own) - server)

    def _now(self) -> tuple[float, float]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        stat = Path("/proc/stat").read_text()
        return busy_seconds(stat, self._cores), children.ru_utime + children.ru_stime
