"""Health of ready workers: heartbeat age, lifetime and memory. Pure.

Heartbeat. The event loop writes it, so its age is how long the loop has been blocked. At half of `timeout_worker` the
worker dumps its stacks, once, and is left running. At the limit it is stuck: it dumps them unless it has, because the
master may not have run at half of the limit, and a replacement is started at once. When the replacement is ready, or
after a few seconds without one, the worker is aborted, and its fault handler writes the stacks of all threads. A worker
that recovers before that finishes its requests and exits. A slow worker whose loop is not blocked is never touched, and
heartbeats are ignored after a pause of the master itself (monitoring/sampler.py).

A draining worker has its grace period for in-flight requests. If its event loop is blocked at the end of that period,
it is aborted; otherwise it also has the time of its lifespan shutdown.

Recycling. A retiring worker serves until its replacement is ready. Workers that retire because of a limit are replaced
one at a time, so that a leak in all of them costs no capacity, and none before it has lived for `min_worker_lifetime`,
so that a limit set too low does not cause a fork storm. A worker beyond the hard memory limit is stopped at once.
Memory is measured as PSS (proportional set size), and must exceed the limit in several consecutive samples: one large
response is not a leak.
"""

from __future__ import annotations

from corn.supervisor.policy.actions import AbortWorker, DumpWorker, Level
from corn.supervisor.policy.events import HeartbeatsSeen, MemorySampled
from corn.supervisor.policy.state import ABORT_TIMEOUT, Stage, State, Worker
from corn.supervisor.policy.transition import Transition, drain

BLOCKED_AFTER = 1.0  # seconds without a heartbeat
REPLACE_TIMEOUT = 5.0  # from being stuck to being aborted without a replacement
SAMPLES = 3  # in a row over the memory limit
MIB = 1 << 20


def heartbeats_seen(draft: Transition, event: HeartbeatsSeen) -> None:
    limit = draft.state.settings.timeout_worker
    for number, age in event.ages.items():
        worker = draft.state.workers.get(number)
        if worker is None:
            continue
        if worker.stage is Stage.DRAINING:
            _check_draining(draft, worker, age)
        elif limit <= 0:
            continue
        elif worker.is_ready:
            _check_ready(draft, worker, age, limit)
        elif worker.stage is Stage.STUCK and age < limit / 2:
            draft.log(Level.WARNING, f"{worker} has recovered; it is replaced anyway")
            drain(draft, worker, worker.reason)


def abort_replaced(draft: Transition) -> None:
    """Abort the stuck workers whose replacement is ready."""
    for worker in list(draft.state.workers.values()):
        if worker.stage is Stage.STUCK and any(each.is_ready for each in draft.state.in_slot(worker.slot)):
            abort(draft, worker)


def abort(draft: Transition, worker: Worker) -> None:
    draft.worker(worker, stage=Stage.ABORTING, since=draft.at, deadline=draft.at + ABORT_TIMEOUT)
    draft.do(AbortWorker(worker.id))


def _check_draining(draft: Transition, worker: Worker, age: float) -> None:
    """Abort a worker that is blocked at the end of its grace period, because it cannot cancel its requests itself."""
    if worker.grace_ends is not None and draft.at >= worker.grace_ends and age >= BLOCKED_AFTER:
        draft.log(Level.WARNING, f"{worker} did not exit within its grace period: its event loop is blocked")
        abort(draft, worker)


def _check_ready(draft: Transition, worker: Worker, age: float, limit: float) -> None:
    if age >= limit / 2 and not worker.lagging:
        draft.log(Level.WARNING, f"{worker} has blocked its event loop for {age:.1f} s; its stacks follow")
        draft.worker(worker, lagging=True)
        draft.do(DumpWorker(worker.id))
        worker = draft.state.workers[worker.id]
    if age >= limit:
        reason = f"stuck: its event loop has been blocked for {age:.1f} s"
        draft.log(Level.ERROR, f"{worker} is {reason}; it is replaced, then aborted with a stack dump")
        draft.worker(worker, stage=Stage.STUCK, since=draft.at, deadline=draft.at + REPLACE_TIMEOUT, reason=reason)
    elif age < limit / 2 and worker.lagging:
        draft.log(Level.INFO, f"{worker} has recovered: its event loop is no longer blocked")
        draft.worker(worker, lagging=False)


def recycles_at(state: State, worker: Worker) -> float | None:
    """Earliest time to replace a ready worker for a limit: from its retirement on, or when it is old enough."""
    if worker.retiring:
        return worker.since + state.settings.min_worker_lifetime
    lifetime = state.settings.limit_lifetime
    if lifetime is None:
        return None
    # Spread the times, so that workers that were forked together are not replaced together.
    return worker.since + max(lifetime, state.settings.min_worker_lifetime) * (1 + 0.1 * worker.spread)


def is_to_be_replaced(state: State, worker: Worker, at: float) -> bool:
    """True if a ready worker should be replaced now."""
    if not worker.is_ready:
        return False
    due = recycles_at(state, worker)
    return worker.retires_at_once or (due is not None and due <= at)


def reason_to_recycle(worker: Worker) -> str:
    return worker.retiring or "lifetime"


def is_recycling(state: State, at: float) -> bool:
    """True if some slot already holds a worker that is to be replaced beside one that is not ready yet."""
    return any(
        any(is_to_be_replaced(state, worker, at) for worker in live) and any(not worker.is_ready for worker in live)
        for live in map(state.in_slot, range(state.target))
    )


def memory_sampled(draft: Transition, event: MemorySampled) -> None:
    for number, size in event.workers.items():
        worker = draft.state.workers.get(number)
        if worker is not None and worker.is_ready:
            _check_memory(draft, worker, size)
    total, limit = event.total, draft.state.settings.limit_memory_total
    if limit is not None and total > limit:
        _replace_largest(draft, event, f"memory of the service {total // MIB} MiB, limit {limit // MIB} MiB")


def _check_memory(draft: Transition, worker: Worker, size: int) -> None:
    settings = draft.state.settings
    soft, hard = settings.limit_memory, settings.limit_memory_hard
    if hard is not None and size > hard:
        reason = f"memory {size // MIB} MiB, hard limit {hard // MIB} MiB"
        draft.log(Level.WARNING, f"stopping {worker} at once: {reason}")
        drain(draft, worker, reason, quick=True)
        return
    over = worker.over_memory + 1 if soft is not None and size > soft else 0
    retiring = worker.retiring
    if soft is not None and over >= SAMPLES and not retiring:
        retiring = f"memory {size // MIB} MiB, limit {soft // MIB} MiB"
    if (over, retiring) != (worker.over_memory, worker.retiring):
        draft.worker(worker, over_memory=over, retiring=retiring)


def _replace_largest(draft: Transition, event: MemorySampled, reason: str) -> None:
    """Replace the largest worker, unless one is being replaced already."""
    ready = [worker for worker in draft.state.ready() if worker.id in event.workers]
    if ready and not any(worker.retiring for worker in ready):
        draft.worker(max(ready, key=lambda worker: event.workers[worker.id]), retiring=reason)
