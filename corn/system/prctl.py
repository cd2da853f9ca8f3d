"""prctl(2) on Linux, where it ties processes' lives together; elsewhere each call says that it did nothing."""

from __future__ import annotations

import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Have orphaned descendants become this process's children (PR_SET_CHILD_SUBREAPER); False where it cannot be."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal: int) -> bool:
    """Have the kernel send `signal` when the parent ends (PR_SET_PDEATHSIG); fork clears it, so the child sets it."""
    return _prctl(_PR_SET_PDEATHSIG, signal)


def name_process(name: str) -> bool:
    """Set what top(1) and ps(1) show as the command (PR_SET_NAME); the kernel keeps 15 bytes."""
    return _prctl(_PR_SET_NAME, name.encode())


def _prctl(option: int, value: int | bytes) -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    return int(ctypes.CDLL(None).prctl(option, value, 0, 0, 0)) == 0
