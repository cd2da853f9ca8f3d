"""Hooks of a hooks file, and the argument that each of its functions receives.

Each function takes one argument, one of the frozen objects below. The exception is `ssl_context(config, default)`,
which returns an ssl.SSLContext. Hooks that concern the service run one after another in a process of their own, so the
master waits for none of them; hooks that concern a process run in that process. A hooks file may import these names for
its annotations.
"""

from __future__ import annotations

from collections.abc import Mapping

from corn.frozen import frozen


@frozen
class ServiceInfo:
    """Service: its application, addresses and number of workers; `pid` is the master's."""

    app: str
    addresses: tuple[str, ...]
    workers: int
    pid: int


@frozen
class ReloadInfo:
    """Reload. `generation` is the new one; `error` is the reason for its failure."""

    generation: int
    error: str = ""


@frozen
class WorkerInfo:
    """Worker. `pid` is 0 before it is forked; `reason` is the reason for its exit, "" while it runs."""

    slot: int
    generation: int
    pid: int = 0
    reason: str = ""


@frozen
class ScaleInfo:
    """Change of the target number of workers."""

    before: int
    now: int


@frozen
class ExitInfo:
    """End of the service; the master is about to exit with `code`."""

    code: int


Info = ServiceInfo | ReloadInfo | WorkerInfo | ScaleInfo | ExitInfo

IN_HOOKS_PROCESS: Mapping[str, type[Info]] = {
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

SSL_CONTEXT = "ssl_context"
"""Hook that makes the SSL context: called with the configuration and a function that makes corn's own context."""

HOOKS = frozenset({*IN_HOOKS_PROCESS, *IN_TEMPLATE, *IN_WORKER, SSL_CONTEXT})
