"""Stack dumps of a worker, written to its report (corn/ipc/stack_report.py) on request, also while the loop is blocked.

Two handlers share one signal. That of faulthandler runs in C as soon as the signal arrives, even if the GIL is held,
and writes the stacks of all threads. It then passes the signal on to a Python handler, which runs when the main thread
next executes bytecode (in a tight loop at once, and sleeps are interrupted), and writes the asyncio tasks and the
in-flight requests. So a worker that is blocked in C code only writes the stacks of its threads.

faulthandler installs an alternate signal stack (sigaltstack(2)), so that it can report a stack overflow. Python's
signal handlers run on it too, and signals that arrive together nest. With AVX-512, the saved registers take some KiB in
each frame: five signals at once overflow the 16 KiB of faulthandler, and the process is killed by SIGSEGV. So corn
replaces it by a larger stack.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from corn.ipc.messages import STACKS_SIGNAL
from corn.ipc.stack_report import LAST_LINE

_MAX_FRAMES = 100
_SIGNAL_STACK = 1 << 18  # bytes, of which only what is used takes memory
_kept: Any = None  # the kernel uses it until the process exits

# Attributes of suspended coroutines, generators and asynchronous generators: the frame, and what they wait for.
_SUSPENDED = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))


def answer_requests(
    loop: asyncio.AbstractEventLoop, report: int, in_flight: Callable[[], list[dict[str, Any]]]
) -> None:
    """Write to `report` whenever `STACKS_SIGNAL` arrives; fatal signals write the stacks there too, and then kill."""

    def write_tasks(number: int, frame: FrameType | None) -> None:
        del number, frame
        text = f"{tasks_of(loop)}{LAST_LINE}{json.dumps(in_flight())}\n"
        os.write(report, text.encode("utf-8", "backslashreplace"))

    signal.signal(STACKS_SIGNAL, write_tasks)
    faulthandler.register(STACKS_SIGNAL, file=report, all_threads=True, chain=True)


def tasks_of(loop: asyncio.AbstractEventLoop) -> str:
    """The stacks of all tasks of a loop, the innermost call last."""
    tasks = asyncio.all_tasks(loop)
    lines = [f"asyncio tasks: {len(tasks)}\n"]
    for task in tasks:
        lines.append(f"Task {task.get_name()} {task.get_coro()!r}\n")
        for frame in _frames(task):
            lines += traceback.format_stack(frame, limit=1)
    return "".join(lines)


def _frames(task: asyncio.Task[Any]) -> list[FrameType]:
    """Frames of a task; for a suspended task, `Task.get_stack` only returns that of the outermost coroutine."""
    frames: list[FrameType] = []
    waits: Any = task.get_coro()
    while waits is not None and len(frames) < _MAX_FRAMES:
        kind = next((each for each in _SUSPENDED if hasattr(waits, each[0])), None)
        frame = getattr(waits, kind[0]) if kind is not None else None
        if kind is None or frame is None:
            break
        frames.append(frame)
        waits = getattr(waits, kind[1])
    return frames if len(frames) > 1 else task.get_stack(limit=_MAX_FRAMES)


def widen_signal_stack() -> None:
    """Replace the stack that `faulthandler.enable` has made, in this thread; on Linux only."""
    global _kept
    if sys.platform != "linux":
        return
    import ctypes

    class Stack(ctypes.Structure):
        _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    _kept = ctypes.create_string_buffer(_SIGNAL_STACK)
    ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(ctypes.addressof(_kept), 0, _SIGNAL_STACK)), None)
