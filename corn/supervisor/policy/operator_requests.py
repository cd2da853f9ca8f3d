"""What an operator asks for beside reloads and stops: another number of workers, another worker, the code before. Pure.

To restart a worker is to put another in its place first; to drain it is to have it accept nothing more from now on, so
that for as long as a fork takes there is one worker less. Both are replaced whatever their age. A number of workers
that was asked for stands until the next reload is, also where a reload is under way, or a template replaced.
"""

from __future__ import annotations

from corn.supervisor.policy.actions import Level
from corn.supervisor.policy.backoff import Restarts
from corn.supervisor.policy.events import DrainRequested, RestartRequested, RollbackRequested, ScaleRequested
from corn.supervisor.policy.rolling_reload import can_roll_back, roll_back
from corn.supervisor.policy.state import Phase
from corn.supervisor.policy.transition import Transition, drain

MOST_WORKERS = 512
ASKED = "asked by command"


def scale_requested(draft: Transition, event: ScaleRequested) -> None:
    target = max(1, min(MOST_WORKERS, draft.state.target + event.delta))
    if target != draft.state.target and draft.state.phase is not Phase.STOPPING:
        draft.say(Level.INFO, f"scaling from {draft.state.target} to {target} workers")
        draft.change(target=target, scaled=target)


def rollback_requested(draft: Transition, _: RollbackRequested) -> None:
    if can_roll_back(draft.state):
        roll_back(draft, ASKED, level=Level.INFO)


def restart_requested(draft: Transition, event: RestartRequested) -> None:
    """Replace whoever serves in a slot; where it waits for its next attempt, that comes now."""
    if draft.state.phase is Phase.STOPPING:
        return
    for worker in draft.state.in_slot(event.slot):
        if worker.is_ready:
            draft.worker(worker, retiring=worker.retiring or ASKED, at_once=True)
    if event.slot in draft.state.restarts:
        draft.set_restarts(event.slot, Restarts())


def drain_requested(draft: Transition, event: DrainRequested) -> None:
    worker = draft.state.workers.get(event.worker)
    if worker is not None and worker.is_ready and draft.state.phase is not Phase.STOPPING:
        draft.say(Level.INFO, f"{worker} is drained: {ASKED}")
        drain(draft, worker, ASKED)
