"""Operator requests other than reload and stop: scale, restart, drain and rollback. Pure.

On a restart, the worker drains once its replacement is ready. On a drain, the worker stops accepting at once, so that
the service has one worker fewer for as long as a fork takes. Both ignore the age of the worker. A requested number of
workers applies until the next requested reload, even while a reload is in progress or a template is replaced.
"""

from __future__ import annotations

from corn.supervisor.policy.actions import Level
from corn.supervisor.policy.backoff import Restarts
from corn.supervisor.policy.events import DrainRequested, RestartRequested, RollbackRequested, ScaleRequested
from corn.supervisor.policy.rolling_reload import can_roll_back, roll_back
from corn.supervisor.policy.state import Phase
from corn.supervisor.policy.transition import Transition, drain

MAX_WORKERS = 512
BY_COMMAND = "requested by command"


def scale_requested(draft: Transition, event: ScaleRequested) -> None:
    target = max(1, min(MAX_WORKERS, draft.state.target + event.delta))
    if target != draft.state.target and draft.state.phase is not Phase.STOPPING:
        draft.log(Level.INFO, f"scaling from {draft.state.target} to {target} workers")
        draft.change(target=target, scaled=target)


def rollback_requested(draft: Transition, _: RollbackRequested) -> None:
    if can_roll_back(draft.state):
        roll_back(draft, BY_COMMAND, level=Level.INFO)


def restart_requested(draft: Transition, event: RestartRequested) -> None:
    """Replace the worker that serves in a slot; a slot that waits for its backoff retries now."""
    if draft.state.phase is Phase.STOPPING:
        return
    for worker in draft.state.in_slot(event.slot):
        if worker.is_ready:
            draft.worker(worker, retiring=worker.retiring or BY_COMMAND, at_once=True)
    if event.slot in draft.state.restarts:
        draft.set_restarts(event.slot, Restarts())


def drain_requested(draft: Transition, event: DrainRequested) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is not None and worker.is_ready and draft.state.phase is not Phase.STOPPING:
        draft.log(Level.INFO, f"draining {worker}: {BY_COMMAND}")
        drain(draft, worker, BY_COMMAND)
