"""A stack for signal handlers that holds as many as can come at once.

faulthandler gives signal handlers a stack of their own (sigaltstack(2)), so that it can report a stack that overflowed.
Every handler of Python's runs on it too, and signals that arrive together nest. What the processor's registers take up
in each frame grew with AVX-512 to some KiB: five signals at once overflow the 16 KiB, and the process dies of SIGSEGV.
"""

from __future__ import annotations

import sys
from typing import Any

_SIZE = 1 << 18  # of which only what is used takes memory
_kept: Any = None  # the kernel uses it for as long as the process lives


def widen_signal_stack() -> None:
    """Replace the stack that `faulthandler.enable` has made, in this thread; on Linux only."""
    global _kept
    if sys.platform != "linux":
        return
    import ctypes

    class Stack(ctypes.Structure):
        _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    _kept = ctypes.create_string_buffer(_SIZE)
    ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(ctypes.addressof(_kept), 0, _SIZE)), None)
