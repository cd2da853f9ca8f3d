"""Paths and names of the control sockets of running instances.

Each master has its own socket, `NAME.sock`, in a directory that only its user can enter. The name is derived from the
address that the master listens on, which is unique among the running instances.

    root                    /run/corn
    a user, started as root /run/corn-UID
    a user                  $XDG_RUNTIME_DIR/corn
    fallback                corn-UID in the directory for temporary files

A command searches all directories with sockets that its user may control, so that it finds services started in another
environment. A directory whose owner is not the one in its name is skipped, because any user can create directories in
that for temporary files. Root's commands consider the instances of other users only if none of root's own matches,
because any user can place a socket there that sends arbitrary replies.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from corn.system.ownership import chown_directory

SUFFIX = ".sock"
AUTO, OFF = "auto", "off"
_MAX_NAME = 60  # a path of a Unix socket has 104 to 108 bytes in all, unix(7)


def socket_name(address: str) -> str:
    """File name for an instance that listens on `address`, as in 127.0.0.1:8000.sock."""
    plain = re.sub(r"[^A-Za-z0-9.:_-]+", "-", address.rsplit("://", maxsplit=1)[-1]).strip("-")
    return plain[-_MAX_NAME:] + SUFFIX


def homes(environ: Mapping[str, str], uid: int, starter: int) -> list[Path]:
    """Directories in which a master of user `uid`, started by user `starter`, may make its socket, best first."""
    found = []
    if starter == 0:
        found.append(_run() / ("corn" if uid == 0 else f"corn-{uid}"))
    elif environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(environ["XDG_RUNTIME_DIR"]) / "corn")
    return [*found, Path(tempfile.gettempdir()) / f"corn-{uid}"]


def make_home(directory: Path, uid: int) -> None:
    """Make the directory for user `uid` only; raises OSError if that fails, or others can access it."""
    created = False
    try:
        directory.mkdir(mode=0o700)
        created = True
    except FileExistsError:
        pass
    if created and os.geteuid() != uid:
        chown_directory(directory, uid, -1)
    if not is_private(directory, uid):
        raise PermissionError(f"{directory} is not a directory that user {uid} alone can enter")


def is_private(directory: Path, uid: int) -> bool:
    """True if it is a directory of that user, not a symbolic link, that no other user can write to or read."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077


def sockets(environ: Mapping[str, str], control: str | None = None) -> tuple[list[Path], list[Path]]:
    """Sockets of the instances that this user may control, including stale ones.

    The first list has this user's own, and those it has started; the second those of other users, for root only.
    `control` is a socket, or a directory of them, to use instead.
    """
    if control is not None:
        path = Path(control)
        is_directory = os.path.isdir(path)  # noqa: PTH112 - false also where it cannot be looked up
        return (sorted(path.glob("*" + SUFFIX)) if is_directory else [path]), []
    uid = os.geteuid()
    own, others = _directories(environ, uid)
    found = _sockets_in(own, set())
    return found, _sockets_in(others, {each.parent for each in found})


def _sockets_in(directories: Iterable[tuple[Path, int]], seen: set[Path]) -> list[Path]:
    found: list[Path] = []
    for directory, uid in directories:
        resolved = directory.resolve()
        if resolved not in seen and is_private(resolved, uid):
            seen.add(resolved)
            found += sorted(resolved.glob("*" + SUFFIX))
    return found


def _directories(environ: Mapping[str, str], uid: int) -> tuple[list[tuple[Path, int]], list[tuple[Path, int]]]:
    """Directories to search, each with its required owner: this user's own, and other users'."""
    temporary = dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp")))  # noqa: S108 - its owner is checked
    if uid != 0:
        named = (each / f"corn-{uid}" for each in (_run(), *temporary))
        return [(each, uid) for each in (*homes(environ, uid, uid), *named, _run() / "user" / str(uid) / "corn")], []
    own = [(_run() / "corn", 0), *((each / "corn-0", 0) for each in temporary), *_user_directories(_run())]
    others = [pair for parent in temporary for pair in _user_directories(parent)]
    logged_in = ((each, each.parent.name) for each in sorted((_run() / "user").glob("*/corn")))
    return own, [*others, *((each, int(name)) for each, name in logged_in if name.isdigit())]


def _user_directories(parent: Path) -> list[tuple[Path, int]]:
    """Directories corn-UID in `parent`: those in /run were made by root, for services that it started."""
    found = ((each, each.name.removeprefix("corn-")) for each in sorted(parent.glob("corn-*")))
    return [(each, int(number)) for each, number in found if number.isdigit()]


def _run() -> Path:
    return Path("/run") if Path("/run").is_dir() else Path("/var/run")
