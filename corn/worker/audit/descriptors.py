"""Descriptors and shared memory of this process, read from /proc; empty on systems without /proc."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from corn.frozen import frozen

_FDINFO = Path("/proc/self/fdinfo")
_MAPS = Path("/proc/self/maps")


@frozen
class Descriptor:
    """An open descriptor. `target` is as in /proc/self/fd; `locked`: a lock of flock(2) or fcntl(2) is held by it."""

    fd: int
    target: str
    mode: int
    inode: tuple[int, int]
    flags: int
    position: int
    locked: bool

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_socket(self) -> bool:
        return stat.S_ISSOCK(self.mode)

    @property
    def is_pipe(self) -> bool:
        return stat.S_ISFIFO(self.mode)

    @property
    def access(self) -> int:
        return self.flags & os.O_ACCMODE


@frozen
class Mapping:
    """Memory that is shared by mmap(2) with MAP_SHARED."""

    path: str
    inode: int
    writable: bool


def numbers() -> list[int]:
    """The descriptors that are open."""
    directory = "/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd"
    return [int(entry.name) for entry in Path(directory).iterdir()]


def opened() -> dict[int, Descriptor]:
    """The open descriptors but standard input, output and error."""
    return {fd: found for fd in numbers() if fd > 2 and (found := _describe(fd)) is not None}


def shared_memory() -> set[Mapping]:
    """Shared mappings, without semaphores of sem_open(3), which are safe to share."""
    return {each for each in _mappings() if not Path(each.path).name.startswith("sem.")}


def _describe(fd: int) -> Descriptor | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - many at a time
        fields = dict(line.split(":", 1) for line in (_FDINFO / str(fd)).read_text().splitlines() if ":" in line)
    except OSError:
        target, fields = "", {}
    return Descriptor(
        fd,
        target,
        status.st_mode,
        (status.st_dev, status.st_ino),
        int(fields.get("flags", "0"), 8),
        int(fields.get("pos", "0")),
        "lock" in fields,
    )


def _mappings() -> Iterator[Mapping]:
    try:
        lines = _MAPS.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        # address permissions offset device inode path; permissions end with s where the memory is shared
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[1].endswith("s"):
            yield Mapping(fields[5], int(fields[4]), "w" in fields[1])
