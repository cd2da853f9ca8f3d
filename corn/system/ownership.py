"""Files of root in directories of other users: no link of theirs redirects what root makes, changes or removes.

The owner of a directory may replace a new file by a link to any other file, and chown(2) would give that file away. So
the file is opened without following links, is checked while it is open, and is changed through its descriptor.

The owner of a parent directory may replace it by a link to another directory. So root opens the directory step by step,
one name after the other, and works on its descriptor. A link of another user is followed only if it leads to a
directory of that user, who could then make the same changes there. systemd has nearly the same rule (CHASE_SAFE); it
also refuses absolute links.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

_O_PATH = getattr(os, "O_PATH", 0)  # Linux: a descriptor of a socket's file, which cannot be opened otherwise
_DIRECTORY = (_O_PATH or os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_LINKS = 40  # as many as the kernel follows


@contextlib.contextmanager
def opened_directory(path: str | Path) -> Iterator[int]:
    """Descriptor of a directory; raises PermissionError for root where a link of another user leads elsewhere."""
    is_checked = bool(_O_PATH) and os.geteuid() == 0
    fd = _walk(Path(path).absolute()) if is_checked else os.open(path, _DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def remove_in(directory: int, name: str) -> None:
    """Remove a file of an opened directory, if there is one (unlinkat(2)); raises OSError where that cannot be."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def check_socket_in(directory: int, name: str) -> None:
    """Check that bind(2), which takes a path, has made its socket in this directory; raises PermissionError."""
    try:
        _check(os.stat(name, dir_fd=directory, follow_symlinks=False), os.geteuid(), stat.S_ISSOCK)
    except FileNotFoundError:
        raise PermissionError(errno.EPERM, "its directory was replaced meanwhile") from None


def _walk(path: Path) -> int:
    names, followed, owners = deque(path.parts[1:]), 0, set[int]()
    fd = os.open(os.sep, _DIRECTORY)
    try:
        while names:
            name = names.popleft()
            found = os.open(name, _O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            fd, last = found, fd
            status = os.fstat(fd)
            if not stat.S_ISLNK(status.st_mode):
                os.close(last)
                continue
            followed += 1
            if followed > _MAX_LINKS:
                os.close(last)
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            owners.add(status.st_uid)
            names.extendleft(reversed(Path(os.readlink("", dir_fd=fd)).parts))  # the first may be the root
            os.close(fd)
            fd = last
        status = os.fstat(fd)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if owners - {0, status.st_uid}:
            raise PermissionError(errno.EPERM, "a symbolic link of another user leads to its directory")
    except BaseException:
        os.close(fd)
        raise
    return fd


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
    with opened_directory(Path(path).parent) as directory:
        fd = os.open(Path(path).name, _O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        _check(os.fstat(fd), uid, is_kind)
        os.chown(f"/proc/self/fd/{fd}", uid, gid)
    finally:
        os.close(fd)


def _check(found: os.stat_result, uid: int, is_kind: Callable[[int], bool]) -> None:
    if not is_kind(found.st_mode) or found.st_uid not in (os.geteuid(), uid):
        raise PermissionError(errno.EPERM, "something else was put in its place")
