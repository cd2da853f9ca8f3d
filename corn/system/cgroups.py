"""Limits of this process's control groups (cgroups(7)), versions 1 and 2, nested to any depth.

The limits of all ancestors apply, so the lowest counts. A container may see its own group as the root, or a path in a
hierarchy that it cannot see; then the mounted group is used. Files are read through a function from path to contents
(None if there is no such file), so that the rules can be tested with texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

Read = Callable[[str], str | None]

_UNLIMITED = 1 << 60  # version 1 reports the largest multiple of a page instead


class _Mount(NamedTuple):
    """Mount point of a hierarchy, and the group that is mounted there. `controllers` is empty in version 2."""

    root: str
    point: str
    controllers: frozenset[str]


def read_file(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def cpu_quota(read: Read = read_file) -> float | None:
    """Number of CPUs whose time these groups may use, or None without a quota."""
    quotas = []
    for directory in _directories(read, "cpu"):
        words = (read(f"{directory}/cpu.max") or "").split()
        words = words or [(read(f"{directory}/cpu.cfs_{word}_us") or "").strip() for word in ("quota", "period")]
        quota, period = (_number(word) for word in (*words, "", "")[:2])
        if quota is not None and period:
            quotas.append(quota / period)
    return min(quotas, default=None)


def memory_limit(read: Read = read_file) -> int | None:
    """Bytes of memory that these groups may use, or None without a limit."""
    limits = []
    for directory in _directories(read, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _number((read(f"{directory}/{name}") or "").strip())
            if limit is not None and limit < _UNLIMITED:
                limits.append(limit)
    return min(limits, default=None)


def oom_kills(read: Read = read_file) -> int:
    """Number of processes of this group that the OOM killer has killed; 0 where the kernel does not count them."""
    for directory in _directories(read, "memory"):
        for name in ("memory.events", "memory.oom_control"):
            lines = (read(f"{directory}/{name}") or "").splitlines()
            if lines:
                return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return 0


def _number(word: str) -> int | None:
    """Number of at least 0; None for other text ("max", "-1", ""), which sets no limit."""
    return int(word) if word.isascii() and word.isdigit() else None


def _directories(read: Read, controller: str) -> Iterator[str]:
    """Directories of this process's group and of all its visible ancestors, in each hierarchy."""
    mounts = list(_mounts(read("/proc/self/mountinfo") or ""))
    for line in (read("/proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        for mount in mounts:
            if _belongs(names, mount, controller):
                yield from _upwards(mount, path)


def _belongs(names: str, mount: _Mount, controller: str) -> bool:
    """True if a line of /proc/self/cgroup, which names controllers in version 1 alone, is for mount and controller."""
    if not names:
        return not mount.controllers
    return controller in names.split(",") and controller in mount.controllers


def _upwards(mount: _Mount, path: str) -> Iterator[str]:
    inside = path == mount.root or path.startswith(mount.root.rstrip("/") + "/")
    relative = path[len(mount.root.rstrip("/")) :] if inside and "/.." not in path else ""
    while relative.strip("/"):
        yield mount.point + relative
        relative = relative.rpartition("/")[0]
    yield mount.point


def _mounts(mountinfo: str) -> Iterator[_Mount]:
    """Mounted hierarchies; the fields are those of proc_pid_mountinfo(5)."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) > 4 and kind[:1] == ["cgroup2"]:
            yield _Mount(fields[3], fields[4], frozenset())
        elif len(fields) > 4 and kind[:1] == ["cgroup"]:
            yield _Mount(fields[3], fields[4], frozenset(kind[-1].split(",")))
