"""Hook calls that follow from a decision: from the difference between the states before and after it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from corn.hooks import ExitInfo, Info, ReloadInfo, ScaleInfo, WorkerInfo
from corn.supervisor.policy.state import Phase, State, Worker

Call = tuple[str, Info]


def hook_calls(before: State, after: State) -> Iterator[Call]:
    """The hooks to call and their arguments, in order. Without `when_ready`, which reports more than a state holds."""
    yield from _reloads(before, after)
    yield from _workers(before, after)
    if before.target != after.target:
        yield "nworkers_changed", ScaleInfo(before.target, after.target)
    if before.phase is not Phase.STOPPED and after.phase is Phase.STOPPED:
        yield "on_exit", ExitInfo(after.exit_code)


def _reloads(before: State, after: State) -> Iterator[Call]:
    if before.current is not None and after.current is not None and after.current < before.current:
        yield "reload_failed", ReloadInfo(before.current, after.last_error or "requested")
    ended = before.candidate if before.phase is Phase.RELOADING else None
    begun = after.candidate if after.phase is Phase.RELOADING else None
    if ended == begun:
        return
    if ended is not None and after.current == ended:
        yield "reload_done", ReloadInfo(ended)
    elif ended is not None:
        stopped = after.phase in (Phase.STOPPING, Phase.STOPPED)
        yield "reload_failed", ReloadInfo(ended, "the service was stopped" if stopped else after.last_error)
    if begun is not None:
        yield "on_reload", ReloadInfo(begun)


def _workers(before: State, after: State) -> Iterator[Call]:
    if before.workers is after.workers:
        return
    for worker in after.workers.values():
        old = before.workers.get(worker.id)
        if worker.is_ready and not (old is not None and old.is_ready):
            yield "worker_ready", _info(worker)
    for worker in before.workers.values():
        if worker.id not in after.workers and worker.pid is not None:
            yield "child_exit", _info(worker, worker.reason or worker.retiring or _crash(worker, after))


def _info(worker: Worker, reason: str = "") -> WorkerInfo:
    return WorkerInfo(worker.slot, worker.generation, worker.pid or 0, reason)


def _crash(worker: Worker, after: State) -> str:
    """Reason of a worker's unrequested exit; the policy keeps it as its last error."""
    return after.last_error.removeprefix(f"{worker} ") or "exited by itself"
