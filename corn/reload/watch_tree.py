"""Watch tree of corn dev: the directories to watch, and the means of detecting changes in each.

Each directory is watched by itself instead of the tree as a whole, so that an ignored directory such as node_modules
needs no inotify watch, whose number is limited for each user (fs.inotify.max_user_watches, inotify(7)).

Links are followed, because linked code belongs to the project: a linked directory is watched under the name of the
link, a linked file at its target. A directory that can be reached in two ways is watched once.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from corn.reload.filters import WatchFilter

# File systems on which other machines can make changes that this kernel does not report (proc_pid_mountinfo(5)).
_REMOTE = ("nfs", "cifs", "smb", "9p", "fuse", "vboxsf", "virtiofs", "prl_fs", "afs", "ceph", "glusterfs", "drvfs")
_MAX_LINKED = 1000  # directories behind one link; a larger tree is probably data, not code
Identity = tuple[int, int]


@dataclass(slots=True)
class WatchTree:
    """Directories and links to watch.

    `polled` maps each directory whose changes the kernel does not report, or the notifier cannot name, to the reason.
    `links` maps the file that a link leads to onto the link. `left_out` are links to directories that are too large.
    """

    directories: set[str] = field(default_factory=set)
    polled: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def outside(self) -> set[str]:
        """The directories of linked files that are not watched for anything else."""
        return {os.path.dirname(each) for each in self.links} - self.directories


def scan(roots: Iterable[str], rules: WatchFilter, mounts: str) -> WatchTree:
    """Find the directories below the roots in which a file may count.

    `mounts` is the text of /proc/self/mountinfo, "" if there is none.
    """
    return _Scan(rules).run(roots, _remote_mounts(mounts))


class _Scan:
    """One scan. Links to directories are followed last, so that their targets keep their own names."""

    def __init__(self, rules: WatchFilter) -> None:
        self._rules = rules
        self._tree = WatchTree()
        self._seen: dict[Identity, str] = {}
        self._linked: list[str] = []

    def run(self, roots: Iterable[str], remote: Sequence[tuple[str, str]]) -> WatchTree:
        tree = self._tree
        for root in roots:
            self._walk(root)
        while self._linked:
            link = self._linked.pop()
            if not _contains_root(link, self._rules.directories) and not self._walk(link, _MAX_LINKED):
                tree.left_out.append(link)
        for each in tree.directories | tree.outside():
            if kind := _kind_of(os.path.realpath(each) if remote else each, remote):
                tree.polled.setdefault(each, f"on {kind}")
        self._name_as_watched()
        return tree

    def _walk(self, root: str, limit: int = 0) -> bool:
        """Add a directory and those below it; returns whether they are no more than `limit`, where one is given."""
        found: dict[Identity, str] = {}
        waiting, links = [root], list[str]()
        while waiting:
            directory = waiting.pop()
            identity = identity_of(directory)
            if identity is None or identity in self._seen or identity in found:
                continue
            found[identity] = directory
            if limit and len(found) > limit:
                return False
            entries = _entries(directory)
            if not all(map(_is_utf_8, (directory, *(each.name for each in entries)))):
                self._tree.polled[directory] = "with names that are not UTF-8"
            links += [each.path for each in entries if each.is_symlink()]
            inner = [each.path for each in entries if each.is_dir(follow_symlinks=False)]
            waiting += [each for each in inner if self._rules.includes_directory(each)]
        self._seen.update(found)
        self._tree.directories.update(found.values())
        for link in links:
            self._record_link(link)
        return True

    def _record_link(self, link: str) -> None:
        if os.path.isdir(link):
            if self._rules.includes_directory(link):
                self._linked.append(link)
        elif self._rules.classify(link).counts:
            self._tree.links[os.path.realpath(link)] = link

    def _name_as_watched(self) -> None:
        """Name linked files by their directory as it is watched: inotify reports each directory under one name."""
        links = self._tree.links
        for target in list(links):
            identity = identity_of(os.path.dirname(target))
            known = None if identity is None else self._seen.get(identity)
            if known is not None:
                links[os.path.join(known, os.path.basename(target))] = links.pop(target)


def _contains_root(link: str, roots: Iterable[str]) -> bool:
    """True if a link leads to a directory that contains a root."""
    target = os.path.realpath(link).rstrip(os.sep) + os.sep
    return any(root.startswith(target) for root in roots)


def _entries(directory: str) -> list[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        return list(entries)
    return []


def identity_of(path: str) -> Identity | None:
    """Device and inode, None if the path does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_utf_8(path: str) -> bool:
    if path.isascii():
        return True
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remote_mounts(mounts: str) -> list[tuple[str, str]]:
    """All mount points, longest first, with the kind of the file system, or "" where the kernel reports its changes."""
    found: dict[str, str] = {}  # of two at one point, the later hides the earlier
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split(" ")[0]
        found[_unescaped(before.split(" ")[4])] = kind if kind.startswith(_REMOTE) else ""
    return sorted(found.items(), key=lambda each: -len(each[0])) if any(found.values()) else []


def _unescaped(point: str) -> str:
    """A mount point, in which the kernel writes blanks and backslashes in octal (proc_pid_mountinfo(5))."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)


def _kind_of(directory: str, mounts: Iterable[tuple[str, str]]) -> str:
    for point, kind in mounts:
        if directory == point or directory.startswith(point.rstrip("/") + "/"):
            return kind
    return ""


def read_mounts() -> str:
    """The text of /proc/self/mountinfo, "" where there is none."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
