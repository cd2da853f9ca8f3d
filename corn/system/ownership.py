"""Change of a file's owner without following links.

Root creates sockets and directories in directories of other users, who may replace a new file by a link to any other
file. chown(2) would give them that file. So the file is opened without following links, checked while it is open, and
changed through its descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

_O_PATH = getattr(os, "O_PATH", 0)  # Linux: a descriptor of a socket's file, which cannot be opened otherwise


def chown_socket(path: str | Path, uid: int, gid: int) -> None:
    """Give the file of a Unix socket, made by this process's user, to another; raises OSError for anything else."""
    _chown(path, uid, gid, stat.S_ISSOCK)


def chown_directory(path: str | Path, uid: int, gid: int) -> None:
    """Give a directory, made by this process's user, to another; raises OSError for anything else."""
    _chown(path, uid, gid, stat.S_ISDIR)


def _chown(path: str | Path, uid: int, gid: int, is_kind: Callable[[int], bool]) -> None:
    if not _O_PATH or not os.access("/proc/self/fd", os.X_OK):
        _check(os.lstat(path), uid, is_kind)
        os.chown(path, uid, gid, follow_symlinks=False)
        return
    fd = os.open(path, _O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check(os.fstat(fd), uid, is_kind)
        os.chown(f"/proc/self/fd/{fd}", uid, gid)
    finally:
        os.close(fd)


def _check(found: os.stat_result, uid: int, is_kind: Callable[[int], bool]) -> None:
    if not is_kind(found.st_mode) or found.st_uid not in (os.geteuid(), uid):
        raise PermissionError(errno.EPERM, "something else was put in its place")
