"""Where the control sockets of running instances are, and how they are named.

Each master has a socket of its own, `NAME.sock`, in a directory that only its user can enter. The name is made from the
address that the master listens on, which no two instances share.

    root                    /run/corn
    a user, started as root /run/corn-UID
    a user                  $XDG_RUNTIME_DIR/corn
    where those cannot be   corn-UID in the directory for temporary files

A command looks into all of them that may hold what its user may control, so that it finds a service whatever
environment that was started in. Directories that belong to somebody else than their name says are passed over: in a
directory for temporary files anybody may have made them.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

SUFFIX = ".sock"
AUTO, OFF = "auto", "off"
_LONGEST_NAME = 60  # a path of a Unix socket has 104 to 108 bytes in all, unix(7)


def socket_name(address: str) -> str:
    """The file name for an instance that listens on `address`, as in 127.0.0.1:8000.sock."""
    plain = re.sub(r"[^A-Za-z0-9.:_-]+", "-", address.rsplit("://", maxsplit=1)[-1]).strip("-")
    return plain[-_LONGEST_NAME:] + SUFFIX


def homes(environ: Mapping[str, str], uid: int, starter: int) -> list[Path]:
    """The directories in which a master of user `uid`, started by user `starter`, may make its socket, best first."""
    found = []
    if starter == 0:
        found.append(_run() / ("corn" if uid == 0 else f"corn-{uid}"))
    elif environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(environ["XDG_RUNTIME_DIR"]) / "corn")
    return [*found, Path(tempfile.gettempdir()) / f"corn-{uid}"]


def make_home(directory: Path, uid: int) -> None:
    """Make the directory for user `uid` alone; raises OSError where it cannot be made or is not that user's alone."""
    created = False
    try:
        directory.mkdir(mode=0o700)
        created = True
    except FileExistsError:
        pass
    if created and os.geteuid() != uid:
        os.chown(directory, uid, -1)
    if not is_private(directory, uid):
        raise PermissionError(f"{directory} is not a directory that user {uid} alone can enter")


def is_private(directory: Path, uid: int) -> bool:
    """Whether it is a directory, no symbolic link, of that user, that no other can write to or read."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077


def sockets(environ: Mapping[str, str], control: str | None = None) -> Iterator[Path]:
    """The sockets of the instances that this user may control, of living masters and of dead ones.

    `control` is what a user says instead: a socket, or a directory of them.
    """
    if control is not None:
        path = Path(control)
        yield from sorted(path.glob("*" + SUFFIX)) if path.is_dir() else [path]
        return
    seen: set[Path] = set()
    for directory, uid in _searched(environ, os.geteuid()):
        resolved = directory.resolve()
        if resolved not in seen and is_private(resolved, uid):
            seen.add(resolved)
            yield from sorted(resolved.glob("*" + SUFFIX))


def _searched(environ: Mapping[str, str], uid: int) -> Iterator[tuple[Path, int]]:
    temporary = dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp")))  # noqa: S108 - its owner is looked at
    if uid != 0:
        for home in (*homes(environ, uid, uid), *(each / f"corn-{uid}" for each in (_run(), *temporary))):
            yield home, uid
        yield _run() / "user" / str(uid) / "corn", uid
        return
    yield _run() / "corn", 0
    for parent in (_run(), *temporary):
        for directory in sorted(parent.glob("corn-*")):
            if directory.name[5:].isdigit():
                yield directory, int(directory.name[5:])
    for directory in sorted((_run() / "user").glob("*/corn")):
        if directory.parent.name.isdigit():
            yield directory, int(directory.parent.name)


def _run() -> Path:
    return Path("/run") if Path("/run").is_dir() else Path("/var/run")
