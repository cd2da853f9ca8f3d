"""File look-up below a directory by the path of a request, which never leads outside the directory.

Paths with empty segments, `.`, `..` (in any encoding, because a scope's path is decoded once) or NUL match no file, and
neither do names that begin with a dot, except `.well-known` (RFC 8615). A symbolic link may only lead to a file below
the same directory. A file is inspected after it is opened, so that the header describes what is sent; only regular
files are read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from corn.frozen import frozen

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # a FIFO must not hold up the loop


@frozen
class Opened:
    """Open file. `coding` is the content coding of its bytes, or ""."""

    fd: int
    size: int
    mtime_ns: int
    coding: str = ""


class Directory:
    """Directory whose files are served; its location is resolved once."""

    def __init__(self, path: str) -> None:
        self._root = os.path.realpath(path)
        self._inside = self._root.rstrip("/") + "/"

    def find(self, path: str) -> str | None:
        """Location on disk of a path that begins with "/"; None if it cannot be a file to serve.

        A path that ends in a slash names a directory.
        """
        segments = path[1:].split("/")
        if segments[-1] == "":
            segments.pop()
        if not all(map(_is_public, segments)) or "\0" in path:
            return None
        try:
            found = os.path.realpath("/".join([self._root, *segments]), strict=True)
        except (OSError, ValueError):
            return None
        return found if found == self._root or found.startswith(self._inside) else None

    def sibling(self, file: str, suffix: str) -> str | None:
        """Path of the file beside `file` whose name also has this suffix, if that is within the directory."""
        try:
            found = os.path.realpath(file + suffix, strict=True)
        except (OSError, ValueError):
            return None
        return found if found.startswith(self._inside) else None


def _is_public(segment: str) -> bool:
    return segment != "" and (segment[0] != "." or segment == ".well-known")


@contextmanager
def opened(path: str, coding: str = "") -> Iterator[Opened | None]:
    """Open file, closed on exit; None if it is no regular file. Raises PermissionError if it is not readable."""
    try:
        fd = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise
        yield None
        return
    try:
        about = os.fstat(fd)
        yield Opened(fd, about.st_size, about.st_mtime_ns, coding) if stat.S_ISREG(about.st_mode) else None
    finally:
        os.close(fd)
