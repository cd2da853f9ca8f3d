"""Watched files: the directories to watch, the files in them, and digests that tell a change from a touch.

Each directory is watched by itself rather than its tree as a whole: an ignored directory such as node_modules then
costs no inotify watch, of which a user has a limited number (fs.inotify.max_user_watches, inotify(7)).

A touch, or a formatter that changes nothing, is no change. The first scan records the contents of each file. A scan
that came after the file was last modified may already have seen the change that is being reported; then equal contents
prove nothing.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from corn.reload.filters import WatchFilter

_MOST_BYTES = 4 << 20  # a larger file has changed whenever its time or size has
# File systems whose changes may be made elsewhere, where this kernel does not see them (proc_pid_mountinfo(5)).
_ELSEWHERE = ("nfs", "cifs", "smb", "9p", "fuse", "vboxsf", "virtiofs", "prl_fs", "afs", "ceph", "glusterfs", "drvfs")


def directories_below(root: str, rules: WatchFilter) -> Iterator[str]:
    """`root` and each directory below it that the rules enter; a link to a directory is not followed."""
    waiting = [root]
    while waiting:
        directory = waiting.pop()
        yield directory
        try:
            with os.scandir(directory) as entries:
                found = [each.path for each in entries if each.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        waiting += [each for each in found if rules.enters(each)]


def files_in(directory: str, rules: WatchFilter) -> Iterator[str]:
    """The files of one directory that count."""
    try:
        with os.scandir(directory) as entries:
            found = [each.path for each in entries if each.is_file()]
    except OSError:
        return
    yield from (each for each in found if rules.judge(each).counts)


def needs_polling(directory: str, mounts: str) -> str:
    """The kind of file system of a directory, where the kernel does not report its changes; "" where it does.

    `mounts` is the text of /proc/self/mountinfo, "" where there is none.
    """
    kind, longest = "", -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode().decode("unicode_escape")
        inside = directory == point or directory.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:
            kind, longest = after.split(" ")[0], len(point)
    return kind if kind.startswith(_ELSEWHERE) else ""


def read_mounts() -> str:
    """The text of /proc/self/mountinfo, "" where there is none."""
    try:
        return Path("/proc/self/mountinfo").read_text()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a file: a digest of its contents, and the time.time() from which on a change was not seen."""

    digest: bytes
    at: float = 0.0


class FileDigests:
    """What the watched files held when they were last looked at."""

    def __init__(self) -> None:
        self._looks: dict[str, Look] = {}

    def remember(self, path: str) -> float:
        """Look at a file for the first time; returns when it was last changed.

        Returns 0.0 if it cannot be read, and if it has been looked at before.
        """
        at, found = time.time(), look_at(path)
        if found is None or path in self._looks:
            return 0.0
        digest, modified = found
        self._looks[path] = Look(digest, at)
        return modified

    def changed(self, path: str) -> float | None:
        """When a file was changed to other contents (a time.time()), or None if it holds what it held before."""
        found, before = look_at(path), self._looks.pop(path, None)
        if found is None:
            return None if before is None else time.time()
        digest, modified = found
        self._looks[path] = Look(digest)
        same = before is not None and before.digest == digest and modified > before.at
        return None if same else modified


def look_at(path: str) -> tuple[bytes, float] | None:
    """Read a file; returns a digest of what it holds and its modification time, None where there is no such file."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > _MOST_BYTES:
            seen = b"%d %d" % (status.st_size, status.st_mtime_ns)
        else:
            with open(path, "rb") as file:
                seen = file.read()
    except OSError:
        return None
    return blake2b(seen, digest_size=16).digest(), status.st_mtime
