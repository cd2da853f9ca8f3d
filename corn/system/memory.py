"""How much memory processes hold, asked of the system by whoever wants to know: never by the master for others.

PSS (proportional set size) shares out the pages that several processes have in common, so the figures of a service's
processes add up. Where the system has no PSS, USS (unique set size) stands in for it.
"""

from __future__ import annotations

from collections.abc import Iterable


def proportional_sizes(pids: Iterable[int]) -> dict[int, int]:
    """Bytes by process id; a process that is gone, or that this user may not look into, is left out."""
    import psutil

    sizes = {}
    for pid in pids:
        try:
            full = psutil.Process(pid).memory_full_info()
        except psutil.Error:
            continue
        sizes[pid] = int(getattr(full, "pss", full.uss))
    return sizes
