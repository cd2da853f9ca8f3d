"""Noticing changes by looking again and again, where the kernel does not tell: network and container file systems.

watchfiles can poll too, but it compares whole seconds: a file that is saved twice within one is changed once for it,
and the second change is never told. Here a file has changed when its time, to the nanosecond, its size or its inode
has. The more there is to look at, the rarer the looks, so that a large tree does not take a core.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping, Sequence

ADDED, MODIFIED, DELETED = 1, 2, 3  # as watchfiles.Change has them
_PAUSE = 0.3  # seconds between two looks
_SHARE = 20  # the pause is at least so many times what a look takes

Seen = Mapping[str, tuple[int, ...]]


class Poller:
    """Looks at what is in the directories, not below them; to be used as watchfiles' RustNotify is."""

    def __init__(self, directories: Sequence[str]) -> None:
        self._directories = directories
        self._pause = _PAUSE
        self._seen = self._look()

    def watch(self, debounce: int, step: int, timeout: int, stop: threading.Event) -> set[tuple[int, str]] | str:
        """Wait for changes, as (kind, path), or for `stop`; changes are told as they are found."""
        del debounce, step, timeout
        while not stop.wait(self._pause):
            before, self._seen = self._seen, self._look()
            if told := differences(before, self._seen):
                return told
        return "stop"

    def close(self) -> None:
        """Nothing is held."""

    def _look(self) -> Seen:
        began = time.perf_counter()
        seen: dict[str, tuple[int, ...]] = {}
        for directory in self._directories:
            with contextlib.suppress(OSError), os.scandir(directory) as entries:  # it may be gone
                seen.update((entry.path, _sign(entry)) for entry in entries)
        self._pause = max(_PAUSE, _SHARE * (time.perf_counter() - began))
        return seen


def _sign(entry: os.DirEntry[str]) -> tuple[int, ...]:
    """What changes when a file does; a directory is only there or not."""
    try:
        if entry.is_dir():
            return ()
        status = entry.stat()
    except OSError:
        return (0,)
    return status.st_mtime_ns, status.st_size, status.st_ino


def differences(before: Seen, after: Seen) -> set[tuple[int, str]]:
    """What has changed from one look to the next, as (kind, path)."""
    gone = {(DELETED, path) for path in before.keys() - after.keys()}
    new = {(ADDED, path) for path in after.keys() - before.keys()}
    return gone | new | {(MODIFIED, path) for path, sign in after.items() if before.get(path, sign) != sign}
