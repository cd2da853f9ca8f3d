"""Waits until descriptors are readable, with poll(2).

select(2) refuses descriptors from 1024 on, which a process has if the application has opened many files. poll(2) is
bound here before an application is loaded, because gevent and eventlet replace it.
"""

from __future__ import annotations

from select import POLLIN, poll
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


def readable(*files: FileDescriptorLike, timeout: float | None = None) -> list[int]:
    """The descriptors of `files` that can be read, or have ended; waits at most `timeout` seconds for the first."""
    waiting = poll()
    for each in files:
        waiting.register(each, POLLIN)
    return [fd for fd, _ in waiting.poll(None if timeout is None else max(timeout, 0.0) * 1000)]
