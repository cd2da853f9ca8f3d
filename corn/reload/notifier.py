"""File change notifiers: inotify or FSEvents through watchfiles, and polling; each in a thread of its own.

A new set of directories is watched before the old set is released, so that no change is missed in between; some changes
are reported twice.

watchfiles can poll too, but it compares times in whole seconds, so the second of two saves within a second is lost.
`Poller` compares the modification time in nanoseconds, the size and the inode. The pause between two scans grows with
the duration of a scan, so that a large tree does not occupy a CPU core.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

ADDED, MODIFIED, DELETED = 1, 2, 3  # as watchfiles.Change has them
STEP = 10  # milliseconds without a change before those so far are reported
_DEBOUNCE = 50  # the longest time in milliseconds for which changes are gathered
_PAUSE = 0.3  # seconds between two scans
_PAUSE_RATIO = 20  # the pause is at least this many times the duration of a scan

OnChanges = Callable[[set[tuple[int, str]]], None]
Snapshot = Mapping[str, tuple[int, ...]]


class FileNotifier:
    """Calls `on_changes` with the (kind, path) pairs of watchfiles.Change that arrive, and `on_failure` if some were
    lost.

    Both are called from threads. watchfiles fails at a name that is not UTF-8, and reports nothing from then on, so
    directories with such names must be polled.
    """

    def __init__(self, on_changes: OnChanges, on_failure: Callable[[], None], *, polling: bool) -> None:
        self._on_changes = on_changes
        self._on_failure = on_failure
        self.polling = polling
        self._stop = threading.Event()

    def watch(self, directories: Sequence[str], polled: Sequence[str] = ()) -> None:
        """Watch these directories from now on, instead of those before, and scan the `polled` ones periodically.

        If the kernel's limit of watches is reached, all are polled from then on.
        """
        notifiers = [self._notifier(directories)]
        if self.polling:
            notifiers = [Poller([*directories, *polled])]
        elif polled:
            notifiers.append(Poller(polled))
        self._stop.set()
        self._stop = threading.Event()
        for each in notifiers:
            threading.Thread(target=self._listen, args=(each, self._stop), daemon=True, name="file notifier").start()

    def _notifier(self, directories: Sequence[str]) -> RustNotify | Poller:
        while not self.polling:
            existing = [each for each in directories if os.path.isdir(each)]
            try:
                return RustNotify(existing, False, False, 0, False, True)
            except FileNotFoundError:
                continue  # one of them has been removed meanwhile
            except (OSError, UnicodeError, WatchfilesRustInternalError):
                self.polling = True
        return Poller(directories)

    def _listen(self, notifier: RustNotify | Poller, stop: threading.Event) -> None:
        while True:
            try:
                changes = notifier.watch(_DEBOUNCE, STEP, 0, stop)
            except WatchfilesRustInternalError:
                self._on_failure()
                return
            if isinstance(changes, set):
                self._on_changes(changes)
            elif stop.is_set():
                notifier.close()
                return


class Poller:
    """Poller of the entries of directories, not of those below; to be used as watchfiles' RustNotify is."""

    def __init__(self, directories: Sequence[str]) -> None:
        self._directories = directories
        self._pause = _PAUSE
        self._snapshot = self._scan()

    def watch(self, debounce: int, step: int, timeout: int, stop: threading.Event) -> set[tuple[int, str]] | str:
        """Wait for changes, as (kind, path), or for `stop`; changes are returned as they are found."""
        del debounce, step, timeout
        while not stop.wait(self._pause):
            before, self._snapshot = self._snapshot, self._scan()
            if changes := differences(before, self._snapshot):
                return changes
        return "stop"

    def close(self) -> None:
        """Release nothing: the poller holds no resources."""

    def _scan(self) -> Snapshot:
        began = time.perf_counter()
        snapshot: dict[str, tuple[int, ...]] = {}
        for directory in self._directories:
            with contextlib.suppress(OSError), os.scandir(directory) as entries:  # it may have been removed
                snapshot.update((entry.path, _fingerprint(entry)) for entry in entries)
        self._pause = max(_PAUSE, _PAUSE_RATIO * (time.perf_counter() - began))
        return snapshot


def _fingerprint(entry: os.DirEntry[str]) -> tuple[int, ...]:
    """Fingerprint that changes with a file; that of a directory is constant."""
    try:
        if entry.is_dir():
            return ()
        status = entry.stat()
    except OSError:
        return (0,)
    return status.st_mtime_ns, status.st_size, status.st_ino


def differences(before: Snapshot, after: Snapshot) -> set[tuple[int, str]]:
    """Changes from one scan to the next, as (kind, path)."""
    deleted = {(DELETED, path) for path in before.keys() - after.keys()}
    new = {(ADDED, path) for path in after.keys() - before.keys()}
    return (
        deleted
        | new
        | {(MODIFIED, path) for path, fingerprint in after.items() if before.get(path, fingerprint) != fingerprint}
    )
