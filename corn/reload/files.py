"""Watched files of a directory, and digests that distinguish a change from a touch.

A touch, or a formatter that changes nothing, does not count as a change. The first scan records the contents of each
file. If a scan was after the last modification of the file, it may have read the change that is reported only now; then
equal contents do not mean that nothing has changed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from hashlib import blake2b

from corn.frozen import frozen
from corn.reload.filters import WatchFilter

_MAX_BYTES = 4 << 20  # larger files are compared by time and size only


def files_in(directory: str, rules: WatchFilter) -> Iterator[str]:
    """Watched files of one directory."""
    try:
        with os.scandir(directory) as entries:
            found = [each.path for each in entries]
    except OSError:
        return
    yield from (each for each in found if rules.classify(each).counts and os.path.isfile(each))


@frozen
class FileScan:
    """Scan of a file: a digest of its contents. `at`: the contents may include changes saved after this time.time()."""

    digest: bytes
    at: float = 0.0


class FileDigests:
    """Digests of the watched files at the last scan."""

    def __init__(self) -> None:
        self._scans: dict[str, FileScan] = {}

    def known(self) -> list[str]:
        """The files that existed at the last scan."""
        return list(self._scans)

    def remember(self, path: str) -> float:
        """Scan a file for the first time; returns the time of its last change.

        Returns 0.0 if it cannot be read, and if it has been scanned before.
        """
        at, found = time.time(), scan_file(path)
        if found is None or path in self._scans:
            return 0.0
        digest, modified = found
        self._scans[path] = FileScan(digest, at)
        return modified

    def changed(self, path: str) -> float | None:
        """Time at which a file was changed to other contents (a time.time()), or None if its contents are unchanged."""
        found, before = scan_file(path), self._scans.pop(path, None)
        if found is None:
            return None if before is None else time.time()
        digest, modified = found
        self._scans[path] = FileScan(digest)
        same = before is not None and before.digest == digest and modified > before.at
        return None if same else modified


def scan_file(path: str) -> tuple[bytes, float] | None:
    """Read a file; returns a digest of its contents and its modification time, None if there is no such file."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > _MAX_BYTES:
            seen = b"%d %d" % (status.st_size, status.st_mtime_ns)
        else:
            with open(path, "rb") as file:
                seen = file.read()
    except OSError:
        return None
    return blake2b(seen, digest_size=16).digest(), status.st_mtime
