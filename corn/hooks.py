"""Hooks of a hooks file, and the argument that each of its functions receives.

A function takes one argument, one of the frozen objects below. Where it runs is part of its meaning: most run in a
process of their own, one after another, so that the master waits for none of them; those that are about the inside of a
process run in that process. A file may import these names for its annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """The service: what is served and where, by how many workers; `pid` is the master's."""

    app: str
    addresses: tuple[str, ...]
    workers: int
    pid: int


@dataclass(frozen=True, slots=True)
class ReloadInfo:
    """A reload. `generation` is the new one; `error` says why it failed."""

    generation: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker. `pid` is 0 before it is forked; `reason` is why it ended, "" while it runs."""

    slot: int
    generation: int
    pid: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ScaleInfo:
    """The target number of workers changed."""

    before: int
    now: int


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """The service ended; the master is about to exit with `code`."""

    code: int


Info = ServiceInfo | ReloadInfo | WorkerInfo | ScaleInfo | ExitInfo

TOLD: Mapping[str, type[Info]] = {
    "on_starting": ServiceInfo,
    "when_ready": ServiceInfo,
    "on_reload": ReloadInfo,
    "reload_done": ReloadInfo,
    "reload_failed": ReloadInfo,
    "worker_ready": WorkerInfo,
    "child_exit": WorkerInfo,
    "nworkers_changed": ScaleInfo,
    "on_exit": ExitInfo,
}
"""Hooks that run in the hooks process, in the order of the events."""

IN_TEMPLATE = ("pre_fork",)
IN_WORKER = ("post_fork", "post_worker_init", "worker_exit")

HOOKS = frozenset({*TOLD, *IN_TEMPLATE, *IN_WORKER})
