"""Stop signals of embedded servers: SIGINT and SIGTERM drain every server of the process that handles them.

The handlers are Python's, not the event loop's: `loop.add_signal_handler` forgets the handler that it replaces, so a
program that had its own would lose it. The first server installs them, the last one restores what was there before.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Stop = Callable[[bool], None]
"""Stops a server; True for at once, without finishing in-flight requests. Called in the main thread, at any time."""

_callbacks: list[Stop] = []
_signalled: set[Stop] = set()
_before: dict[int, Any] = {}


@contextlib.contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """Within the block, SIGINT and SIGTERM call `stop`, from the second signal on with True; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if not _callbacks:
        _before.update((number, signal.signal(number, _on_signal)) for number in _SIGNALS)
    _callbacks.append(stop)
    try:
        yield
    finally:
        _callbacks.remove(stop)
        _signalled.discard(stop)
        if not _callbacks:
            _restore()


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    for stop in tuple(_callbacks):
        again = stop in _signalled
        _signalled.add(stop)
        stop(again)


def _restore() -> None:
    for number, handler in _before.items():
        # None stands for a handler that was not installed from Python, which cannot be restored.
        if handler is not None and signal.getsignal(number) == _on_signal:
            signal.signal(number, handler)
    _before.clear()
