"""Memory of processes, as psutil reads it, and of this process, as malloc(3) keeps it.

PSS (proportional set size) shares out the pages that several processes have in common, so the figures of a service's
processes add up. Where the system has no PSS, USS (unique set size) is used instead. RSS counts shared pages in full,
and costs much less to read. A process that has exited, or that this user may not inspect, has none of them.
"""

from __future__ import annotations

from collections.abc import Iterable

_KEPT_BYTES = 1 << 20


def keep_freed_memory() -> None:
    """Let malloc(3) keep up to 2 MiB of freed memory instead of returning it to the kernel.

    glibc returns the end of its heap if more than M_TRIM_THRESHOLD of it, 128 KiB, is free (mallopt(3)), and later gets
    it again by a page fault for each page. The responses of an iteration of the event loop are allocated and freed
    together, so that could happen in each iteration, depending on what else the heap ends with. When a large block is
    freed, glibc raises the threshold to twice its size. With another C library, or with MALLOC_TRIM_THRESHOLD_ in the
    environment, nothing changes.
    """
    bytes(_KEPT_BYTES)


def resident_size(pid: int) -> int | None:
    """RSS of a process in bytes."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except (psutil.Error, OSError):
        return None


def proportional_size(pid: int) -> int | None:
    """PSS of a process in bytes."""
    import psutil

    try:
        full = psutil.Process(pid).memory_full_info()
    except (psutil.Error, OSError):
        return None
    return int(getattr(full, "pss", full.uss))


def proportional_sizes(pids: Iterable[int]) -> dict[int, int]:
    """PSS in bytes by process id, without those that have none."""
    return {pid: size for pid in pids if (size := proportional_size(pid)) is not None}
