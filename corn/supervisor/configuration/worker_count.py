"""Number of workers of `--workers auto`.

    by CPU      the CPUs this process may run on (sched_getaffinity(2)), or its cgroups' quota, rounded, if that is less
    by memory   one for each 256 MiB that its cgroups allow, or that the machine has

The result is the smaller of the two, and at least 1. One worker per CPU is enough, because one event loop can use a
whole CPU; the 2n + 1 that servers with blocking workers recommend would only add memory. A quota of 1.5 CPUs gives 2
workers and a quota of 1.4 gives 1, because a second worker would be throttled most of the time.
"""

from __future__ import annotations

import math
import os

from corn.config import Config
from corn.config.sections.service import MAX_WORKERS
from corn.frozen import frozen
from corn.system.cgroups import cpu_quota, memory_limit

MEMORY_OF_A_WORKER = 256 << 20


@frozen
class Machine:
    """Resources of a process: CPUs, CPUs' worth of time (None without a quota), bytes of memory (None if unknown)."""

    cpus: int
    quota: float | None = None
    memory: int | None = None


@frozen
class Capacity:
    """A number of workers, and its reason in words for the log."""

    workers: int
    by: str


def capacity(machine: Machine) -> Capacity:
    """The number of workers by the rule above. Pure."""
    found = Capacity(machine.cpus, "1 CPU" if machine.cpus == 1 else f"{machine.cpus} CPUs")
    if machine.quota is not None and machine.quota < machine.cpus:
        found = Capacity(math.floor(machine.quota + 0.5), f"CPU quota {machine.quota:.3g}")
    if machine.memory is not None and machine.memory // MEMORY_OF_A_WORKER < found.workers:
        found = Capacity(machine.memory // MEMORY_OF_A_WORKER, f"memory {machine.memory >> 20} MiB")
    return Capacity(max(1, min(found.workers, MAX_WORKERS)), found.by)


def this_machine() -> Machine:
    """Resources of this process now; a container's limits may be changed while it runs."""
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    limits = [limit for limit in (memory_limit(), _physical_memory()) if limit is not None]
    return Machine(len(affinity), cpu_quota(), min(limits, default=None))


def workers_of(config: Config) -> int:
    """The number of workers that a configuration starts with."""
    return worker_range(config)[0]


def worker_range(config: Config) -> tuple[int, int]:
    """The minimum and the maximum number of workers of a configuration."""
    if isinstance(config.workers, int):
        return config.workers, config.workers
    minimum, _, maximum = config.workers.partition("..")
    if maximum:
        return int(minimum), int(maximum)
    chosen = capacity(this_machine()).workers
    return chosen, chosen


def describe_workers(config: Config) -> str:
    """As `workers_of`, in words: `4 workers`, or `2 workers by CPU quota 1.5` where corn chose the number."""
    minimum, maximum = worker_range(config)
    if maximum > minimum:
        return f"{minimum} to {maximum} workers by load"
    chosen = Capacity(config.workers, "") if isinstance(config.workers, int) else capacity(this_machine())
    words = "1 worker" if chosen.workers == 1 else f"{chosen.workers} workers"
    return f"{words} by {chosen.by}" if chosen.by else words


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None
