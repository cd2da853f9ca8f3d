"""What the kernel tells of watched directories through watchfiles' notifier, or polling finds; in a thread of its own.

A new set of directories is watched before the old set is let go, so that nothing is missed between the two; what both
tell of is told twice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from corn.reload.polling import Poller

STEP = 10  # milliseconds without a change before those so far are told
_DEBOUNCE = 50  # the longest time for which changes are gathered

Heard = Callable[[set[tuple[int, str]]], None]


class FileNotifier:
    """Calls `heard` with the (kind, path) pairs of watchfiles.Change that arrive; from a thread."""

    def __init__(self, heard: Heard, *, polling: bool) -> None:
        self._heard = heard
        self.polling = polling
        self._stop = threading.Event()

    def watch(self, directories: Sequence[str]) -> None:
        """Watch these directories from now on, instead of those before.

        Where the kernel's limit of watches is reached, all are polled from then on.
        """
        notifier = self._notifier(directories)
        self._stop.set()
        self._stop = threading.Event()
        threading.Thread(target=self._listen, args=(notifier, self._stop), daemon=True, name="notices").start()

    def _notifier(self, directories: Sequence[str]) -> RustNotify | Poller:
        while not self.polling:
            there = [each for each in directories if os.path.isdir(each)]
            try:
                return RustNotify(there, False, False, 0, False, True)
            except FileNotFoundError:
                continue  # one of them went meanwhile
            except (OSError, WatchfilesRustInternalError):
                self.polling = True
        return Poller(directories)

    def _listen(self, notifier: RustNotify | Poller, stop: threading.Event) -> None:
        while True:
            told = notifier.watch(_DEBOUNCE, STEP, 0, stop)
            if isinstance(told, set):
                self._heard(told)
            elif stop.is_set():
                notifier.close()
                return
