"""CPU time of a process, from proc_pid_stat(5) if there is one, else from psutil."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_UTIME, _STIME = 11, 12  # the manual numbers them 14 and 15; the process id, the name and a count from 1 are cut off


def cpu_seconds(pid: int) -> float | None:
    """CPU seconds of a process, in user mode and in the kernel; None where they cannot be read."""
    if sys.platform != "linux":
        return _by_psutil(pid)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


def _by_psutil(pid: int) -> float | None:
    import psutil

    try:
        times = psutil.Process(pid).cpu_times()
    except (psutil.Error, OSError):
        return None
    return float(times.user + times.system)
