"""A worker's stacks, written to standard error on request, also when its event loop does not turn.

Two handlers share one signal. faulthandler's runs in C as soon as the signal arrives, whatever holds the interpreter,
and writes the stacks of all threads. It then passes the signal on to a Python handler, which runs when the main thread
next executes bytecode (a tight loop does at once, and a sleep is woken up for it), and writes the asyncio tasks.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import traceback
from types import FrameType

from corn.messages import STACKS_SIGNAL


def answer_requests(loop: asyncio.AbstractEventLoop) -> None:
    """Write the stacks whenever `STACKS_SIGNAL` arrives; SIGABRT writes them too, and then kills."""

    def write_tasks(number: int, frame: FrameType | None) -> None:
        del number, frame
        os.write(2, tasks_of(loop).encode("utf-8", "backslashreplace"))

    signal.signal(STACKS_SIGNAL, write_tasks)
    faulthandler.register(STACKS_SIGNAL, all_threads=True, chain=True)
    faulthandler.enable()


def tasks_of(loop: asyncio.AbstractEventLoop) -> str:
    """The stacks of all tasks of a loop, the innermost call last."""
    tasks = asyncio.all_tasks(loop)
    lines = [f"asyncio tasks: {len(tasks)}\n"]
    for task in tasks:
        lines.append(f"Task {task.get_name()} {task.get_coro()!r}\n")
        for frame in task.get_stack(limit=20):
            lines += traceback.format_stack(frame, limit=1)
    return "".join(lines)
