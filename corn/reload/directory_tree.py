"""The directories below the watched ones in which something may count, and what there is in them.

Each is watched by itself rather than its tree as a whole: an ignored directory such as node_modules then costs no watch
of the kernel's, of which a user has a limited number (fs.inotify.max_user_watches, inotify(7)).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from corn.reload.filters import WatchFilter

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
